//! A worker: one thread, its connections, its lane of the schedule, one event loop.
//!
//! A turn of the loop: read the clock; hand every due request to a connection with room; read what the
//! kernel says is readable; once a millisecond look after timeouts and lost connections. What is due is
//! handed out in chunks of up to [`CHUNK`] to a connection, so that one write carries many requests when
//! many are due: at high rates batches arise by themselves, and at low rates there are none.
//!
//! **The schedule is never moved.** A request that is due and finds no connection with room waits in the
//! lane, which costs nothing however many they are, and its response time runs. So does that of a request
//! whose bytes the kernel does not take because the peer does not read.
//!
//! **Requests without an answer** are recorded at the age that they have when they are given up, and
//! counted as errors by kind: `timeout`; `closed with a timed-out request` (others on that connection, where
//! answers come in order); `reset`, `closed`, `closed early`, `bad reply`...  (the connection was lost);
//! `unanswered` (at the end of the run). While no connection stands and the last attempt to make one has
//! failed for each of them, due requests fail at once, unsent, with the kind of that failure
//! (`connection refused`): as they would for any client.
//!
//! Cost (orders over loopback TCP, one connection's pipeline 256 deep, an EPYC guest): about 80 ns of the
//! worker's own a request, of which 30 are histograms, and 250 of the kernel's, so that one worker sends and
//! receives 2.8 to 3.1 million a second. Without batches, one request to a write and a read, it is 8 us, nearly all
//! of it the kernel's. `examples/ceiling.rs` measures both. Nothing is allocated for a request once
//! buffers are warm, but by protocols that say so.

mod receiving;
mod sending;
mod upkeep;
mod waiting;

use super::NetworkError;
use super::connection::{Connection, State};
use super::places::Places;
use super::session::{Event, MakeSession};
use super::source::Source;
use super::tally::Tally;
use super::target::Transport;
use super::timeline::{Shared, Timeline};
use super::tls::TlsClient;
use crate::clock::{Clock, Nanos};
use crate::engine::interval::histogram;
use crate::engine::machine::{Usage, UsageProbe};
use crate::engine::stalls::{Found, StallMeter};
use hdrhistogram::Histogram;
use mio::{Events, Poll};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use waiting::Alarm;

/// Requests handed to one connection in one go, at most.
///
/// One write to a loopback socket costs 2 to 5 us, whatever it holds: spread over 16 connections one
/// by one, a write and a read for each, 300,000 requests a second fill a core.
const CHUNK: u32 = 32;

/// Sockets looked at in one turn: more would make requests that fall due meanwhile late.
const EVENTS: usize = 64;

/// How much is read by one call.
const SCRATCH: usize = 64 << 10;

/// How often timeouts and lost connections are looked after.
const UPKEEP_EVERY: Nanos = Nanos(1_000_000);

/// What does not change during a run.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsClient>,
    pub(super) transport: Transport,
    /// The target as it is written, for errors.
    pub(super) target: String,
    /// Connections of this worker.
    pub(super) connections: u32,
    pub(super) pipeline: u32,
    pub(super) timeout: Nanos,
    /// Whether waiting may burn the core: it is nobody else's.
    pub(super) spin: bool,
    /// Whether it is bound to its core.
    pub(super) pin: bool,
}

/// What a worker leaves behind, besides its parts.
#[derive(Debug, Default)]
pub(super) struct WorkerEnd {
    /// Requests answered between the start and the end of the recorded part, whenever they were due.
    pub(super) throughput: u64,
    /// Time in the recorded part in which there was something to do.
    pub(super) busy: Nanos,
    pub(super) usage: Usage,
    pub(super) found: Found,
    pub(super) swaps_missed: u64,
    /// How an answer broke the protocol, if one did.
    pub(super) last_session_error: Option<String>,
}

/// See the module's head.
pub(super) struct Worker<'a, C, M: MakeSession> {
    clock: &'a C,
    maker: &'a M,
    shared: &'a Shared,
    settings: Settings,
    poll: Poll,
    events: Events,
    alarm: Alarm,
    connections: Vec<Connection<M::Session>>,
    places: Places,
    /// Connections to be begun, when their time has come.
    down: VecDeque<usize>,
    /// Connections of which more is to be read than was.
    unread: Vec<usize>,
    /// What a session found; kept for its memory.
    found: Vec<Event>,
    scratch: Box<[u8]>,
    /// What was deciphered.
    plain: Vec<u8>,
    /// Requests on connections.
    under_way: u64,
    /// The size of the largest request so far, for datagrams.
    largest: usize,
    /// Connections being made.
    connecting: u32,
    /// Connections that are down because the last attempt failed.
    failing: u32,
    /// What the last lost connection was lost for.
    last_failure: Cow<'static, str>,
    last_session_error: Option<String>,
    /// Why a connection could not be made before the schedule.
    refusal: Option<Refusal>,
    /// How long connections took that were made before the schedule.
    before: Histogram<u64>,
    /// What a run adds, once there is one.
    run: Option<Run<'a>>,
    /// Where [`Worker::keep`] goes on.
    next_kept: usize,
    next_upkeep: Nanos,
    /// Something last came in.
    last_event: Nanos,
}

/// Why a connection cannot be made.
enum Refusal {
    /// The kernel's or the session's reason, for people.
    Connect(String),
    /// The cipher's.
    Tls(NetworkError),
}

/// What a run adds to a worker whose connections stand.
struct Run<'a> {
    timeline: &'a Timeline,
    source: Source,
    tally: Tally<'a>,
    meter: StallMeter,
    /// Nothing is due from here on.
    end: Nanos,
    /// The recorded part begins.
    record: Nanos,
    send_until: Nanos,
    cut: Nanos,
    throughput: u64,
    idle: Nanos,
    usage: UsageProbe,
    usage_before: Option<Usage>,
}

impl<'a, C: Clock, M: MakeSession> Worker<'a, C, M> {
    /// Makes the event loop; connects to nothing yet.
    ///
    /// # Errors
    /// [`NetworkError::EventLoop`].
    pub(super) fn new(
        clock: &'a C,
        maker: &'a M,
        shared: &'a Shared,
        index: usize,
        settings: Settings,
    ) -> Result<Worker<'a, C, M>, NetworkError> {
        let poll = Poll::new().map_err(NetworkError::EventLoop)?;
        let alarm = Alarm::new(poll.registry()).map_err(NetworkError::EventLoop)?;
        let waker =
            mio::Waker::new(poll.registry(), waiting::WAKER).map_err(NetworkError::EventLoop)?;
        let _ = shared.workers[index].waker.set(waker);
        let count = settings.connections as usize;
        let pipeline = settings.pipeline;
        Ok(Worker {
            clock,
            maker,
            shared,
            poll,
            events: Events::with_capacity(EVENTS),
            alarm,
            connections: (0..count)
                .map(|_| Connection::new(maker.make(), pipeline))
                .collect(),
            places: Places::new(count),
            down: (0..count).collect(),
            unread: Vec::with_capacity(count),
            found: Vec::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            plain: Vec::new(),
            under_way: 0,
            largest: 0,
            connecting: 0,
            failing: 0,
            last_failure: Cow::Borrowed("closed"),
            last_session_error: None,
            refusal: None,
            before: histogram(),
            run: None,
            next_kept: 0,
            next_upkeep: Nanos(0),
            last_event: Nanos(0),
            settings,
        })
    }

    /// Makes all connections, or says why one of them could not be made.
    ///
    /// All must stand: a run over fewer than were asked for would measure something else.
    ///
    /// # Errors
    /// [`NetworkError::Connect`] for the first that fails or takes longer than the timeout;
    /// [`NetworkError::Tls`].
    pub(super) fn connect(&mut self) -> Result<(), NetworkError> {
        let mut standing = 0;
        while standing < self.connections.len() && !self.shared.halted() {
            let now = self.clock.now_ns();
            self.begin_connections(now, true);
            self.give_up_connecting(now);
            self.turn_of_events(Some(Nanos(now.0 + UPKEEP_EVERY.0)))?;
            standing = self.standing();
            if let Some(cause) = self.refusal.take() {
                let all = self.connections.len();
                return Err(match cause {
                    Refusal::Tls(error) => error,
                    Refusal::Connect(cause) => NetworkError::Connect {
                        target: self.settings.target.clone(),
                        cause: if standing == 0 {
                            cause
                        } else {
                            format!("{cause} (after {standing} of {all} connections stood)")
                        },
                    },
                });
            }
        }
        Ok(())
    }

    fn standing(&self) -> usize {
        let states = self.connections.iter().map(|connection| connection.state);
        states.filter(|state| *state == State::Open).count()
    }

    /// How long the connections took that stand now.
    pub(super) fn connect_times(&self) -> &Histogram<u64> {
        &self.before
    }

    /// Sends what `source` holds, reads what comes back, until the end of the timeline.
    ///
    /// # Errors
    /// [`NetworkError::EventLoop`] if the kernel cannot be asked any more.
    pub(super) fn run(
        &mut self,
        timeline: &'a Timeline,
        source: Source,
        tally: Tally<'a>,
    ) -> Result<WorkerEnd, NetworkError> {
        let mut run = Run {
            timeline,
            source,
            tally,
            meter: StallMeter::new(Nanos(u64::MAX)),
            record: Nanos(u64::MAX),
            end: Nanos(u64::MAX),
            send_until: Nanos(u64::MAX),
            cut: Nanos(u64::MAX),
            throughput: 0,
            idle: Nanos(0),
            usage: UsageProbe::of_this_thread(),
            usage_before: None,
        };
        run.look_at_timeline();
        self.run = Some(run);
        let mut before = self.clock.now_ns();
        // Whether there was something to do since, and whether the thread slept.
        let (mut worked, mut slept) = (true, false);
        let stopped = loop {
            let now = self.clock.now_ns();
            if !worked && let Some(run) = &mut self.run {
                run.idled(before, now, slept);
            }
            before = now;
            if now >= self.next_upkeep {
                self.next_upkeep = now + UPKEEP_EVERY;
                self.upkeep(now);
                if self.shared.halted() || self.run.as_ref().is_none_or(|run| now >= run.cut) {
                    break now;
                }
            }
            if !self.down.is_empty() {
                self.begin_connections(now, false);
            }
            let sent = self.hand_out(now);
            if self.under_way == 0 && self.run.as_ref().is_none_or(|run| run.is_over(now)) {
                break now;
            }
            let wait = if sent || !self.unread.is_empty() {
                None
            } else {
                self.wait_until(now)
            };
            slept = wait.is_some();
            worked = self.turn_of_events(wait)? || sent;
        };
        let run = self.run.take();
        Ok(run.map_or_else(WorkerEnd::default, |run| self.conclude(run, stopped)))
    }
}

/// A gap between two looks of a spinning thread from which on it is the machine's.
const GAP: Nanos = Nanos(20_000);

impl Run<'_> {
    /// Takes over what is known of the timeline by now.
    fn look_at_timeline(&mut self) {
        if let Some(record) = self.timeline.record() {
            self.record = record;
            self.end = self.timeline.end();
            self.send_until = self.timeline.send_until();
            self.cut = self.timeline.cut();
        }
    }

    /// Whether the next request is due.
    #[inline(always)]
    fn is_due(&self, now: Nanos) -> bool {
        let intended = self.source.intended(now);
        intended <= now && intended < self.end && now < self.send_until
    }

    /// Whether nothing is sent any more: all that was due has been, or it is too late.
    fn is_over(&self, now: Nanos) -> bool {
        self.source.intended(now) >= self.end || now >= self.send_until
    }

    /// The thread had nothing to do between two readings of the clock.
    #[inline(always)]
    fn idled(&mut self, before: Nanos, now: Nanos, slept: bool) {
        if before >= self.record && now <= self.end {
            self.idle += now - before;
            if !slept && now - before > GAP {
                self.meter.idle_gap(now - before, now);
            }
        }
    }
}
