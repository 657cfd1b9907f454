//! Is NEW worse than BASE by more than is tolerated? One test a figure, corrected for their number.
//!
//! The share of failed requests is judged along with the percentiles if any request failed: a quick failure makes
//! latencies look better. If none did, its test could not find anything, and leaving it out costs the others no power
//! and raises no false alarm (Tarone, "A modified Bonferroni method for discrete data", 1990). What is
//! tolerated there is not a factor but a thousandth of all requests.

use serde::Serialize;

use super::Options;
use crate::compare::comparison::Row;
use crate::compare::{Comparison, Run};
use crate::statistics::bootstrap::ConfidenceInterval;
use crate::statistics::rank_sum::{RankSum, rank_sum};
use crate::statistics::{holm, median_of};

/// The share of requests by which NEW may fail more.
pub(super) const FAILS_MORE: f64 = 0.001;

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Nanoseconds.
    Time,
    /// A share of requests, 0 to 1.
    Share,
}

/// One figure of both sides, and whether it became worse than is tolerated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// `P99.9`, `errors`.
    pub measure: String,
    /// What its figures are.
    pub quantity: Quantity,
    /// Of BASE: the median of its runs.
    pub base: f64,
    /// Of NEW.
    pub new: f64,
    /// NEW's over BASE's; null for shares.
    pub ratio: Option<f64>,
    /// Where that lies with 95% confidence; null with fewer than four runs of a side, and for shares.
    pub ratio_interval: Option<ConfidenceInterval>,
    /// Two-sided p of the test against BASE made worse by what is tolerated, corrected for all checks.
    pub p: f64,
    /// Whether NEW is worse than that, and significantly so.
    pub regressed: bool,
}

/// All checks: the judged percentiles, lowest first, then failures if there were any.
pub(super) fn checks(
    comparison: &Comparison,
    base: &[Run],
    new: &[Run],
    options: &Options,
) -> Vec<Check> {
    let judged: Vec<&Row> = comparison
        .rows
        .iter()
        .filter(|row| row.is_judged())
        .collect();
    let slower = options.tolerated.ln_1p();
    let mut tests: Vec<Option<RankSum>> = judged
        .iter()
        .map(|row| beyond(&row.a.logs(), &row.b.logs(), slower))
        .collect();
    let mut checks: Vec<Check> = judged
        .iter()
        .map(|row| Check {
            measure: row.percentile.clone(),
            quantity: Quantity::Time,
            base: row.a.median_ns,
            new: row.b.median_ns,
            ratio: Some(row.ratio),
            ratio_interval: row.ratio_interval,
            p: 1.0,
            regressed: false,
        })
        .collect();
    let failed = |runs: &[Run]| -> Vec<f64> { runs.iter().map(Run::failed).collect() };
    let (failed_base, failed_new) = (failed(base), failed(new));
    if failed_base
        .iter()
        .chain(&failed_new)
        .any(|share| *share > 0.0)
    {
        tests.push(beyond(&failed_base, &failed_new, FAILS_MORE));
        checks.push(Check {
            measure: "errors".to_owned(),
            quantity: Quantity::Share,
            base: median_of(&failed_base),
            new: median_of(&failed_new),
            ratio: None,
            ratio_interval: None,
            p: 1.0,
            regressed: false,
        });
    }
    for (check, (p, regressed)) in checks.iter_mut().zip(judge(&tests, options.level)) {
        check.p = p;
        check.regressed = regressed;
    }
    checks
}

/// The test of `new` against `base` made worse by `tolerated`, which is added: to logarithms it is a factor.
pub(super) fn beyond(base: &[f64], new: &[f64], tolerated: f64) -> Option<RankSum> {
    let worse: Vec<f64> = base.iter().map(|value| value + tolerated).collect();
    rank_sum(&worse, new)
}

/// Of each test its corrected p, and whether it shows that NEW is worse.
pub(super) fn judge(tests: &[Option<RankSum>], level: f64) -> Vec<(f64, bool)> {
    let p: Vec<f64> = tests
        .iter()
        .map(|test| test.map_or(1.0, |test| test.p))
        .collect();
    let worse = |test: &Option<RankSum>| test.is_some_and(|test| test.superiority() > 0.5);
    holm::adjusted(&p)
        .into_iter()
        .zip(tests)
        .map(|(p, test)| (p, p <= level && worse(test)))
        .collect()
}
