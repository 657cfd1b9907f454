//! One client's stream: what was read and is no whole request yet, what was answered and could not be sent
//! yet, and how it ends.
//!
//! Buffers belong to the worker ([`Bench`]); a connection keeps only what a read or a write left over.
//! Events are edge-triggered: a read that did not fill the buffer has emptied the socket, so it is not tried
//! again before the next event (epoll(7), question 9), unless the peer is known to have closed: that edge has
//! come already, and the end lies behind the data.
//!
//! **An end takes time.** To close a socket with unread bytes in it sends a reset, which may overtake our
//! last answers. So we say that nothing more comes from us, and read what still comes from there until the
//! client closes too, or [`LINGER`] is over.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::binary::{Next, Orders, Progress};
use super::counts::Counts;
use super::handler::Handler;
use super::http1::{self, Http1};

/// Bytes asked for by one read.
pub(super) const READ: usize = 64 << 10;
/// The most that a protocol leaves unused: a partial request.
const MOST_PARTIAL: usize = http1::MOST_HEAD;
/// How long a client has to read its last answers.
pub(super) const LINGER: Duration = Duration::from_millis(700);
/// What a connection may keep in hand while it has nothing to do.
const KEPT_CAPACITY: usize = 1 << 10;

/// What all connections of a worker share: its service and its buffers.
#[derive(Debug)]
pub(super) struct Bench<H> {
    pub(super) handler: H,
    pub(super) counts: Counts,
    /// [`MOST_PARTIAL`] and [`READ`] bytes.
    input: Box<[u8]>,
    output: Vec<u8>,
}

impl<H: Handler> Bench<H> {
    pub(super) fn new(handler: H) -> Bench<H> {
        Bench {
            handler,
            counts: Counts::default(),
            input: vec![0; MOST_PARTIAL + READ].into_boxed_slice(),
            output: Vec::with_capacity(READ),
        }
    }

    /// Each part by itself.
    pub(super) fn parts(&mut self) -> (&mut H, &mut Counts, &mut [u8], &mut Vec<u8>) {
        let Bench {
            handler,
            counts,
            input,
            output,
        } = self;
        (handler, counts, input, output)
    }
}

/// What a stream carries.
#[derive(Debug)]
pub(super) enum Protocol {
    /// Orders in the binary form.
    Orders(Orders),
    /// HTTP/1.1.
    Http1(Http1),
}

impl Protocol {
    #[inline]
    fn receive<H: Handler>(
        &mut self,
        input: &[u8],
        handler: &mut H,
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Progress {
        match self {
            Protocol::Orders(orders) => orders.receive(input, handler, out, counts),
            Protocol::Http1(http) => http.receive(input, handler, out, counts),
        }
    }
}

/// What is to be done with a connection next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Wait for an event.
    Rest,
    /// There may be more to read: come back when the others had their turn.
    Again,
    /// It is over; drop it.
    Over,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Requests are answered.
    Open,
    /// What is left to send is sent, what comes is not looked at.
    Ending { since: Instant, told: bool },
}

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    protocol: Protocol,
    stage: Stage,
    /// Whether the peer will send nothing more than what waits to be read.
    peer_closed: bool,
    partial: Vec<u8>,
    unsent: Vec<u8>,
    /// So many of `unsent` are sent after all.
    sent: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, protocol: Protocol) -> Connection {
        Connection {
            stream,
            protocol,
            stage: Stage::Open,
            peer_closed: false,
            partial: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
        }
    }

    /// The peer has closed its side.
    pub(super) fn note_peer_closed(&mut self) {
        self.peer_closed = true;
    }

    /// When the connection began to end, if it did.
    pub(super) fn ending_since(&self) -> Option<Instant> {
        match self.stage {
            Stage::Open => None,
            Stage::Ending { since, .. } => Some(since),
        }
    }

    /// Sends what is left to send, then reads once, answers all of it by one write.
    #[inline]
    pub(super) fn turn<H: Handler>(&mut self, bench: &mut Bench<H>) -> Turn {
        match self.try_turn(bench) {
            Ok(turn) => turn,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => Turn::Rest,
                ErrorKind::Interrupted => Turn::Again,
                _ => {
                    bench.counts.lost += u64::from(matches!(self.stage, Stage::Open));
                    Turn::Over
                }
            },
        }
    }

    #[inline]
    fn try_turn<H: Handler>(&mut self, bench: &mut Bench<H>) -> io::Result<Turn> {
        if !self.unsent.is_empty() {
            // Whoever does not read answers is not read from.
            self.flush(&mut bench.counts)?;
        }
        if let Stage::Ending { .. } = self.stage {
            return self.wind_up(bench);
        }
        let (handler, counts, input, output) = bench.parts();
        let before = self.partial.len();
        input[..before].copy_from_slice(&self.partial);
        let read = self.stream.read(&mut input[before..before + READ])?;
        if read == 0 {
            return Ok(Turn::Over);
        }
        counts.bytes_in += read as u64;
        let bytes = &input[..before + read];
        output.clear();
        let progress = self.protocol.receive(bytes, handler, output, counts);
        self.partial.clear();
        self.partial.extend_from_slice(&bytes[progress.used..]);
        trim(&mut self.partial);
        match progress.next {
            Next::More => {}
            Next::Close => self.end(),
            Next::Garbled => {
                counts.garbled += 1;
                self.end();
            }
        }
        if !output.is_empty() {
            self.send(output, counts)?;
        }
        if matches!(self.stage, Stage::Open) && read < READ && !self.peer_closed {
            Ok(Turn::Rest)
        } else {
            Ok(Turn::Again)
        }
    }

    /// Nothing more is answered from now on.
    pub(super) fn end(&mut self) {
        if let Stage::Open = self.stage {
            self.stage = Stage::Ending {
                since: Instant::now(),
                told: false,
            };
            self.partial = Vec::new();
        }
    }

    /// Everything is sent: says so to the peer, and reads until it closes, too.
    #[cold]
    fn wind_up<H>(&mut self, bench: &mut Bench<H>) -> io::Result<Turn> {
        if let Stage::Ending { told, .. } = &mut self.stage
            && !*told
        {
            *told = true;
            self.stream.shutdown(Shutdown::Write)?;
        }
        for _ in 0..4 {
            if self.stream.read(&mut bench.input)? == 0 {
                return Ok(Turn::Over);
            }
        }
        Ok(Turn::Again)
    }

    /// Sends `output`, and keeps what the system does not take now.
    #[inline]
    fn send(&mut self, output: &[u8], counts: &mut Counts) -> io::Result<()> {
        let sent = match self.stream.write(output) {
            Ok(sent) => sent,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                0
            }
            Err(error) => return Err(error),
        };
        counts.bytes_out += sent as u64;
        if sent < output.len() {
            self.unsent.extend_from_slice(&output[sent..]);
        }
        Ok(())
    }

    /// Sends what was kept: all of it, or it is an error.
    #[cold]
    fn flush(&mut self, counts: &mut Counts) -> io::Result<()> {
        while self.sent < self.unsent.len() {
            let sent = self.stream.write(&self.unsent[self.sent..])?;
            if sent == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            counts.bytes_out += sent as u64;
            self.sent += sent;
        }
        self.sent = 0;
        self.unsent.clear();
        trim(&mut self.unsent);
        Ok(())
    }
}

/// Gives memory back that only an unusual request needed: connections are many.
#[inline]
fn trim(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT_CAPACITY {
        *buffer = Vec::new();
    }
}
