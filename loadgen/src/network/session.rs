//! What a protocol is to the event loop: bytes out, bytes in, no socket, no clock, no thread.
//!
//! One [`Session`] belongs to one connection. The event loop numbers the requests of a connection itself,
//! from 0 ([`Ticket`]), and a session says which of them a reply belongs to; protocols that answer in order
//! count replies. So a protocol is tested with byte strings alone, and runs over TCP, TLS or in
//! datagrams alike.

use std::borrow::Cow;

/// Which request of a connection: 0, 1, 2, ... in the order of [`Session::send`].
pub type Ticket = u64;

/// What came of a request, as the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Ok,
    /// Answered, but with a refusal; the kind is what errors are counted by: `status 503`, `refused`,
    /// `grpc UNAVAILABLE`, `redis ERR`. Few kinds: never a whole message.
    Failed(Cow<'static, str>),
}

/// What a session found in the bytes it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first byte of this request's answer is there. May be left out where the whole answer comes with
    /// it in the same call.
    FirstByte(Ticket),
    /// The request is answered.
    Reply(Ticket, Answer),
    /// The server will answer nothing after this ticket on this connection (`Connection: close`, GOAWAY):
    /// the loop sends nothing more on it, and opens another one when what is under way is answered.
    Closing,
}

/// Why a connection cannot go on. Its requests under way fail with [`SessionError::kind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct SessionError {
    /// What errors are counted by: `bad reply`, `closed early`.
    pub kind: &'static str,
    /// What was wrong, for people; says what was expected and what came.
    pub detail: String,
}

/// One connection's protocol.
///
/// `out` is what is to be sent, always appended to, never cut by a session. No method blocks, reads a
/// clock, or allocates for an ordinary request once it has warmed up.
pub trait Session {
    /// The connection stands: appends a greeting if the protocol has one.
    fn open(&mut self, out: &mut Vec<u8>);

    /// Whether requests may be sent now (handshakes are done, the peer allows more streams).
    fn ready(&self) -> bool {
        true
    }

    /// Appends request `request` of the schedule; it gets the next ticket. Only called when
    /// [`Session::ready`].
    fn send(&mut self, request: u64, out: &mut Vec<u8>);

    /// All that is sent in one go has been given to [`Session::send`]: appends what was held back, so that it
    /// could be sent together.
    fn seal(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// Takes in bytes from the peer: returns how many were used up from the front; the loop gives the rest
    /// again with what comes behind it. Appends what was found to `events`, and what the protocol itself
    /// answers (acknowledgements, window updates) to `out`.
    ///
    /// # Errors
    /// Bytes that the protocol does not allow. Never panics, whatever they are.
    fn receive(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, SessionError>;

    /// A request was given up because its answer took too long. Returns whether the connection can go on: a
    /// protocol whose answers name their request ignores the late one; where answers come in order, it
    /// would be taken for the next request's, and the connection must be closed. What tells the peer is
    /// appended to `out`.
    fn abandon(&mut self, ticket: Ticket, out: &mut Vec<u8>) -> bool {
        let _ = (ticket, out);
        false
    }

    /// The peer has closed its side; `rest` is what was not used up. A reply that ends with the connection
    /// is appended to `events`.
    ///
    /// # Errors
    /// A reply was cut short.
    fn end(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Result<(), SessionError> {
        let _ = events;
        if rest.is_empty() {
            return Ok(());
        }
        Err(SessionError {
            kind: "closed early",
            detail: format!("{} bytes into a reply", rest.len()),
        })
    }
}

/// Makes the sessions of a run; shared by all workers.
pub trait MakeSession: Send + Sync {
    /// What it makes. It stays on the thread that asked for it.
    type Session: Session;

    /// The session of a new connection.
    fn make(&self) -> Self::Session;
}

impl<S: Session + ?Sized> Session for Box<S> {
    fn open(&mut self, out: &mut Vec<u8>) {
        (**self).open(out);
    }

    fn ready(&self) -> bool {
        (**self).ready()
    }

    fn send(&mut self, request: u64, out: &mut Vec<u8>) {
        (**self).send(request, out);
    }

    fn seal(&mut self, out: &mut Vec<u8>) {
        (**self).seal(out);
    }

    fn receive(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, SessionError> {
        (**self).receive(input, out, events)
    }

    fn abandon(&mut self, ticket: Ticket, out: &mut Vec<u8>) -> bool {
        (**self).abandon(ticket, out)
    }

    fn end(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Result<(), SessionError> {
        (**self).end(rest, events)
    }
}
