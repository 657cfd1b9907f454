//! The objectives of NEW: over all requests of all its runs, since percentiles are never averaged.
//!
//! How many runs hold them by themselves is told beside it: one run in five that breaks an objective is another
//! story than five that break it narrowly.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::compare::Run;
use crate::recording::{ObjectiveResult, RunResult, merged};
use crate::statistics::{mean, total};

/// One objective, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectiveCheck {
    /// As it was written: `p99.9<1ms`.
    pub objective: String,
    /// Over all requests: nanoseconds, a share, or requests per second.
    pub measured: f64,
    /// Whether it holds.
    pub held: bool,
    /// Runs that hold it by themselves.
    pub runs_held: usize,
    /// Runs of NEW.
    pub runs: usize,
}

/// Every objective.
pub(super) fn checks(
    new: &[Run],
    judge: impl Fn(&Histogram<u64>, &RunResult) -> Vec<ObjectiveResult>,
) -> Vec<ObjectiveCheck> {
    let results: Vec<&RunResult> = new
        .iter()
        .filter_map(|run| run.meta.result.as_ref())
        .collect();
    let by_run: Vec<Vec<ObjectiveResult>> = new
        .iter()
        .zip(&results)
        .map(|(run, result)| judge(&run.response, result))
        .collect();
    judge(
        &merged(new.iter().map(|run| &run.response)),
        &together(&results),
    )
    .into_iter()
    .enumerate()
    .map(|(index, all)| ObjectiveCheck {
        objective: all.objective,
        measured: all.measured,
        held: all.held,
        runs_held: by_run
            .iter()
            .filter(|run| run.get(index).is_some_and(|one| one.held))
            .count(),
        runs: new.len(),
    })
    .collect()
}

/// The counts of all runs: what an objective is about. Runs are equally long, so that a mean of their rates is the
/// rate of all.
fn together(results: &[&RunResult]) -> RunResult {
    let sum = |of: fn(&RunResult) -> u64| total(results.iter().map(|result| of(result)));
    RunResult {
        offered: sum(|result| result.offered),
        completed: sum(|result| result.completed),
        completed_on_schedule: sum(|result| result.completed_on_schedule),
        unserved: sum(|result| result.unserved),
        rejected: sum(|result| result.rejected),
        failed: sum(|result| result.failed),
        rate_achieved: mean(results.iter().map(|result| result.rate_achieved)),
        schedule_kept: results.iter().all(|result| result.schedule_kept),
        ..RunResult::default()
    }
}
