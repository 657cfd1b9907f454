//! The server over loopback, with the clients of the standard library.

mod http1;
mod http2;
mod tcp;
mod udp;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::order::generate::Corpus;
use crate::order::reply::{self, Fate, REPLY};

/// A server in a thread of this process.
struct Server {
    addresses: Addresses,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<ServeOutcome, ServeError>>>,
}

impl Server {
    /// Everything that is served, by one worker, if `change` does not say otherwise.
    fn start(service: Service, change: impl FnOnce(&mut ServeOptions)) -> Server {
        let any = Some(ServeOptions::ANY_LOCAL_PORT);
        let mut options = ServeOptions {
            tcp: any,
            udp: any,
            window: 1_000,
            ..ServeOptions::new(service)
        };
        change(&mut options);
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let (sender, ready) = channel();
        let thread = std::thread::spawn(move || {
            serve(
                &options,
                |addresses| sender.send(*addresses).unwrap(),
                &flag,
            )
        });
        Server {
            addresses: ready.recv().expect("the server did not start"),
            stop,
            thread: Some(thread),
        }
    }

    fn tcp(&self) -> TcpStream {
        connect(self.addresses.tcp.unwrap())
    }

    fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stop(mut self) -> ServeOutcome {
        self.ask_to_stop();
        self.thread.take().unwrap().join().unwrap().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    // A test that would wait for ever fails instead.
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// The bytes of an order with this id.
fn order(corpus: &Corpus, id: u64) -> Vec<u8> {
    let mut bytes = corpus.request(id).to_vec();
    bytes[8..16].copy_from_slice(&id.to_le_bytes());
    bytes
}

/// Sends `burst` over and over, until neither the server nor the system takes any more: how many bytes they took.
fn send_until_nothing_is_taken(stream: &mut TcpStream, burst: &[u8]) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut sent, mut refused) = (0, 0);
    while refused < 20 {
        match stream.write(&burst[sent % burst.len()..]) {
            Ok(more) => (sent, refused) = (sent + more, 0),
            Err(_) => {
                refused += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    stream.set_nonblocking(false).unwrap();
    sent
}

fn read_answer(stream: &mut TcpStream) -> (u64, Fate) {
    let mut answer = [0; REPLY];
    stream.read_exact(&mut answer).unwrap();
    reply::decode(&answer).unwrap()
}

#[test]
fn addresses_that_others_can_reach_are_refused_unless_they_are_allowed() {
    let mut options = ServeOptions::new(Service::Noop);
    let refusal = |options: &ServeOptions| {
        serve(options, |_| panic!("it serves"), &AtomicBool::new(true))
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(&options).contains("--tcp"), "nowhere to listen");
    options.tcp = Some("0.0.0.0:0".parse().unwrap());
    assert!(refusal(&options).contains("--allow-remote"));
    options.allow_remote = true;
    serve(&options, |_| {}, &AtomicBool::new(true)).unwrap();
}

#[test]
fn what_cannot_be_served_is_refused_with_the_reason() {
    let refusal = |change: fn(&mut ServeOptions)| {
        let mut options = ServeOptions {
            tcp: Some(ServeOptions::ANY_LOCAL_PORT),
            ..ServeOptions::new(Service::Pool)
        };
        change(&mut options);
        serve(&options, |_| panic!("it serves"), &AtomicBool::new(true))
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(|options| options.workers = 0).contains("0 workers"));
    assert!(refusal(|options| options.workers = 5_000).contains("1024"));
    assert!(refusal(|options| options.window = 0).contains("window of 0"));
    assert!(refusal(|options| options.window = u64::MAX / 4).contains("smaller window"));
    assert!(refusal(|options| options.cpus = vec![1023]).contains("core 1023"));
}

#[test]
fn a_taken_port_is_refused_for_streams_and_for_datagrams() {
    let server = Server::start(Service::Noop, |options| options.workers = 2);
    for (scheme, tcp, udp) in [
        ("tcp", server.addresses.tcp, None),
        ("udp", None, server.addresses.udp),
    ] {
        let options = ServeOptions {
            tcp,
            udp,
            workers: 2,
            ..ServeOptions::new(Service::Noop)
        };
        let refused = serve(&options, |_| panic!("it serves"), &AtomicBool::new(true))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(scheme) && refused.contains("another process listens"),
            "{refused}"
        );
    }
}

#[test]
fn the_addresses_are_those_that_a_load_run_takes() {
    let addresses = Addresses {
        tcp: Some("127.0.0.1:7000".parse().unwrap()),
        h2: Some("[::1]:7001".parse().unwrap()),
        ..Addresses::default()
    };
    assert_eq!(
        addresses.urls(),
        ["tcp://127.0.0.1:7000", "h2://[::1]:7001/"]
    );
}

#[test]
fn a_server_that_is_stopped_answers_what_was_sent_and_says_what_it_served() {
    let corpus = Corpus::generate(1);
    let server = Server::start(Service::Pool, |options| options.window = 100);
    let mut client = server.tcp();
    for id in 0..250 {
        client.write_all(&order(&corpus, id)).unwrap();
    }
    // The first answer shows that the server has the connection.
    assert_eq!(read_answer(&mut client), (0, Fate::Accepted));
    server.ask_to_stop();
    for id in 1..250 {
        assert_eq!(read_answer(&mut client).0, id);
    }
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the server closes");
    drop(client);
    let outcome = server.stop();
    assert_eq!(
        (outcome.counts.orders, outcome.counts.connections),
        (250, 1)
    );
    assert_eq!(outcome.counts.bytes_out, 250 * REPLY as u64);
    assert!(outcome.settled_windows >= 2);
    assert_eq!(outcome.counts.lost, 0);
}

#[test]
fn a_client_that_never_reads_does_not_keep_a_stopped_server_from_ending() {
    let corpus = Corpus::generate(1);
    let server = Server::start(Service::Noop, |_| {});
    let mut client = server.tcp();
    let burst: Vec<u8> = (0..1_000).flat_map(|id| order(&corpus, id)).collect();
    send_until_nothing_is_taken(&mut client, &burst);
    let asked = std::time::Instant::now();
    let outcome = server.stop();
    // The limit is LINGER, far below what a test of a hang would need to wait.
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(outcome.counts.orders > 1_000);
}
