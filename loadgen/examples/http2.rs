//! What HTTP/2 costs a worker: one connection in memory, against a server that costs next to nothing.
//!
//! ```text
//! cargo run --release -p tailcut-loadgen --example http2
//! ```
//!
//! The server finds the requests by the headers of their frames, decodes nothing, and answers each with ten bytes:
//! a status of 200 and no body. All requests that may be under way are sent before answers are looked at.
//! Time is the thread's own, so that what else the machine does matters less.

use nix::time::{ClockId, clock_gettime};
use tailcut_loadgen::network::codecs::http2::{Http2, Http2Maker};
use tailcut_loadgen::network::session::{Answer, Event, MakeSession, Session};
use tailcut_loadgen::network::target::{NetworkTarget, Transport};
use tailcut_loadgen::scenario::RequestOptions;

const REQUESTS: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = NetworkTarget {
        transport: Transport::Http2,
        tls: false,
        host: "127.0.0.1".to_owned(),
        port: 8080,
        path: "/".to_owned(),
    };
    for (name, body) in [("GET", None), ("POST of 1 KiB", Some(vec![b'x'; 1024]))] {
        let request = RequestOptions {
            body,
            ..RequestOptions::default()
        };
        let maker = Http2Maker::new(&target, &request)?;
        for under_way in [1, 10, 100] {
            let seconds = time(&mut maker.make(), under_way)?;
            println!(
                "{name}, {under_way} under way: {:.0} requests/s, {:.2} us each",
                REQUESTS as f64 / seconds,
                seconds * 1e6 / REQUESTS as f64
            );
        }
    }
    let maker = Http2Maker::new(&target, &RequestOptions::default())?;
    println!("{:.1} KB for each connection", memory(&maker)?);
    Ok(())
}

/// Kilobytes that a connection keeps when it has carried ten requests at the same time.
fn memory(maker: &Http2Maker) -> Result<f64, Box<dyn std::error::Error>> {
    const SESSIONS: usize = 5_000;
    let before = resident()?;
    let mut sessions = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let mut session = maker.make();
        let (mut out, mut events, mut input) = (Vec::new(), Vec::new(), Vec::new());
        session.open(&mut out);
        session.receive(&frame(4, 0, 0, &[]), &mut out, &mut events)?;
        for number in 0..10 {
            session.send(number, &mut out);
        }
        session.seal(&mut out);
        out.drain(..PREFACE);
        answer(&mut out, &mut input);
        session.receive(&input, &mut out, &mut events)?;
        if events.len() != 10 {
            return Err(format!("unexpected: {events:?}").into());
        }
        sessions.push(session);
    }
    Ok((resident()? - before) as f64 / 1e3 / SESSIONS as f64)
}

/// Bytes of this process in memory.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes
        .ok_or("no VmRSS in /proc/self/status")?
        .parse::<u64>()?
        * 1024)
}

/// Seconds for all requests.
fn time(session: &mut Http2, under_way: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let (mut out, mut events, mut input) = (Vec::new(), Vec::new(), Vec::new());
    session.open(&mut out);
    out.drain(..PREFACE);
    answer(&mut out, &mut input);
    // Settings: windows that never run empty.
    input.extend(frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
    input.extend(frame(8, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    let start = time_of_thread()?;
    let (mut sent, mut answered, mut data) = (0, 0, 0);
    while answered < REQUESTS {
        let used = session.receive(&input, &mut out, &mut events)?;
        input.drain(..used);
        for event in events.drain(..) {
            match event {
                Event::Reply(_, Answer::Ok) => answered += 1,
                other => return Err(format!("unexpected: {other:?}").into()),
            }
        }
        while sent - answered < under_way && sent < REQUESTS && session.ready() {
            session.send(sent, &mut out);
            sent += 1;
        }
        session.seal(&mut out);
        data += answer(&mut out, &mut input);
        if data > 1 << 28 {
            input.extend(frame(8, 0, 0, &(1_u32 << 28).to_be_bytes()));
            data -= 1 << 28;
        }
    }
    Ok(time_of_thread()? - start)
}

/// Seconds.
fn time_of_thread() -> Result<f64, nix::Error> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

const PREFACE: usize = 24;

/// Takes whole frames from `out`, and answers those that begin a request. Returns how many bytes of bodies
/// there were.
fn answer(out: &mut Vec<u8>, input: &mut Vec<u8>) -> usize {
    let mut data = 0;
    let mut rest = out.as_slice();
    while let [a, b, c, kind, _, s0, s1, s2, s3, payload @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *kind == 0 {
            data += length;
        }
        if *kind == 1 {
            let stream = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
            input.extend(frame(1, 5, stream, &[0x88]));
        }
        rest = &payload[length..];
    }
    out.clear();
    data
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
