//! The instants that divide a run, and what its threads share.
//!
//! Seconds of the schedule are counted from [`Timeline::origin`], in whole seconds before the start of the
//! recorded part, so that no second lies half in it. With a fixed warm-up everything is known before the
//! run. With an automatic one the recorder decides while the run goes on; it does so in good time before
//! the second that it chooses, so that every worker knows when that second begins.

use crate::clock::Nanos;
use crate::scenario::WarmUp;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Not decided yet.
const UNKNOWN: u64 = u64::MAX;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Where second 0 begins; at most a second before the schedule.
    pub(super) origin: Nanos,
    /// Request 0 is due.
    pub(super) begin: Nanos,
    /// Length of the recorded part.
    pub(super) duration: Nanos,
    /// How long after the schedule's end requests are still sent.
    pub(super) grace: Nanos,
    /// How long after it answers are waited for.
    pub(super) patience: Nanos,
    record: AtomicU64,
}

impl Timeline {
    /// Of a run whose request 0 is due at `begin`.
    ///
    /// Grace: a run that kept its schedule has at most a short backlog when the schedule ends, and those
    /// requests must not be lost; a saturated one could go on for as long again, and would learn nothing
    /// new. So a backlog is sent for a tenth of the duration, at least 100 ms, at most a second, and never
    /// longer than the `timeout`. Answers are waited for until the timeout of the last request that was
    /// due.
    pub(super) fn new(begin: Nanos, warm_up: WarmUp, duration: Nanos, timeout: Nanos) -> Timeline {
        let grace = Nanos(duration.0 / 10)
            .min(Nanos::SECOND)
            .max(Nanos::from_millis(100))
            .min(timeout);
        let (origin, record) = match warm_up {
            WarmUp::Fixed(length) => {
                let record = begin + length;
                let whole = length.0.next_multiple_of(Nanos::SECOND.0);
                (record.saturating_sub(Nanos(whole)), record.0)
            }
            WarmUp::Auto { .. } => (begin, UNKNOWN),
        };
        Timeline {
            origin,
            begin,
            duration,
            grace,
            patience: grace.max(timeout),
            record: AtomicU64::new(record),
        }
    }

    /// The second that `instant` falls into.
    #[inline(always)]
    pub(super) fn second_of(&self, instant: Nanos) -> u64 {
        instant.saturating_sub(self.origin).0 / Nanos::SECOND.0
    }

    /// Where a second begins.
    pub(super) fn start_of(&self, second: u64) -> Nanos {
        Nanos(
            self.origin
                .0
                .saturating_add(second.saturating_mul(Nanos::SECOND.0)),
        )
    }

    /// The recorded part begins with this second.
    pub(super) fn record_from(&self, second: u64) {
        self.record
            .store(self.start_of(second).0, Ordering::Release);
    }

    /// The start of the recorded part, once it is known.
    pub(super) fn record(&self) -> Option<Nanos> {
        let record = self.record.load(Ordering::Acquire);
        (record != UNKNOWN).then_some(Nanos(record))
    }

    fn after_record(&self, span: Nanos) -> Nanos {
        self.record().map_or(Nanos(u64::MAX), |record| {
            Nanos(record.0.saturating_add(span.0))
        })
    }

    /// Nothing is due from here on; the far future while that is not known.
    pub(super) fn end(&self) -> Nanos {
        self.after_record(self.duration)
    }

    /// Nothing is sent from here on.
    pub(super) fn send_until(&self) -> Nanos {
        self.after_record(Nanos(self.duration.0.saturating_add(self.grace.0)))
    }

    /// Nothing is waited for from here on.
    pub(super) fn cut(&self) -> Nanos {
        self.after_record(Nanos(self.duration.0.saturating_add(self.patience.0)))
    }
}

/// How far a worker has come, for the thread that records.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Requests answered, warm-up included.
    pub(super) completed: AtomicU64,
    /// Requests that failed, answered or not, warm-up included.
    pub(super) failed: AtomicU64,
    /// Every second before this one has been handed over.
    pub(super) complete_before: AtomicU64,
    /// The kernel's id of the thread, once its connections stand; zero before.
    pub(super) ready: AtomicU32,
    /// Ends the worker's sleep.
    pub(super) waker: OnceLock<mio::Waker>,
}

/// Shared by the threads of one run.
#[derive(Debug)]
pub(super) struct Shared {
    /// Set to end the run.
    halt: AtomicBool,
    pub(super) timeline: OnceLock<Timeline>,
    pub(super) workers: Vec<Progress>,
}

impl Shared {
    pub(super) fn new(workers: usize) -> Shared {
        Shared {
            halt: AtomicBool::new(false),
            timeline: OnceLock::new(),
            workers: (0..workers).map(|_| Progress::default()).collect(),
        }
    }

    pub(super) fn halted(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }

    /// Ends the run: workers that sleep wake up.
    pub(super) fn halt(&self) {
        self.halt.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Wakes workers that sleep.
    pub(super) fn wake(&self) {
        for waker in self.workers.iter().filter_map(|worker| worker.waker.get()) {
            // A worker that cannot be woken wakes up by itself, some milliseconds later.
            let _ = waker.wake();
        }
    }

    /// The threads, once all of them are ready.
    pub(super) fn all_ready(&self) -> Option<Vec<u32>> {
        let threads = self
            .workers
            .iter()
            .map(|worker| worker.ready.load(Ordering::Acquire));
        threads
            .map(|thread| (thread != 0).then_some(thread))
            .collect()
    }

    /// The sum of a figure over all workers.
    pub(super) fn sum(&self, figure: impl Fn(&Progress) -> &AtomicU64) -> u64 {
        let figures = self.workers.iter().map(figure);
        figures.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// Halts the run if its holder panics: threads that wait for each other would wait for ever.
pub(super) struct HaltOnPanic<'a>(pub(super) &'a Shared);

impl Drop for HaltOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.halt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(warm_up: WarmUp) -> Timeline {
        let second = Nanos::SECOND;
        Timeline::new(Nanos(100 * second.0), warm_up, Nanos(10 * second.0), second)
    }

    #[test]
    fn a_recorded_second_never_holds_warm_up() {
        let timeline = timeline(WarmUp::Fixed(Nanos::from_millis(1_500)));
        let record = timeline.record().unwrap();
        assert_eq!(record, Nanos::from_millis(101_500));
        assert_eq!(timeline.start_of(timeline.second_of(record)), record);
        assert_eq!(timeline.second_of(record - Nanos(1)), 1);
        assert_eq!(timeline.second_of(timeline.begin), 0);
        assert_eq!(timeline.end(), Nanos::from_millis(111_500));
    }

    #[test]
    fn an_automatic_warm_up_ends_where_it_is_told() {
        let timeline = timeline(WarmUp::Auto {
            at_most: Nanos::SECOND,
        });
        assert_eq!(timeline.record(), None);
        assert_eq!(timeline.cut(), Nanos(u64::MAX));
        timeline.record_from(3);
        assert_eq!(timeline.record(), Some(Nanos::from_millis(103_000)));
        assert_eq!(timeline.send_until(), Nanos::from_millis(114_000));
    }

    #[test]
    fn nobody_waits_longer_than_the_timeout_after_the_end() {
        let short = Timeline::new(
            Nanos(0),
            WarmUp::Fixed(Nanos(0)),
            Nanos(60 * Nanos::SECOND.0),
            Nanos::from_millis(20),
        );
        assert_eq!(short.cut() - short.end(), Nanos::from_millis(20));
        assert_eq!(short.send_until(), short.cut());
    }
}
