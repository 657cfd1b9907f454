//! Pauses in a report: what a probe saw while a run was measured, or of a process on its own.
//!
//! | file | what |
//! |---|---|
//! | `digest.rs` | one run's pauses reduced in one pass: histograms, the longest, marks for the chart |
//! | `summary.rs` | the figures of a variant over all its runs |
//! | `tables.rs` | these as text |
//! | `conditions.rs` | what was traced, at what cost, what is missing |
//! | `verdict.rs` | what is said where there is nothing to compare |
//! | `cleaned.rs` | the probe's metadata without what could deceive a reader |
//!
//! Which of them the slow requests are owed to is found in [`blame`](crate::blame).
//!
//! Totals are scaled by the share that was sampled, percentiles never. What lies under the floor
//! of a probe is shown as under it, at no value of its own.

mod cleaned;
pub(crate) mod conditions;
mod digest;
mod summary;
pub(crate) mod tables;
mod verdict;

#[cfg(test)]
pub(crate) use digest::SecondPause;
pub(crate) use digest::{DigestedPause, PauseDigest, PauseDigestBuilder, SeriesDigest};
pub use summary::{LongPause, PauseSummary, SeriesSummary};
pub(crate) use verdict::only_traced;
