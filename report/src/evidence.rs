//! What the runs of two variants show of a difference between them: the comparison, or why there is none.
//!
//! The figures are those of [`compare`](crate::compare), which the gate and `tailcut load compare` ask as well; only where
//! there are too few runs for its test does a report say more, by [`few_runs`], and says so.

use crate::compare::{CompareError, Comparison, Options, Run, compare};
use crate::digest::RunDigest;
use crate::statistics::bootstrap::ConfidenceInterval;
use crate::statistics::few_runs;
use crate::statistics::rank_sum::smallest_p;
use crate::variant::Variant;

/// The comparison of two variants.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// A is before, B is after; or why their runs must not be held against each other.
    pub(crate) comparison: Result<Comparison, CompareError>,
    /// Whether there are too few runs for the test to find anything.
    pub(crate) too_few: bool,
}

/// What few runs say of P99.9, as factors of before over after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FewRuns {
    /// Before's P99.9 over after's, of every pair of runs: the lowest and the highest.
    pub(crate) pairs: ConfidenceInterval,
    /// The probability with which the true factor lies in it.
    pub(crate) probability: f64,
    /// Where it lies with 95% confidence, if the runs of a side vary log-normally; absent with one run of a side.
    pub(crate) log_normal: Option<ConfidenceInterval>,
}

impl FewRuns {
    /// Whether the difference dwarfs the noise: no pair of runs goes the other way, nor does the interval.
    pub(crate) fn is_clear(&self) -> bool {
        let apart = !self.pairs.contains(1.0);
        apart
            && self
                .log_normal
                .is_some_and(|interval| !interval.contains(1.0))
    }
}

impl Evidence {
    /// Compares, with the usual options.
    pub(crate) fn of(before: &Variant, after: &Variant, runs: &[RunDigest]) -> Evidence {
        let options = Options::default();
        let [a, b] = [before, after].map(|variant| -> Vec<Run> {
            variant.runs.iter().map(|run| run_of(&runs[*run])).collect()
        });
        #[allow(clippy::cast_precision_loss)] // a handful
        let first_level = options.level / options.judged.len() as f64;
        Evidence {
            too_few: smallest_p(a.len(), b.len()) > first_level,
            comparison: compare(&a, &b, &options),
        }
    }

    /// For P99.9; nothing where there is none to compare.
    pub(crate) fn few_runs(before: &Variant, after: &Variant) -> Option<FewRuns> {
        let [before, after] = [before, after].map(|variant| logs(&variant.summary.p999_ns_by_run));
        let (pairs, probability) = few_runs::over_pairs(&after, &before)?;
        Some(FewRuns {
            pairs: pairs.map(f64::exp),
            probability,
            log_normal: few_runs::welch(&after, &before).map(|interval| interval.map(f64::exp)),
        })
    }
}

/// Logarithms of times, of which 0 counts as 1 ns.
pub(crate) fn logs(times: &[u64]) -> Vec<f64> {
    times.iter().map(|ns| (*ns.max(&1) as f64).ln()).collect()
}

fn run_of(digest: &RunDigest) -> Run {
    Run {
        dir: digest.dir.clone(),
        meta: digest.meta.clone(),
        response: digest.response.clone(),
    }
}
