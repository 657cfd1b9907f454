//! When the recorded part of a run begins, where that is decided while it runs.
//!
//! The recorder feeds it each second of the warm-up. When latency and throughput are stationary, the
//! recorded part begins with the next second that no worker can have begun yet; at the latest when the
//! scenario's patience is over, and the recording then says that it was not stationary.

use super::recorder::Complete;
use super::timeline::Timeline;
use crate::clock::Nanos;
use crate::scenario::WarmUp;
use tailcut_report::recording::Mark;

/// A second that begins within this is begun already for some worker.
const NOTICE: Nanos = Nanos(100_000_000);

/// See the module's head.
pub(super) struct Warming {
    warm_up: WarmUp,
    stationary: bool,
    /// Seconds that the warm-up took, once that is decided.
    took: Option<u64>,
}

impl Warming {
    pub(super) fn new(warm_up: WarmUp) -> Warming {
        Warming {
            warm_up,
            stationary: false,
            took: None,
        }
    }

    /// Takes a second of the warm-up in.
    pub(super) fn second(&mut self, second: &Complete<'_>) {
        let _ = (second.second, second.completed, second.response);
    }

    /// Sets the start of the recorded part in the timeline, when the time has come; a mark for it.
    pub(super) fn decide(&mut self, timeline: &Timeline, now: Nanos) -> Option<Mark> {
        let WarmUp::Auto { at_most } = self.warm_up else {
            return None;
        };
        if self.took.is_some() || timeline.record().is_some() {
            return None;
        }
        let next = timeline.second_of(now + NOTICE) + 1;
        let last = at_most.0.div_ceil(Nanos::SECOND.0).max(1);
        if !self.stationary && next < last {
            return None;
        }
        self.took = Some(next);
        timeline.record_from(next);
        let at = timeline.start_of(next).0;
        Some(Mark {
            start_ns: timeline.begin.0,
            end_ns: at,
            kind: "warm_up".to_owned(),
            detail: self.rule(),
        })
    }

    /// How the end of the warm-up was decided, for the recording.
    pub(super) fn rule(&self) -> String {
        match (self.warm_up, self.took) {
            (WarmUp::Fixed(length), _) => format!("{length}, fixed"),
            (WarmUp::Auto { .. }, None) => "auto: not ended".to_owned(),
            (WarmUp::Auto { .. }, Some(took)) if self.stationary => {
                format!("auto: stationary after {took} s")
            }
            (WarmUp::Auto { .. }, Some(took)) => format!("auto: NOT stationary after {took} s"),
        }
    }
}
