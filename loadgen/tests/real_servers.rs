//! Sessions and TLS against servers of other makes: nginx and Redis, each started by the test on a
//! free port of loopback, with a folder of its own. A server that is not installed is skipped, aloud.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rcgen::CertifiedKey;
use tailcut_loadgen::network::codecs::http1::Http1Maker;
use tailcut_loadgen::network::codecs::redis::RedisMaker;
use tailcut_loadgen::network::session::{Answer, Event, MakeSession, Session};
use tailcut_loadgen::network::target::{NetworkTarget, Transport};
use tailcut_loadgen::network::tls::{TlsChannel, TlsClient};
use tailcut_loadgen::scenario::{RequestOptions, TlsOptions};

/// A server process, ended with the test.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts `program` with the arguments for a port; `None` if it is not installed. Another process may take
/// the port in between, so it is tried again.
fn start(program: &str, arguments: impl Fn(u16) -> Vec<String>) -> Option<Server> {
    for _ in 0..5 {
        let port = free_port();
        let process = Command::new(program)
            .args(arguments(port))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            eprintln!("SKIPPED: {program} is not installed");
            return None;
        };
        let mut server = Server { process, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && matches!(server.process.try_wait(), Ok(None)) {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            sleep(Duration::from_millis(20));
        }
    }
    panic!("{program} does not start");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn target(transport: Transport, port: u16, path: &str) -> NetworkTarget {
    NetworkTarget {
        transport,
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
        path: path.to_owned(),
    }
}

/// Sends `requests` requests on one connection, `pipeline` at a time, and returns what came of them, in
/// order, and whether the server said that it closes.
fn drive<S: Session>(
    mut session: S,
    port: u16,
    mut tls: Option<TlsChannel>,
    requests: u64,
    pipeline: u64,
) -> (Vec<Answer>, bool) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let (mut out, mut wire) = (Vec::new(), Vec::new());
    let (mut input, mut events) = (Vec::new(), Vec::new());
    let (mut answers, mut closing) = (Vec::new(), false);
    let (mut sent, mut chunk) = (0, [0; 3000]);
    session.open(&mut out);
    if let Some(tls) = &mut tls {
        tls.start(&mut wire);
    }
    while (answers.len() as u64) < requests {
        let under_way = sent - answers.len() as u64;
        if session.ready() && !closing {
            for _ in under_way..pipeline.min(requests - answers.len() as u64) {
                session.send(sent, &mut out);
                sent += 1;
            }
        }
        match &mut tls {
            Some(tls) if tls.wants_handshake() => {}
            Some(tls) => tls.encrypt(&out, &mut wire).unwrap(),
            None => wire.extend_from_slice(&out),
        }
        if tls.as_ref().is_none_or(|tls| !tls.wants_handshake()) {
            out.clear();
        }
        stream.write_all(&wire).unwrap();
        wire.clear();
        let length = stream.read(&mut chunk).unwrap();
        if length == 0 {
            session.end(&input, &mut events).unwrap();
        }
        match &mut tls {
            Some(tls) => tls
                .decrypt(&chunk[..length], &mut input, &mut wire)
                .unwrap(),
            None => input.extend_from_slice(&chunk[..length]),
        }
        let used = session.receive(&input, &mut out, &mut events).unwrap();
        input.drain(..used);
        for event in events.drain(..) {
            match event {
                Event::FirstByte(_) => {}
                Event::Reply(ticket, answer) => {
                    assert_eq!(ticket, answers.len() as u64);
                    answers.push(answer);
                }
                Event::Closing => closing = true,
            }
        }
        if length == 0 {
            break;
        }
    }
    (answers, closing)
}

/// nginx with the locations that the tests ask for, in plain and over TLS.
fn nginx(dir: &Path, tls_port: u16) -> Option<Server> {
    std::fs::write(dir.join("index.html"), "x".repeat(615)).unwrap();
    std::fs::write(dir.join("large"), "y".repeat(1_000_000)).unwrap();
    std::fs::write(
        dir.join("included.shtml"),
        "<!--#echo var=\"uri\" -->!".repeat(50),
    )
    .unwrap();
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), signing_key.serialize_pem()).unwrap();
    let dir = dir.to_str().unwrap().to_owned();
    start("nginx", |port| {
        let config = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
            events {{ worker_connections 64; }}
            http {{
                access_log off; root {dir}; keepalive_requests 100000;
                client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
                uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
                server {{
                    listen 127.0.0.1:{port};
                    listen 127.0.0.1:{tls_port} ssl;
                    ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
                    location / {{ }}
                    location /included.shtml {{ ssi on; ssi_types *; }}
                    location /close {{ keepalive_timeout 0; return 200 ok; }}
                    location /busy {{ return 503; }}
                    location /empty {{ return 204; }}
                    location /limited {{ keepalive_requests 3; return 200 ok; }}
                }}
            }}"
        );
        std::fs::write(format!("{dir}/nginx.conf"), config).unwrap();
        [
            "-p",
            &dir,
            "-c",
            &format!("{dir}/nginx.conf"),
            "-e",
            &format!("{dir}/error.log"),
        ]
        .map(str::to_owned)
        .to_vec()
    })
}

fn http1(port: u16, path: &str, options: &RequestOptions) -> impl Session + use<> {
    Http1Maker::new(&target(Transport::Http1, port, path), options)
        .unwrap()
        .make()
}

#[test]
fn nginx_answers_what_we_ask_however_its_replies_end() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = nginx(dir.path(), free_port()) else {
        return;
    };
    let get = RequestOptions::default();
    let head = RequestOptions {
        method: Some("HEAD".to_owned()),
        ..RequestOptions::default()
    };
    let refused = |kind: &'static str| Answer::Failed(kind.into());
    let cases = [
        ("/", &get, Answer::Ok),
        ("/", &head, Answer::Ok),
        ("/large", &get, Answer::Ok),
        ("/large", &head, Answer::Ok),
        ("/included.shtml", &get, Answer::Ok),
        ("/empty", &get, Answer::Ok),
        ("/busy", &get, refused("status 503")),
        ("/nothing/{n}", &get, refused("status 404")),
    ];
    for (path, options, expected) in cases {
        for pipeline in [1, 7] {
            let (answers, closing) = drive(
                http1(server.port, path, options),
                server.port,
                None,
                50,
                pipeline,
            );
            assert_eq!(answers, vec![expected.clone(); 50], "{path}");
            assert!(!closing, "{path}");
        }
    }
    let (answers, closing) = drive(http1(server.port, "/close", &get), server.port, None, 5, 1);
    assert_eq!((answers, closing), (vec![Answer::Ok], true));
    let (answers, closing) = drive(
        http1(server.port, "/limited", &get),
        server.port,
        None,
        5,
        1,
    );
    assert_eq!((answers, closing), (vec![Answer::Ok; 3], true));
}

#[test]
fn nginx_over_tls_answers_the_same_and_its_certificate_is_judged() {
    let dir = tempfile::tempdir().unwrap();
    let tls_port = free_port();
    let Some(_server) = nginx(dir.path(), tls_port) else {
        return;
    };
    let mut target = target(Transport::Http1, tls_port, "/");
    target.tls = true;
    let trusted = TlsOptions {
        certificate_authority: Some(dir.path().join("cert.pem")),
        ..TlsOptions::default()
    };
    let client = TlsClient::new(&target, &trusted).unwrap();
    for path in ["/", "/large", "/included.shtml"] {
        let session = http1(tls_port, path, &RequestOptions::default());
        let channel = client.connect().unwrap();
        let (answers, _) = drive(session, tls_port, Some(channel), 20, 4);
        assert_eq!(answers, vec![Answer::Ok; 20], "{path}");
    }
}

/// Redis, without a file to save to.
fn redis(dir: &Path) -> Option<Server> {
    let dir = dir.to_str().unwrap().to_owned();
    start("redis-server", |port| {
        let port = port.to_string();
        [
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            &dir,
        ]
        .map(str::to_owned)
        .to_vec()
    })
}

#[test]
fn redis_answers_every_kind_of_command() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = redis(dir.path()) else {
        return;
    };
    let answers = |command: &[&str]| {
        let options = RequestOptions {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            ..RequestOptions::default()
        };
        let session = RedisMaker::new(&options).unwrap().make();
        let (mut answers, _) = drive(session, server.port, None, 100, 16);
        answers.dedup();
        answers
    };
    let commands: [&[&str]; 14] = [
        &[],
        &["GET", "key:{n}"],
        &["GET", "missing:{n}"],
        &["SET", "large", &"v".repeat(200_000)],
        &["GET", "large"],
        &["LPUSH", "list", "a{n}", "b"],
        &["LRANGE", "list", "0", "-1"],
        &["HSET", "hash", "field{n}", "1"],
        &["COMMAND"],
        &["INFO"],
        // From here on in RESP3: maps, sets, nulls, doubles, booleans.
        &["HELLO", "3"],
        &[
            "EVAL",
            "redis.setresp(3); return {map={a=1,b={double=2.5}}}",
            "0",
        ],
        &[
            "EVAL",
            "redis.setresp(3); return {true, false, {set={a=true}}}",
            "0",
        ],
        &["EVAL", "return {1, {2, {3, {}}}}", "0"],
    ];
    for command in commands {
        assert_eq!(answers(command), [Answer::Ok], "{command:?}");
    }
    let refusals: [(&[&str], &str); 3] = [
        (&["LPUSH", "large", "x"], "redis WRONGTYPE"),
        (&["NOSUCHCOMMAND"], "redis ERR"),
        (&["EVALSHA", "ffff", "0"], "redis NOSCRIPT"),
    ];
    for (command, kind) in refusals {
        assert_eq!(
            answers(command),
            [Answer::Failed(kind.into())],
            "{command:?}"
        );
    }
}
