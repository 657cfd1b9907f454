//! What is known of a variant's allocator, over all its runs that were traced.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::flame::Flame;
use super::lifetimes::LifetimeSummary;
use super::missing::{NotTraced, command, missing};
use super::series::Role;
use super::sites::{self, CallSiteSummary, SlowSiteSummary, StackDepth};
use super::sizes::{SizeSummary, Sizes};
use super::stacks::{StackWeight, WeighedStack};
use super::tiers::{TierBuilder, TierSummary};
use crate::digest::RunDigest;
use crate::pauses::PauseDigest;
use crate::recording::{self, Unit};
use crate::statistics::total;

/// What a probe saw of a variant's allocator.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AllocatorSummary {
    /// The allocators found in the target: `jemalloc 5.3.0`.
    pub allocators: Vec<String>,
    /// Calls by how long they took, by function: what programs call, slow paths, system calls and faults.
    pub tiers: Vec<TierSummary>,
    /// Calls by what they asked for, by function.
    pub sizes: Vec<SizeSummary>,
    /// How long sampled objects lived.
    pub lifetimes: Option<LifetimeSummary>,
    /// The busiest call sites, of all calls that were seen; at most twenty.
    pub call_sites: Vec<CallSiteSummary>,
    /// The dearest call sites, of slow calls; at most twenty.
    pub slow_sites: Vec<SlowSiteSummary>,
    /// How deep the stacks of slow calls are.
    pub stack_depth: Option<StackDepth>,
    /// Slow calls whose stack is in neither of these: there was no room for it.
    pub stacks_left_out: u64,
    /// From which length on calls and pauses have a stack, in nanoseconds; the smallest of the series.
    pub stack_threshold_ns: u64,
    /// What was not traced, and why.
    pub not_traced: Vec<NotTraced>,
    /// The command that would trace it; null where nothing is missing.
    pub command: Option<String>,
    #[serde(skip)]
    pub(crate) flame: Option<Flame>,
}

impl AllocatorSummary {
    /// `None` when nothing of an allocator was seen in any run.
    pub(crate) fn of(runs: &[&RunDigest]) -> Option<AllocatorSummary> {
        let traced: Vec<&PauseDigest> = runs.iter().filter_map(|run| run.pauses.as_ref()).collect();
        let seconds = total(traced.iter().map(|run| run.traced_ns())) as f64 / 1e9;
        let mut tiers: IndexMap<&str, TierBuilder> = IndexMap::new();
        let mut sizes: IndexMap<&str, Sizes> = IndexMap::new();
        let mut lifetimes = recording::empty();
        let mut what = String::new();
        for series in traced.iter().flat_map(|run| &run.series) {
            let name = series.meta.name.as_str();
            let role = Role::of(name);
            match role {
                Some(Role::Lifetime) => {
                    recording::add(&mut lifetimes, &series.whole);
                    what.clone_from(&series.meta.what);
                }
                Some(role) if series.is_time() => {
                    let builder = tiers.entry(name);
                    builder
                        .or_insert_with(|| TierBuilder::new(series, role))
                        .add(series);
                }
                _ => {}
            }
            if role.is_some() && series.meta.sizes.iter().any(|calls| *calls > 0) {
                sizes.entry(name).or_default().classes(&series.meta.sizes);
            }
            // Sizes that were recorded as values: of sampled allocations, or of another probe.
            if series.meta.unit == Unit::Bytes && !series.whole.is_empty() {
                sizes.entry(name).or_default().values(&series.whole);
            }
        }
        let stacks = || traced.iter().flat_map(|run| of_run(run));
        let mut tiers: Vec<TierSummary> = tiers
            .into_values()
            .filter_map(|builder| builder.finish(seconds))
            .collect();
        // Stable: within a role in the order of the probe's catalogue.
        tiers.sort_by_key(|tier| tier.role);
        let sizes: Vec<SizeSummary> = sizes
            .into_iter()
            .filter_map(|(name, sizes)| sizes.finish(name.to_owned()))
            .collect();
        let lifetimes = LifetimeSummary::of(what, &lifetimes);
        let call_sites = sites::busiest(traced.iter().flat_map(|run| &run.meta.call_sites));
        let slow_sites = sites::dearest(stacks());
        if tiers.is_empty() && sizes.is_empty() && lifetimes.is_none() && slow_sites.is_empty() {
            return None;
        }
        let mut left_out = StackWeight::default();
        traced
            .iter()
            .for_each(|run| left_out.add(run.stacks.left_out));
        let not_traced = missing(&traced);
        let pid = traced.last().map_or(0, |run| run.meta.target.process);
        let mut allocators: Vec<String> = Vec::new();
        for allocator in traced.iter().flat_map(|run| &run.meta.target.allocators) {
            if !allocators.contains(allocator) {
                allocators.push(allocator.clone());
            }
        }
        let thresholds = traced
            .iter()
            .flat_map(|run| &run.meta.series)
            .filter(|series| series.pause && Role::of(&series.name).is_some());
        Some(AllocatorSummary {
            allocators,
            tiers,
            sizes,
            lifetimes,
            call_sites,
            slow_sites,
            stack_depth: sites::depth(stacks().map(|(stack, _)| stack)),
            stacks_left_out: left_out.count,
            stack_threshold_ns: thresholds
                .map(|series| series.threshold_ns)
                .min()
                .unwrap_or(0),
            command: command(&not_traced, pid),
            not_traced,
            flame: Flame::of(stacks().map(|(stack, _)| stack)),
        })
    }
}

/// The stacks of a run, with the names of their series.
fn of_run(run: &PauseDigest) -> impl Iterator<Item = (&WeighedStack, &str)> {
    run.stacks.stacks.iter().map(|stack| {
        let series = run.series.get(stack.series);
        (stack, series.map_or("", |series| series.meta.name.as_str()))
    })
}
