//! One connection: its socket, its protocol, the requests on it.

use super::channel::Socket;
use super::flight::Flight;
use super::session::Session;
use crate::clock::Nanos;
use std::io;

/// From which size on an empty buffer is given back rather than kept for the next time.
const KEPT: usize = 64 << 10;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is none; another one is begun at this instant.
    Down {
        /// When.
        until: Nanos,
    },
    /// The socket is being connected.
    Connecting,
    /// The socket stands, the protocol greets.
    Greeting,
    /// Requests can be sent.
    Open,
    /// Nothing more is sent; another connection is opened when all is answered.
    Closing,
}

/// See the module's head.
pub(super) struct Connection<S> {
    pub(super) state: State,
    pub(super) socket: Option<Socket>,
    pub(super) session: S,
    pub(super) flight: Flight,
    /// To be sent.
    pub(super) out: Vec<u8>,
    /// How much of it the kernel has taken.
    pub(super) taken: usize,
    /// Received, and not used up by the session yet.
    pub(super) pending: Vec<u8>,
    /// The kernel takes no more for now.
    pub(super) blocked: bool,
    /// More may be there to read than was read.
    pub(super) unread: bool,
    /// When connecting began.
    pub(super) began: Nanos,
    /// Attempts that brought no answer since one that did.
    pub(super) failures: u32,
    /// Whether this attempt has brought an answer.
    pub(super) answered: bool,
    /// Whether it has stood before.
    pub(super) stood: bool,
}

impl<S: Session> Connection<S> {
    pub(super) fn new(session: S, pipeline: u32) -> Connection<S> {
        Connection {
            state: State::Down { until: Nanos(0) },
            socket: None,
            session,
            flight: Flight::new(pipeline),
            out: Vec::new(),
            taken: 0,
            pending: Vec::new(),
            blocked: false,
            unread: false,
            began: Nanos(0),
            failures: 0,
            answered: false,
            stood: false,
        }
    }

    /// How many requests it can take now.
    #[inline(always)]
    pub(super) fn room(&self, pipeline: u32) -> u32 {
        if self.state == State::Open && !self.blocked && self.session.ready() {
            pipeline - self.flight.under_way()
        } else {
            0
        }
    }

    /// Hands the kernel what it takes of what is to be sent.
    ///
    /// # Errors
    /// The connection is lost.
    #[inline(always)]
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        while self.taken < self.out.len() {
            match socket.write(&self.out[self.taken..]) {
                Ok(written) => self.taken += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.taken = 0;
        self.blocked = false;
        Ok(())
    }

    /// Forgets the socket and all that belongs to it; `session` is that of the next one. Nothing may be
    /// under way.
    pub(super) fn reset(&mut self, session: S, until: Nanos) {
        self.socket = None;
        self.session = session;
        self.flight.restart();
        empty(&mut self.out);
        self.taken = 0;
        empty(&mut self.pending);
        self.blocked = false;
        self.unread = false;
        self.answered = false;
        self.state = State::Down { until };
    }
}

/// Empties a buffer; a large one is given back.
pub(super) fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(KEPT);
}
