//! The figures of a variant's pools over all its runs.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::advice::advice;
use super::digest::{OnePool, PoolSecond};
use crate::digest::RunDigest;
use crate::recording::PoolSizing;

/// What one pool of a variant held and did, over all its runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PoolSummary {
    /// Its name; empty where there is one only.
    pub name: String,
    /// Runs that the figures are of.
    pub runs: u32,
    /// How many objects it has.
    pub capacity: u64,
    /// Objects in use: the mean over all looks.
    pub in_use_mean: f64,
    /// The most that any look found in use.
    pub in_use_max: u64,
    /// The most that can have been in use at once, from before the measured time on: exact but for what cores
    /// keep at hand.
    pub high_water: u64,
    /// Objects taken per second.
    pub gets_per_second: f64,
    /// Objects given back per second, other than in bulk.
    pub puts_per_second: f64,
    /// Batches per second that a core took from the depot.
    pub refills_per_second: f64,
    /// Batches per second that a core gave to the depot.
    pub spills_per_second: f64,
    /// Batches per second taken from another core.
    pub steals_per_second: f64,
    /// Looks that found no object anywhere.
    pub misses: u64,
    /// Gets that had to wait.
    pub waits: u64,
    /// The longest queue that was seen.
    pub waiting_max: u64,
    /// Objects made after the build.
    pub grown: u64,
    /// Objects dropped to make it smaller.
    pub shrunk: u64,
    /// Objects discarded because they could not be used again.
    pub discarded: u64,
    /// The recommended capacity, of the run that asks for the most; null where the recorder made none.
    pub sizing: Option<PoolSizing>,
    /// What that means for the capacity that there is; a sentence each.
    pub advice: Vec<String>,
}

impl PoolSummary {
    /// All pools of a variant.
    pub(crate) fn of(runs: &[&RunDigest]) -> Vec<PoolSummary> {
        let mut pools: IndexMap<&str, Vec<(&RunDigest, &OnePool)>> = IndexMap::new();
        for run in runs {
            for pool in run.pools.iter().flat_map(|digest| &digest.pools) {
                pools.entry(&pool.name).or_default().push((run, pool));
            }
        }
        pools
            .into_iter()
            .map(|(name, of)| summary(name, &of))
            .collect()
    }
}

fn summary(name: &str, of: &[(&RunDigest, &OnePool)]) -> PoolSummary {
    let mut whole = PoolSecond::default();
    for (_, pool) in of {
        whole.add(&pool.whole);
    }
    let pools = || of.iter().map(|(_, pool)| *pool);
    let seconds = pools().map(|pool| pool.span_ns as f64).sum::<f64>() / 1e9;
    let per_second = |count: u64| {
        if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        }
    };
    let most = |of: fn(&OnePool) -> u64| pools().map(of).max().unwrap_or(0);
    // The recorder means the one pool that it knows.
    let sizing = of
        .iter()
        .filter_map(|(run, _)| run.pools.as_ref())
        .filter(|digest| digest.pools.len() == 1)
        .filter_map(|digest| digest.sizing.as_ref())
        .filter(|sizing| sizing.rate.is_finite() && sizing.in_use.is_finite())
        .max_by_key(|sizing| sizing.capacity)
        .cloned();
    let mut summary = PoolSummary {
        name: name.to_owned(),
        runs: of.len() as u32,
        capacity: of.last().map_or(0, |(_, pool)| pool.capacity),
        in_use_mean: whole.in_use_mean(),
        in_use_max: whole.in_use_max,
        high_water: most(|pool| pool.high_water),
        gets_per_second: per_second(whole.gets),
        puts_per_second: per_second(whole.puts),
        refills_per_second: per_second(whole.refills),
        spills_per_second: per_second(whole.spills),
        steals_per_second: per_second(whole.steals),
        misses: whole.misses,
        waits: whole.waits,
        waiting_max: most(|pool| pool.waiting_max),
        grown: whole.grown,
        shrunk: whole.shrunk,
        discarded: whole.discarded,
        sizing,
        advice: Vec::new(),
    };
    summary.advice = advice(&summary);
    summary
}
