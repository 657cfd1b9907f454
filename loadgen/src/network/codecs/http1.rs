//! HTTP/1.1: requests prebuilt, replies answered in order, bodies skipped.
//!
//! - A request is the same bytes each time, or holds the request's number where `{n}` stands in path,
//!   headers or body.
//! - A reply with a status of 400 or more is a refusal, `status 503`. Redirections are not followed: a
//!   3xx is an answer like others.
//! - Interim replies (1xx) are skipped; they count as the first byte of the reply that they come before.
//! - `Connection: close`, and HTTP/1.0 without `keep-alive`, end the connection after that reply:
//!   [`Event::Closing`] comes before its [`Event::Reply`], so that nobody sends in between. What a server sends
//!   behind such a reply is ignored.
//!
//! Cost: 5 to 10 ns to send, 20 with a number to put in. A reply that comes whole, with the head of the one
//! before it, takes 10 to 20 ns; one of nginx with another head 180 to 190, of which `httparse` has 144
//! (`examples/decode.rs`, 2-core EPYC guest).
//!
//! Limits: heads of 64 KiB and 100 headers; lines of chunks and trailers of 8 KiB.

mod body;
pub(crate) mod head;
pub(crate) mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::network::codecs::answers::{closed_early, of_status, unasked};
use crate::network::error::NetworkError;
use crate::network::session::{Answer, Event, MakeSession, Session, SessionError, Ticket};
use crate::network::target::NetworkTarget;
use crate::scenario::RequestOptions;

use body::{Body, Skipped};
use head::{Head, HeadReader};
use request::Request;

/// Makes the HTTP/1.1 sessions of a run.
#[derive(Debug, Clone)]
pub struct Http1Maker {
    request: Arc<Request>,
}

impl Http1Maker {
    /// Sessions that send the request of `options` to `target`. `{n}` stands for the request's number,
    /// in path, headers and body. The method is GET, or POST where there is a body.
    ///
    /// # Errors
    /// [`NetworkError::Request`] names what cannot be sent: a method, path or header that is none, a header
    /// that follows from the rest of the request, an option that HTTP has no use for.
    pub fn new(
        target: &NetworkTarget,
        options: &RequestOptions,
    ) -> Result<Http1Maker, NetworkError> {
        let request = Arc::new(Request::new(target, options)?);
        Ok(Http1Maker { request })
    }
}

impl MakeSession for Http1Maker {
    type Session = Http1;

    fn make(&self) -> Http1 {
        Http1 {
            request: Arc::clone(&self.request),
            heads: HeadReader::default(),
            stage: Stage::Head,
            answer: Answer::Ok,
            sent: 0,
            answered: 0,
            begun: false,
            told: false,
            closing: false,
        }
    }
}

/// One connection that speaks HTTP/1.1.
#[derive(Debug)]
pub struct Http1 {
    request: Arc<Request>,
    heads: HeadReader,
    stage: Stage,
    /// What the head of the reply under way said.
    answer: Answer,
    sent: Ticket,
    /// The ticket of the next reply.
    answered: Ticket,
    /// An interim reply came.
    begun: bool,
    /// [`Event::FirstByte`] was told.
    told: bool,
    closing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before or within a head.
    Head,
    Body(Body),
    /// The last reply of the connection is whole.
    Over,
}

impl Http1 {
    #[inline]
    fn start(&mut self, head: Head, events: &mut Vec<Event>) {
        if head.is_interim() {
            self.begun = true;
            return;
        }
        if head.closes {
            self.closing = true;
            events.push(Event::Closing);
        }
        self.answer = of_status(head.status);
        match Body::new(head.framing) {
            Some(body) => self.stage = Stage::Body(body),
            None => self.finish(events),
        }
    }

    #[inline]
    fn finish(&mut self, events: &mut Vec<Event>) {
        let answer = std::mem::replace(&mut self.answer, Answer::Ok);
        events.push(Event::Reply(self.answered, answer));
        self.answered += 1;
        self.begun = false;
        self.told = false;
        self.stage = if self.closing {
            Stage::Over
        } else {
            Stage::Head
        };
    }
}

impl Session for Http1 {
    fn open(&mut self, _out: &mut Vec<u8>) {}

    fn ready(&self) -> bool {
        !self.closing
    }

    #[inline]
    fn send(&mut self, request: u64, out: &mut Vec<u8>) {
        self.sent += 1;
        self.request.bytes.append(request, out);
    }

    fn receive(
        &mut self,
        input: &[u8],
        _out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, SessionError> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            match &mut self.stage {
                Stage::Head => {
                    if self.answered == self.sent {
                        return Err(unasked(rest));
                    }
                    let Some((length, head)) = self.heads.read(rest, self.request.bodiless)? else {
                        break;
                    };
                    used += length;
                    self.start(head, events);
                }
                Stage::Body(body) => match body.skip(rest)? {
                    Skipped::Whole(length) => {
                        used += length;
                        self.finish(events);
                    }
                    Skipped::Part(length) => {
                        used += length;
                        break;
                    }
                },
                Stage::Over => return Ok(input.len()),
            }
        }
        let within = self.begun || used < input.len() || matches!(self.stage, Stage::Body(_));
        if within && !self.told {
            self.told = true;
            events.push(Event::FirstByte(self.answered));
        }
        Ok(used)
    }

    fn end(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Result<(), SessionError> {
        match self.stage {
            Stage::Over => Ok(()),
            Stage::Body(Body::Close) => {
                self.finish(events);
                Ok(())
            }
            Stage::Head if rest.is_empty() && !self.begun => Ok(()),
            Stage::Head => Err(closed_early("within the head of a reply")),
            Stage::Body(Body::Length(missing)) => Err(closed_early(format!(
                "{missing} bytes before the end of a reply's body"
            ))),
            Stage::Body(_) => Err(closed_early("before the last chunk of a reply's body")),
        }
    }
}
