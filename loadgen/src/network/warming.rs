//! When the recorded part of a run begins, where that is decided while it runs.
//!
//! The recorder feeds it each second of the warm-up. When latency and throughput are stationary, the
//! recorded part begins with the next second that no worker can have begun yet; at the latest when the
//! scenario's patience is over, and the recording then says that it was not stationary.

use super::recorder::Complete;
use super::timeline::Timeline;
use crate::clock::Nanos;
use crate::scenario::WarmUp;
use crate::scenario::warmup::{Stationarity, WarmUpEnd};
use tailcut_report::recording::Mark;

/// A second that begins within this is begun already for some worker.
const NOTICE: Nanos = Nanos(100_000_000);

/// See the module's head.
pub(super) struct Warming {
    warm_up: WarmUp,
    stationarity: Stationarity,
    /// The second that is judged next.
    next: u64,
    end: WarmUpEnd,
}

impl Warming {
    pub(super) fn new(warm_up: WarmUp) -> Warming {
        Warming {
            warm_up,
            stationarity: Stationarity::new(),
            next: 0,
            end: match warm_up {
                WarmUp::Fixed(length) => WarmUpEnd::Fixed(length),
                WarmUp::Auto { .. } => WarmUpEnd::Undecided,
            },
        }
    }

    /// Takes a second of the warm-up in. What comes late for one that was judged is left out.
    pub(super) fn second(&mut self, second: &Complete<'_>) {
        if self.end != WarmUpEnd::Undecided || second.second < self.next {
            return;
        }
        self.next = second.second + 1;
        if self.stationarity.second(second.completed, second.response) {
            let after_seconds = self.stationarity.seconds();
            self.end = WarmUpEnd::Stationary { after_seconds };
        }
    }

    /// Sets the start of the recorded part in the timeline, when the time has come; a mark for it.
    pub(super) fn decide(&mut self, timeline: &Timeline, now: Nanos) -> Option<Mark> {
        let WarmUp::Auto { at_most } = self.warm_up else {
            return None;
        };
        if timeline.record().is_some() {
            return None;
        }
        let next = timeline.second_of(now + NOTICE) + 1;
        if self.end == WarmUpEnd::Undecided {
            let last = at_most.0.div_ceil(Nanos::SECOND.0).max(1);
            if next < last {
                return None;
            }
            self.end = WarmUpEnd::NotStationary {
                after_seconds: next,
            };
        }
        timeline.record_from(next);
        Some(Mark {
            start_ns: timeline.begin.0,
            end_ns: timeline.start_of(next).0,
            kind: "warm_up".to_owned(),
            detail: self.rule(),
        })
    }

    /// How the end of the warm-up was decided, for the recording.
    pub(super) fn rule(&self) -> String {
        self.end.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::interval::histogram;

    fn timeline(warm_up: WarmUp) -> Timeline {
        let begin = Nanos(100 * Nanos::SECOND.0);
        Timeline::new(begin, warm_up, Nanos::SECOND, Nanos::SECOND)
    }

    /// The instant so many milliseconds after the schedule's begin.
    fn at(milliseconds: u64) -> Nanos {
        Nanos::from_millis(100_000 + milliseconds)
    }

    #[test]
    fn the_recorded_part_begins_with_a_second_that_nobody_can_have_begun() {
        let warm_up = WarmUp::Auto {
            at_most: Nanos(30 * Nanos::SECOND.0),
        };
        for (decided, from) in [(3_300, 104_000), (3_950, 105_000)] {
            let timeline = timeline(warm_up);
            let mut warming = Warming::new(warm_up);
            let mut response = histogram();
            response.record_n(1_000, 500).unwrap();
            for second in 0..3 {
                assert!(warming.decide(&timeline, at(second * 1_000)).is_none());
                warming.second(&Complete {
                    second,
                    completed: 500,
                    response: &response,
                });
            }
            assert!(warming.decide(&timeline, at(decided)).is_some());
            assert_eq!(timeline.record(), Some(Nanos::from_millis(from)));
            assert_eq!(warming.rule(), "auto: stationary after 3 s");
            assert!(warming.decide(&timeline, at(decided + 1)).is_none());
        }
    }

    #[test]
    fn a_service_that_never_answers_is_recorded_when_patience_is_over() {
        let warm_up = WarmUp::Auto {
            at_most: Nanos(5 * Nanos::SECOND.0),
        };
        let timeline = timeline(warm_up);
        let mut warming = Warming::new(warm_up);
        assert!(warming.decide(&timeline, at(3_800)).is_none());
        assert!(warming.decide(&timeline, at(4_000)).is_some());
        assert_eq!(timeline.record(), Some(Nanos::from_millis(105_000)));
        assert!(warming.rule().contains("NOT stationary after 5 s"));
    }
}
