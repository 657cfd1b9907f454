//! Comparing two ways of doing the same: is B faster than A, by how much, and how sure is that?
//!
//! One run of each proves nothing: two runs of the very same program differ, by a few percent in the median and
//! by much more in the tail. So a comparison is made of several runs of each side, interleaved so that drift
//! of the machine falls on both ([`order`]); each run gives one figure per percentile; and the spread between runs
//! of one side says what a difference between the sides is worth ([`statistics`]).
//!
//! - [`Run`]: a recording as far as a comparison needs it.
//! - [`compare`]: runs of A and of B in, a [`Comparison`] out. Refuses sides that were not loaded alike
//!   ([`CompareError::Unlike`]), names what else differs, and says in one sentence what was found.
//! - [`session::run`]: makes the runs, of whatever kind they are, in their order.
//! - [`server::Server`]: a server that is started for one run and stopped after it.
//!
//! **False alarms.** The verdict is about percentiles named before the runs (P50, P99 and P99.9 unless told
//! otherwise) at a level of 5% for all of them together. In 2,000 simulated comparisons of a side with itself, at
//! 5 + 5 runs, a difference was claimed in 3% with noise from run to run of 10%, in 1% with drift by 30% over the
//! session and one run in ten far out. A difference of 2x in the tail was found in all but a few in a hundred of
//! those, one of 20% in half of the quieter ones: `false_alarms.rs` holds the figures and their test.
//!
//! Cost: a recording is read one interval at a time and kept as one histogram, 230 KB a run.

pub mod comparison;
mod error;
mod matching;
pub mod order;
pub mod percentile;
mod run;
pub mod server;
pub mod session;
pub mod statistics;
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
