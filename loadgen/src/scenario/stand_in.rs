//! Stands in for parts that are not there yet.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Arrivals, Pacing, Scenario, ScenarioError, WarmUp};
use crate::clock::Nanos;
use crate::engine::{LiveSecond, RunOutcome};
use crate::error::LoadError;
use crate::plan::{Form, Labels, RunPlan, Service};

impl Arrivals {
    pub(crate) fn trace_from_file(path: &Path) -> Result<Arrivals, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ScenarioError::Refused(format!("{}: {error}", path.display())))?;
        let offsets: Option<Vec<Nanos>> = text
            .lines()
            .map(|line| line.trim().parse().ok().map(Nanos))
            .collect();
        let offsets: Arc<[Nanos]> = offsets
            .ok_or_else(|| ScenarioError::Refused(format!("{}: no number", path.display())))?
            .into();
        Ok(Arrivals::Trace(offsets))
    }
}

#[allow(clippy::too_many_arguments)]
pub(crate) fn run_in_process(
    scenario: &Scenario,
    service: Service,
    form: Form,
    window: u64,
    dir: &Path,
    labels: &Labels,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
) -> Result<RunOutcome, LoadError> {
    let (
        Pacing::Open {
            rate,
            arrivals: Arrivals::Constant,
        },
        WarmUp::Fixed(warmup),
    ) = (&scenario.pacing, scenario.warmup)
    else {
        return Err(ScenarioError::Refused(
            "only constant arrivals after a fixed warm-up yet".to_owned(),
        )
        .into());
    };
    let plan = RunPlan {
        form,
        rate: *rate,
        duration: scenario.duration,
        warmup,
        window,
        workers: scenario.workers,
        seed: scenario.seed,
        labels: labels.clone(),
        ..RunPlan::new(service, dir)
    };
    crate::engine::run(&plan, stop, on_second)
}
