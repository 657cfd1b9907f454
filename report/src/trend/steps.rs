//! A set as a point of the trend, and the step from one to the next.

use super::sets::Set;
use super::{LEVEL, Step, StepOutcome, TrendGroup, TrendPoint};
use crate::compare::{Options, Outcome, Percentile, Run, compare};
use crate::statistics::bootstrap::{self, ConfidenceInterval};
use crate::statistics::{holm, median_of, quantile};

/// A set by itself.
pub(super) fn point(set: &Set) -> TrendPoint {
    let by_run: Vec<u64> = set
        .runs
        .iter()
        .map(|run| quantile(&run.response, Percentile::P999.quantile()))
        .collect();
    let logs = crate::evidence::logs(&by_run);
    let ends = || -> Option<ConfidenceInterval> {
        let several = by_run.len() > 1;
        let (low, high) = (*by_run.iter().min()?, *by_run.iter().max()?);
        several.then_some(ConfidenceInterval {
            low: low as f64,
            high: high as f64,
        })
    };
    TrendPoint {
        label: set.label.clone(),
        begun_unix_ns: set.begun(),
        runs: by_run.len(),
        p999_ns: median_of(&logs).exp(),
        p999_range_ns: bootstrap::of_median(&logs)
            .map(|interval| interval.map(f64::exp))
            .or_else(ends),
        schedules_missed: set
            .runs
            .iter()
            .filter(|run| !run.kept_its_schedule())
            .count(),
        step: None,
    }
}

/// The step by itself; [`correct`] judges it among the others.
pub(super) fn step(before: &[Run], after: &[Run]) -> Step {
    let options = Options {
        judged: vec![Percentile::P999],
        level: LEVEL,
    };
    let undecided = |reason: String| Step {
        ratio: None,
        ratio_interval: None,
        p: None,
        outcome: StepOutcome::Undecided,
        reason: Some(reason),
    };
    let comparison = match compare(before, after, &options) {
        Ok(comparison) => comparison,
        Err(error) => return undecided(error.to_string()),
    };
    let Some(row) = comparison.rows.iter().find(|row| row.is_judged()) else {
        return undecided("nothing was judged".to_owned());
    };
    let (outcome, reason) = match comparison.verdict.outcome {
        Outcome::Better => (StepOutcome::Better, None),
        Outcome::Worse | Outcome::Mixed => (StepOutcome::Worse, None),
        Outcome::NoDifference => (StepOutcome::NoDifference, None),
        Outcome::Undecided => (
            StepOutcome::Undecided,
            Some(comparison.verdict.sentence.trim_end_matches('.').to_owned()),
        ),
    };
    Step {
        ratio: Some(row.ratio),
        ratio_interval: row.ratio_interval,
        p: Some(row.p),
        outcome,
        reason,
    }
}

/// Takes into account how many steps there are. What cannot be compared is no test.
pub(super) fn correct(groups: &mut [TrendGroup]) {
    let mut steps: Vec<&mut Step> = groups
        .iter_mut()
        .flat_map(|group| &mut group.points)
        .filter_map(|point| point.step.as_mut())
        .filter(|step| step.p.is_some())
        .collect();
    let p: Vec<f64> = steps.iter().filter_map(|step| step.p).collect();
    for (step, p) in steps.iter_mut().zip(holm::adjusted(&p)) {
        step.p = Some(p);
        if p > LEVEL && matches!(step.outcome, StepOutcome::Better | StepOutcome::Worse) {
            step.outcome = StepOutcome::NoDifference;
        }
    }
}
