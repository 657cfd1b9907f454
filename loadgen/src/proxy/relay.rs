//! The proxy's thread: one event loop for all connections, and a timer for what is due first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::Shared;
use super::pipe::{Parcel, Pipe};
use super::timer::Timer;
use crate::clock::{Nanos, monotonic_ns};

/// Somebody wants the thread to end.
pub(super) const WAKE: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
const TIMER: Token = Token(usize::MAX - 2);

/// The thread is awake this long before something is due.
pub(super) const SPIN: Nanos = Nanos(80_000);
/// Bytes of one read: a chunk is no larger.
const CHUNK: usize = 64 << 10;
/// Reads from one side before others have their turn.
const READS: u32 = 8;
/// Buffers kept for use again.
const SPARE: usize = 64;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// From the client to the target.
    Up,
    Down,
}

/// A client, and its connection to the target.
#[derive(Debug)]
struct Pair {
    client: TcpStream,
    target: TcpStream,
    up: Pipe,
    down: Pipe,
}

/// One of the two cannot go on: the other one is told by a reset.
struct Broken;

/// Whether a direction has more to do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Rest,
    Again,
}

pub(super) struct Relay {
    poll: Poll,
    listener: TcpListener,
    target: SocketAddr,
    shared: Arc<Shared>,
    timer: Timer,
    pairs: Slab<Pair>,
    /// What is due when. An entry counts if its direction was armed for exactly that.
    due: BinaryHeap<Reverse<(Nanos, usize, Way)>>,
    again: Vec<(usize, Way)>,
    buffers: Buffers,
    made: u64,
}

/// Memory used over and over.
struct Buffers {
    read: Box<[u8]>,
    spare: Vec<Vec<u8>>,
}

impl Relay {
    pub(super) fn new(
        poll: Poll,
        mut listener: TcpListener,
        target: SocketAddr,
        shared: Arc<Shared>,
    ) -> io::Result<Relay> {
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        Ok(Relay {
            poll,
            listener,
            target,
            shared,
            timer,
            pairs: Slab::new(),
            due: BinaryHeap::new(),
            again: Vec::new(),
            buffers: Buffers {
                read: vec![0; CHUNK].into_boxed_slice(),
                spare: Vec::new(),
            },
            made: 0,
        })
    }

    /// Relays until the owner has had enough. The event loop itself can fail for want of kernel memory only;
    /// then connections are reset, which is what a broken network does.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.shared.stop.load(Ordering::Relaxed) {
            if self.turn(&mut events).is_err() {
                break;
            }
        }
        for (_, pair) in &self.pairs {
            pair.reset();
        }
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let wait = self.wait()?;
        match self.poll.poll(events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        let again = std::mem::take(&mut self.again);
        for event in events.iter() {
            match event.token() {
                WAKE => {}
                TIMER => self.timer.note_expired(),
                LISTENER => self.accept()?,
                Token(token) => {
                    let slot = token / 2;
                    let from_client = token % 2 == 0;
                    let Some(pair) = self.pairs.get_mut(slot) else {
                        continue;
                    };
                    let incoming = if from_client {
                        &mut pair.up
                    } else {
                        &mut pair.down
                    };
                    incoming.readable |= event.is_readable() || event.is_error();
                    if event.is_error() && incoming.ended {
                        // Nothing is read from there any more, but there is nobody to write to either.
                        self.drop_broken(slot);
                        continue;
                    }
                    self.relay(slot, Way::Up);
                    self.relay(slot, Way::Down);
                }
            }
        }
        for (slot, way) in again {
            self.relay(slot, way);
        }
        self.relay_due();
        Ok(())
    }

    /// How long to wait for events.
    fn wait(&mut self) -> io::Result<Option<Duration>> {
        if !self.again.is_empty() {
            return Ok(Some(Duration::ZERO));
        }
        let Some(Reverse((due, ..))) = self.due.peek() else {
            return Ok(None);
        };
        let wake_up = due.saturating_sub(SPIN);
        if wake_up.0 <= monotonic_ns() {
            return Ok(Some(Duration::ZERO));
        }
        self.timer.set(wake_up)?;
        Ok(None)
    }

    fn relay_due(&mut self) {
        while let Some(&Reverse((due, slot, way))) = self.due.peek() {
            if due.0 > monotonic_ns() {
                return;
            }
            self.due.pop();
            let pipe = self.pairs.get_mut(slot).map(|pair| match way {
                Way::Up => &mut pair.up,
                Way::Down => &mut pair.down,
            });
            if let Some(pipe) = pipe
                && pipe.armed == Some(due)
            {
                pipe.armed = None;
                self.relay(slot, way);
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        // What cannot be accepted now, for want of descriptors say, is with the next connection.
        while let Ok((mut client, _)) = self.listener.accept() {
            self.shared.connections.fetch_add(1, Ordering::Relaxed);
            let Ok(mut target) = TcpStream::connect(self.target) else {
                reset(&client);
                continue;
            };
            let _ = client.set_nodelay(true);
            let _ = target.set_nodelay(true);
            let entry = self.pairs.vacant_entry();
            let token = entry.key() * 2;
            let both = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            registry.register(&mut client, Token(token), both)?;
            registry.register(&mut target, Token(token + 1), both)?;
            entry.insert(Pair {
                client,
                target,
                up: Pipe::new(self.made * 2),
                down: Pipe::new(self.made * 2 + 1),
            });
            self.made += 1;
        }
        Ok(())
    }

    /// Passes on what is due in one direction, and reads what there is.
    fn relay(&mut self, slot: usize, way: Way) {
        let Some(pair) = self.pairs.get_mut(slot) else {
            return;
        };
        match pair.relay(way, &mut self.buffers, &self.shared) {
            Ok(Turn::Again) => self.again.push((slot, way)),
            Ok(Turn::Rest) => {}
            Err(Broken) => return self.drop_broken(slot),
        }
        if pair.is_over() {
            self.pairs.remove(slot);
            return;
        }
        let now = Nanos(monotonic_ns());
        for (way, pipe) in [(Way::Up, &mut pair.up), (Way::Down, &mut pair.down)] {
            let next = pipe.front().map(|(due, _)| due);
            // What is due and still there waits for its socket, not for the timer.
            if let Some(due) = next.filter(|&due| due > now && pipe.armed != Some(due)) {
                pipe.armed = Some(due);
                self.due.push(Reverse((due, slot, way)));
            }
        }
    }

    fn drop_broken(&mut self, slot: usize) {
        self.pairs.remove(slot).reset();
    }
}

impl Pair {
    fn relay(&mut self, way: Way, buffers: &mut Buffers, shared: &Shared) -> Result<Turn, Broken> {
        let Pair {
            client,
            target,
            up,
            down,
        } = self;
        let (pipe, opposite, source, sink) = match way {
            Way::Up => (up, down, client, target),
            Way::Down => (down, up, target, client),
        };
        pass_on(pipe, sink, buffers, shared)?;
        let turn = take_in(pipe, opposite, source, sink, buffers, shared)?;
        // An end without delay, for example.
        pass_on(pipe, sink, buffers, shared)?;
        Ok(turn)
    }

    /// Whether both sides have closed, and know it of each other.
    fn is_over(&self) -> bool {
        [&self.up, &self.down]
            .iter()
            .all(|pipe| pipe.ended && pipe.is_empty())
    }

    fn reset(&self) {
        reset(&self.client);
        reset(&self.target);
    }
}

/// Sends what is due, as far as `sink` takes it.
fn pass_on(
    pipe: &mut Pipe,
    sink: &mut TcpStream,
    buffers: &mut Buffers,
    shared: &Shared,
) -> Result<(), Broken> {
    loop {
        let now = Nanos(monotonic_ns());
        let Some((_, parcel)) = pipe.front().filter(|&(due, _)| due <= now) else {
            return Ok(());
        };
        match parcel {
            Parcel::Bytes(bytes, sent) => {
                let Some(more) = write(sink, &bytes[*sent..])? else {
                    return Ok(());
                };
                *sent += more;
                let whole = *sent == bytes.len();
                shared.bytes.fetch_add(more as u64, Ordering::Relaxed);
                pipe.note_sent(more);
                if whole && let Some(buffer) = pipe.pop(now, shared) {
                    buffers.give_back(buffer);
                }
            }
            Parcel::End => {
                // A sink that is gone shows at the next read or write.
                let _ = sink.shutdown(Shutdown::Write);
                pipe.pop(now, shared);
            }
            Parcel::Reset => return Err(Broken),
        }
    }
}

/// Reads what there is; passes it on at once where nothing is in its way.
fn take_in(
    pipe: &mut Pipe,
    opposite: &mut Pipe,
    source: &mut TcpStream,
    sink: &mut TcpStream,
    buffers: &mut Buffers,
    shared: &Shared,
) -> Result<Turn, Broken> {
    for _ in 0..READS {
        if !pipe.readable || !pipe.has_room() {
            return Ok(Turn::Rest);
        }
        let read = source.read(&mut buffers.read);
        let now = Nanos(monotonic_ns());
        match read {
            Ok(0) => {
                let due = pipe.due(now, shared);
                pipe.push(Parcel::End, now, due);
            }
            Ok(length) => {
                let due = pipe.due(now, shared);
                let mut sent = 0;
                if due <= now && pipe.is_empty() {
                    sent = write(sink, &buffers.read[..length])?.unwrap_or(0);
                    shared.bytes.fetch_add(sent as u64, Ordering::Relaxed);
                }
                if sent < length {
                    let rest = buffers.keep(sent..length);
                    pipe.push(Parcel::Bytes(rest, 0), now, due);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                pipe.readable = false;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => {
                let due = pipe.due(now, shared);
                pipe.push(Parcel::Reset, now, due);
                // Nobody is there to take what comes from the other side.
                opposite.discard();
            }
        }
    }
    Ok(Turn::Again)
}

/// How many bytes the socket took; `None` if it takes none now.
fn write(sink: &mut TcpStream, bytes: &[u8]) -> Result<Option<usize>, Broken> {
    loop {
        match sink.write(bytes) {
            Ok(sent) => return Ok(Some(sent)),
            Err(error) => match error.kind() {
                // A connection that is being made takes nothing yet.
                ErrorKind::WouldBlock | ErrorKind::NotConnected => return Ok(None),
                ErrorKind::Interrupted => {}
                _ => return Err(Broken),
            },
        }
    }
}

impl Buffers {
    /// A copy of a part of what was read.
    fn keep(&mut self, part: std::ops::Range<usize>) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(&self.read[part]);
        buffer
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(buffer);
        }
    }
}

/// The peer gets a reset instead of an end, as soon as the stream is dropped.
fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
