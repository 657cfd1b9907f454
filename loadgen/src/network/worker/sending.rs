//! Handing due requests to connections.

use super::{CHUNK, Worker};
use crate::clock::{Clock, Nanos};
use crate::network::channel::kind_of;
use crate::network::flight::Request;
use crate::network::session::{MakeSession, Session};
use crate::network::target::Transport;
use std::borrow::Cow;

/// Requests handed out in one turn, at most: answers that have come must not wait for a backlog.
const PER_TURN: u32 = 1024;

/// Requests that fail in one turn because nothing stands, at most.
const REFUSED_PER_TURN: u32 = 4096;

/// A datagram is not filled further than this: what passes an Ethernet link in one piece.
const DATAGRAM: usize = 1400;

impl<C: Clock, M: MakeSession> Worker<'_, C, M> {
    /// Hands out what is due at `now`, as far as there are places. Returns whether anything was.
    pub(super) fn hand_out(&mut self, now: Nanos) -> bool {
        let mut left = PER_TURN;
        while left > 0 && self.run.as_ref().is_some_and(|run| run.is_due(now)) {
            let Some(index) = self.places.first() else {
                return self.refuse(now) || left < PER_TURN;
            };
            let room = self.connections[index].room(self.settings.pipeline);
            if room == 0 {
                self.places.remove_first();
                continue;
            }
            left -= self.fill(index, room.min(CHUNK).min(left), now);
        }
        left < PER_TURN
    }

    /// Hands up to `room` due requests to the first connection of the queue. Returns how many.
    #[inline(always)]
    fn fill(&mut self, index: usize, room: u32, now: Nanos) -> u32 {
        let Some(run) = &mut self.run else {
            return 0;
        };
        let pipeline = self.settings.pipeline;
        let datagrams = self.settings.transport == Transport::Udp;
        let connection = &mut self.connections[index];
        let first = connection.flight.next_ticket();
        let mut count = 0;
        while count < room && run.is_due(now) && connection.session.ready() {
            let before = connection.out.len();
            if datagrams && before > 0 && before + self.largest > DATAGRAM {
                break;
            }
            let intended = run.source.intended(now);
            let number = run.source.take();
            connection.session.send(number, &mut connection.out);
            connection.flight.push(Request {
                number,
                intended,
                sent: Nanos(0),
                first_byte: Nanos(0),
            });
            count += 1;
            if datagrams {
                self.largest = self.largest.max(connection.out.len() - before);
                if before > 0 && connection.out.len() > DATAGRAM {
                    connection.cut = before;
                    break;
                }
            }
        }
        connection.session.seal(&mut connection.out);
        // From here on it is the target's time, even if the kernel does not take all of it at once: that
        // means that the peer does not read.
        let sent = self.clock.now_ns();
        let closed = run.source.is_closed();
        let mut depth = connection.flight.under_way() - count;
        for ticket in first..first + u64::from(count) {
            depth += 1;
            if let Some(request) = connection.flight.get_mut(ticket) {
                if closed {
                    request.intended = sent;
                }
                request.sent = sent;
                run.tally
                    .sent(request.intended, sent, self.places.since(), depth);
            }
        }
        self.under_way += u64::from(count);
        let flushed = connection.flush();
        if connection.room(pipeline) > 0 {
            self.places.rotate();
        } else {
            self.places.remove_first();
        }
        if let Err(error) = flushed {
            let at = self.clock.now_ns();
            self.lose(index, at, Cow::Borrowed(kind_of(&error)));
        }
        count
    }

    /// Where no connection stands and none can be made, what is due fails. Returns whether anything did.
    fn refuse(&mut self, now: Nanos) -> bool {
        let Some(run) = &mut self.run else {
            return false;
        };
        if (self.failing as usize) < self.connections.len() || run.source.is_closed() {
            return false;
        }
        let kind = self.last_failure.clone();
        let mut refused = 0;
        while refused < REFUSED_PER_TURN && run.is_due(now) {
            run.tally.refused(run.source.intended(now), now, &kind);
            run.source.take();
            refused += 1;
        }
        refused > 0
    }

    /// The kernel takes more of what is to be sent on a connection.
    pub(super) fn write_on(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if !connection.has_unsent() {
            return;
        }
        if let Err(error) = connection.flush() {
            let at = self.clock.now_ns();
            self.lose(index, at, Cow::Borrowed(kind_of(&error)));
        } else if connection.room(self.settings.pipeline) > 0 {
            let at = self.clock.now_ns();
            self.places.offer(index, at);
        }
    }
}
