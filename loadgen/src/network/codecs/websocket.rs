//! WebSocket: one message a request, the next message back is its reply.
//!
//! The message is the body of the request's options, `{n}` in it standing for the request's number;
//! text if it is UTF-8, otherwise binary. Replies are counted in order, fragmented or not; what they say is
//! not looked at, so neither is whether a text is UTF-8. Pings are answered, pongs ignored, a close frame is
//! answered and ends the connection. A server that sends messages of its own accord cannot be
//! measured in this way: a message that nothing was asked for is an error.
//!
//! Frame headers, keys and their proof are made and read by `tungstenite`; its own socket type
//! keeps every message whole, which a load generator has no use for.
//!
//! Cost: 21 ns to send a small message, 15 to 20 for one that comes (`examples/decode.rs`). Limits: the handshake's reply may have
//! 64 KiB and 100 headers; messages may be of any length and are skipped.

mod frames;
mod handshake;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rand_xoshiro::Xoshiro128PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::network::codecs::answers::{closed_early, unasked};
use crate::network::codecs::options::{RequestOption, refuse_others};
use crate::network::codecs::template::Template;
use crate::network::error::NetworkError;
use crate::network::session::{Answer, Event, MakeSession, Session, SessionError, Ticket};
use crate::network::target::NetworkTarget;
use crate::scenario::RequestOptions;

use frames::{Found, FrameReader};
use handshake::{Agreement, Handshake};

/// What is sent where no message is given.
const DEFAULT: &[u8] = b"request {n}";

/// Bytes that may wait for a peer that does not read, before its pings go unanswered.
const MOST_UNREAD: usize = 64 * 1024;

/// Makes the WebSocket sessions of a run.
#[derive(Debug, Clone)]
pub struct WebSocketMaker {
    shared: Arc<Shared>,
}

/// What all connections of a run have in common.
#[derive(Debug)]
struct Shared {
    handshake: Handshake,
    message: Template,
    opcode: OpCode,
}

impl WebSocketMaker {
    /// Sessions that send the body of `options` to `target` as a message, `request {n}` if there is none.
    /// The headers of `options` go into the handshake.
    ///
    /// # Errors
    /// [`NetworkError::Request`]: a path or header that is none, a header that belongs to the handshake
    /// itself, an option that WebSocket has no use for.
    pub fn new(
        target: &NetworkTarget,
        options: &RequestOptions,
    ) -> Result<WebSocketMaker, NetworkError> {
        const USED: [RequestOption; 2] = [RequestOption::Headers, RequestOption::Body];
        refuse_others("WebSocket", &USED, options)?;
        let body = options.body.as_deref().unwrap_or(DEFAULT);
        let opcode = match str::from_utf8(body) {
            Ok(_) => OpCode::Data(Data::Text),
            Err(_) => OpCode::Data(Data::Binary),
        };
        let mut message = Template::default();
        message.numbered(body);
        Ok(WebSocketMaker {
            shared: Arc::new(Shared {
                handshake: Handshake::new(target, options)?,
                message,
                opcode,
            }),
        })
    }
}

impl MakeSession for WebSocketMaker {
    type Session = WebSocket;

    fn make(&self) -> WebSocket {
        let key = tungstenite::handshake::client::generate_key();
        WebSocket {
            stage: Stage::Handshake(Agreement::to(&key)),
            masks: Xoshiro128PlusPlus::from_seed(seed(&key)),
            key,
            shared: Arc::clone(&self.shared),
            reader: FrameReader::default(),
            sent: 0,
            answered: 0,
            told: false,
        }
    }
}

/// Masks keep caches between client and server from being led astray by what a page may send; here they
/// need to differ, no more, so the key's own randomness serves.
fn seed(key: &str) -> [u8; 16] {
    let mut seed = [1; 16];
    for (place, byte) in seed.iter_mut().zip(key.bytes()) {
        *place = byte;
    }
    seed
}

/// One WebSocket connection.
#[derive(Debug)]
pub struct WebSocket {
    stage: Stage,
    /// What the server must prove that it has read.
    key: String,
    masks: Xoshiro128PlusPlus,
    shared: Arc<Shared>,
    reader: FrameReader,
    sent: Ticket,
    /// The ticket of the next reply.
    answered: Ticket,
    /// [`Event::FirstByte`] was told.
    told: bool,
}

#[derive(Debug)]
enum Stage {
    /// Until the server has agreed.
    Handshake(Agreement),
    Open,
    /// The server has sent its last frame.
    Closed,
}

impl WebSocket {
    /// Answers a control frame with another.
    fn control(&mut self, opcode: Control, payload: &[u8], out: &mut Vec<u8>) {
        let mask = self.masks.next_u32().to_ne_bytes();
        frames::append(OpCode::Control(opcode), mask, out, |out| {
            out.extend_from_slice(payload);
        });
    }
}

impl Session for WebSocket {
    fn open(&mut self, out: &mut Vec<u8>) {
        self.shared.handshake.append(&self.key, out);
    }

    fn ready(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    #[inline]
    fn send(&mut self, request: u64, out: &mut Vec<u8>) {
        self.sent += 1;
        let mask = self.masks.next_u32().to_ne_bytes();
        frames::append(self.shared.opcode, mask, out, |out| {
            self.shared.message.append(request, out);
        });
    }

    fn receive(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, SessionError> {
        let mut used = 0;
        // A server may send more pings than anybody wants to answer: the last of those that came
        // together is enough (RFC 6455, 5.5.3).
        let mut ping = None;
        while used < input.len() {
            let rest = &input[used..];
            match &mut self.stage {
                Stage::Handshake(agreement) => {
                    let Some(length) = agreement.read(rest)? else {
                        break;
                    };
                    used += length;
                    self.stage = Stage::Open;
                    continue;
                }
                Stage::Open => {}
                Stage::Closed => return Ok(input.len()),
            }
            let (length, found) = self.reader.read(rest)?;
            if self.answered == self.sent
                && (found == Found::Message || self.reader.within_message())
            {
                return Err(unasked(rest));
            }
            used += length;
            match found {
                Found::Part => break,
                Found::Fragment | Found::Pong => {}
                Found::Message => {
                    events.push(Event::Reply(self.answered, Answer::Ok));
                    self.answered += 1;
                    self.told = false;
                }
                Found::Ping(payload) => ping = Some(payload),
                Found::Close(payload) => {
                    // The code alone; the reason is for people.
                    self.control(Control::Close, payload.get(..2).unwrap_or_default(), out);
                    self.stage = Stage::Closed;
                    events.push(Event::Closing);
                    return Ok(input.len());
                }
            }
        }
        if let Some(payload) = ping
            && out.len() < MOST_UNREAD
        {
            self.control(Control::Pong, payload, out);
        }
        if self.reader.within_message() && !self.told {
            self.told = true;
            events.push(Event::FirstByte(self.answered));
        }
        Ok(used)
    }

    fn end(&mut self, rest: &[u8], _events: &mut Vec<Event>) -> Result<(), SessionError> {
        match self.stage {
            Stage::Handshake(_) => Err(closed_early(
                "before the server agreed to speak WebSocket: is it one?",
            )),
            Stage::Open if self.reader.within_message() || !rest.is_empty() => {
                Err(closed_early("within a message"))
            }
            Stage::Open | Stage::Closed => Ok(()),
        }
    }
}
