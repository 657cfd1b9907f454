//! Reading answers, and what is found in them.

use super::{Refusal, Worker};
use crate::clock::{Clock, Nanos};
use crate::network::channel::{Socket, kind_of};
use crate::network::connection::{State, empty};
use crate::network::session::{Answer, Event, MakeSession, Session, SessionError};
use std::borrow::Cow;
use std::io;

/// Reads of one connection in one turn, at most: one that floods must not make the others' sends late.
const READS: u32 = 4;

/// What a session may leave unused of what it was given: no answer has a head this long.
const LONGEST_UNUSED: usize = 4 << 20;

impl<C: Clock, M: MakeSession> Worker<'_, C, M> {
    /// Reads on where the last turn left off. Returns whether there was such a connection.
    pub(super) fn read_on(&mut self) -> bool {
        let before = self.unread.len();
        for place in (0..before).rev() {
            let index = self.unread.swap_remove(place);
            if std::mem::take(&mut self.connections[index].unread) {
                self.read(index, true);
            }
        }
        before > 0
    }

    /// Reads what there is on a connection. `closed`: a short read does not mean that this was all.
    pub(super) fn read(&mut self, index: usize, closed: bool) {
        // Taken out while the worker is borrowed as a whole; nothing is allocated for the empty one.
        let mut scratch = std::mem::take(&mut self.scratch);
        self.read_into(&mut scratch, index, closed);
        self.scratch = scratch;
    }

    fn read_into(&mut self, scratch: &mut [u8], index: usize, closed: bool) {
        for _ in 0..READS {
            let Some(socket) = &mut self.connections[index].socket else {
                return;
            };
            let stream = matches!(socket, Socket::Stream(_));
            let read = socket.read(scratch);
            let at = self.clock.now_ns();
            match read {
                Ok(0) if stream => return self.ended(index, at),
                Ok(read) => {
                    self.last_event = at;
                    if let Err(error) = self.decipher(index, &scratch[..read], at) {
                        let kind = error.kind;
                        self.last_session_error = Some(error.to_string());
                        return self.lose(index, at, Cow::Borrowed(kind));
                    }
                    if stream && read < scratch.len() && !closed {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.lose(index, at, Cow::Borrowed(kind_of(&error))),
            }
        }
        let connection = &mut self.connections[index];
        if connection.socket.is_some() && !connection.unread {
            connection.unread = true;
            self.unread.push(index);
        }
    }

    /// Deciphers what was read at `at`, if it is enciphered, and gives it to the session.
    #[inline(always)]
    fn decipher(&mut self, index: usize, input: &[u8], at: Nanos) -> Result<(), SessionError> {
        if self.connections[index].tls.is_none() {
            return self.digest(index, input, at);
        }
        // Taken out as the scratch is; what is in it afterwards is done with.
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        let digested = self.decipher_into(&mut plain, index, input, at);
        self.plain = plain;
        digested
    }

    fn decipher_into(
        &mut self,
        plain: &mut Vec<u8>,
        index: usize,
        input: &[u8],
        at: Nanos,
    ) -> Result<(), SessionError> {
        let connection = &mut self.connections[index];
        let Some(tls) = &mut connection.tls else {
            return Ok(());
        };
        let greeted = !tls.wants_handshake();
        let deciphered = tls.decrypt(input, plain, &mut connection.wire);
        let (greets, peer_closed) = (!greeted && !tls.wants_handshake(), tls.peer_closed());
        if let Err(error) = deciphered {
            // The alert, so that the peer knows; it may be gone.
            let _ = connection.flush();
            let detail = error.to_string();
            self.refusal.get_or_insert(Refusal::Tls(error));
            return Err(SessionError {
                kind: "tls",
                detail,
            });
        }
        if greets {
            connection.session.open(&mut connection.out);
        }
        if plain.is_empty() {
            self.go_on(index, at);
        } else {
            self.digest(index, plain, at)?;
        }
        if peer_closed {
            self.ended(index, at);
        }
        Ok(())
    }

    /// Gives the session what was read at `at`, and deals with what it finds.
    fn digest(&mut self, index: usize, input: &[u8], at: Nanos) -> Result<(), SessionError> {
        let connection = &mut self.connections[index];
        let (session, out) = (&mut connection.session, &mut connection.out);
        let received = if connection.pending.is_empty() {
            let received = session.receive(input, out, &mut self.found);
            let used = *received.as_ref().unwrap_or(&input.len());
            let rest = input.get(used..).unwrap_or_default();
            connection.pending.extend_from_slice(rest);
            received
        } else {
            connection.pending.extend_from_slice(input);
            let received = session.receive(&connection.pending, out, &mut self.found);
            let used = *received.as_ref().unwrap_or(&usize::MAX);
            connection
                .pending
                .drain(..used.min(connection.pending.len()));
            if connection.pending.is_empty() {
                empty(&mut connection.pending);
            }
            received
        };
        // What was found before an error counts.
        self.deal_with_found(index, at)?;
        received?;
        let connection = &self.connections[index];
        let datagram = matches!(connection.socket, Some(Socket::Datagrams(_)));
        let left = connection.pending.len();
        if left > LONGEST_UNUSED || (datagram && left > 0) {
            return Err(SessionError {
                kind: "bad reply",
                detail: format!("{left} bytes that belong to no whole answer"),
            });
        }
        self.go_on(index, at);
        Ok(())
    }

    /// Records what a session found.
    fn deal_with_found(&mut self, index: usize, at: Nanos) -> Result<(), SessionError> {
        let connection = &mut self.connections[index];
        for event in self.found.drain(..) {
            match event {
                Event::Reply(ticket, answer) => {
                    if ticket >= connection.flight.next_ticket() {
                        return Err(SessionError {
                            kind: "bad reply",
                            detail: "an answer to a request that was never sent".to_owned(),
                        });
                    }
                    // A late answer to a request that was given up is nobody's.
                    let (Some(request), Some(run)) =
                        (connection.flight.take(ticket), &mut self.run)
                    else {
                        continue;
                    };
                    self.under_way -= 1;
                    connection.failures = 0;
                    connection.answered = true;
                    let failed = match &answer {
                        Answer::Ok => None,
                        Answer::Failed(kind) => Some(&**kind),
                    };
                    run.tally.answered(&request, at, run.end, failed);
                    run.throughput += u64::from(at >= run.record && at <= run.end);
                }
                Event::FirstByte(ticket) => {
                    if let Some(request) = connection.flight.get_mut(ticket)
                        && request.first_byte.0 == 0
                    {
                        request.first_byte = at;
                    }
                }
                Event::Closing if connection.state == State::Greeting => {
                    return Err(SessionError {
                        kind: "closed",
                        detail: "the server wants no connection".to_owned(),
                    });
                }
                Event::Closing => connection.state = State::Closing,
            }
        }
        Ok(())
    }

    /// After a session has been given something: sends what it answers by itself, and finds out whether
    /// the connection has room, stands, or is done with.
    pub(super) fn go_on(&mut self, index: usize, at: Nanos) {
        let connection = &mut self.connections[index];
        if connection.has_unsent()
            && !connection.blocked
            && let Err(error) = connection.flush()
        {
            return self.lose(index, at, Cow::Borrowed(kind_of(&error)));
        }
        match connection.state {
            State::Greeting if connection.greeted() && connection.session.ready() => {
                self.stand(index, at);
            }
            State::Closing if connection.flight.under_way() == 0 => {
                self.close(index, at);
            }
            State::Open if connection.room(self.settings.pipeline) > 0 => {
                self.places.offer(index, at);
            }
            _ => {}
        }
    }

    /// The peer has closed its side.
    fn ended(&mut self, index: usize, at: Nanos) {
        let connection = &mut self.connections[index];
        let pending = std::mem::take(&mut connection.pending);
        let ended = connection.session.end(&pending, &mut self.found);
        let dealt = self.deal_with_found(index, at);
        match ended.and(dealt) {
            Ok(()) if self.connections[index].flight.under_way() == 0 => {
                self.close(index, at);
            }
            Ok(()) => self.lose(index, at, Cow::Borrowed("closed")),
            Err(error) => {
                self.last_session_error = Some(error.to_string());
                self.lose(index, at, Cow::Borrowed(error.kind));
            }
        }
    }
}
