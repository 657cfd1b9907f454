//! What is looked after once a millisecond: connections to be made, timeouts, the ends of seconds; and
//! what becomes of requests when a connection is lost or the run ends.

use super::{Refusal, Run, UPKEEP_EVERY, Worker, WorkerEnd};
use crate::clock::{Clock, Nanos};
use crate::engine::stalls::StallMeter;
use crate::network::channel::{Socket, advice, kind_of};
use crate::network::connection::State;
use crate::network::session::{MakeSession, Session};
use crate::network::source::Source;
use crate::network::tls::TlsClient;
use crate::schedule::Lane as _;
use mio::Token;
use std::borrow::Cow;
use std::io;

/// Connections being made at the same time, at most: a listening queue is short, and what does not fit
/// into it is tried again by the kernel a second later.
const CONNECTING: u32 = 64;
/// Connections begun in one turn of a run, at most: about 20 us each.
const BEGUN: u32 = 8;
/// How long after the beginning of a failed attempt the next one begins; then twice as long each time.
const BACK_OFF: Nanos = Nanos(10_000_000);
/// The longest time between attempts.
const LONGEST_BACK_OFF: Nanos = Nanos(1_000_000_000);
/// A connection is looked at for timeouts at least each 64 ms, however many there are.
const ROUND: usize = 64;

impl<C: Clock, M: MakeSession> Worker<'_, C, M> {
    /// See the module's head.
    pub(super) fn upkeep(&mut self, now: Nanos) {
        self.keep(now);
        let Some(run) = &mut self.run else {
            return;
        };
        if run.usage_before.is_none() {
            run.look_at_timeline();
            if now >= run.record {
                run.meter = StallMeter::new(run.record);
                run.usage_before = Some(run.usage.read());
            }
        }
        let next = match &run.source {
            Source::Open(lane) => lane.intended(),
            Source::Closed { .. } => now,
        };
        run.tally.close_until(run.timeline.second_of(next));
    }

    /// Begins connections whose time has come. `all`: as many as are allowed at the same time.
    pub(super) fn begin_connections(&mut self, now: Nanos, all: bool) {
        let most = if all { CONNECTING } else { BEGUN };
        let mut begun = 0;
        for _ in 0..self.down.len().min(2 * most as usize) {
            if begun == most || self.connecting >= CONNECTING {
                return;
            }
            let Some(index) = self.down.pop_front() else {
                return;
            };
            let State::Down { until } = self.connections[index].state else {
                continue;
            };
            if until > now {
                self.down.push_back(index);
                continue;
            }
            begun += 1;
            self.begin(index);
        }
    }

    fn begin(&mut self, index: usize) {
        let at = self.clock.now_ns();
        let connection = &mut self.connections[index];
        self.failing -= u32::from(connection.failures > 0);
        self.connecting += 1;
        connection.began = at;
        connection.state = State::Connecting;
        let socket = Socket::connect(self.settings.transport, self.settings.address);
        let made = socket.and_then(|mut socket| {
            socket.register(self.poll.registry(), Token(index))?;
            let tls = self.settings.tls.as_ref().map(TlsClient::connect);
            Ok((socket, tls.transpose().map_err(io::Error::other)?))
        });
        match made {
            Ok((socket, tls)) => {
                connection.tls = tls;
                let at_once = matches!(socket, Socket::Datagrams(_));
                connection.socket = Some(socket);
                if at_once {
                    self.try_to_stand(index);
                }
            }
            Err(error) => {
                self.note_refusal(advice(&error));
                self.lose(index, at, Cow::Borrowed(kind_of(&error)));
            }
        }
    }

    /// The kernel says something about a socket that is being connected.
    pub(super) fn try_to_stand(&mut self, index: usize) {
        let at = self.clock.now_ns();
        let connection = &mut self.connections[index];
        let Some(socket) = &connection.socket else {
            return;
        };
        match socket.stands() {
            Ok(false) => {}
            Ok(true) => {
                connection.state = State::Greeting;
                match &mut connection.tls {
                    Some(tls) => tls.start(&mut connection.wire),
                    None => connection.session.open(&mut connection.out),
                }
                self.go_on(index, at);
            }
            Err(error) => {
                self.note_refusal(advice(&error));
                self.lose(index, at, Cow::Borrowed(kind_of(&error)));
            }
        }
    }

    /// A connection can take requests.
    pub(super) fn stand(&mut self, index: usize, at: Nanos) {
        self.connecting -= 1;
        let connection = &mut self.connections[index];
        connection.state = State::Open;
        let took = at.saturating_sub(connection.began);
        let again = std::mem::replace(&mut connection.stood, true);
        match &mut self.run {
            Some(run) => run.tally.connected(at, took, again),
            None => self.before.saturating_record(took.0),
        }
        self.places.offer(index, at);
    }

    /// A connection is lost: what is under way on it fails with `kind`.
    #[cold]
    pub(super) fn lose(&mut self, index: usize, at: Nanos, kind: Cow<'static, str>) {
        let connection = &mut self.connections[index];
        if matches!(connection.state, State::Down { .. }) {
            return;
        }
        while let Some(request) = connection.flight.take_oldest() {
            self.under_way -= 1;
            if let Some(run) = &mut self.run {
                run.tally.given_up(&request, at, &kind);
            }
        }
        if let Some(run) = &mut self.run {
            run.tally.lost(at);
        }
        if self.run.is_none() {
            let detail = self.last_session_error.take();
            self.note_refusal(
                detail.unwrap_or_else(|| format!("{kind}, before the first request")),
            );
        }
        self.last_failure = kind;
        self.put_down(index, at);
    }

    /// A connection is done with, and nothing is under way on it.
    pub(super) fn close(&mut self, index: usize, at: Nanos) {
        if self.connections[index].answered {
            self.put_down(index, at);
        } else {
            self.lose(index, at, Cow::Borrowed("closed"));
        }
    }

    fn put_down(&mut self, index: usize, at: Nanos) {
        let connection = &mut self.connections[index];
        connection.take_leave();
        if matches!(connection.state, State::Connecting | State::Greeting) {
            self.connecting -= 1;
        }
        // An attempt that brought no answer counts as a failure, so that a server that only takes
        // connections to close them is not asked without a pause.
        connection.failures += u32::from(!connection.answered);
        let until = match connection.failures {
            0 => at,
            failures => {
                let pause = Nanos(BACK_OFF.0 << (failures - 1).min(16)).min(LONGEST_BACK_OFF);
                connection.began + pause
            }
        };
        self.failing += u32::from(connection.failures > 0);
        connection.reset(self.maker.make(), until);
        self.down.push_back(index);
    }

    fn note_refusal(&mut self, cause: String) {
        self.refusal.get_or_insert(Refusal::Connect(cause));
    }

    /// Gives up connections that take too long to be made.
    pub(super) fn give_up_connecting(&mut self, now: Nanos) {
        for index in 0..self.connections.len() {
            self.give_up_if_late(index, now);
        }
    }

    fn give_up_if_late(&mut self, index: usize, now: Nanos) {
        let connection = &self.connections[index];
        if matches!(connection.state, State::Connecting | State::Greeting)
            && now.saturating_sub(connection.began) > self.settings.timeout
        {
            self.note_refusal(format!(
                "no connection within the timeout of {}",
                self.settings.timeout
            ));
            self.lose(index, now, Cow::Borrowed("connection timed out"));
        }
    }

    /// Looks at some connections for requests that have been under way for too long: at all of them in
    /// [`ROUND`] calls.
    fn keep(&mut self, now: Nanos) {
        let count = self.connections.len();
        for _ in 0..count.div_ceil(ROUND).max(ROUND.min(count)) {
            let index = self.next_kept;
            self.next_kept = (index + 1) % count;
            self.give_up_if_late(index, now);
            self.give_up_late_requests(index, now);
        }
    }

    fn give_up_late_requests(&mut self, index: usize, now: Nanos) {
        let timeout = self.settings.timeout;
        let mut gave_up = false;
        loop {
            let connection = &mut self.connections[index];
            let Some((ticket, request)) = connection.flight.oldest() else {
                break;
            };
            if now.saturating_sub(request.sent) <= timeout {
                break;
            }
            let goes_on = connection.session.abandon(ticket, &mut connection.out);
            if let Some(request) = connection.flight.take(ticket) {
                self.under_way -= 1;
                if let Some(run) = &mut self.run {
                    run.tally.given_up(&request, now, "timeout");
                }
            }
            gave_up = true;
            if !goes_on {
                let kind = Cow::Borrowed("closed with a timed-out request");
                return self.lose(index, now, kind);
            }
        }
        if gave_up {
            self.go_on(index, now);
        }
    }

    /// Ends the worker's recording at `at`: what is under way is unanswered, what is left is unsent.
    pub(super) fn conclude(&mut self, mut run: Run<'_>, at: Nanos) -> WorkerEnd {
        for connection in &mut self.connections {
            connection.take_leave();
            while let Some(request) = connection.flight.take_oldest() {
                run.tally.given_up(&request, at, "unanswered");
            }
        }
        count_unsent(&mut run, at);
        let usage = run
            .usage_before
            .map(|before| run.usage.read().since(&before));
        let until = at.min(run.end);
        let elapsed = until.saturating_sub(run.record);
        WorkerEnd {
            throughput: run.throughput,
            busy: elapsed.saturating_sub(run.idle),
            usage: usage.unwrap_or_default(),
            found: run.meter.found,
            swaps_missed: run.tally.finish(),
            last_session_error: self.last_session_error.take(),
        }
    }
}

/// Records requests that were due but never sent at the age that they have at `at`.
///
/// Those of one bucket of the histogram are counted together, so that the cost depends on the lane's way
/// of skipping, not on the histogram.
fn count_unsent(run: &mut Run<'_>, at: Nanos) {
    let Source::Open(lane) = &mut run.source else {
        return;
    };
    let due_until = at.min(run.end);
    while lane.intended() < due_until {
        let intended = lane.intended();
        run.tally.wait_for_room(intended);
        let age = (at - intended).0;
        // Ages of up to a thousandth less are in the same bucket, or in its neighbour.
        let bucket = Nanos(intended.0 + age / 2000 + 1);
        let second = run.timeline.second_of(intended);
        let until = bucket.min(due_until).min(run.timeline.start_of(second + 1));
        let count = lane.left_before(until).max(1);
        run.tally.unsent(intended, age, count);
        lane.skip(count);
        let next = run.timeline.second_of(lane.intended());
        if next != second {
            run.tally.close_until(next);
        }
    }
}

/// Keeps the constants of this file in the proportion that its comments speak of.
const _: () = assert!(BACK_OFF.0 > UPKEEP_EVERY.0 && BEGUN < CONNECTING);
