//! One event loop with one order service: takes the connections that it is given, and its share of the
//! datagrams.
//!
//! A connection that has more to read than one buffer holds waits until the others had their turn. The worker
//! sleeps in epoll, or, if asked, never does.

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::connection::{Bench, Connection, LINGER, Protocol, Turn};
use super::counts::Counts;
use super::datagrams;
use super::handler::Handler;
use super::staff::Board;

/// Another thread wants something: a connection is there, or the end.
pub(super) const WAKE: Token = Token(usize::MAX);
const DATAGRAMS: Token = Token(usize::MAX - 1);
/// Events taken at once.
const EVENTS: usize = 1024;
/// How often connections that end are looked at for whether their time is over.
const LINGER_CHECK: Duration = Duration::from_millis(100);

/// A connection for a worker.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) protocol: Protocol,
}

/// What a worker has from the acceptor.
pub(super) struct Post<'a> {
    pub(super) poll: Poll,
    pub(super) inbox: Receiver<Accepted>,
    pub(super) datagrams: Option<UdpSocket>,
    pub(super) board: &'a Board,
    pub(super) busy_poll: bool,
}

pub(super) struct Worker<'a, H> {
    post: Post<'a>,
    bench: Bench<H>,
    connections: Slab<Connection>,
    /// Those whose turn ended before their bytes did.
    again: Vec<Token>,
    /// Whether there may be connections that are ending.
    ending: bool,
    /// When these were last looked at.
    looked: Instant,
}

impl<'a, H: Handler> Worker<'a, H> {
    pub(super) fn new(post: Post<'a>, handler: H) -> Worker<'a, H> {
        Worker {
            post,
            bench: Bench::new(handler),
            connections: Slab::new(),
            again: Vec::new(),
            ending: false,
            looked: Instant::now(),
        }
    }

    /// Serves until it is told to stop. What was served, and how many windows were settled.
    pub(super) fn run(mut self) -> io::Result<(Counts, u64)> {
        if let Some(socket) = &mut self.post.datagrams {
            let registry = self.post.poll.registry();
            registry.register(socket, DATAGRAMS, Interest::READABLE)?;
        }
        let mut events = Events::with_capacity(EVENTS);
        let mut again = Vec::new();
        while !self.post.board.stopping.load(Ordering::Relaxed) {
            let timeout = if self.post.busy_poll || !self.again.is_empty() {
                Some(Duration::ZERO)
            } else if self.ending {
                Some(LINGER_CHECK)
            } else {
                None
            };
            self.turn(&mut events, &mut again, timeout)?;
            self.bury();
        }
        self.finish(&mut events, &mut again)?;
        let windows = self.bench.handler.settled_windows();
        Ok((self.bench.counts, windows))
    }

    /// Everything that has happened, once.
    #[inline]
    fn turn(
        &mut self,
        events: &mut Events,
        again: &mut Vec<Token>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        match self.post.poll.poll(events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        std::mem::swap(&mut self.again, again);
        for event in events.iter() {
            match event.token() {
                WAKE => self.adopt(),
                DATAGRAMS => self.receive_datagrams(),
                token => {
                    if event.is_read_closed()
                        && let Some(connection) = self.connections.get_mut(token.0)
                    {
                        connection.note_peer_closed();
                    }
                    self.serve(token);
                }
            }
        }
        for token in again.drain(..) {
            match token {
                DATAGRAMS => self.receive_datagrams(),
                token => self.serve(token),
            }
        }
        Ok(())
    }

    /// A connection's turn, and another one later if there is more.
    #[inline]
    fn serve(&mut self, token: Token) {
        if self.serve_once(token) == Turn::Again {
            self.again.push(token);
        }
    }

    /// A connection's turn. A token may outlive its connection: then nobody is there, or somebody who has
    /// nothing to read yet.
    #[inline]
    fn serve_once(&mut self, token: Token) -> Turn {
        let Some(connection) = self.connections.get_mut(token.0) else {
            return Turn::Over;
        };
        let turn = connection.turn(&mut self.bench);
        if turn == Turn::Over {
            self.drop_connection(token.0);
        } else if connection.ending_since().is_some() {
            self.ending = true;
        }
        turn
    }

    fn receive_datagrams(&mut self) {
        if let Some(socket) = &self.post.datagrams
            && datagrams::receive(socket, &mut self.bench)
        {
            self.again.push(DATAGRAMS);
        }
    }

    /// Takes over the connections that were accepted for this worker.
    fn adopt(&mut self) {
        while let Ok(Accepted { stream, protocol }) = self.post.inbox.try_recv() {
            self.bench.counts.connections += 1;
            let entry = self.connections.vacant_entry();
            let token = Token(entry.key());
            let connection = entry.insert(Connection::new(stream, protocol));
            // If there are bytes already, registering gives an event for them.
            let registered = self.post.poll.registry().register(
                &mut connection.stream,
                token,
                Interest::READABLE | Interest::WRITABLE,
            );
            if registered.is_err() {
                // The kernel's limit of watched files (`fs.epoll.max_user_watches`).
                self.bench.counts.lost += 1;
                self.drop_connection(token.0);
            }
        }
    }

    /// Closing the socket takes it out of epoll.
    fn drop_connection(&mut self, key: usize) {
        self.connections.remove(key);
        self.post.board.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Drops those whose time to read their last answers is over.
    #[inline]
    fn bury(&mut self) {
        if self.ending && self.looked.elapsed() >= LINGER_CHECK {
            self.bury_now();
        }
    }

    #[cold]
    fn bury_now(&mut self) {
        let now = Instant::now();
        self.looked = now;
        self.ending = false;
        let mut over = Vec::new();
        for (key, connection) in &self.connections {
            match connection.ending_since() {
                Some(since) if now.duration_since(since) >= LINGER => over.push(key),
                Some(_) => self.ending = true,
                None => {}
            }
        }
        for key in over {
            self.drop_connection(key);
        }
    }

    /// The end: what has arrived is answered, what is answered is sent, and clients have a moment to read it.
    fn finish(&mut self, events: &mut Events, again: &mut Vec<Token>) -> io::Result<()> {
        self.adopt();
        self.receive_datagrams();
        self.post.datagrams = None;
        for key in self.keys() {
            // What arrived while the socket was drained does not keep the server from ending.
            for _ in 0..16 {
                if self.serve_once(Token(key)) != Turn::Again {
                    break;
                }
            }
            if let Some(connection) = self.connections.get_mut(key) {
                connection.end();
                self.serve(Token(key));
            }
        }
        while !self.connections.is_empty() {
            let timeout = if self.again.is_empty() {
                LINGER_CHECK
            } else {
                Duration::ZERO
            };
            self.turn(events, again, Some(timeout))?;
            self.bury();
        }
        Ok(())
    }

    fn keys(&self) -> Vec<usize> {
        self.connections.iter().map(|(key, _)| key).collect()
    }
}
