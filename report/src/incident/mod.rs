//! The incident: one service in Go and in Rust, a collector at work, before and after, side by side.
//!
//! A report has this part where the runs are those of `tailcut demo --incident go`, by the names of their variants: the
//! heap form in Go is before, the one with `sync.Pool` after, and the pool in Rust is held against the latter. Everything is taken
//! from the recordings: response times from the runs, pauses of the collector and mark assists from the probe where it
//! traced, the runtime's own account where it did not.
//!
//! | file | what |
//! |---|---|
//! | `collector.rs` | what the collector did in the runs of a variant |
//! | `forms.rs` | one row per form: latency, CPU, memory, allocations, collector |
//! | `owed.rs` | what the slow requests of the heap form are owed to |
//! | `tables.rs` | these as text |
//!
//! Cost: a merge of some histograms per variant.

mod collector;
mod forms;
mod owed;
pub(crate) mod tables;

use schemars::JsonSchema;
use serde::Serialize;

use crate::before_after::{BeforeAfter, before_after};
use crate::digest::RunDigest;
use crate::evidence::Evidence;
use crate::sides::Pair;
use crate::variant::{GO_HEAP, GO_SYNC_POOL, POOL, Variant, is_go};
use crate::verdict::{Verdict, verdict};

pub use collector::CollectorSummary;
pub(crate) use collector::{assist_share, pause_p99};
pub use forms::FormSummary;
pub(crate) use forms::cores_in_use;
pub use owed::Owed;

/// Forms of one service in Go and in Rust, side by side.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Incident {
    /// One row per form, in the order of the report; the no-op is the machine's floor.
    pub forms: Vec<FormSummary>,
    /// P99.9 of the heap form in Go over that of its `sync.Pool` form, each over all requests; null without both.
    pub go_gain: Option<f64>,
    /// Whether the truth is that or more, because the heap form missed its schedule.
    pub go_gain_is_lower_bound: bool,
    /// P99.9 of the pool in Rust over that of the `sync.Pool` form in Go, each over all requests; null without both, or
    /// where one of them missed its schedule.
    pub rust_over_go: Option<f64>,
    /// The `sync.Pool` form in Go before, the pool in Rust after; null without both.
    pub rust_against_go: Option<BeforeAfter>,
    /// What the slow requests of the heap form in Go are owed to; null where
    /// its collector was not traced.
    pub owed: Option<Owed>,
}

impl Incident {
    /// `None` where nothing ran in Go, or nothing beside it.
    pub(crate) fn of(variants: &[Variant], runs: &[RunDigest]) -> Option<Incident> {
        let several = variants.len() > 1;
        if !several || !variants.iter().any(|variant| is_go(&variant.name)) {
            return None;
        }
        let recorded = |name: &str| {
            variants
                .iter()
                .find(|variant| variant.name == name && variant.summary.requests > 0)
        };
        let ratio = |of: Option<&Variant>, over: Option<&Variant>| {
            let (of, over) = (of?, over?);
            (over.summary.p999_ns > 0 && !over.lower_bound())
                .then(|| of.summary.p999_ns as f64 / over.summary.p999_ns as f64)
        };
        let (heap, sync_pool, pool) = (recorded(GO_HEAP), recorded(GO_SYNC_POOL), recorded(POOL));
        Some(Incident {
            forms: variants
                .iter()
                .map(|variant| FormSummary::of(variant, runs))
                .collect(),
            go_gain: ratio(heap, sync_pool),
            go_gain_is_lower_bound: heap.is_some_and(Variant::lower_bound),
            rust_over_go: ratio(pool.filter(|pool| !pool.lower_bound()), sync_pool),
            rust_against_go: rust_against_go(variants).map(|pair| {
                let evidence = evidence(pair, variants, runs);
                before_after(pair, variants, runs, &evidence)
            }),
            owed: heap
                .filter(|heap| collector::traced(heap))
                .and_then(|heap| Owed::of(heap.summary.blame.as_ref()?)),
        })
    }
}

/// What is before and what after in Go, if both recorded anything.
pub(crate) fn usual(variants: &[Variant]) -> Option<Pair> {
    pair(variants, GO_HEAP, GO_SYNC_POOL)
}

/// The second comparison, as a verdict of its own.
pub(crate) fn rust_verdict(variants: &[Variant], runs: &[RunDigest]) -> Option<Verdict> {
    let pair = rust_against_go(variants)?;
    let evidence = evidence(pair, variants, runs);
    Some(verdict(variants, runs, Some(pair), Some(&evidence)))
}

fn rust_against_go(variants: &[Variant]) -> Option<Pair> {
    pair(variants, GO_SYNC_POOL, POOL)
}

fn pair(variants: &[Variant], before: &str, after: &str) -> Option<Pair> {
    let place = |name: &str| {
        variants
            .iter()
            .position(|variant| variant.name == name && variant.summary.requests > 0)
    };
    Some(Pair {
        before: place(before)?,
        after: place(after)?,
        usual: false,
    })
}

fn evidence(pair: Pair, variants: &[Variant], runs: &[RunDigest]) -> Evidence {
    Evidence::of(&variants[pair.before], &variants[pair.after], runs)
}
