//! The requests under way on a connection, polled only when `h2` has woken them.
//!
//! A table whose places and wakers are used again: its size is the largest number of requests that were ever
//! under way at the same time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use h2::RecvStream;
use h2::client::ResponseFuture;

use super::outcome::{self, Meaning, Verdict};
use super::wake::WokenList;
use crate::network::session::{Answer, Event, Ticket};

/// The requests under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    places: Vec<Place>,
    free: Vec<usize>,
    woken: Arc<WokenList>,
    /// Kept for its memory.
    to_poll: Vec<usize>,
}

#[derive(Debug)]
struct Place {
    waker: Waker,
    call: Option<Call>,
}

#[derive(Debug)]
struct Call {
    ticket: Ticket,
    meaning: Meaning,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The headers have not come.
    Headers(ResponseFuture),
    /// The body is being thrown away; trailers may follow.
    Body {
        stream: RecvStream,
        verdict: Verdict,
    },
}

impl Calls {
    /// How many there are.
    pub(super) fn under_way(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds a request that was sent.
    pub(super) fn add(&mut self, ticket: Ticket, meaning: Meaning, response: ResponseFuture) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                waker: self.woken.waker(self.places.len()),
                call: None,
            });
            self.places.len() - 1
        });
        self.places[place].call = Some(Call {
            ticket,
            meaning,
            stage: Stage::Headers(response),
        });
        // Nothing wakes what was never polled.
        self.places[place].waker.wake_by_ref();
    }

    /// Forgets a request, if it is under way. Takes time in proportion to how many are.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        let found = self.places.iter().position(|place| {
            place
                .call
                .as_ref()
                .is_some_and(|call| call.ticket == ticket)
        });
        if let Some(index) = found {
            self.places[index].call = None;
            self.free.push(index);
        }
    }

    /// Polls those that were woken, and adds what they found to `events`.
    pub(super) fn poll_woken(&mut self, events: &mut Vec<Event>) {
        self.woken.take(&mut self.to_poll);
        for index in self.to_poll.drain(..) {
            let place = &mut self.places[index];
            let Some(call) = &mut place.call else {
                continue;
            };
            let had_headers = matches!(call.stage, Stage::Body { .. });
            match call.poll(&mut Context::from_waker(&place.waker)) {
                Poll::Ready(Some(answer)) => {
                    events.push(Event::Reply(call.ticket, answer));
                    place.call = None;
                    self.free.push(index);
                }
                // The connection broke: it stays under way, and fails with the connection.
                Poll::Ready(None) => {}
                Poll::Pending => {
                    if !had_headers && matches!(call.stage, Stage::Body { .. }) {
                        events.push(Event::FirstByte(call.ticket));
                    }
                }
            }
        }
    }
}

impl Call {
    /// What came of the request; nothing if the connection broke before it was answered.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        if let Stage::Headers(response) = &mut self.stage {
            let response = match ready!(Pin::new(response).poll(context)) {
                Ok(response) => response,
                Err(error) => return Poll::Ready(outcome::of_error(&error)),
            };
            let verdict = self
                .meaning
                .of_headers(response.status(), response.headers());
            self.stage = Stage::Body {
                stream: response.into_body(),
                verdict,
            };
        }
        let Stage::Body { stream, verdict } = &mut self.stage else {
            return Poll::Pending;
        };
        loop {
            // Answers without trailers end here.
            if stream.is_end_stream() {
                return Poll::Ready(Some(verdict.at_end(None)));
            }
            match ready!(stream.poll_data(context)) {
                Some(Ok(data)) => {
                    verdict.add_body(data.len());
                    // It cannot fail: as much was received.
                    let _ = stream.flow_control().release_capacity(data.len());
                }
                Some(Err(error)) if outcome::is_harmless(&error) => break,
                Some(Err(error)) => return Poll::Ready(outcome::of_error(&error)),
                None => break,
            }
        }
        let trailers = match ready!(stream.poll_trailers(context)) {
            Ok(trailers) => trailers,
            Err(error) if outcome::is_harmless(&error) => None,
            Err(error) => return Poll::Ready(outcome::of_error(&error)),
        };
        Poll::Ready(Some(verdict.at_end(trailers.as_ref())))
    }
}
