//! Whole runs over TLS: order servers of `rustls`, with certificates made by the test.

mod servers;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use tailcut_loadgen::network::{self, NetworkError};
use tailcut_loadgen::order::reply::{self, Fate};
use tailcut_loadgen::scenario::{
    Arrivals, Pacing, RequestOptions, Scenario, Target, TlsOptions, WarmUp, Watched,
};
use tailcut_loadgen::{Labels, LoadError, Nanos, Rate, RunOutcome};
use tailcut_report::recording::CONNECT;

/// A server on a thread of its own, and its certificate as PEM. `last`: it says good-bye after so many
/// orders on a connection.
fn server(last: u64) -> (SocketAddr, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            thread::spawn(move || serve(config, stream, last));
        }
    });
    (address, certificate.pem())
}

fn serve(config: Arc<ServerConfig>, stream: TcpStream, last: u64) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let (mut buffer, mut pending, mut seen) = (vec![0; 64 << 10], Vec::new(), 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        pending.extend_from_slice(&buffer[..read]);
        let (ids, used) = servers::ids(&pending);
        pending.drain(..used);
        for id in ids {
            seen += 1;
            if stream
                .write_all(&reply::encode(id, Fate::Accepted))
                .is_err()
            {
                return;
            }
            if seen == last {
                stream.conn.send_close_notify();
                let _ = stream.flush();
                return;
            }
        }
    }
}

fn run(address: SocketAddr, tls: TlsOptions, dir: &Path) -> Result<RunOutcome, LoadError> {
    let target: network::target::NetworkTarget =
        format!("tcps://localhost:{}", address.port()).parse()?;
    let scenario = Scenario {
        name: "tls".to_owned(),
        target: Target::Network(target.clone()),
        pacing: Pacing::Open {
            rate: Rate::per_second(2_000).unwrap(),
            arrivals: Arrivals::Constant,
        },
        duration: Nanos::from_millis(1_000),
        warmup: WarmUp::Fixed(Nanos(0)),
        workers: 1,
        pin: true,
        connections: 4,
        pipeline: 16,
        timeout: Nanos::from_millis(5_000),
        seed: 1,
        request: RequestOptions::default(),
        tls,
        slo: None,
        faults: Vec::new(),
        watched: Watched::Nobody,
        start_at_unix_ns: None,
        shard: None,
    };
    let stop = AtomicBool::new(false);
    let labels = Labels::default();
    network::run(&scenario, &target, dir, &labels, &stop, &mut |_| ())
}

fn insecure() -> TlsOptions {
    TlsOptions {
        insecure: true,
        ..TlsOptions::default()
    }
}

#[test]
fn orders_are_answered_over_tls_by_a_server_whose_certificate_is_trusted() {
    let (address, pem) = server(u64::MAX);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let trusted = TlsOptions {
        certificate_authority: Some(file),
        ..TlsOptions::default()
    };
    let outcome = run(address, trusted, &dir.path().join("recording")).unwrap();
    let result = outcome.meta.result.unwrap();
    assert_eq!((result.offered, result.completed), (2_000, 2_000));
    assert!(result.errors.is_empty(), "{result:?}");
    assert_eq!(outcome.series[CONNECT].len(), 4);
    // A handshake is two round trips and public keys.
    assert!(outcome.series[CONNECT].min() > 50_000);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_an_error_before_the_run() {
    let (address, _) = server(u64::MAX);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("recording");
    let error = run(address, TlsOptions::default(), &out).unwrap_err();
    assert!(
        matches!(error, LoadError::Network(NetworkError::Tls { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("--insecure"), "{error}");
    assert!(!out.exists());
    let outcome = run(address, insecure(), &out).unwrap();
    assert_eq!(outcome.meta.result.unwrap().completed, 2_000);
}

#[test]
fn a_server_that_says_good_bye_is_connected_to_again() {
    let (address, _) = server(100);
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(address, insecure(), &dir.path().join("recording")).unwrap();
    let result = outcome.meta.result.unwrap();
    assert_eq!(result.completed + result.unserved, 2_000);
    assert!(
        result.reconnects > 8 && result.completed > 1_000,
        "{result:?}"
    );
    // What is sent to a server that is gone meets a reset.
    let known = |kind: &String| ["closed", "reset"].contains(&kind.as_str());
    assert!(result.errors.keys().all(known), "{result:?}");
}

#[test]
fn a_server_without_tls_is_told_from_one_with_a_bad_certificate() {
    let server = servers::Server::start(servers::Behaviour::Garbage { nth: 1 });
    let dir = tempfile::tempdir().unwrap();
    let plain: SocketAddr = server.url().trim_start_matches("tcp://").parse().unwrap();
    // It waits for an order; what it gets is a greeting, of which it makes nothing.
    let out = dir.path().join("recording");
    let error = run(plain, insecure(), &out).unwrap_err().to_string();
    assert!(
        error.contains("timeout") || error.contains("TLS"),
        "{error}"
    );
    assert!(!out.exists());
}
