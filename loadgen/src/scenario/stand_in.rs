//! Stands in for parts that are not there yet.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::fault::FaultKind;
use super::notation::Notation as _;
use super::{Arrivals, Fault, Pacing, Scenario, ScenarioError, WarmUp};
use crate::clock::Nanos;
use crate::engine::{LiveSecond, RunOutcome};
use crate::error::LoadError;
use crate::plan::{Form, Labels, RunPlan, Service};
use crate::quantity::parse_duration;

impl FromStr for Fault {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Fault, ScenarioError> {
        let refused = || ScenarioError::Refused(format!("'{text}' is no fault"));
        let (what, when) = text.split_once('@').ok_or_else(refused)?;
        let (at, lasts) = when.split_once('+').ok_or_else(refused)?;
        let time = |text: &str| parse_duration(text).map_err(|_| refused());
        let (kind, amount) = what.split_once('=').unwrap_or((what, ""));
        let kind = match kind {
            "freeze" => FaultKind::Freeze,
            "hog-cpu" => FaultKind::HogCpu {
                threads: amount.parse().map_err(|_| refused())?,
            },
            "hog-memory" => FaultKind::HogMemory {
                bytes: amount.parse().map_err(|_| refused())?,
            },
            "delay" => {
                let (by, jitter) = amount.split_once('~').unwrap_or((amount, "0s"));
                FaultKind::Delay {
                    by: time(by)?,
                    jitter: time(jitter)?,
                }
            }
            _ => return Err(refused()),
        };
        Ok(Fault {
            at: time(at)?,
            lasts: time(lasts)?,
            kind,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::Freeze => f.write_str("freeze")?,
            FaultKind::HogCpu { threads } => write!(f, "hog-cpu={threads}")?,
            FaultKind::HogMemory { bytes } => write!(f, "hog-memory={bytes}")?,
            FaultKind::Delay { by, jitter } => {
                write!(f, "delay={}~{}", by.write(), jitter.write())?;
            }
        }
        write!(f, "@{}+{}", self.at.write(), self.lasts.write())
    }
}

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
