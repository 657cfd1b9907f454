//! Comparing two ways of doing the same: is B faster than A, by how much, and how sure is that?
//!
//! One run of each proves nothing: two runs of the very same program differ, by a few percent in the median and
//! by much more in the tail. So a comparison is made of several runs of each side, interleaved so that drift
//! of the machine falls on both ([`order`]); each run gives one figure per percentile; and the spread between runs
//! of one side says what a difference between the sides is worth ([`statistics`](crate::statistics)).
//!
//! - [`Run`]: a recording as far as a comparison needs it.
//! - [`compare`]: runs of A and of B in, a [`Comparison`] out. Refuses sides that were not loaded alike
//!   ([`CompareError::Unlike`]), names what else differs, and says in one sentence what was found.
//!
//! `tailcut load compare`, the report's before and after, the gate and the trend all ask this module, so that the
//! same runs never get two answers. Who makes the runs is no matter of it.
//!
//! **False alarms and missed differences.** The verdict is about percentiles named before the runs (P50, P99 and P99.9
//! unless told otherwise) at a level of 5% for all of them together. In 6,000 simulated comparisons of 5 + 5 runs
//! (`false_alarms.rs`), on a quiet machine (figures vary by 5 to 10% from run to run) and on a noisy one (which also
//! drifts by 30% over the session and has one run in ten far out):
//!
//! | what there was | quiet | noisy |
//! |---|---|---|
//! | nothing: a difference of any percentile was claimed in | 4.1% | 1.8% |
//! | P99 and P99.9 of B 2x those of A: that of P99.9 was claimed in | 100% | 75% |
//! | 1.2x: that of P99.9 was claimed in | 50% (10 + 10 runs: 97%) | |
//!
//! The bound is exact, 4.7% for three percentiles that have nothing to do with each other.
//!
//! Cost: a recording is read one interval at a time and kept as one histogram, 230 KB a run.

pub mod comparison;
mod error;
pub(crate) mod matching;
pub mod order;
pub mod percentile;
mod run;
pub mod verdict;

#[cfg(test)]
mod false_alarms;
#[cfg(test)]
pub(crate) mod simulated;

pub use comparison::{Comparison, Options, compare};
pub use error::CompareError;
pub use matching::Difference;
pub use order::{Side, Turn};
pub use percentile::Percentile;
pub use run::Run;
pub use verdict::{Outcome, Verdict};
