//! The engine's own loop on a simulated clock: exact, repeatable, independent of the machine.

use super::inline::serve;
use super::interval::{HIGHEST, Interval, Span, Timeline, histogram};
use super::pacer::{Due, Ended, Next, Pacer};
use super::stage::Stage;
use super::stalls::StallMeter;
use super::tally::{Exchange, Tally, Totals};
use super::warmup::Decision;
use crate::clock::simulated::SimulatedClock;
use crate::clock::{Clock, Nanos};
use crate::order::generate::Corpus;
use crate::quantity::Rate;
use crate::schedule::Lane;
use crate::schedule::constant::Constant;
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
    /// Ends the warm-up after so many requests, as the recorder would: not before this second of the schedule.
    end_warm_up_after: Option<(u64, &'a Decision, u64)>,
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
            end_warm_up_after: None,
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
        if let Some((after, decision, earliest)) = self.end_warm_up_after
            && self.handled == after
        {
            decision.make(earliest);
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
    schedule: Constant,
}

impl Simulated {
    fn merged(&self, series: impl Fn(&Interval) -> &Histogram<u64>) -> Histogram<u64> {
        let mut sum = histogram();
        for interval in self
            .intervals
            .iter()
            .filter(|interval| matches!(interval.span, Span::Seconds { .. }))
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
        self.run_lane(self.schedule().lane(0, 1), halt, workload)
    }

    /// With requests that are due at other times.
    fn run_lane<'a, L: Lane>(
        &self,
        lane: L,
        halt: &'a AtomicBool,
        workload: impl FnOnce(&SimulatedClock) -> Planted<'a>,
    ) -> Simulated {
        let timeline = Timeline::new(START, self.warmup, self.duration);
        self.run_along(timeline, lane, &Stage::new(1, 1), halt, workload)
    }

    /// With a warm-up whose end is decided on the way.
    fn run_undecided<'a>(
        &self,
        stage: &Stage,
        halt: &'a AtomicBool,
        workload: impl FnOnce(&SimulatedClock) -> Planted<'a>,
    ) -> Simulated {
        let timeline = Timeline::undecided(START, self.duration);
        self.run_along(timeline, self.schedule().lane(0, 1), stage, halt, workload)
    }

    fn schedule(&self) -> Constant {
        Constant::new(START, Rate::per_second(self.rate).unwrap())
    }

    fn run_along<'a, L: Lane>(
        &self,
        timeline: Timeline,
        lane: L,
        stage: &Stage,
        halt: &'a AtomicBool,
        workload: impl FnOnce(&SimulatedClock) -> Planted<'a>,
    ) -> Simulated {
        let clock = SimulatedClock::new(START, self.step);
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
            &stage.decision,
            &progress,
        );
        let mut meter = StallMeter::new(timeline.record);
        let mut pacer = Pacer::new(lane, timeline.end, timeline.cut, halt);
        let mut workload = workload(&clock);
        let mut serve = |pacer: &mut Pacer<'_, _>, meter: &mut StallMeter| {
            serve(&clock, pacer, corpus(), &mut workload, &mut tally, meter)
        };
        let warm_up = stage.through_warm_up(&clock, &mut pacer, &timeline, &mut meter, &mut serve);
        let (timeline, ended) = match warm_up {
            Ok(timeline) => {
                pacer.until(timeline.end, timeline.cut);
                (timeline, serve(&mut pacer, &mut meter))
            }
            Err(early) => (timeline, early),
        };
        let totals = tally.finish(pacer.lane, ended);
        let intervals = std::iter::from_fn(|| filled.pop().ok())
            .map(|interval| *interval)
            .collect();
        Simulated {
            totals,
            intervals,
            timeline,
            schedule: self.schedule(),
        }
    }
}

mod tests;
