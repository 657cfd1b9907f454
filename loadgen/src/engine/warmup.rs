//! A warm-up whose end is decided while the run goes on.
//!
//! The thread that records judges each second of the schedule ([`Judge`]); when it says that the warm-up is over, the
//! recorded part begins at a second that no worker has turned to yet ([`Decision`]), so that all of them begin it
//! with the same request. Workers ask once a second of their schedule, off their hot path.
//!
//! A decision costs a second: the one in which it is made.

use super::interval::{Timeline, histogram};
use super::pacer::{Ended, Pacer};
use super::stalls::StallMeter;
use crate::clock::{Clock, Nanos};
use crate::scenario::warmup::{Stationarity, WarmUpEnd};
use crate::schedule::Lane;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a worker in warm-up looks whether its end is known, in time of the schedule.
pub(crate) const LOOK: Nanos = Nanos(100_000_000);

/// At which second of the schedule the recorded part begins, agreed by all threads without a lock.
///
/// One word holds the latest second that any worker has turned to until the decision is made, and the
/// decision from then on: whoever turns to a second either is seen by the decision, which then is later, or sees it.
#[derive(Debug, Default)]
pub(crate) struct Decision(AtomicU64);

impl Decision {
    const MADE: u64 = 1 << 63;

    /// The calling thread turns to requests of `second`. The first recorded second, if that is known.
    pub(crate) fn enter(&self, second: u64) -> Option<u64> {
        let entered = |state: u64| (state & Self::MADE == 0).then(|| state.max(second));
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, entered)
        {
            Ok(_) => None,
            Err(made) => Some(made & !Self::MADE),
        }
    }

    /// The first recorded second, if that is known.
    pub(crate) fn known(&self) -> Option<u64> {
        let state = self.0.load(Ordering::Acquire);
        (state & Self::MADE != 0).then_some(state & !Self::MADE)
    }

    /// Makes the decision: the recorded part begins at `earliest`, or at the first second after it that nobody has
    /// turned to. A second call changes nothing.
    pub(crate) fn make(&self, earliest: u64) -> u64 {
        let mut second = 0;
        let made = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                second = earliest.max((state & !Self::MADE) + 1);
                (state & Self::MADE == 0).then_some(second | Self::MADE)
            });
        made.map_or_else(|state| state & !Self::MADE, |_| second)
    }
}

/// Walks `pacer` along the warm-up, a second at a time, by `serve`, until it is known when the recorded part begins.
///
/// The whole timeline, with which the walk can go on; or why it ended before that.
pub(crate) fn walk<C: Clock, L: Lane>(
    clock: &C,
    pacer: &mut Pacer<'_, L>,
    undecided: &Timeline,
    decision: &Decision,
    meter: &mut StallMeter,
    mut serve: impl FnMut(&mut Pacer<'_, L>, &mut StallMeter) -> Ended,
) -> Result<Timeline, Ended> {
    let mut second = 0;
    loop {
        if let Some(record) = decision.enter(second) {
            let timeline = undecided.recording_from(record);
            meter.from = timeline.record;
            return Ok(timeline);
        }
        second += 1;
        let end = undecided.begin + Nanos(second * Nanos::SECOND.0);
        pacer.until(end, undecided.cut);
        match serve(pacer, meter) {
            Ended::Schedule => pacer.idle_until(clock, end, meter)?,
            early => return Err(early),
        }
    }
}

/// A worker's view of a warm-up that has no end yet.
#[derive(Debug)]
pub(crate) struct Warming<'a> {
    pub(crate) decision: &'a Decision,
    /// The second of the schedule that the worker is in.
    pub(crate) second: u64,
}

/// Seconds of the warm-up that not every worker has delivered yet: no more are kept.
const OPEN_SECONDS: usize = 4;

/// Decides when a warm-up has lasted long enough. On the recording thread.
pub(crate) struct Judge {
    stationarity: Stationarity,
    begin: Nanos,
    /// In seconds.
    at_most: u64,
    workers: usize,
    /// By second: how many workers delivered it, and the sum of what they did.
    open: Vec<(u64, usize, Histogram<u64>)>,
    stationary: bool,
}

impl Judge {
    /// Of a schedule that begins at `begin`, and of so many recording threads.
    pub(crate) fn new(begin: Nanos, at_most: Nanos, workers: usize) -> Judge {
        Judge {
            stationarity: Stationarity::new(),
            begin,
            at_most: at_most.0 / Nanos::SECOND.0,
            workers,
            open: Vec::with_capacity(OPEN_SECONDS + 1),
            stationary: false,
        }
    }

    /// Takes in a worker's response times of `first..=last`. What holds more than a second, because this thread
    /// was late, is not judged.
    ///
    /// The schedule says how many requests a second holds, so its throughput never differs: a service that is too slow
    /// shows it by its response times.
    pub(crate) fn take(&mut self, first: u64, last: u64, response: &Histogram<u64>) {
        if first != last || self.stationary {
            return;
        }
        let known = self.open.iter().position(|(second, ..)| *second == first);
        let index = known.unwrap_or_else(|| {
            if self.open.len() == OPEN_SECONDS {
                // The oldest: a worker is far behind.
                self.open.remove(0);
            }
            self.open.push((first, 0, histogram()));
            self.open.len() - 1
        });
        let (_, parts, sum) = &mut self.open[index];
        *parts += 1;
        // Bounds are equal, so adding cannot fail.
        let _ = sum.add(response);
        if *parts == self.workers {
            let (.., sum) = self.open.remove(index);
            self.stationary = self.stationarity.second(sum.len(), &sum);
        }
    }

    /// Whether, and how, the warm-up is over at `now`.
    pub(crate) fn verdict(&self, now: Nanos) -> Option<WarmUpEnd> {
        if self.stationary {
            return Some(WarmUpEnd::Stationary {
                after_seconds: self.stationarity.seconds(),
            });
        }
        // Half a second into the last one that is allowed, in which the decision is made.
        let latest = self.begin
            + Nanos((self.at_most.max(1) - 1) * Nanos::SECOND.0)
            + Nanos(Nanos::SECOND.0 / 2);
        (now >= latest).then_some(WarmUpEnd::NotStationary {
            after_seconds: self.at_most,
        })
    }

    /// The first second that begins after `now`.
    pub(crate) fn next_second(&self, now: Nanos) -> u64 {
        now.saturating_sub(self.begin).0 / Nanos::SECOND.0 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_part_begins_at_a_second_that_nobody_has_turned_to() {
        let decision = Decision::default();
        assert_eq!((decision.enter(4), decision.enter(2)), (None, None));
        assert_eq!(decision.known(), None);
        assert_eq!(decision.make(3), 5);
        assert_eq!((decision.enter(4), decision.enter(5)), (Some(5), Some(5)));
        // Once and for all.
        assert_eq!((decision.make(99), decision.known()), (5, Some(5)));
    }

    #[test]
    fn workers_that_race_with_the_decision_agree_on_it() {
        for _ in 0..200 {
            let decision = Decision::default();
            let (made, first_seen) = std::thread::scope(|scope| {
                let worker = |_| {
                    scope.spawn(|| {
                        (1..50).find_map(|second| Some((second, decision.enter(second)?)))
                    })
                };
                let workers: Vec<_> = (0..3).map(worker).collect();
                let made = decision.make(10);
                let seen: Vec<_> = workers
                    .into_iter()
                    .map(|worker| worker.join().unwrap())
                    .collect();
                (made, seen)
            });
            for (second, seen) in first_seen.into_iter().flatten() {
                assert_eq!(seen, made);
                // Nobody heard of it too late to record from there on.
                assert!(second <= made);
            }
        }
    }

    #[test]
    fn a_second_is_judged_when_every_worker_has_delivered_it() {
        let mut judge = Judge::new(Nanos(0), Nanos(30 * Nanos::SECOND.0), 2);
        let mut response = histogram();
        response.record_n(1_000, 500).unwrap();
        for second in 0..3 {
            judge.take(second, second, &response);
        }
        assert_eq!(judge.verdict(Nanos(3 * Nanos::SECOND.0)), None);
        for second in 0..3 {
            judge.take(second, second, &response);
        }
        assert_eq!(
            judge.verdict(Nanos(3 * Nanos::SECOND.0)),
            Some(WarmUpEnd::Stationary { after_seconds: 3 })
        );
    }

    #[test]
    fn a_worker_that_delivers_nothing_neither_ends_the_warm_up_nor_fills_the_memory() {
        let mut judge = Judge::new(Nanos(0), Nanos(5 * Nanos::SECOND.0), 2);
        let mut response = histogram();
        response.record_n(1_000, 500).unwrap();
        for second in 0..20 {
            judge.take(second, second, &response);
        }
        assert!(judge.open.len() <= OPEN_SECONDS);
        assert_eq!(judge.verdict(Nanos(4 * Nanos::SECOND.0)), None);
        assert_eq!(
            judge.verdict(Nanos(9 * Nanos::SECOND.0 / 2)),
            Some(WarmUpEnd::NotStationary { after_seconds: 5 })
        );
    }
}
