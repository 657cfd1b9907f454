//! What sessions and TLS cost, in nanoseconds a request and a reply, with no socket in between.
//!
//! ```text
//! cargo run --release -p tailcut-loadgen --example decode
//! ```

use std::hint::black_box;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::CertifiedKey;
use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;
use tailcut_loadgen::network::codecs::http1::Http1Maker;
use tailcut_loadgen::network::codecs::redis::RedisMaker;
use tailcut_loadgen::network::codecs::websocket::WebSocketMaker;
use tailcut_loadgen::network::session::{MakeSession, Session};
use tailcut_loadgen::network::target::{NetworkTarget, Transport};
use tailcut_loadgen::network::tls::TlsClient;
use tailcut_loadgen::scenario::{RequestOptions, TlsOptions};

/// Replies that one read brings.
const TOGETHER: [usize; 2] = [1, 16];
/// Rounds that are timed together, and how often: the best is shown, which nothing has disturbed.
const REPEATED: usize = 100;
const BATCHES: usize = 5_000;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let target = NetworkTarget {
        transport: Transport::Http1,
        tls: false,
        host: "127.0.0.1".to_owned(),
        port: 8080,
        path: "/".to_owned(),
    };
    let plain = RequestOptions::default();
    let http1 = Http1Maker::new(&target, &plain)?;
    let reply = |etag: u8| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: \
             text/html\r\nContent-Length: 615\r\nLast-Modified: Sun, 31 Dec 2023 00:00:00 GMT\r\n\
             Connection: keep-alive\r\nETag: \"65{etag}-267\"\r\nAccept-Ranges: bytes\r\n\r\n"
        );
        [head.into_bytes(), vec![b'x'; 615]].concat()
    };
    println!("ns a request (send) and a reply (receive), the best of {BATCHES} times");
    parse_alone("HTTP/1.1, httparse alone", &reply(10));
    let same = [reply(10), reply(10)];
    row("HTTP/1.1, heads alike", &http1, b"", &same)?;
    row(
        "HTTP/1.1, heads differ",
        &http1,
        b"",
        &[reply(10), reply(20)],
    )?;
    let numbered = RequestOptions {
        body: Some(br#"{"order": {n}}"#.to_vec()),
        ..RequestOptions::default()
    };
    row(
        "HTTP/1.1, {n} in the body",
        &Http1Maker::new(&target, &numbered)?,
        b"",
        &same,
    )?;
    row(
        "Redis, SET and +OK",
        &RedisMaker::new(&plain)?,
        b"",
        &[b"+OK\r\n".to_vec()],
    )?;
    let value = [b"$100\r\n".to_vec(), vec![b'x'; 100], b"\r\n".to_vec()].concat();
    row(
        "Redis, SET and 100 bytes",
        &RedisMaker::new(&plain)?,
        b"",
        &[value],
    )?;
    let websocket = WebSocketMaker::new(&target, &plain)?;
    row(
        "WebSocket, 9 bytes",
        &websocket,
        b"websocket",
        &[b"\x82\x09request 1".to_vec()],
    )?;
    tls(target, http1.make(), &reply(10))
}

/// Times a session of `maker`: what it sends, and what it makes of `replies` one after the other.
fn row(
    name: &str,
    maker: &impl MakeSession,
    greeting: &[u8],
    replies: &[Vec<u8>],
) -> Result<(), Box<dyn std::error::Error>> {
    let mut line = format!("{name:<28}");
    for together in TOGETHER {
        let mut session = maker.make();
        let (mut out, mut events) = (Vec::new(), Vec::new());
        session.open(&mut out);
        if !greeting.is_empty() {
            session.receive(&agreement(&out), &mut Vec::new(), &mut events)?;
        }
        let input: Vec<u8> = replies
            .iter()
            .cycle()
            .take(together.max(replies.len()))
            .flatten()
            .copied()
            .collect();
        let parts: Vec<&[u8]> = if together == 1 {
            split(&input, replies)
        } else {
            vec![&input]
        };
        let per_round = together.max(replies.len());
        let requests = (REPEATED * per_round) as f64;
        let (mut sending, mut receiving) = (f64::MAX, f64::MAX);
        for _ in 0..BATCHES {
            let begun = Instant::now();
            for round in 0..REPEATED {
                out.clear();
                for number in 0..per_round {
                    session.send((round + number) as u64, black_box(&mut out));
                }
            }
            let sent = Instant::now();
            for _ in 0..REPEATED {
                for part in &parts {
                    events.clear();
                    session.receive(black_box(part), &mut out, black_box(&mut events))?;
                }
            }
            receiving = f64::min(receiving, sent.elapsed().as_nanos() as f64 / requests);
            sending = f64::min(sending, (sent - begun).as_nanos() as f64 / requests);
        }
        line += &format!("  {together:>2} a read: {sending:>5.1} {receiving:>6.1}");
    }
    println!("{line}");
    Ok(())
}

fn split<'a>(input: &'a [u8], replies: &[Vec<u8>]) -> Vec<&'a [u8]> {
    let mut rest = input;
    let mut parts = Vec::new();
    for reply in replies {
        let (part, behind) = rest.split_at(reply.len());
        parts.push(part);
        rest = behind;
    }
    parts
}

/// A server's half of the WebSocket handshake that `greeting` begins.
fn agreement(greeting: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(greeting);
    let key = text
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap_or_default();
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// What this side of TLS costs: a handshake, an open connection's memory, a request and a reply.
fn tls(
    mut target: NetworkTarget,
    mut session: impl Session,
    reply: &[u8],
) -> Result<(), Box<dyn std::error::Error>> {
    const CHANNELS: u32 = 100;
    target.tls = true;
    let options = TlsOptions {
        insecure: true,
        ..TlsOptions::default()
    };
    let client = TlsClient::new(&target, &options)?;
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["x".to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let server = Arc::new(server);
    let mut servers = Vec::new();
    for _ in 0..CHANNELS {
        servers.push(ServerConnection::new(Arc::clone(&server))?);
    }
    let mut channels = Vec::with_capacity(CHANNELS as usize);
    let (mut wire, mut plain) = (Vec::with_capacity(1 << 16), Vec::with_capacity(1 << 16));
    let (mut fastest, mut kept) = (Duration::MAX, 0);
    for server in &mut servers {
        let before = in_use();
        let begun = Instant::now();
        let mut channel = client.connect()?;
        channel.start(&mut wire);
        let mut spent = begun.elapsed();
        kept += in_use().saturating_sub(before);
        while !wire.is_empty() {
            server.read_tls(&mut wire.as_slice())?;
            server.process_new_packets()?;
            wire.clear();
            let mut answer = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answer)?;
            }
            let before = in_use();
            let begun = Instant::now();
            channel.decrypt(&answer, &mut plain, &mut wire)?;
            spent += begun.elapsed();
            kept = (kept + in_use()).saturating_sub(before);
        }
        fastest = fastest.min(spent);
        channels.push(channel);
    }
    println!(
        "TLS: {}; a handshake {:.0} us, without judging the certificate; {} KB a channel",
        channels[0].description().unwrap_or_default(),
        fastest.as_secs_f64() * 1e6,
        kept / 1000 / CHANNELS as usize,
    );
    let (mut sending, mut receiving) = (Duration::MAX, Duration::MAX);
    let (channel, server) = (&mut channels[0], &mut servers[0]);
    let mut out = Vec::new();
    const REQUESTS: u32 = 50_000;
    for number in 0..REQUESTS {
        out.clear();
        wire.clear();
        plain.clear();
        session.send(u64::from(number), &mut out);
        let begun = Instant::now();
        channel.encrypt(black_box(&out), &mut wire)?;
        sending = sending.min(begun.elapsed());
        server.read_tls(&mut wire.as_slice())?;
        server.process_new_packets()?;
        server.reader().read_exact(&mut out)?;
        server.writer().write_all(reply)?;
        wire.clear();
        server.write_tls(&mut wire)?;
        let begun = Instant::now();
        channel.decrypt(black_box(&wire), &mut plain, &mut out)?;
        receiving = receiving.min(begun.elapsed());
    }
    println!(
        "TLS, {} bytes out, {} in           {:>5.0} {:>6.0}",
        out.len(),
        plain.len(),
        sending.as_nanos(),
        receiving.as_nanos(),
    );
    Ok(())
}

/// Bytes that the process has allocated.
fn in_use() -> usize {
    // SAFETY: it only reads the allocator's own statistics, under the allocator's locks.
    unsafe { libc::mallinfo2() }.uordblks
}

/// The parser alone, without the body, events or what headers mean.
fn parse_alone(name: &str, reply: &[u8]) {
    let mut best = f64::MAX;
    for _ in 0..BATCHES {
        let begun = Instant::now();
        for _ in 0..REPEATED {
            let mut headers = [const { MaybeUninit::uninit() }; 100];
            let mut response = httparse::Response::new(&mut []);
            let config = httparse::ParserConfig::default();
            let parsed = config.parse_response_with_uninit_headers(
                &mut response,
                black_box(reply),
                &mut headers,
            );
            let _ = black_box((parsed, response.headers.len()));
        }
        best = f64::min(best, begun.elapsed().as_nanos() as f64 / REPEATED as f64);
    }
    println!("{name:<28}   1 a read:       {best:>6.1}");
}
