//! A scenario whose target is a service within this process.
//!
//! What only a server could use is refused: a closed loop (a service that waits for nothing is measured at its ceiling
//! by a rate that it cannot keep), requests to be made of anything, TLS.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::beside::Beside;
use super::{Pacing, RequestOptions, Scenario, ScenarioError, TlsOptions};
use crate::engine::{self, LiveSecond, RunOutcome};
use crate::error::LoadError;
use crate::plan::{Form, Labels, RunPlan, Service};

/// Runs `scenario` against `service` by the in-process engine, and leaves its recording in `dir`.
///
/// Faults, objectives and watched processes are the caller's. See [`super::run`] for the rest.
///
/// # Errors
/// What [`RunPlan::check`] refuses; a closed loop, or settings that only a server has a use for; a recording that
/// cannot be written.
#[allow(clippy::too_many_arguments)] // what `super::run` is given, and its target taken apart
pub fn run(
    scenario: &Scenario,
    service: Service,
    form: Form,
    window: u64,
    dir: &Path,
    labels: &Labels,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
    beside: &Beside,
) -> Result<RunOutcome, LoadError> {
    let plan = plan(scenario, service, form, window, dir, labels)?;
    engine::run_beside(&plan, stop, on_second, beside)
}

/// The same, as the engine understands it.
fn plan(
    scenario: &Scenario,
    service: Service,
    form: Form,
    window: u64,
    dir: &Path,
    labels: &Labels,
) -> Result<RunPlan, ScenarioError> {
    let refused = |why: &str| Err(ScenarioError::Refused(why.to_owned()));
    let (rate, arrivals) = match &scenario.pacing {
        Pacing::Open { rate, arrivals } => (*rate, arrivals.clone()),
        Pacing::Closed => {
            return refused(
                "a service within the process answers at once, so there is nothing to close a loop around; give a rate \
                 (one that it cannot keep shows its ceiling)",
            );
        }
    };
    if scenario.request != RequestOptions::default() {
        return refused(
            "a service within the process is sent orders and nothing else; leave out what requests are made of",
        );
    }
    if scenario.tls != TlsOptions::default() {
        return refused("there is no connection to a service within the process; leave out TLS");
    }
    let mut labels = labels.clone();
    if labels.variant.is_empty() {
        labels.variant.clone_from(&scenario.name);
    }
    Ok(RunPlan {
        form,
        rate,
        arrivals,
        duration: scenario.duration,
        warmup: scenario.warmup,
        window,
        workers: scenario.workers,
        seed: scenario.seed,
        start_at_unix_ns: scenario.start_at_unix_ns,
        pin: scenario.pin,
        shard: scenario.shard,
        labels,
        ..RunPlan::new(service, dir)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Nanos;
    use crate::scenario::{Arrivals, Target, WarmUp, Watched};

    fn scenario() -> Scenario {
        Scenario {
            name: "orders".to_owned(),
            target: Target::InProcess {
                service: Service::Noop,
                form: Form::Inline,
                window: 1_000,
            },
            pacing: Pacing::Open {
                rate: "10k".parse().unwrap(),
                arrivals: Arrivals::Poisson,
            },
            duration: Nanos::SECOND,
            warmup: WarmUp::Fixed(Nanos(0)),
            workers: 1,
            connections: 1,
            pipeline: 1,
            timeout: Nanos::SECOND,
            seed: 9,
            request: RequestOptions::default(),
            tls: TlsOptions::default(),
            slo: None,
            faults: Vec::new(),
            watched: Watched::Nobody,
            start_at_unix_ns: None,
            pin: true,
            shard: None,
        }
    }

    fn planned(scenario: &Scenario) -> Result<RunPlan, ScenarioError> {
        let labels = Labels::default();
        plan(
            scenario,
            Service::Noop,
            Form::Inline,
            1_000,
            Path::new("unused"),
            &labels,
        )
    }

    #[test]
    fn what_a_scenario_says_is_what_is_run() {
        let plan = planned(&scenario()).unwrap();
        plan.check().unwrap();
        assert_eq!((plan.arrivals, plan.seed), (Arrivals::Poisson, 9));
        assert_eq!(plan.labels.variant, "orders");
    }

    #[test]
    fn what_only_a_server_has_a_use_for_is_refused() {
        let refused = |change: fn(&mut Scenario)| {
            let mut scenario = scenario();
            change(&mut scenario);
            planned(&scenario).unwrap_err().to_string()
        };
        assert!(refused(|scenario| scenario.pacing = Pacing::Closed).contains("give a rate"));
        assert!(
            refused(|scenario| scenario.request.method = Some("GET".into())).contains("orders")
        );
        assert!(refused(|scenario| scenario.tls.insecure = true).contains("TLS"));
    }
}
