//! How intended starts are spaced.

use std::sync::Arc;

use crate::clock::Nanos;

/// How intended starts are spaced; with rate and seed it fixes every one of them before the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// Independently of each other, as many users' requests are: exponential gaps.
    Poisson,
    /// In bursts: `size` requests at the same instant, then nothing until the next burst; bursts are
    /// as far apart as the rate demands.
    Burst {
        /// Requests in a burst.
        size: u32,
    },
    /// As recorded: offsets from the schedule's start in nanoseconds, ascending. The rate stretches
    /// them; what is longer than the trace repeats it.
    Trace(Arc<[Nanos]>),
}
