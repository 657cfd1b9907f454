//! One `h2` connection, polled by hand.
//!
//! `h2` is woken by nobody but ourselves: it is polled when bytes have come, when a request was added, and for
//! as long as polling has woken it again (a window to be updated, a stream to be reset). Each poll reads
//! all there is and writes all it can, so when no flag is left there is nothing to do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};

use super::calls::Calls;
use super::pipe::Pipe;
use super::prepare::Prepared;
use super::wake::Flag;
use crate::network::codecs::answers;
use crate::network::session::{Event, SessionError, Ticket};

/// Answers are thrown away as they come, so wide windows cost no memory, and no server waits for our updates.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// Bytes of an answer's headers, as HPACK counts them.
const MAX_HEADERS: u32 = 64 << 10;

/// Late answers to as many cancelled requests are expected, for so long; more of them are an error of the
/// server's. (`h2` itself remembers 50.)
const REMEMBERED_RESETS: usize = 4096;
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// One connection to a server.
pub(super) struct Link {
    pipe: Pipe,
    /// None when it has come to its end.
    connection: Option<Connection<Pipe, Bytes>>,
    requests: SendRequest<Bytes>,
    /// Set when the connection is to be polled.
    flag: Arc<Flag>,
    waker: Waker,
    calls: Calls,
    /// Requests that the peer allows at the same time: 0 until it has said so.
    allowed: usize,
    /// No further requests may be sent: the peer said so, or the numbers of streams are used up.
    closing: bool,
    told_closing: bool,
    /// The first bytes that came: they tell another protocol.
    first: Vec<u8>,
}

/// How a connection ended, if it did.
type End = Option<Result<(), h2::Error>>;

impl Link {
    /// Appends the client's preface to `out`.
    pub(super) fn open(out: &mut Vec<u8>) -> Option<Self> {
        let pipe = Pipe::default();
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            // Without it, 100 requests would be sent before the server has said how many it takes.
            .initial_max_send_streams(0)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADERS)
            .max_concurrent_reset_streams(REMEMBERED_RESETS)
            .reset_stream_duration(REMEMBERED_FOR);
        pipe.exchange_output(out);
        let opened = {
            let mut handshake = std::pin::pin!(builder.handshake::<_, Bytes>(pipe.clone()));
            handshake.as_mut().poll(&mut Context::from_waker(&waker))
        };
        pipe.exchange_output(out);
        // It is ready at once: the preface is only written, and memory always takes it.
        let Poll::Ready(Ok((requests, connection))) = opened else {
            return None;
        };
        let mut link = Self {
            pipe,
            connection: Some(connection),
            requests,
            flag,
            waker,
            calls: Calls::default(),
            allowed: 0,
            closing: false,
            told_closing: false,
            first: Vec::new(),
        };
        // The settings themselves are written by the first poll.
        link.drive(out, &mut Vec::new());
        Some(link)
    }

    /// Whether the peer takes one more request now.
    pub(super) fn ready(&self) -> bool {
        self.connection.is_some() && !self.closing && self.calls.under_way() < self.allowed
    }

    /// Hands a request to `h2`, unless the connection has failed; it is written by [`Link::seal`].
    pub(super) fn send(&mut self, ticket: Ticket, number: u64, prepared: &Prepared) -> bool {
        let (head, body) = prepared.request(number);
        let Ok((response, mut stream)) = self.requests.send_request(head, body.is_none()) else {
            self.closing = true;
            return false;
        };
        if let Some(body) = body {
            // `h2` keeps what the peer's windows do not admit yet; unless `{n}` is in them all requests share
            // these bytes, so that takes no memory. If the stream has failed already, its response says so.
            let _ = stream.send_data(body, true);
        }
        self.calls.add(ticket, prepared.meaning(), response);
        true
    }

    /// Writes what was sent: once for many requests, since each poll of `h2` costs as much as a request.
    pub(super) fn seal(&mut self, out: &mut Vec<u8>, events: &mut Vec<Event>) {
        let _ = self.drive(out, events);
        self.look();
    }

    /// Takes in `input`, all of it.
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<(), SessionError> {
        if self.first.len() < 3 {
            let missing = (3 - self.first.len()).min(input.len());
            self.first.extend_from_slice(&input[..missing]);
        }
        self.pipe.feed(input);
        let end = self.drive(out, events);
        self.look();
        if self.closing && !self.told_closing {
            self.told_closing = true;
            events.push(Event::Closing);
        }
        match end {
            // After a GOAWAY of the peer `h2` ends the connection with its reason: all is answered by then.
            Some(Err(error)) if !error.is_remote() => Err(self.broken(&error)),
            _ if self.connection.is_none() && self.calls.under_way() > 0 => {
                Err(self.closed_early())
            }
            _ => Ok(()),
        }
    }

    /// Cancels a request. A late answer to it is ignored.
    pub(super) fn abandon(&mut self, ticket: Ticket, out: &mut Vec<u8>, events: &mut Vec<Event>) {
        // Dropping its handles makes `h2` reset the stream.
        self.calls.remove(ticket);
        let _ = self.drive(out, events);
    }

    /// The peer sends nothing more.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) -> Result<(), SessionError> {
        self.pipe.end();
        let _ = self.drive(&mut Vec::new(), events);
        self.closing = true;
        if self.calls.under_way() > 0 {
            return Err(self.closed_early());
        }
        Ok(())
    }

    /// Polls the connection and what it has woken until nothing is left to do.
    fn drive(&mut self, out: &mut Vec<u8>, events: &mut Vec<Event>) -> End {
        self.pipe.exchange_output(out);
        let mut end = None;
        loop {
            if let Some(connection) = &mut self.connection {
                self.flag.take();
                let polled = Pin::new(connection).poll(&mut Context::from_waker(&self.waker));
                if let Poll::Ready(result) = polled {
                    end = Some(result);
                    self.connection = None;
                }
            }
            self.calls.poll_woken(events);
            if self.connection.is_none() {
                self.pipe.discard_input();
                break;
            }
            if !self.flag.take() {
                break;
            }
        }
        self.pipe.exchange_output(out);
        self.pipe.tidy();
        end
    }

    /// Looks how many requests the peer takes, and whether it still does.
    fn look(&mut self) {
        self.allowed = self.requests.current_max_send_streams();
        if let Poll::Ready(Err(_)) = self
            .requests
            .poll_ready(&mut Context::from_waker(&self.waker))
        {
            self.closing = true;
        }
    }

    fn closed_early(&self) -> SessionError {
        answers::closed_early(format!(
            "the server closed the connection with {} requests unanswered",
            self.calls.under_way()
        ))
    }

    fn broken(&self, error: &h2::Error) -> SessionError {
        // Three bytes are all that `h2` needs to see a frame that is too long.
        let detail = match self.first.as_slice() {
            [b'H', b'T', b'T', ..] => {
                "the server speaks HTTP/1.1, not HTTP/2; a target http:// is loaded by that"
                    .to_owned()
            }
            // A record of TLS: an alert or a handshake.
            [0x15 | 0x16, 3, ..] => {
                "the server speaks TLS; the targets h2s:// and grpcs:// do so as well".to_owned()
            }
            _ => format!("not HTTP/2 as it should be: {error}"),
        };
        answers::bad_reply(detail)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("under_way", &self.calls.under_way())
            .field("allowed", &self.allowed)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}
