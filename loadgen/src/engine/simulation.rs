//! The engine's own loop on a simulated clock: exact, repeatable, independent of the machine.

use super::inline::serve;
use super::interval::{HIGHEST, Interval, Span, Timeline, histogram};
use super::pacer::{Due, Ended, Next, Pacer};
use super::stalls::StallMeter;
use super::tally::{Exchange, Tally, Totals};
use crate::clock::simulated::SimulatedClock;
use crate::clock::{Clock, Nanos};
use crate::order::generate::Corpus;
use crate::quantity::Rate;
use crate::schedule::Schedule;
use crate::workload::{Verdict, Workload};
use hdrhistogram::Histogram;
use rtrb::RingBuffer;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const START: Nanos = Nanos(5_000_000_000);
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;

/// Takes `each` per request, and `stall` more whenever a multiple of `every` has passed.
struct Planted<'a> {
    clock: SimulatedClock,
    each: Nanos,
    stall: Nanos,
    every: Nanos,
    next_stall: Nanos,
    handled: u64,
    /// Halts the run after so many requests.
    halt_after: Option<(u64, &'a AtomicBool)>,
}

impl Planted<'_> {
    fn steady(clock: &SimulatedClock, each: Nanos) -> Self {
        Planted::stalling(clock, each, Nanos(0), Nanos(u64::MAX / 2))
    }

    fn stalling(clock: &SimulatedClock, each: Nanos, stall: Nanos, every: Nanos) -> Self {
        let next_stall = START + Nanos(every.0 / 2);
        Planted {
            clock: clock.clone(),
            each,
            stall,
            every,
            next_stall,
            handled: 0,
            halt_after: None,
        }
    }
}

impl Workload for Planted<'_> {
    fn handle(&mut self, _: &[u8]) -> Verdict {
        if self.clock.now_ns() >= self.next_stall {
            self.next_stall += self.every;
            self.clock.advance(self.stall);
        }
        self.clock.advance(self.each);
        self.handled += 1;
        if let Some((after, halt)) = self.halt_after {
            halt.store(self.handled >= after, Ordering::Relaxed);
        }
        Verdict::Accepted
    }

    fn checksum(&self) -> u64 {
        self.handled
    }

    fn settled_windows(&self) -> u64 {
        0
    }
}

struct Simulated {
    totals: Totals,
    intervals: Vec<Interval>,
    timeline: Timeline,
    schedule: Schedule,
}

impl Simulated {
    fn merged(&self, series: impl Fn(&Interval) -> &Histogram<u64>) -> Histogram<u64> {
        let mut sum = histogram();
        for interval in self
            .intervals
            .iter()
            .filter(|interval| interval.span != Span::WarmUp)
        {
            sum.add(series(interval)).unwrap();
        }
        sum
    }

    fn response(&self) -> Histogram<u64> {
        self.merged(|interval| &interval.response)
    }

    fn service(&self) -> Histogram<u64> {
        self.merged(|interval| &interval.service)
    }

    fn due(&self) -> u64 {
        self.schedule.due_before(self.timeline.end) - self.schedule.due_before(self.timeline.record)
    }
}

struct Simulation {
    rate: u64,
    warmup: Nanos,
    duration: Nanos,
    step: Nanos,
    clean: usize,
}

impl Default for Simulation {
    fn default() -> Simulation {
        Simulation {
            rate: 100_000,
            warmup: Nanos(0),
            duration: Nanos::SECOND,
            step: Nanos(500),
            clean: 40,
        }
    }
}

fn corpus() -> &'static Corpus {
    static CORPUS: OnceLock<Corpus> = OnceLock::new();
    CORPUS.get_or_init(|| Corpus::generate(1))
}

impl Simulation {
    fn run<'a>(
        &self,
        halt: &'a AtomicBool,
        workload: impl FnOnce(&SimulatedClock) -> Planted<'a>,
    ) -> Simulated {
        let clock = SimulatedClock::new(START, self.step);
        let timeline = Timeline::new(START, self.warmup, self.duration);
        let schedule = Schedule::new(timeline.begin, Rate::per_second(self.rate).unwrap());
        let (full, mut filled) = RingBuffer::new(self.clean + 1);
        let (mut cleaned, clean) = RingBuffer::new(self.clean);
        for _ in 0..self.clean {
            cleaned.push(Box::new(Interval::new())).unwrap();
        }
        // Without this end the thread sees that no clean interval will come, and does not wait.
        drop(cleaned);
        let progress = AtomicU64::new(0);
        let mut tally = Tally::new(
            Box::new(Interval::new()),
            Exchange { full, clean },
            timeline,
            &progress,
        );
        let mut meter = StallMeter::new(timeline.record);
        let mut pacer = Pacer::new(schedule.lane(0, 1), timeline.end, timeline.cut, halt);
        let mut workload = workload(&clock);
        let ended = serve(
            &clock,
            &mut pacer,
            corpus(),
            &mut workload,
            &mut tally,
            &mut meter,
        );
        let totals = tally.finish(pacer.lane, ended);
        let intervals = std::iter::from_fn(|| filled.pop().ok())
            .map(|interval| *interval)
            .collect();
        Simulated {
            totals,
            intervals,
            timeline,
            schedule,
        }
    }
}

mod tests;
