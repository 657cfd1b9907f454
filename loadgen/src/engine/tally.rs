//! Records requests on the thread that served them, and hands each second over.
//!
//! No allocation, no lock and no system call per request or per second: a second's histograms go
//! to the recorder by a ring, a clean pair comes back by another. When none is clean the thread
//! goes on with the pair it has, and the interval spans two seconds: counted, never waited for.

use super::interval::{HIGHEST, Interval, Span, Timeline};
use super::machine::{Usage, UsageProbe};
use super::pacer::{Due, Ended};
use super::stalls::{BUSY_CHECK, StallMeter};
use super::warmup::{Decision, LOOK, Warming};
use crate::clock::Nanos;
use crate::schedule::Lane;
use crate::workload::Verdict;
use rtrb::{Consumer, Producer};
use std::sync::atomic::{AtomicU64, Ordering};
use tailcut_report::recording::SlowRequest;

/// The worker's ends of the rings to and from the recorder.
pub(crate) struct Exchange {
    /// Intervals to be written. Has room for every interval there is: a push cannot fail.
    pub(crate) full: Producer<Box<Interval>>,
    /// Intervals to be filled.
    pub(crate) clean: Consumer<Box<Interval>>,
}

/// What a recording thread counted of the requests due in the recorded schedule.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) completed: u64,
    /// Completed after the schedule's end.
    pub(crate) late: u64,
    pub(crate) refused: u64,
    pub(crate) unserved: u64,
    /// Seconds that had to share an interval with the one before.
    pub(crate) swaps_missed: u64,
    /// Slow requests that gave way to slower ones of the same second.
    pub(crate) slow_displaced: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        let &Counts {
            completed,
            late,
            refused,
            unserved,
            swaps_missed,
            slow_displaced,
        } = other;
        self.completed += completed;
        self.late += late;
        self.refused += refused;
        self.unserved += unserved;
        self.swaps_missed += swaps_missed;
        self.slow_displaced += slow_displaced;
    }
}

/// What a thread got done between the start and the end of the recorded schedule, whenever it was
/// due: a service that starts with a backlog from the warm-up works it off in this time, and its
/// throughput must not look lower for that.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Throughput {
    pub(crate) requests: u64,
    /// Time in service.
    pub(crate) busy: Nanos,
}

impl Throughput {
    #[inline(always)]
    pub(crate) fn note(&mut self, timeline: &Timeline, end: Nanos, service: Nanos) {
        let within = u64::from(end >= timeline.record && end <= timeline.end);
        self.requests += within;
        self.busy.0 += within * service.0;
    }
}

/// All that one recording thread leaves behind, besides its intervals.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    pub(crate) throughput: Throughput,
    pub(crate) usage: Usage,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Totals) {
        self.counts.add(&other.counts);
        self.throughput.requests += other.throughput.requests;
        self.throughput.busy += other.throughput.busy;
        self.usage.add(&other.usage);
    }
}

/// Records one thread's requests.
pub(crate) struct Tally<'a> {
    current: Box<Interval>,
    exchange: Exchange,
    timeline: Timeline,
    /// As long as the end of the warm-up is decided on the way, and not reached.
    warming: Option<Warming<'a>>,
    /// The current second ends here; in such a warm-up, the time to look whether its end is known.
    second_end: Nanos,
    recording: bool,
    counts: Counts,
    throughput: Throughput,
    /// Requests completed, warm-up included.
    handled: u64,
    progress: &'a AtomicU64,
    /// The kernel's id of this thread.
    thread: u32,
    usage: UsageProbe,
    usage_at_start: Option<Usage>,
}

impl<'a> Tally<'a> {
    /// For the calling thread. `current` is what it fills first; `decision` is made during the warm-up, where the
    /// timeline has none.
    pub(crate) fn new(
        mut current: Box<Interval>,
        exchange: Exchange,
        timeline: Timeline,
        decision: &'a Decision,
        progress: &'a AtomicU64,
    ) -> Tally<'a> {
        let warming = (!timeline.is_decided()).then_some(Warming {
            decision,
            second: 0,
        });
        let mut second_end = timeline.record;
        if warming.is_some() {
            current.span = Span::Warming { first: 0, last: 0 };
            second_end = timeline.begin + LOOK;
        }
        Tally {
            current,
            exchange,
            timeline,
            warming,
            second_end,
            recording: false,
            counts: Counts::default(),
            throughput: Throughput::default(),
            handled: 0,
            progress,
            thread: super::machine::thread_id(),
            usage: UsageProbe::of_this_thread(),
            usage_at_start: None,
        }
    }

    /// Records a request: `response` runs from its intended start, `service` is time in service.
    #[inline(always)]
    pub(crate) fn note(
        &mut self,
        due: Due,
        end: Nanos,
        service: Nanos,
        verdict: Verdict,
        meter: &mut StallMeter,
    ) {
        if due.intended >= self.second_end {
            self.turn(due.intended, meter);
        }
        let response = end - due.intended;
        self.current.response.saturating_record(response.0);
        self.current.service.saturating_record(service.0);
        let thread = self.thread;
        self.current.slow.offer(response, || SlowRequest {
            intended_ns: due.intended.0,
            start_ns: due.start.0,
            end_ns: end.0,
            thread,
            request: due.request,
        });
        self.counts.completed += 1;
        self.counts.late += u64::from(end > self.timeline.end);
        self.counts.refused += u64::from(verdict == Verdict::Refused);
        self.throughput.note(&self.timeline, end, service);
        if service > BUSY_CHECK {
            meter.long_service(service, due.intended);
        }
        // The recorder looks once a second: the store stays in this core's cache.
        self.handled += 1;
        self.progress.store(self.handled, Ordering::Relaxed);
    }

    /// `intended` is the first request due after the current second, or after the last look.
    #[cold]
    #[inline(never)]
    fn turn(&mut self, intended: Nanos, meter: &mut StallMeter) {
        if !self.still_warming(intended, meter) {
            self.next_second(intended);
        }
    }

    /// Whether the request due at `intended` belongs to a warm-up whose end is decided on the way. Looks whether it
    /// has been, and hands over each second for the recorder to decide by.
    fn still_warming(&mut self, intended: Nanos, meter: &mut StallMeter) -> bool {
        let Some(warming) = &mut self.warming else {
            return false;
        };
        let begin = self.timeline.begin;
        let second = intended.saturating_sub(begin).0 / Nanos::SECOND.0;
        let before = std::mem::replace(&mut warming.second, second);
        if !self.timeline.is_decided()
            && let Some(record) = warming.decision.enter(second)
        {
            self.timeline = self.timeline.recording_from(record);
            meter.from = self.timeline.record;
        }
        if intended >= self.timeline.record {
            self.warming = None;
            return false;
        }
        let looks = intended.saturating_sub(begin).0 / LOOK.0 + 1;
        self.second_end = (begin + Nanos(looks * LOOK.0)).min(self.timeline.record);
        let span = Span::Warming {
            first: second,
            last: second,
        };
        if second != before
            && !self.swap(span)
            && let Span::Warming { last, .. } = &mut self.current.span
        {
            *last = second;
        }
        true
    }

    /// `intended` is the first request due in a later recorded second than the current one.
    #[cold]
    #[inline(never)]
    fn next_second(&mut self, intended: Nanos) {
        let second = self.timeline.second_of(intended);
        self.second_end = self.timeline.record + Nanos((second + 1) * Nanos::SECOND.0);
        let span = Span::Seconds {
            first: second,
            last: second,
        };
        if !self.recording {
            self.recording = true;
            self.counts = Counts::default();
            self.usage_at_start = Some(self.usage.read());
            if !self.swap(span) {
                self.current.reset();
                self.current.span = span;
            }
        } else if !self.swap(span) {
            self.counts.swaps_missed += 1;
            if let Span::Seconds { last, .. } = &mut self.current.span {
                *last = second;
            }
        }
    }

    /// Exchanges the current interval for a clean one of `span`, if there is one.
    fn swap(&mut self, span: Span) -> bool {
        let Ok(mut clean) = self.exchange.clean.pop() else {
            return false;
        };
        clean.span = span;
        let full = std::mem::replace(&mut self.current, clean);
        self.hand_over(full);
        true
    }

    fn hand_over(&mut self, full: Box<Interval>) {
        self.counts.slow_displaced += full.slow.displaced();
        // There is room for every interval; if the recorder is gone nobody misses this one.
        let _ = self.exchange.full.push(full);
    }

    /// Ends the thread's recording. `lane` stands at the first request that was not started.
    pub(crate) fn finish<L: Lane>(mut self, mut lane: L, ended: Ended) -> Totals {
        if let Some(warming) = self.warming.take()
            && !self.timeline.is_decided()
            && let Some(record) = warming.decision.known()
        {
            self.timeline = self.timeline.recording_from(record);
        }
        match ended {
            Ended::Schedule => {}
            // Halted during the warm-up, before its end was known: nothing was recorded.
            _ if !self.timeline.is_decided() => {}
            Ended::Cut(at) | Ended::Halted(at) => self.count_unserved(&mut lane, at),
        }
        let usage = self
            .usage_at_start
            .map(|before| self.usage.read().since(&before));
        let Tally {
            current,
            mut exchange,
            mut counts,
            throughput,
            recording,
            ..
        } = self;
        if recording {
            counts.slow_displaced += current.slow.displaced();
        } else {
            counts = Counts::default();
        }
        let _ = exchange.full.push(current);
        Totals {
            counts,
            throughput,
            usage: usage.unwrap_or_default(),
        }
    }

    /// Puts requests that were due but never started into the response histograms, at the age
    /// they had when the run was cut: less than what they would have taken, and never nothing.
    ///
    /// Whole buckets are filled at once: where the lane can jump, the cost does not depend on how many
    /// there are. A drawn lane steps through them, 20 ns each: those of a schedule of 2.4 million a second, of which
    /// nothing was served, in a twentieth of the time it lasted.
    fn count_unserved<L: Lane>(&mut self, lane: &mut L, cut: Nanos) {
        lane.skip_before(self.timeline.record);
        let due_until = cut.min(self.timeline.end);
        while lane.intended() < due_until {
            if lane.intended() >= self.second_end {
                self.wait_for_clean();
                self.next_second(lane.intended());
            }
            let age = (cut - lane.intended()).0.min(HIGHEST);
            let histogram = &mut self.current.response;
            let bucket_start = histogram.lowest_equivalent(age);
            // The youngest of this bucket was due at `cut - bucket_start`.
            let until = Nanos(cut.0 - bucket_start + 1)
                .min(due_until)
                .min(self.second_end);
            let count = lane.skip_before(until);
            // In range by the clamp above.
            let _ = histogram.record_n(age, count);
            self.counts.unserved += count;
        }
    }

    /// The run is over, so waiting disturbs nothing: each second gets its own interval.
    fn wait_for_clean(&self) {
        while self.exchange.clean.is_empty() && !self.exchange.clean.is_abandoned() {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }
}
