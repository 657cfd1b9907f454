//! Runs a scenario: by the engine that its target asks for, judged, with the scenario beside the figures.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use hdrhistogram::Histogram;
use tailcut_report::recording::{Meta, RecordingError, State, rewrite_meta};

use super::beside::{Beside, Server};
use super::{SCENARIO_FILE, Scenario, Target, Watched, in_process};
use crate::engine::{LiveSecond, RunOutcome};
use crate::error::LoadError;
use crate::network::{self, target::Transport};
use crate::plan::Labels;
use crate::resources::{Listening, TargetUse, explain};

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
    let beside = Beside::start(scenario, server(scenario)?)?;
    let mut outcome = match &scenario.target {
        Target::InProcess {
            service,
            form,
            window,
        } => in_process::run(
            scenario, *service, *form, *window, dir, &labels, stop, on_second, &beside,
        ),
        Target::Network(target) => {
            network::run_beside(scenario, target, dir, &labels, stop, on_second, &beside)
        }
    }?;
    conclude(scenario, &text, beside.target_use().as_ref(), &mut outcome)?;
    Ok(outcome)
}

/// The server of a scenario, if it has one and anything is to be done to it or seen of it.
fn server(scenario: &Scenario) -> Result<Option<Server>, LoadError> {
    let Target::Network(target) = &scenario.target else {
        return Ok(None);
    };
    if scenario.faults.is_empty() && scenario.watched != Watched::Listener {
        return Ok(None);
    }
    Ok(Some(Server {
        address: network::resolve(target)?,
        listening: match target.transport {
            Transport::Udp => Listening::Udp,
            _ => Listening::Tcp,
        },
    }))
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

/// Judges the run, adds to the generator's verdict what is known of the target, and completes the recording.
///
/// A recording that is partial already says why: that the rest of it could not be written is then no news.
fn conclude(
    scenario: &Scenario,
    text: &str,
    target: Option<&TargetUse>,
    outcome: &mut RunOutcome,
) -> Result<(), RecordingError> {
    let before = outcome.meta.clone();
    judge(scenario, &mut outcome.meta, &outcome.response);
    let result = outcome.meta.result.as_mut();
    if let (Some(generator), Some(target)) =
        (result.and_then(|result| result.generator.as_mut()), target)
    {
        explain(generator, target);
    }
    let judged = if outcome.meta == before {
        Ok(())
    } else {
        rewrite_meta(&outcome.dir, &outcome.meta)
    };
    let path = outcome.dir.join(SCENARIO_FILE);
    let kept = std::fs::write(&path, text).map_err(|cause| RecordingError::Io {
        action: "write",
        path,
        cause,
    });
    match outcome.meta.state {
        State::Complete => judged.and(kept),
        State::Partial | State::Running => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock_pair;
    use crate::scenario::{ScenarioError, Settings};
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use tailcut_report::recording::{Recording, RunResult, SCHEMA, Writer};

    const TEXT: &str =
        "target.url = 'http://a:1/'\npacing.rate = 5\nslo.objectives = 'p50<1ms,errors<1%'\n";

    fn scenario() -> Scenario {
        let settings = Settings::from_toml(TEXT, Path::new("test.toml")).unwrap();
        settings.resolve().unwrap()
    }

    /// A run as an engine leaves it: on disk, and in hand.
    fn ended(dir: PathBuf, state: State) -> RunOutcome {
        let mut response = Histogram::new(3).unwrap();
        response.record_n(500_000, 100).unwrap();
        let meta = Meta {
            schema: SCHEMA,
            state,
            variant: "any".to_owned(),
            clock: clock_pair(),
            result: Some(RunResult {
                offered: 100,
                failed: 5,
                ..RunResult::default()
            }),
            ..Meta::default()
        };
        let writer = Writer::create(&dir, &meta).unwrap();
        writer.finish(&meta).unwrap();
        RunOutcome {
            dir,
            meta,
            service: response.clone(),
            response,
            series: BTreeMap::new(),
            drift: None,
            counter_refused: None,
            swaps_missed: 0,
        }
    }

    #[test]
    fn a_recording_says_what_came_of_each_objective_and_how_to_run_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let scenario = scenario();
        let mut outcome = ended(dir.path().join("run"), State::Complete);
        conclude(&scenario, &scenario.to_toml().unwrap(), None, &mut outcome).unwrap();

        let read = Recording::read(&outcome.dir).unwrap();
        assert_eq!(read.meta.load.slo.as_deref(), Some("p50<1ms,errors<1%"));
        let held: Vec<bool> = read
            .meta
            .result
            .unwrap()
            .objectives
            .iter()
            .map(|one| one.held)
            .collect();
        assert_eq!(held, [true, false]);
        let again = Settings::read_file(&outcome.dir.join(SCENARIO_FILE)).unwrap();
        assert_eq!(again.resolve().unwrap(), scenario);
    }

    #[test]
    fn judging_twice_is_judging_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut outcome = ended(dir.path().join("run"), State::Complete);
        judge(&scenario(), &mut outcome.meta, &outcome.response);
        let once = outcome.meta.clone();
        judge(&scenario(), &mut outcome.meta, &outcome.response);
        assert_eq!(outcome.meta, once);
    }

    #[test]
    fn what_cannot_be_completed_is_an_error_unless_the_recording_says_already_that_it_is_partial() {
        let dir = tempfile::tempdir().unwrap();
        let gone = |state, name: &str| {
            let mut outcome = ended(dir.path().join(name), state);
            std::fs::remove_dir_all(&outcome.dir).unwrap();
            conclude(&scenario(), "", None, &mut outcome)
        };
        assert!(gone(State::Complete, "a").is_err());
        assert!(gone(State::Partial, "b").is_ok());
    }

    #[test]
    fn what_cannot_run_is_refused_before_there_is_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("run");
        let refused = Scenario {
            connections: 0,
            ..scenario()
        };
        let stop = AtomicBool::new(false);
        let ran = run(&refused, &out, &Labels::default(), &stop, &mut |_| {});
        assert!(
            matches!(ran, Err(LoadError::Scenario(ScenarioError::Refused(_)))),
            "{ran:?}"
        );
        assert!(!out.exists());
    }
}
