//! What a load generator recorded beside response times, and the report of runs that are not the
//! before and after of a pool.
//!
//! | file | what |
//! |---|---|
//! | `digest.rs` | one run's further series, marks and resources reduced in one pass |
//! | `resources.rs` | samples of the target's resources, by second of the run |
//! | `summary.rs` | the figures of a variant over all its runs |
//! | `measures.rs` | the rows of the table of variants |
//! | `tables.rs` | objectives, errors, further series, marks and resources as text |
//! | `conditions.rs` | target, schedule, seed, what the generator itself did |
//! | `verdict.rs` | what is said of such runs: never which variant is better |
//!
//! A report is of one [`Story`]. Runs of a pool and of heap allocators within the process are a
//! [`Story::BeforeAfter`], and everything else is a [`Story::Load`]: variants bear any names, and no
//! claim is made across them, since that takes interleaved runs and a test.

pub(crate) mod conditions;
mod digest;
mod measures;
mod resources;
mod summary;
pub(crate) mod tables;
mod verdict;

pub(crate) use digest::LoadDigest;
pub(crate) use measures::MEASURES;
pub use summary::{
    ExtraSeries, LoadSummary, MarkSummary, ObjectiveSummary, ResourceSummary, SeriesUnit,
};
pub(crate) use verdict::verdict;

use crate::digest::RunDigest;
use crate::recording::Meta;
use crate::variant::{HEAP_PREFIX, NOOP, POOL, Variant, is_go};

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// The same service with heap allocators and with a pool.
    BeforeAfter,
    /// Anything under load.
    Load,
}

impl Story {
    /// Which one the variants under load tell. A pool, or a heap allocator, by itself is a load like any other.
    pub(crate) fn of(variants: &[Variant], runs: &[RunDigest]) -> Story {
        let mut loaded = variants.iter().flat_map(|variant| &variant.runs);
        let any = loaded.clone().next().is_some();
        let alone =
            matches!(variants, [one] if one.name == POOL || one.is_heap() || is_go(&one.name));
        if any && (alone || loaded.all(|run| is_load(&runs[*run].meta))) {
            Story::Load
        } else {
            Story::BeforeAfter
        }
    }
}

/// Whether a run is of a load on anything but the service whose memory is compared.
pub(crate) fn is_load(meta: &Meta) -> bool {
    let load = &meta.load;
    let compared = [NOOP, POOL].contains(&meta.variant.as_str())
        || meta.variant.starts_with(HEAP_PREFIX)
        || is_go(&meta.variant);
    !compared
        || !load.target.is_empty()
        || load.closed_loop
        || load.slo.is_some()
        || load.shard_of.is_some()
}
