//! Servers of the order protocol that behave, and misbehave, on purpose.

#![allow(dead_code)] // each file of tests uses some of it

use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tailcut_loadgen::order::reply::{self, Fate};

/// What a server does with orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers each, in order.
    Answer,
    /// Answers what came together in reverse.
    Reverse,
    /// Answers in order, a few bytes at a time.
    Dribble,
    /// Refuses each n-th.
    RefuseEach { nth: u64 },
    /// Reads, and says nothing.
    Silent,
    /// Resets the connection at each n-th order.
    ResetEach { nth: u64 },
    /// Closes it.
    CloseEach { nth: u64 },
    /// Closes it in the middle of an answer.
    HalfReply { nth: u64 },
    /// Answers with what is no answer.
    Garbage { nth: u64 },
    /// Answers each, by one thread for all connections.
    Polled,
}

/// A TCP server; it ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    /// Nothing is read between these, in nanoseconds since `began`.
    stall_from: AtomicU64,
    stall_until: AtomicU64,
    answered: AtomicU64,
    began: Mutex<Option<Instant>>,
}

impl Shared {
    fn stall(&self, began: Instant) {
        loop {
            let now = u64::try_from(began.elapsed().as_nanos()).unwrap();
            let from = self.stall_from.load(Ordering::Relaxed);
            let until = self.stall_until.load(Ordering::Relaxed);
            if from == 0 || now < from || now >= until {
                return;
            }
            thread::sleep(Duration::from_nanos(until - now));
        }
    }
}

impl Server {
    pub fn start(behaviour: Behaviour) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || match behaviour {
                Behaviour::Polled => serve_polled(listener, &shared),
                _ => accept(&listener, behaviour, &shared),
            })
        };
        Server {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// Reads nothing for `length`, `after` the first connection was made.
    pub fn stall_at(&self, after: Duration, length: Duration) {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap();
        self.shared
            .stall_until
            .store(nanos(after + length), Ordering::Relaxed);
        self.shared
            .stall_from
            .store(nanos(after), Ordering::Relaxed);
    }

    /// Returns when so many orders have been answered, by all connections together.
    pub fn wait_until_answered(&self, orders: u64) {
        while self.shared.answered.load(Ordering::Relaxed) < orders {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
        // What was accepted meanwhile.
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn accept(listener: &TcpListener, behaviour: Behaviour, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let began = *shared
            .began
            .lock()
            .unwrap()
            .get_or_insert_with(Instant::now);
        let of_thread = Arc::clone(shared);
        if let Ok(copy) = stream.try_clone() {
            shared.streams.lock().unwrap().push(copy);
        }
        thread::spawn(move || serve(stream, behaviour, &of_thread, began));
    }
}

/// The ids of whole orders at the front of `bytes`, and how many bytes they are.
pub fn ids(bytes: &[u8]) -> (Vec<u64>, usize) {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + 16) {
        let length = usize::from(u16::from_le_bytes([head[0], head[1]]));
        if bytes.len() < at + length {
            break;
        }
        found.push(u64::from_le_bytes(head[8..16].try_into().unwrap()));
        at += length;
    }
    (found, at)
}

fn serve(mut stream: TcpStream, behaviour: Behaviour, shared: &Shared, began: Instant) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 64 << 10];
    let (mut pending, mut seen) = (Vec::new(), 0_u64);
    loop {
        shared.stall(began);
        let Ok(read) = stream.read(&mut buffer) else {
            return;
        };
        if read == 0 {
            return;
        }
        shared.stall(began);
        pending.extend_from_slice(&buffer[..read]);
        let (mut ids, used) = ids(&pending);
        pending.drain(..used);
        if behaviour == Behaviour::Reverse {
            ids.reverse();
        }
        let mut out = Vec::new();
        for id in ids {
            seen += 1;
            shared.answered.fetch_add(1, Ordering::Relaxed);
            let answer = reply::encode(id, Fate::Accepted);
            match behaviour {
                Behaviour::Silent => {}
                Behaviour::RefuseEach { nth } if seen.is_multiple_of(nth) => {
                    out.extend(reply::encode(id, Fate::Refused));
                }
                Behaviour::ResetEach { nth } if seen.is_multiple_of(nth) => {
                    let socket = socket2::SockRef::from(&stream);
                    let _ = socket.set_linger(Some(Duration::ZERO));
                    forget(shared, &stream);
                    return;
                }
                Behaviour::CloseEach { nth } if seen.is_multiple_of(nth) => {
                    let _ = stream.write_all(&out);
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                Behaviour::HalfReply { nth } if seen.is_multiple_of(nth) => {
                    out.extend(&answer[..7]);
                    let _ = stream.write_all(&out);
                    let _ = stream.shutdown(Shutdown::Write);
                    return;
                }
                Behaviour::Garbage { nth } if seen.is_multiple_of(nth) => {
                    out.extend(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                }
                _ => out.extend(answer),
            }
        }
        let written = if behaviour == Behaviour::Dribble {
            out.chunks(3).try_for_each(|bytes| stream.write_all(bytes))
        } else {
            stream.write_all(&out)
        };
        if written.is_err() {
            return;
        }
    }
}

/// Drops the copy of a stream: the last one closes it.
fn forget(shared: &Shared, stream: &TcpStream) {
    let peer = stream.peer_addr().ok();
    let mut streams = shared.streams.lock().unwrap();
    streams.retain(|other| other.peer_addr().ok() != peer);
}

fn serve_polled(listener: TcpListener, shared: &Shared) {
    listener.set_nonblocking(true).unwrap();
    // A longer queue than the standard library asks for.
    let socket = socket2::SockRef::from(&listener);
    socket.listen(4096).unwrap();
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(1024);
    poll.registry()
        .register(&mut listener, Token(0), Interest::READABLE)
        .unwrap();
    let mut streams = HashMap::new();
    let mut next = 1;
    let mut buffer = vec![0; 64 << 10];
    while !shared.stop.load(Ordering::SeqCst) {
        poll.poll(&mut events, Some(Duration::from_millis(100)))
            .unwrap();
        for event in &events {
            if event.token() == Token(0) {
                while let Ok((mut stream, _)) = listener.accept() {
                    poll.registry()
                        .register(&mut stream, Token(next), Interest::READABLE)
                        .unwrap();
                    streams.insert(Token(next), (stream, Vec::new()));
                    next += 1;
                }
                continue;
            }
            let Some((stream, pending)) = streams.get_mut(&event.token()) else {
                continue;
            };
            let gone = loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break true,
                    Ok(read) => pending.extend_from_slice(&buffer[..read]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                    Err(_) => break true,
                }
            };
            let (ids, used) = ids(pending);
            pending.drain(..used);
            let mut out = Vec::new();
            for id in ids {
                out.extend(reply::encode(id, Fate::Accepted));
            }
            if gone || stream.write_all(&out).is_err() {
                streams.remove(&event.token());
            }
        }
    }
}

/// A UDP server; it ends when it is dropped.
pub struct UdpServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl UdpServer {
    /// `lost`: each so many-th datagram is not answered.
    pub fn start(lost: Option<u64>) -> UdpServer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut buffer, mut seen) = (vec![0; 64 << 10], 0_u64);
            while !of_thread.load(Ordering::SeqCst) {
                let Ok((read, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                assert!(read <= 1_400, "a datagram of {read} bytes");
                seen += 1;
                if lost.is_some_and(|nth| seen.is_multiple_of(nth)) {
                    continue;
                }
                let (ids, used) = ids(&buffer[..read]);
                assert_eq!(used, read);
                let answers: Vec<u8> = ids
                    .into_iter()
                    .flat_map(|id| reply::encode(id, Fate::Accepted))
                    .collect();
                let _ = socket.send_to(&answers, from);
            }
        });
        UdpServer {
            address,
            stop,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("udp://{}", self.address)
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// How many files this process may have open.
pub fn descriptors() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard)
}
