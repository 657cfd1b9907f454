//! What a session traces, and how much it may cost.

use std::time::Duration;

use crate::catalogue::{Selection, Series, Unit};

/// What to trace. The default is what costs least: pauses, no calls.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which groups of series.
    pub series: Selection,
    /// From which length on an event is recorded by itself, not only counted.
    pub threshold: Duration,
    /// Whether the stacks of such events are recorded.
    pub stacks: bool,
    /// Share of the target's CPU time that tracing may cost, 0 to 1; of one CPU's time, if the target
    /// uses less than that. 1 lets everything stay attached.
    pub budget: f64,
    /// How often [`Session::next`](super::Session::next) returns.
    pub interval: Duration,
    /// Whether processes that the target forks are traced, too.
    pub follow: bool,
    /// A thread that runs so long without a pause is reported.
    pub long_running: Duration,
    /// One object in so many is followed from allocation to free; rounded up to a power of two.
    pub lifetime_fraction: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            series: Selection::default(),
            threshold: Duration::from_micros(100),
            stacks: false,
            budget: 0.01,
            interval: Duration::from_secs(1),
            follow: false,
            long_running: Duration::from_millis(10),
            lifetime_fraction: 64,
        }
    }
}

impl Options {
    /// Nanoseconds from which on an event of `series` is sent; `u64::MAX` for never.
    pub(super) fn threshold_of(&self, series: &Series) -> u64 {
        match (series.unit, series.name) {
            // They are long by definition.
            (_, "long_running") => 0,
            (Unit::Nanoseconds, _) if series.pause => self.threshold.as_nanos() as u64,
            _ => u64::MAX,
        }
    }
}
