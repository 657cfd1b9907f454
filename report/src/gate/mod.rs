//! The gate: may NEW replace BASE? For a machine that must answer yes or no, and is told when it cannot.
//!
//! Runs of both sides in, a [`Gate`] out. It fails on two grounds and on nothing else:
//!
//! - **A regression beyond what is tolerated** ([`Options::tolerated`]), significant at [`Options::level`] after Holm's
//!   correction for everything that is judged. Not "is there a difference, and is its estimate large": with many
//!   runs every difference is significant, and an estimate at the limit falls on either side of it by chance. The
//!   runs of BASE are made slower by the tolerance, and the exact rank sum test is asked whether NEW is slower
//!   even than that (a test of non-inferiority; Wellek, "Testing statistical hypotheses of equivalence and
//!   noninferiority", 2010). Without tolerance it is the test of [`compare`], two-sided as there, so
//!   that the two never disagree.
//! - **A broken objective**, over all requests of all runs of NEW.
//!
//! It passes when neither is there. It **cannot tell** when there are too few runs for the test to find anything,
//! however bad NEW were; when NEW missed its schedule or fails more than BASE without that being significant, since
//! its latencies are then better than the truth; and when what looks like a regression is held against a BASE
//! whose own latencies are lower bounds. Sides that were not loaded alike, or not on the same machine, are no input
//! at all: [`CompareError::Unlike`] names what differs.
//!
//! **How often it errs** (`false_alarms.rs`: 500 simulated gates each, so give or take two points; 5% tolerated, level 5%,
//! P50, P99 and P99.9 judged; a quiet machine's figures vary by 5 to 10% from run to run, a noisy one's drift by 30% as well
//! and have one run in ten far out):
//!
//! | NEW against BASE | 5 + 5 runs | 8 + 8 | 12 + 12 |
//! |---|---|---|---|
//! | the same, quiet or noisy: fails | at most 0.2% | 0% | 0% |
//! | the same, nothing tolerated, quiet: fails | 2.2% | 0.8% | 2.0% |
//! | the same, nothing tolerated, noisy: fails | 1.2% | 1.4% | 0.6% |
//! | 5% slower, just what is tolerated, quiet: fails | 2.2% | 0.8% | 2.0% |
//! | 20% slower, quiet: fails | 81% | 98% | 99.8% |
//! | 20% slower in P99 and P99.9 alone, quiet: fails | 53% | 84% | 97% |
//!
//! It is half of the level, and not all of it, because the test is two-sided and only one of its sides is a regression.
//!
//! Cost: that of [`compare`], twice; milliseconds for 5 + 5 runs.

mod markdown;
mod objectives;
mod regression;
mod verdict;

#[cfg(test)]
mod false_alarms;
#[cfg(test)]
mod tests;

pub use objectives::ObjectiveCheck;
pub use regression::{Check, Quantity};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::compare::{self, CompareError, Comparison, Percentile, Run};
use crate::recording::{ObjectiveResult, RunResult};

/// Version of the form of a [`Gate`] as JSON.
pub const SCHEMA: u32 = 1;

/// What the gate rests on; to be settled before the runs are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The percentiles in which NEW must not be worse. The more there are, the more runs it takes.
    pub judged: Vec<Percentile>,
    /// The chance that the gate fails although NEW is no worse than tolerated, 0 to 1: an upper bound.
    pub level: f64,
    /// How much slower NEW may be, as a share of BASE: 0.05 is 5%.
    pub tolerated: f64,
}

impl Default for Options {
    /// P50, P99 and P99.9 at a level of 5%, and 5% tolerated: a change of layout alone, which nobody made on purpose,
    /// moves latencies by a few percent (Mytkowicz et al., "Producing wrong data without doing anything obviously
    /// wrong!", ASPLOS 2009).
    fn default() -> Options {
        Options {
            judged: Percentile::JUDGED.to_vec(),
            level: 0.05,
            tolerated: 0.05,
        }
    }
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing speaks against NEW.
    Pass,
    /// A regression beyond what is tolerated, or a broken objective.
    Fail,
    /// The runs do not allow an answer.
    CannotTell,
}

/// The gate's answer, with all that it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    /// [`SCHEMA`].
    pub schema: u32,
    /// In a word.
    pub outcome: Outcome,
    /// In a sentence.
    pub sentence: String,
    /// The level that was asked for.
    pub level: f64,
    /// The share by which NEW may be slower.
    pub tolerated: f64,
    /// What was judged, each with its own answer.
    pub checks: Vec<Check>,
    /// The objectives, over all requests of NEW.
    pub objectives: Vec<ObjectiveCheck>,
    /// Runs of each side that it takes to find any regression; null where there are enough.
    pub runs_needed: Option<usize>,
    /// A regression of the highest judged percentile to less than this factor of BASE would probably not have been
    /// found; null with too few runs for any.
    pub detectable_ratio: Option<f64>,
    /// The same runs, compared without tolerance; A is BASE, B is NEW.
    pub comparison: Comparison,
}

/// Holds NEW against BASE.
///
/// `judge` gives what came of each objective for the response times and counts of a run, or of all runs together
/// (their sums; rates are means); it may give none.
///
/// # Errors
/// Those of [`compare`](crate::compare::compare()): sides that are not complete repetitions of one run each, or were not loaded
/// alike; nothing to judge.
pub fn gate(
    base: &[Run],
    new: &[Run],
    options: &Options,
    judge: impl Fn(&Histogram<u64>, &RunResult) -> Vec<ObjectiveResult>,
) -> Result<Gate, CompareError> {
    let compared = compare::Options {
        judged: options.judged.clone(),
        level: options.level,
    };
    let comparison = compare::compare(base, new, &compared)?;
    let checks = regression::checks(&comparison, base, new, options);
    let objectives = objectives::checks(new, judge);
    Ok(verdict::gate(comparison, checks, objectives, options))
}
