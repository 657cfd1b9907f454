//! What a session traces, and how much it may cost.

use std::time::Duration;

use crate::catalogue::{Group, Selection, Series, Unit};

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
            // Long by definition, and rare.
            (_, "long_running" | "gc_cycle") => 0,
            (Unit::Nanoseconds, _) if series.pause => {
                threshold_of_pause(series, self.threshold.as_nanos() as u64)
            }
            _ => u64::MAX,
        }
    }
}

/// Nanoseconds from which on a pause of `series` is recorded by itself, if others are from `general_ns` on.
///
/// Assists are short and come by the thousand: one by one they are below what is worth a line, together
/// they are most of what a request waits for. So they, and the stops between them, are listed from
/// [`COLLECTOR_THRESHOLD_NS`] on.
pub(crate) fn threshold_of_pause(series: &Series, general_ns: u64) -> u64 {
    match series.group {
        Group::Gc => general_ns.min(COLLECTOR_THRESHOLD_NS),
        _ => general_ns,
    }
}

/// In a storm of assists those from here on are over nine tenths of their time.
const COLLECTOR_THRESHOLD_NS: u64 = 10_000;
