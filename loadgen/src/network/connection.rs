//! One connection: its socket, its protocol, the requests on it.

use super::channel::Socket;
use super::flight::Flight;
use super::session::Session;
use super::tls::TlsChannel;
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
    /// The cipher between the two, if there is one.
    pub(super) tls: Option<TlsChannel>,
    pub(super) flight: Flight,
    /// What the session wants sent.
    pub(super) out: Vec<u8>,
    /// The same enciphered, where there is a cipher.
    pub(super) wire: Vec<u8>,
    /// How much of what is to be sent the kernel has taken.
    taken: usize,
    /// Where a datagram ends, if what is to be sent is two; else zero.
    pub(super) cut: usize,
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
            tls: None,
            flight: Flight::new(pipeline),
            out: Vec::new(),
            wire: Vec::new(),
            taken: 0,
            cut: 0,
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
        let bytes = match &mut self.tls {
            None => &mut self.out,
            Some(tls) => {
                // What the session wants sent during the handshake waits for its end.
                if !self.out.is_empty() && !tls.wants_handshake() {
                    tls.encrypt(&self.out, &mut self.wire)
                        .map_err(io::Error::other)?;
                    self.out.clear();
                }
                &mut self.wire
            }
        };
        while self.taken < bytes.len() {
            let until = if self.cut > self.taken {
                self.cut
            } else {
                bytes.len()
            };
            match socket.write(&bytes[self.taken..until]) {
                Ok(written) => self.taken += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.clear();
        (self.taken, self.cut) = (0, 0);
        self.blocked = false;
        Ok(())
    }

    /// Whether nothing is left to be agreed on below the session.
    pub(super) fn greeted(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.wants_handshake())
    }

    /// Whether something is to be sent that the kernel has not taken.
    #[inline(always)]
    pub(super) fn has_unsent(&self) -> bool {
        !self.out.is_empty() || !self.wire.is_empty()
    }

    /// Tells the peer that the connection ends, where the protocol below the session has a word for it.
    pub(super) fn take_leave(&mut self) {
        if let Some(tls) = &mut self.tls
            && !self.blocked
        {
            tls.close_notify(&mut self.wire);
            // The peer may be gone: nobody waits for this.
            let _ = self.flush();
        }
    }

    /// Forgets the socket and all that belongs to it; `session` is that of the next one. Nothing may be
    /// under way.
    pub(super) fn reset(&mut self, session: S, until: Nanos) {
        self.socket = None;
        self.session = session;
        self.tls = None;
        self.flight.restart();
        empty(&mut self.out);
        empty(&mut self.wire);
        (self.taken, self.cut) = (0, 0);
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
