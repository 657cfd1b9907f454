//! How much load one worker can make: orders over TCP to a server that answers without looking.
//!
//! `cargo run --release -p tailcut-loadgen --example ceiling -- [RATE|closed] [CONNECTIONS] [PIPELINE] [SECONDS] [URL]`
//!
//! Without a URL the server is a thread of this process that reads lengths and ids and does nothing else, on the cores
//! that the worker leaves; it spins. Prints what was held, and where the worker's time went.

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tailcut_loadgen::network;
use tailcut_loadgen::order::reply::{self, Fate};
use tailcut_loadgen::scenario::{
    Arrivals, Pacing, RequestOptions, Scenario, Target, TlsOptions, WarmUp, Watched,
};
use tailcut_loadgen::{Labels, Nanos};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rate = arguments.next().unwrap_or_else(|| "1M".to_owned());
    let connections = arguments.next().map_or(Ok(16), |text| text.parse())?;
    let pipeline = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;

    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let own = format!("tcp://{}", listener.local_addr()?);
    let url = arguments.next();
    let target: network::target::NetworkTarget = url.as_deref().unwrap_or(&own).parse()?;
    listener.set_nonblocking(true)?;
    let done = AtomicBool::new(false);
    let pacing = match rate.as_str() {
        "closed" => Pacing::Closed,
        rate => Pacing::Open {
            rate: rate.parse()?,
            arrivals: Arrivals::Constant,
        },
    };
    let scenario = Scenario {
        name: "ceiling".to_owned(),
        target: Target::Network(target.clone()),
        pacing,
        duration: Nanos::from_millis(seconds * 1_000),
        warmup: WarmUp::Fixed(Nanos::SECOND),
        workers: 1,
        pin: true,
        connections,
        pipeline,
        timeout: Nanos::from_millis(5_000),
        seed: 1,
        request: RequestOptions::default(),
        tls: TlsOptions::default(),
        slo: None,
        faults: Vec::new(),
        watched: Watched::Nobody,
        start_at_unix_ns: None,
        shard: None,
    };
    let dir = std::env::temp_dir().join(format!("ceiling-{}", std::process::id()));
    let outcome = thread::scope(|scope| {
        if url.is_none() {
            scope.spawn(|| serve(listener, &done));
        }
        let outcome = network::run(
            &scenario,
            &target,
            &dir,
            &Labels::default(),
            &AtomicBool::new(false),
            &mut |_| (),
        );
        done.store(true, Ordering::Relaxed);
        outcome
    });
    let outcome = outcome?;
    std::fs::remove_dir_all(&dir)?;
    let result = outcome.meta.result.clone().unwrap_or_default();
    let generator = result.generator.clone().unwrap_or_default();
    let at = |quantile| Nanos(outcome.response.value_at_quantile(quantile));
    println!(
        "{:.0}/s held of {} offered: {}; response P50 {} P99 {} P99.9 {} max {}",
        result.rate_achieved,
        result.offered,
        if result.schedule_kept {
            "kept"
        } else {
            "MISSED"
        },
        at(0.5),
        at(0.99),
        at(0.999),
        Nanos(outcome.response.max()),
    );
    println!(
        "busy {:.1}%, {:.0} ns a request; lateness P50 {} P99.9 {} max {}; depth P50 {}; {}: {}",
        generator.busy * 100.0,
        generator.busy * 1e9 / result.rate_achieved.max(1.0),
        Nanos(generator.lateness_p50_ns),
        Nanos(generator.lateness_p999_ns),
        Nanos(generator.lateness_max_ns),
        outcome.series["queue_depth"].value_at_quantile(0.5),
        generator.bottleneck,
        generator.reason,
    );
    println!(
        "errors {:?}, RSS {} MB",
        result.errors,
        result.max_rss_bytes >> 20
    );
    Ok(())
}

struct Peer {
    stream: TcpStream,
    pending: Vec<u8>,
    out: Vec<u8>,
}

fn serve(listener: std::net::TcpListener, done: &AtomicBool) {
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new().expect("an event loop");
    let mut events = Events::with_capacity(64);
    let registry = poll.registry().try_clone().expect("its registry");
    registry
        .register(&mut listener, Token(0), Interest::READABLE)
        .expect("a listener");
    let mut peers: HashMap<Token, Peer> = HashMap::new();
    let mut buffer = vec![0; 256 << 10];
    while !done.load(Ordering::Relaxed) {
        // It spins: a thread that sleeps answers as late as it wakes up.
        poll.poll(&mut events, Some(Duration::ZERO))
            .expect("events");
        for event in &events {
            if event.token() == Token(0) {
                while let Ok((mut stream, _)) = listener.accept() {
                    let token = Token(peers.len() + 1);
                    let both = Interest::READABLE | Interest::WRITABLE;
                    let _ = stream.set_nodelay(true);
                    registry
                        .register(&mut stream, token, both)
                        .expect("a connection");
                    let (pending, out) = (Vec::new(), Vec::new());
                    let peer = Peer {
                        stream,
                        pending,
                        out,
                    };
                    peers.insert(token, peer);
                }
            } else if let Some(peer) = peers.get_mut(&event.token()) {
                answer(peer, &mut buffer);
            }
        }
    }
}

fn answer(peer: &mut Peer, buffer: &mut [u8]) {
    while let Ok(read @ 1..) = peer.stream.read(buffer) {
        let input = if peer.pending.is_empty() {
            &buffer[..read]
        } else {
            peer.pending.extend_from_slice(&buffer[..read]);
            &peer.pending[..]
        };
        let mut at = 0;
        while let Some(head) = input.get(at..at + 16) {
            let length = usize::from(u16::from_le_bytes([head[0], head[1]]));
            if input.len() < at + length {
                break;
            }
            let id = head[8..].try_into().map_or(0, u64::from_le_bytes);
            peer.out
                .extend_from_slice(&reply::encode(id, Fate::Accepted));
            at += length;
        }
        let rest = input[at..].to_vec();
        peer.pending = rest;
        if read < buffer.len() {
            break;
        }
    }
    while let Ok(written @ 1..) = peer.stream.write(&peer.out) {
        peer.out.drain(..written);
    }
}
