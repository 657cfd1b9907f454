//! What becomes of a run whose service fails.

use super::*;
use crate::clock::MonotonicClock;
use crate::engine::ClockFacts;
use crate::engine::placement::{Placement, available_cpus, only_run};
use crate::order::generate::Corpus;
use crate::plan::{Form, RunPlan, Service};
use crate::quantity::Rate;
use crate::scenario::WarmUp;
use crate::scenario::beside::Beside;
use crate::schedule::constant::{Constant, ConstantLane};
use crate::workload::{Noop, Verdict};
use std::sync::MutexGuard;
use std::sync::atomic::AtomicBool;
use tailcut_report::recording::{self, State};

/// Works until it has handled so many requests.
struct Fragile {
    left: u64,
}

impl Fragile {
    fn bear(&mut self) {
        self.left -= 1;
        assert!(self.left > 0, "an account without an owner");
    }
}

impl Workload for Fragile {
    fn handle(&mut self, _: &[u8]) -> Verdict {
        self.bear();
        Verdict::Accepted
    }

    fn checksum(&self) -> u64 {
        0
    }

    fn settled_windows(&self) -> u64 {
        0
    }
}

impl Front for Fragile {
    type Parcel = u64;

    fn take_in(&mut self, _: &[u8]) -> u64 {
        self.bear();
        0
    }
}

impl Back for Fragile {
    type Parcel = u64;

    fn finish(&mut self, _: u64) -> Verdict {
        self.bear();
        Verdict::Accepted
    }

    fn checksum(&self) -> u64 {
        0
    }

    fn settled_windows(&self) -> u64 {
        0
    }
}

const RATE: u64 = 10_000;

fn lane(begin: Nanos, lane: u32, lanes: u32) -> ConstantLane {
    Constant::new(begin, Rate::per_second(RATE).unwrap()).lane(lane, lanes)
}

/// Runs `job` on a small plan; it must fail, and leave a recording that says why.
fn fails_with(
    _alone: &MutexGuard<'static, ()>,
    form: Form,
    workers: u32,
    job: impl FnOnce(Run<'_, MonotonicClock>) -> Result<RunOutcome, LoadError>,
) {
    let dir = tempfile::tempdir().unwrap();
    let plan = RunPlan {
        form,
        workers,
        window: 1_000,
        rate: Rate::per_second(RATE).unwrap(),
        warmup: WarmUp::Fixed(Nanos(0)),
        ..RunPlan::new(Service::Noop, dir.path().join("recording"))
    };
    let corpus = Corpus::generate(1);
    let error = job(Run {
        plan: &plan,
        stop: &AtomicBool::new(false),
        on_second: &mut |_| (),
        beside: &Beside::nothing(),
        clock: &MonotonicClock,
        facts: ClockFacts {
            name: "clock_gettime",
            cost_ns: 25.0,
            refused: None,
        },
        placement: Placement::choose(workers, true).unwrap(),
        corpus: &corpus,
    });
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("panicked: an account without an owner"),
        "{error}"
    );
    let meta = recording::Recording::read(&plan.out_dir).unwrap().meta;
    assert_eq!(meta.state, State::Partial);
    assert_eq!(meta.state_reason, Some(error));
}

#[test]
fn a_service_that_panics_ends_the_run_with_its_message() {
    let alone = only_run();
    let during_rehearsal = 500;
    let during_the_run = rehearsal::requests(1_000) + 2_000;
    for left in [during_rehearsal, during_the_run] {
        fails_with(&alone, Form::Inline, 1, |run| {
            Inline(run, lane).with(|_| Fragile { left }, None)
        });
    }
}

#[test]
fn when_one_of_two_threads_panics_the_other_does_not_wait_for_ever() {
    // Another test's run would leave this one fewer cores.
    let alone = only_run();
    if available_cpus() < 2 {
        return;
    }
    let during_rehearsal = 500;
    let during_the_run = rehearsal::requests(1_000) + 2_000;
    for left in [during_rehearsal, during_the_run] {
        fails_with(&alone, Form::Handoff, 2, |run| {
            Handoff(run, lane).with(|_| Fragile { left }, |_| Noop::default(), None)
        });
        fails_with(&alone, Form::Handoff, 2, |run| {
            Handoff(run, lane).with(|_| Noop::default(), |_| Fragile { left }, None)
        });
    }
}
