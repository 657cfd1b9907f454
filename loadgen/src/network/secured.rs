//! Any protocol over TLS: a session within a session.
//!
//! The event loop sees a [`Session`] like any other, whose bytes happen to be records; the session inside
//! sees what it would see without TLS. The handshake is this session's greeting, so that the time that it
//! takes is part of the time of connecting. Requests handed out in one go share a record.

use super::NetworkError;
use super::session::{Event, MakeSession, Session, SessionError, Ticket};
use super::tls::{TlsChannel, TlsClient};

/// What an inner session may leave unused of what it was given.
const LONGEST_UNUSED: usize = 4 << 20;

/// Makes sessions over TLS out of those of another protocol.
pub(super) struct SecuredMaker<M> {
    inner: M,
    client: TlsClient,
}

impl<M: MakeSession> SecuredMaker<M> {
    /// # Errors
    /// As [`TlsClient::connect`]: found out here rather than at the first connection.
    pub(super) fn new(inner: M, client: TlsClient) -> Result<SecuredMaker<M>, NetworkError> {
        client.connect()?;
        Ok(SecuredMaker { inner, client })
    }
}

impl<M: MakeSession> MakeSession for SecuredMaker<M> {
    type Session = Secured<M::Session>;

    fn make(&self) -> Self::Session {
        Secured {
            // It could be made before; should it not be now, the connection fails as if it were lost.
            channel: self.client.connect().ok(),
            inner: self.inner.make(),
            greeted: false,
            plain: Vec::new(),
            received: Vec::new(),
        }
    }
}

/// See the module's head.
pub(super) struct Secured<S> {
    channel: Option<TlsChannel>,
    inner: S,
    /// Whether the inner session has been opened.
    greeted: bool,
    /// Of the inner session, not encrypted yet.
    plain: Vec<u8>,
    /// For the inner session, and not used up by it yet.
    received: Vec<u8>,
}

fn broken(detail: impl ToString) -> SessionError {
    SessionError {
        kind: "TLS",
        detail: detail.to_string(),
    }
}

impl<S: Session> Secured<S> {
    fn encrypt(&mut self, out: &mut Vec<u8>) -> Result<(), SessionError> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let channel = self.channel.as_mut();
        let channel = channel.ok_or_else(|| broken("no TLS connection could be made"))?;
        channel.encrypt(&self.plain, out).map_err(broken)?;
        self.plain.clear();
        Ok(())
    }

    /// Gives the inner session what was decrypted.
    fn pass_on(&mut self, events: &mut Vec<Event>) -> Result<(), SessionError> {
        if self.received.is_empty() {
            return Ok(());
        }
        let used = self
            .inner
            .receive(&self.received, &mut self.plain, events)?;
        self.received.drain(..used.min(self.received.len()));
        if self.received.len() > LONGEST_UNUSED {
            return Err(SessionError {
                kind: "bad reply",
                detail: format!(
                    "{} bytes that belong to no whole answer",
                    self.received.len()
                ),
            });
        }
        Ok(())
    }
}

impl<S: Session> Session for Secured<S> {
    fn open(&mut self, out: &mut Vec<u8>) {
        if let Some(channel) = &mut self.channel {
            channel.start(out);
        }
    }

    #[inline]
    fn ready(&self) -> bool {
        self.greeted && self.inner.ready()
    }

    fn send(&mut self, request: u64, out: &mut Vec<u8>) {
        let _ = out; // what is sent in one go becomes one record, in `seal`
        self.inner.send(request, &mut self.plain);
    }

    fn seal(&mut self, out: &mut Vec<u8>) {
        // Should it fail, nothing is sent, and the requests time out.
        let _ = self.encrypt(out);
    }

    fn receive(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, SessionError> {
        let channel = self.channel.as_mut();
        let channel = channel.ok_or_else(|| broken("no TLS connection could be made"))?;
        let decrypted = channel.decrypt(input, &mut self.received, out);
        if !self.greeted && decrypted.is_ok() && !channel.wants_handshake() {
            self.greeted = true;
            self.inner.open(&mut self.plain);
        }
        let passed = self.pass_on(events);
        self.encrypt(out)?;
        decrypted.map_err(broken)?;
        passed?;
        Ok(input.len())
    }

    fn end(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Result<(), SessionError> {
        if !rest.is_empty() {
            return Err(broken("the connection ended within a record"));
        }
        let cut = self
            .channel
            .as_ref()
            .is_some_and(|channel| !channel.peer_closed());
        let received = std::mem::take(&mut self.received);
        let before = events.len();
        self.inner.end(&received, events)?;
        // A reply that ends with the connection may have been cut short by somebody in between.
        if cut && events.len() > before {
            events.truncate(before);
            return Err(broken(
                "the connection ended without close_notify: its last answer may be cut short",
            ));
        }
        Ok(())
    }

    fn abandon(&mut self, ticket: Ticket, out: &mut Vec<u8>) -> bool {
        let goes_on = self.inner.abandon(ticket, &mut self.plain);
        self.seal(out);
        goes_on
    }
}
