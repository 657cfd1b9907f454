//! Whole runs over HTTP/2 and gRPC, against servers in this process. Nothing is asserted about how fast
//! anything was.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tailcut_loadgen::network;
use tailcut_loadgen::scenario::{
    Arrivals, Pacing, RequestOptions, Scenario, Target, TlsOptions, WarmUp, Watched,
};
use tailcut_loadgen::{Labels, Nanos, Rate};
use tailcut_report::recording::RunResult;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// One test at a time: the others would take the processors.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scenario(url: &str) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        target: Target::Network(url.parse().unwrap()),
        pacing: Pacing::Open {
            rate: Rate::per_second(1_000).unwrap(),
            arrivals: Arrivals::Constant,
        },
        duration: Nanos::from_millis(1_000),
        warmup: WarmUp::Fixed(Nanos::from_millis(100)),
        workers: 1,
        pin: true,
        connections: 2,
        pipeline: 32,
        timeout: Nanos::from_millis(2_000),
        seed: 1,
        request: RequestOptions::default(),
        tls: TlsOptions::default(),
        slo: None,
        faults: Vec::new(),
        watched: Watched::Nobody,
        start_at_unix_ns: None,
        shard: None,
    }
}

fn run(scenario: &Scenario) -> RunResult {
    let Target::Network(target) = &scenario.target else {
        unreachable!("all of these are over the network");
    };
    let dir = tempfile::tempdir().unwrap();
    let outcome = network::run(
        scenario,
        target,
        &dir.path().join("recording"),
        &Labels::default(),
        &AtomicBool::new(false),
        &mut |_| (),
    )
    .unwrap();
    outcome.meta.result.unwrap()
}

/// hyper, on a thread of its own; it ends when it is dropped.
struct Server {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(tls: Option<TlsAcceptor>) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = match tls {
                        None => {
                            server
                                .serve_connection(TokioIo::new(stream), service_fn(answer))
                                .await
                        }
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => {
                                server
                                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                                    .await
                            }
                            Err(_) => Ok(()),
                        },
                    };
                });
            }
        });
        Server {
            address,
            _runtime: runtime,
        }
    }
}

/// To gRPC a reply, to others 404 for each tenth number in the path.
async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    if request.headers().contains_key("te") {
        let _ = request.into_body().collect().await;
        let status = HeaderMap::from_iter([(
            "grpc-status".parse().unwrap(),
            HeaderValue::from_static("0"),
        )]);
        let reply = Full::new(Bytes::from_static(&[0; 5]))
            .with_trailers(async move { Some(Ok(status)) })
            .boxed();
        let mut response = Response::new(reply);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        return Ok(response);
    }
    let mut response = Response::new(Full::new(Bytes::from(vec![b'x'; 5_000])).boxed());
    if path.ends_with('7') {
        *response.status_mut() = hyper::StatusCode::NOT_FOUND;
    }
    Ok(response)
}

#[test]
fn a_run_over_http2_counts_each_answer_by_what_it_said() {
    let _alone = alone();
    let server = Server::start(None);
    let result = run(&scenario(&format!("h2://{}/item/{{n}}", server.address)));
    assert_eq!(result.offered, 1_000);
    assert_eq!(result.completed, 1_000, "{result:?}");
    assert_eq!(result.failed, 100, "{result:?}");
    assert_eq!(result.errors["status 404"], 100);
}

#[test]
fn calls_are_made_to_a_server_without_reflection_and_over_tls_as_well() {
    let _alone = alone();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut settings = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    settings.alpn_protocols = vec![b"h2".to_vec()];
    let server = Server::start(Some(TlsAcceptor::from(Arc::new(settings))));
    let mut scenario = scenario(&format!("grpcs://{}", server.address));
    scenario.request.grpc_method = Some("shop.Orders/Count".to_owned());
    scenario.request.descriptor_set = None;
    scenario.tls.insecure = true;
    // Its reflection says nothing that could be understood.
    let Target::Network(target) = &scenario.target else {
        unreachable!()
    };
    let dir = tempfile::tempdir().unwrap();
    let refused = network::run(
        &scenario,
        target,
        &dir.path().join("recording"),
        &Labels::default(),
        &AtomicBool::new(false),
        &mut |_| (),
    );
    let text = refused.err().unwrap().to_string();
    assert!(text.contains("reflection"), "{text}");

    let set = dir.path().join("set");
    std::fs::write(&set, descriptor_set()).unwrap();
    scenario.request.descriptor_set = Some(set);
    let result = run(&scenario);
    assert_eq!((result.completed, result.failed), (1_000, 0), "{result:?}");
}

/// A file with a service `shop.Orders`, whose method `Count` takes and gives an empty message.
fn descriptor_set() -> Vec<u8> {
    use prost::Message;
    use prost_reflect::prost_types::{
        DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
        ServiceDescriptorProto,
    };
    let method = MethodDescriptorProto {
        name: Some("Count".to_owned()),
        input_type: Some(".shop.Nothing".to_owned()),
        output_type: Some(".shop.Nothing".to_owned()),
        ..MethodDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("shop.proto".to_owned()),
        package: Some("shop".to_owned()),
        message_type: vec![DescriptorProto {
            name: Some("Nothing".to_owned()),
            ..DescriptorProto::default()
        }],
        service: vec![ServiceDescriptorProto {
            name: Some("Orders".to_owned()),
            method: vec![method],
            ..ServiceDescriptorProto::default()
        }],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    frame
}

/// Waits for two requests, answers the first, and sends what is no HTTP/2 right behind.
fn answer_one_of_two(mut stream: TcpStream, answered: &AtomicU64) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(&frame(4, 0, 0, &[]))?;
    let (mut received, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        received.extend_from_slice(&chunk[..length]);
        if requests(&received) >= 2 {
            break;
        }
    }
    let mut bytes = frame(1, 5, 1, &[0x88]);
    bytes.extend([0xff; 100]);
    answered.fetch_add(1, Ordering::Relaxed);
    stream.write_all(&bytes)?;
    while stream.read(&mut chunk)? > 0 {}
    Ok(())
}

/// How many frames of headers there are behind the preface.
fn requests(received: &[u8]) -> usize {
    let mut rest = received.get(24..).unwrap_or_default();
    let mut count = 0;
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = rest {
        count += usize::from(*kind == 1);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        rest = payload.get(length..).unwrap_or_default();
    }
    count
}

#[test]
fn what_was_answered_before_a_connection_broke_counts_and_on_that_connection_alone() {
    let _alone = alone();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answered = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&answered);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || answer_one_of_two(stream, &counted));
        }
    });
    let mut scenario = scenario(&format!("h2://{address}"));
    scenario.pipeline = 2;
    scenario.pacing = Pacing::Open {
        rate: Rate::per_second(100).unwrap(),
        arrivals: Arrivals::Constant,
    };
    scenario.warmup = WarmUp::Fixed(Nanos(0));
    let result = run(&scenario);
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered >= 5, "{result:?}");
    // One of the two requests of each connection was answered, the other was not.
    assert_eq!(result.errors["bad reply"], answered, "{result:?}");
    assert_eq!(result.completed, answered, "{result:?}");
}

/// nginx, which takes 100 requests on a connection; `None` if it is not installed.
fn nginx(dir: &Path) -> Option<(Killed, u16)> {
    std::fs::write(dir.join("index.html"), "x".repeat(615)).unwrap();
    let dir = dir.to_str().unwrap();
    for _ in 0..5 {
        // Another process may take it in between; hence the attempts.
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let config = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
            events {{ worker_connections 64; }}
            http {{
                access_log off; root {dir}; keepalive_requests 100;
                client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
                uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
                server {{ listen 127.0.0.1:{port} http2; }}
            }}"
        );
        let file = format!("{dir}/nginx.conf");
        std::fs::write(&file, config).unwrap();
        let log = format!("{dir}/error.log");
        let process = Command::new("nginx")
            .args(["-p", dir, "-c", &file, "-e", &log])
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            eprintln!("SKIPPED: nginx is not installed");
            return None;
        };
        let mut process = Killed(process);
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && matches!(process.0.try_wait(), Ok(None)) {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some((process, port));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("nginx does not start");
}

/// A process, ended with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nginx_ends_connections_again_and_again_and_no_request_is_lost() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let Some((_nginx, port)) = nginx(dir.path()) else {
        return;
    };
    let mut scenario = scenario(&format!("h2://127.0.0.1:{port}/"));
    scenario.pipeline = 1;
    let result = run(&scenario);
    assert_eq!((result.completed, result.failed), (1_000, 0), "{result:?}");
    assert!(result.reconnects >= 8, "{result:?}");

    // With more under way, the server names those that it never began with.
    scenario.pipeline = 20;
    let result = run(&scenario);
    let refused = result.errors.get("go away").copied().unwrap_or(0);
    assert_eq!(result.failed, refused, "{result:?}");
    assert!(result.completed > 500, "{result:?}");
}
