//! What happened off the fast path, counted per core.
//!
//! Gets and puts that a magazine serves need no counter: the magazine's word counts them. All the
//! rest is rare and is counted here, on the cache line of the core where it happened.

use crate::counter::Counter;

/// One core's counters.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Gets that were served from elsewhere than the core's magazine.
    pub(crate) gets: Counter,
    /// Puts that went elsewhere.
    pub(crate) puts: Counter,
    /// Batches taken from the depot.
    pub(crate) refills: Counter,
    /// Batches left in the depot.
    pub(crate) spills: Counter,
    /// Batches taken from another core's magazine.
    pub(crate) steals: Counter,
    /// Looks that found nothing anywhere: a refusal, or the beginning of a wait.
    pub(crate) misses: Counter,
    /// Gets that had to wait.
    pub(crate) waits: Counter,
}
