//! Whatever a server sends, cut wherever: a session answers with events or one error, and what it says
//! does not depend on where the bytes were cut. The first byte says which protocol, the second where to cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailcut_loadgen::network::codecs::http1::Http1Maker;
use tailcut_loadgen::network::codecs::http2::Http2Maker;
use tailcut_loadgen::network::codecs::order::OrderMaker;
use tailcut_loadgen::network::codecs::redis::RedisMaker;
use tailcut_loadgen::network::codecs::websocket::WebSocketMaker;
use tailcut_loadgen::network::session::{Event, MakeSession, Session};

fuzz_target!(|data: &[u8]| {
    let [which, cut, stream @ ..] = data else {
        return;
    };
    let target = "http://127.0.0.1:1/".parse().expect("a target");
    let options = Default::default();
    match which % 5 {
        0 => both_ways(&Http1Maker::new(&target, &options).expect("usual"), *cut, stream),
        1 => both_ways(&RedisMaker::new(&options).expect("usual"), *cut, stream),
        2 => both_ways(&OrderMaker::new(1, &options).expect("usual"), *cut, stream),
        // Masks are random and frames depend on settings: only that nothing panics.
        3 => drop(play(&Http2Maker::new(&target, &options).expect("usual"), *cut, stream)),
        _ => drop(play(&WebSocketMaker::new(&target, &options).expect("usual"), *cut, stream)),
    }
});

fn both_ways<M: MakeSession>(maker: &M, cut: u8, stream: &[u8]) {
    assert_eq!(play(maker, cut, stream), play(maker, 0, stream), "cut every {cut} bytes, and not cut");
}

/// Replies, and whether the connection failed, of `stream` cut after every `cut` bytes, or not at all.
fn play<M: MakeSession>(maker: &M, cut: u8, stream: &[u8]) -> (Vec<Event>, bool) {
    let mut session = maker.make();
    let (mut out, mut events) = (Vec::new(), Vec::new());
    session.open(&mut out);
    for request in 0..8 {
        if session.ready() {
            session.send(request, &mut out);
        }
    }
    session.seal(&mut out);
    let part = match cut {
        0 => stream.len().max(1),
        cut => usize::from(cut),
    };
    let (mut used, mut given) = (0, 0);
    let mut failed = false;
    while given < stream.len() && !failed {
        given = (given + part).min(stream.len());
        match session.receive(&stream[used..given], &mut out, &mut events) {
            Ok(taken) => {
                assert!(taken <= given - used, "more bytes used than given");
                used += taken;
            }
            Err(_) => failed = true,
        }
    }
    if !failed {
        failed = session.end(&stream[used..], &mut events).is_err();
    }
    events.retain(|event| !matches!(event, Event::FirstByte(_)));
    (events, failed)
}
