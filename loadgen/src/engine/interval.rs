//! What one recording thread hands over for one second of the schedule.

use super::slow::SlowSet;
use crate::clock::Nanos;
use hdrhistogram::Histogram;

/// The highest value that is told apart, in nanoseconds: 100 s. Slower requests count as this.
pub(crate) const HIGHEST: u64 = 100_000_000_000;

/// An empty histogram of latencies: 1 ns to 100 s, three digits, about 230 KiB.
pub(crate) fn histogram() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1, HIGHEST, 3);
    let mut histogram = made.unwrap_or_else(|_| unreachable!("these bounds are valid"));
    // Zeroed memory is only promised by the kernel; writing the zeros faults it in now, and not
    // when the first slow request is recorded.
    histogram.reset();
    histogram
}

/// Which part of the run an interval holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// Warm-up: recorded like the rest, so that it costs the same, and then thrown away.
    WarmUp,
    /// Seconds of a warm-up whose end is not decided yet, from the schedule's begin.
    Warming {
        /// The first second held.
        first: u64,
        /// The last second held.
        last: u64,
    },
    /// Seconds of the recorded schedule, from 0; more than one if a swap was missed.
    Seconds {
        /// The first second held.
        first: u64,
        /// The last second held.
        last: u64,
    },
}

/// Histograms and slow requests of the requests that were due in `span`.
#[derive(Debug)]
pub(crate) struct Interval {
    pub(crate) span: Span,
    pub(crate) response: Histogram<u64>,
    pub(crate) service: Histogram<u64>,
    pub(crate) slow: SlowSet,
}

impl Interval {
    pub(crate) fn new() -> Interval {
        Interval {
            span: Span::WarmUp,
            response: histogram(),
            service: histogram(),
            slow: SlowSet::new(),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.span = Span::WarmUp;
        self.response.reset();
        self.service.reset();
        self.slow.clear();
    }
}

/// The instants that divide a run: fixed before it starts, or, but for the first, during its warm-up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    /// Request 0 is due.
    pub(crate) begin: Nanos,
    /// Warm-up ends; requests due from here on are recorded.
    pub(crate) record: Nanos,
    /// The schedule ends: nothing is due from here on.
    pub(crate) end: Nanos,
    /// What was not started by now is unserved.
    pub(crate) cut: Nanos,
    /// How long the recorded part is.
    pub(crate) duration: Nanos,
}

impl Timeline {
    /// `begin`, then warm-up, then the schedule, then the grace.
    ///
    /// Grace: a run that kept its schedule has at most a short queue when the schedule ends, and
    /// those requests must not be lost; a saturated one could take as long again for its backlog,
    /// and would learn nothing new. So the queue is served for a tenth of the duration, at least
    /// 100 ms, at most a second; then the run is cut.
    pub(crate) fn new(begin: Nanos, warmup: Nanos, duration: Nanos) -> Timeline {
        let grace = Nanos(duration.0 / 10)
            .min(Nanos::SECOND)
            .max(Nanos::from_millis(100));
        let record = begin + warmup;
        let end = record + duration;
        Timeline {
            begin,
            record,
            end,
            cut: end + grace,
            duration,
        }
    }

    /// `begin`, then a warm-up without an end yet: what follows it is later than any instant.
    pub(crate) fn undecided(begin: Nanos, duration: Nanos) -> Timeline {
        let never = Nanos(u64::MAX);
        Timeline {
            begin,
            record: never,
            end: never,
            cut: never,
            duration,
        }
    }

    /// Whether the recorded part's beginning is known.
    pub(crate) fn is_decided(&self) -> bool {
        self.record < Nanos(u64::MAX)
    }

    /// The same schedule, recorded from its second `second` on.
    pub(crate) fn recording_from(&self, second: u64) -> Timeline {
        Timeline::new(self.begin, Nanos(second * Nanos::SECOND.0), self.duration)
    }

    /// The recorded second that `intended` falls into.
    pub(crate) fn second_of(&self, intended: Nanos) -> u64 {
        intended.saturating_sub(self.record).0 / Nanos::SECOND.0
    }

    /// Start and length of recorded seconds; the last one may be short.
    pub(crate) fn span(&self, first: u64, last: u64) -> (Nanos, Nanos) {
        let start = self.record + Nanos(first * Nanos::SECOND.0);
        let end = self.record + Nanos((last + 1) * Nanos::SECOND.0);
        (start, end.min(self.end).saturating_sub(start))
    }
}
