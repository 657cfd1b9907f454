//! HTTP/2, many requests at the same time on a connection, by the crate `h2` and without an async runtime.
//!
//! Frames, HPACK, flow control and the defence against floods are `h2`'s: a protocol of that size is not
//! written twice. What `h2` wants of a runtime, this module gives it by hand: the connection reads from and
//! writes to memory (`pipe`), futures are polled by the thread of the event loop when it has bytes
//! for them (`link`), and only those that were woken (`calls`).
//!
//! What it costs: 1.4 to 1.8 us of a core's time a request on an EPYC guest, the null server at the other end
//! included, most of it `h2`'s; 2.1 with one request at a time, since then each is written by itself. A
//! connection keeps 20 KB, and 1.3 KB for each request that was ever under way at the same time. Measured by
//! `cargo run --release -p tailcut-loadgen --example http2`. Unlike other codecs this one allocates for each
//! request: `h2` builds a map of headers for it and one for its answer.
//!
//! Limits: an answer's headers may take 64 KiB (its connection refuses more). Pushed answers are refused.
//! A request that is given up is cancelled (`RST_STREAM`); servers that take many such for an attack end the
//! connection.

mod calls;
mod link;
mod outcome;
mod pipe;
mod prepare;
#[cfg(test)]
pub(in crate::network::codecs) mod tests;
mod wake;

use std::sync::Arc;

use self::link::Link;
use crate::network::codecs::answers::bad_reply;
use crate::network::error::NetworkError;
use crate::network::session::{Answer, Event, MakeSession, Session, SessionError, Ticket};
use crate::network::target::NetworkTarget;
use crate::scenario::RequestOptions;

pub(super) use self::outcome::Meaning;
pub(super) use self::prepare::{Prepared, authority, head, headers};

/// Makes the sessions of `h2://` and `h2s://` targets.
#[derive(Debug, Clone)]
pub struct Http2Maker {
    prepared: Arc<Prepared>,
}

impl Http2Maker {
    /// Prepares the requests that all sessions send: GET, or POST with a body. `{n}` stands for the
    /// request's number, in path, headers and body. A header `host` becomes `:authority`.
    ///
    /// # Errors
    /// A method, path or header that HTTP/2 does not allow; options of other transports.
    pub fn new(target: &NetworkTarget, request: &RequestOptions) -> Result<Self, NetworkError> {
        Ok(Self {
            prepared: Arc::new(Prepared::http(target, request)?),
        })
    }
}

impl MakeSession for Http2Maker {
    type Session = Http2;

    fn make(&self) -> Http2 {
        Http2::new(Arc::clone(&self.prepared))
    }
}

/// One HTTP/2 connection: of plain requests, or of gRPC calls (see [`super::grpc`]).
#[derive(Debug)]
pub struct Http2 {
    prepared: Arc<Prepared>,
    /// None until [`Session::open`].
    link: Option<Link>,
    next_ticket: Ticket,
    /// What was found while there was nobody to tell: while sending.
    untold: Vec<Event>,
}

impl Http2 {
    pub(super) fn new(prepared: Arc<Prepared>) -> Self {
        Self {
            prepared,
            link: None,
            next_ticket: 0,
            untold: Vec::new(),
        }
    }
}

impl Session for Http2 {
    fn open(&mut self, out: &mut Vec<u8>) {
        self.link = Link::open(out);
    }

    fn ready(&self) -> bool {
        self.link.as_ref().is_some_and(Link::ready)
    }

    fn send(&mut self, request: u64, _: &mut Vec<u8>) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let sent = self
            .link
            .as_mut()
            .is_some_and(|link| link.send(ticket, request, &self.prepared));
        if !sent {
            let answer = Answer::Failed("not sent".into());
            self.untold.push(Event::Reply(ticket, answer));
        }
    }

    fn seal(&mut self, out: &mut Vec<u8>) {
        if let Some(link) = &mut self.link {
            link.seal(out, &mut self.untold);
        }
    }

    fn receive(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, SessionError> {
        events.append(&mut self.untold);
        let Some(link) = &mut self.link else {
            return Err(bad_reply("bytes came before the connection was opened"));
        };
        link.receive(input, out, events)?;
        Ok(input.len())
    }

    fn abandon(&mut self, ticket: Ticket, out: &mut Vec<u8>) -> bool {
        if let Some(link) = &mut self.link {
            link.abandon(ticket, out, &mut self.untold);
        }
        true
    }

    fn end(&mut self, _rest: &[u8], events: &mut Vec<Event>) -> Result<(), SessionError> {
        events.append(&mut self.untold);
        self.link.as_mut().map_or(Ok(()), |link| link.end(events))
    }
}
