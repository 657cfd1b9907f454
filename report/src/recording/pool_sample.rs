//! `pool.jsonl`: what a pool holds and has done, once a second.
//!
//! A copy of the pool's own statistics, by names of its own: the recording knows no pool. Counters run since the
//! pool was made; a reader takes differences.

use serde::{Deserialize, Serialize};

/// One pool at one instant; a line of `pool.jsonl`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolSample {
    /// When, on `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// Which pool, where there are several; may be empty.
    pub pool: String,
    /// How many objects there are.
    pub capacity: u64,
    /// Objects that somebody holds at this instant.
    pub in_use: u64,
    /// The mean of what was in use whenever it was looked at since the sample before.
    pub in_use_mean: f64,
    /// The most that was seen in use since the sample before.
    pub in_use_max: u64,
    /// How often it was looked at since then, this time included.
    pub looks: u64,
    /// The most that can have been in use at once, so far: exact but for what the cores keep at hand.
    pub high_water: u64,
    /// Free objects between the cores, in full batches.
    pub in_depot: u64,
    /// Free objects at hand on some core.
    pub at_hand: u64,
    /// Threads and tasks that wait for an object at this instant.
    pub waiting: u64,
    /// Objects taken.
    pub gets: u64,
    /// Objects given back.
    pub puts: u64,
    /// Batches that a core took from the depot.
    pub refills: u64,
    /// Batches that a core gave to the depot.
    pub spills: u64,
    /// Batches taken from another core.
    pub steals: u64,
    /// Looks that found nothing anywhere: a refusal, a growth, or the beginning of a wait.
    pub misses: u64,
    /// Gets that had to wait.
    pub waits: u64,
    /// Objects made after the pool was built.
    pub grown: u64,
    /// Objects dropped to make it smaller.
    pub shrunk: u64,
    /// Objects discarded because they could not be used again.
    pub discarded: u64,
}
