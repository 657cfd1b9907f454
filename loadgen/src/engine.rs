//! Runs a plan: open loop, one worker to a core, everything recorded, nothing that grows.
//!
//! A run in order:
//! 1. The plan is checked, the recording's folder made: what can be refused is refused here.
//! 2. Workers are pinned, build their service, and **rehearse** ([`rehearsal`]): a fixed number of
//!    orders as fast as they can. It faults memory in, fills caches and allocator, and its checksum
//!    is the one that is compared between forms, because every run reaches it.
//! 3. **Warm-up**: the schedule begins. Its first part is served like the rest but not recorded.
//!    The schedule does not pause after it: a backlog goes on into the recording. Its length is
//!    given, or decided on the way ([`warmup`]).
//! 4. **Recording**: requests due from the warm-up's end on, per second of the schedule.
//! 5. **Grace** ([`interval::Timeline`]): what is due is still served for a while, then the run is
//!    cut; what was not started is *unserved* and stands in the histograms at its age.
//!
//! The calling thread writes the recording ([`recorder`]); it never blocks a worker.

pub(crate) mod conduct;
pub(crate) mod handoff;
pub(crate) mod inline;
pub(crate) mod interval;
pub(crate) mod machine;
pub(crate) mod outcome;
pub(crate) mod pacer;
pub(crate) mod placement;
pub(crate) mod pool_watch;
pub(crate) mod recorder;
pub(crate) mod rehearsal;
pub(crate) mod slow;
pub(crate) mod stage;
pub(crate) mod stalls;
pub(crate) mod tally;
pub(crate) mod threads;
pub(crate) mod warmup;
pub(crate) mod watch;

#[cfg(test)]
mod simulation;

pub use outcome::RunOutcome;
pub use recorder::{LivePercentiles, LiveSecond};

use crate::clock::{Clock, Source};
use crate::error::LoadError;
use crate::order::generate::Corpus;
use crate::plan::{Form, RunPlan};
use crate::scenario::Arrivals;
use crate::scenario::beside::Beside;
use crate::schedule::Schedule;
use crate::schedule::constant::Constant;
use crate::services::{self, Served};
use crate::workload::Workload;
use placement::{Placement, only_run};
use std::sync::atomic::AtomicBool;

/// Runs `plan` and leaves its recording in `plan.out_dir`.
///
/// `on_second` is called about once a second on the calling thread, which meanwhile, like all other
/// threads of the process, keeps off the workers' cores. Setting `stop` ends the run within a few
/// milliseconds; the recording is then partial, readable, and says so.
///
/// Takes the rehearsal (two windows at full speed), warm-up and duration, and at most a second of
/// grace. One run at a time: a second caller waits.
///
/// # Errors
/// A plan that [`RunPlan::check`] refuses; a folder that holds something or cannot be
/// written; a core that cannot be had; a service that panics. When the disk fills up half-way the
/// run ends, and the outcome says that the recording is partial; only when not even that can be
/// written it is an error.
pub fn run(
    plan: &RunPlan,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
) -> Result<RunOutcome, LoadError> {
    run_beside(plan, stop, on_second, &Beside::nothing())
}

/// As [`run`], with a workload of one's own in place of the plan's service; `make` builds that of
/// worker n, on the thread that will run it. The form must be [`Form::Inline`].
///
/// The rehearsal handles two windows of requests before the schedule begins, but at least as many as
/// [`RunPlan::window`] says.
///
/// # Errors
/// As [`run`], and [`LoadError::Scenario`] for the other form.
pub fn run_workload<W: Workload>(
    plan: &RunPlan,
    make: impl Fn(u32) -> W + Sync,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
) -> Result<RunOutcome, LoadError> {
    let own = services::Own(make);
    run_served(plan, own, stop, on_second, &Beside::nothing())
}

/// As [`run`], with faults and samples that go on beside the load.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_beside(
    plan: &RunPlan,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
    beside: &Beside,
) -> Result<RunOutcome, LoadError> {
    run_served(plan, services::Named, stop, on_second, beside)
}

fn run_served(
    plan: &RunPlan,
    served: impl Served,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
    beside: &Beside,
) -> Result<RunOutcome, LoadError> {
    let _alone = only_run();
    plan.check()?;
    let source = Source::detect();
    let facts = ClockFacts {
        name: source.name(),
        cost_ns: source.cost_ns(),
        refused: match source {
            Source::Tsc(_) => None,
            Source::Monotonic(_, reason) => Some(reason),
        },
    };
    match source {
        Source::Tsc(clock) => run_with(plan, served, stop, on_second, beside, &clock, facts),
        Source::Monotonic(clock, _) => {
            run_with(plan, served, stop, on_second, beside, &clock, facts)
        }
    }
}

fn run_with<C: Clock>(
    plan: &RunPlan,
    served: impl Served,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
    beside: &Beside,
    clock: &C,
    facts: ClockFacts,
) -> Result<RunOutcome, LoadError> {
    let placement = Placement::choose(plan.workers, plan.pin)?;
    let corpus = Corpus::generate(plan.seed);
    let run = conduct::Run {
        plan,
        stop,
        on_second,
        beside,
        clock,
        facts,
        placement,
        corpus: &corpus,
    };
    // Evenly spaced requests are stepped through without a branch: theirs is the floor that is compared with.
    let (rate, seed) = (plan.rate, plan.seed);
    match (plan.form, &plan.arrivals) {
        (Form::Inline, Arrivals::Constant) => {
            let lane = |begin, lane, of| Constant::new(begin, rate).lane(lane, of);
            served.inline(plan, threads::Inline(run, lane))?
        }
        (Form::Handoff, Arrivals::Constant) => {
            let lane = |begin, lane, of| Constant::new(begin, rate).lane(lane, of);
            served.halves(plan, threads::Handoff(run, lane))?
        }
        (Form::Inline, arrivals) => {
            let lane = |begin, lane, of| Schedule::new(begin, rate, arrivals, seed).lane(lane, of);
            served.inline(plan, threads::Inline(run, lane))?
        }
        (Form::Handoff, arrivals) => {
            let lane = |begin, lane, of| Schedule::new(begin, rate, arrivals, seed).lane(lane, of);
            served.halves(plan, threads::Handoff(run, lane))?
        }
    }
}

/// What a recording says about the clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockFacts {
    pub(crate) name: &'static str,
    pub(crate) cost_ns: f64,
    /// Why the time stamp counter was not taken.
    pub(crate) refused: Option<&'static str>,
}
