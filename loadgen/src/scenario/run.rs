//! Runs a scenario: by the engine that its target asks for, judged, with the scenario beside the figures.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use hdrhistogram::Histogram;
use tailcut_report::recording::{Meta, rewrite_meta};

use super::{SCENARIO_FILE, Scenario, ScenarioError, Target, stand_in};
use crate::engine::{LiveSecond, RunOutcome};
use crate::error::LoadError;
use crate::plan::Labels;

/// Runs `scenario` and leaves its recording in `dir`, which must not hold anything yet.
///
/// Blocks for warm-up, duration and a grace of at most a second (network: of at most the request
/// timeout). `on_second` is called about once a second on the calling thread. Setting `stop` ends the run
/// within some milliseconds; the recording is then partial, readable, and says so.
///
/// The recording is the scenario's variant, whatever `labels` say; the scenario's objectives are judged, and the
/// scenario itself stands beside the figures ([`SCENARIO_FILE`]), so that it can be run again.
///
/// # Errors
/// What cannot run here; a target that cannot be reached; too few file descriptors; a
/// recording that cannot be written.
pub fn run(
    scenario: &Scenario,
    dir: &Path,
    labels: &Labels,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
) -> Result<RunOutcome, LoadError> {
    scenario.check()?;
    let text = scenario.to_toml()?;
    let labels = Labels {
        variant: scenario.name.clone(),
        ..labels.clone()
    };
    // Whatever goes on beside the load (faults, sampling of the target) begins here, and ends before the judgement.
    let mut outcome = match &scenario.target {
        Target::InProcess {
            service,
            form,
            window,
        } => stand_in::run_in_process(
            scenario, *service, *form, *window, dir, &labels, stop, on_second,
        ),
        Target::Network(target) => {
            stand_in::run_network(scenario, target, dir, &labels, stop, on_second)
        }
    }?;
    conclude(scenario, &text, &mut outcome)?;
    Ok(outcome)
}

/// Fills in what came of the scenario's objectives: `meta.load.slo`, `meta.result.objectives`.
///
/// Changes nothing in a recording without a result. Doing it twice is doing it once.
pub fn judge(scenario: &Scenario, meta: &mut Meta, response: &Histogram<u64>) {
    meta.load.slo = scenario.slo.as_ref().map(ToString::to_string);
    if let (Some(slo), Some(result)) = (&scenario.slo, &mut meta.result) {
        result.objectives = slo.judge_figures(response, result);
    }
}

/// Judges the run, and completes its recording.
fn conclude(scenario: &Scenario, text: &str, outcome: &mut RunOutcome) -> Result<(), LoadError> {
    let before = outcome.meta.clone();
    judge(scenario, &mut outcome.meta, &outcome.response);
    if outcome.meta != before {
        rewrite_meta(&outcome.dir, &outcome.meta)?;
    }
    let file = outcome.dir.join(SCENARIO_FILE);
    std::fs::write(&file, text).map_err(|error| {
        ScenarioError::Refused(format!("cannot write {}: {error}", file.display()))
    })?;
    Ok(())
}
