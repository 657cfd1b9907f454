//! The highest rate at which the heap form in Go can still be driven.
//!
//! Above it a queue grows without end, and every percentile only tells how long the run was. So the rate goes down from that
//! of the demo, a step of about a sixth at a time, until the form keeps up: nearly all is done in time, and in the last
//! second the queue was empty at some moment, so that it does not grow. A saturated step worked all the time, warm-up
//! included: more than what it got done in that time it cannot hold, which spares the steps above that. Three
//! seconds a step, five or six steps; the one that is taken is driven once more, for longer.

use anyhow::{Result, bail};
use tailcut_loadgen::{Nanos, Rate, RunOutcome};
use tailcut_report::format;
use tailcut_report::recording::{RESPONSE, Recording};

use super::super::progress::Progress;
use super::super::session::Session;
use super::{GoForm, GoService};
use crate::interrupt::Interrupt;

/// From that of the demo downwards, in thousands a second.
const LADDER: [u64; 18] = [
    2_400, 2_000, 1_700, 1_400, 1_200, 1_000, 850, 700, 600, 500, 420, 350, 300, 250, 200, 150,
    120, 100,
];
/// How long a step is driven, after the warm-up.
const STEP: Nanos = Nanos(2 * Nanos::SECOND.0);
const WARMUP: Nanos = Nanos::SECOND;
/// How long the step that is taken must hold twice more: the collector's longer rhythms, and a neighbour's, take
/// seconds.
const CONFIRMED: Nanos = Nanos(6 * Nanos::SECOND.0);
/// How long a backlog is worked off after that, before the rest is given up.
const GRACE: Nanos = Nanos::from_millis(200);
/// Share of what is due that must be done by the end.
const HELD: f64 = 0.995;
/// A request that was answered so soon did not stand in a queue.
const NO_QUEUE: Nanos = Nanos::from_millis(1);

/// Searches; `None` if somebody interrupted.
///
/// # Errors
/// A run that fails, or a form that cannot hold even the lowest rate.
pub fn search(
    session: &Session,
    service: &GoService,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Option<Rate>> {
    let mut most = f64::INFINITY;
    for thousands in LADDER {
        let rate = Rate::per_second(thousands * 1_000)?;
        if rate.as_f64() > most {
            continue;
        }
        progress.note(&format!(
            "searching the highest rate of the heap form in Go: {}",
            format::rate(rate.as_f64())
        ));
        let form = GoForm::Heap;
        let mut step = Step::NONE;
        for length in [STEP, CONFIRMED, CONFIRMED] {
            let run = session
                .go_run(form, form.key())
                .at(rate)
                .lasting(length, WARMUP);
            step = run.trial_with(service, interrupt, |outcome| Step::of(&outcome, length))?;
            if interrupt.requested() || !step.held() {
                break;
            }
        }
        if interrupt.requested() {
            return Ok(None);
        }
        progress.line(&format!(
            "the heap form in Go at {}: {}",
            format::rate(rate.as_f64()),
            step.in_words()
        ));
        if step.held() {
            return Ok(Some(rate));
        }
        most = step.most;
    }
    bail!(
        "the heap form in Go cannot hold even {} here: something else needs this machine's cores, or it has too few. Give a \
         rate with --rate to see it all the same",
        format::rate(100_000.0)
    )
}

/// What one step showed.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Share of what was due that was done by the end.
    share: f64,
    /// Whether the schedule was kept, by the form's own account.
    kept: bool,
    /// The quickest answer of the last second.
    quickest: Nanos,
    /// If it did not keep up: what it got done, per second, at most.
    most: f64,
}

impl Step {
    /// Nothing was driven yet.
    const NONE: Step = Step {
        share: 0.0,
        kept: false,
        quickest: Nanos(u64::MAX),
        most: f64::INFINITY,
    };

    #[allow(clippy::cast_precision_loss)] // a share
    fn of(outcome: &RunOutcome, length: Nanos) -> Result<Step> {
        let result = outcome.meta.result.clone().unwrap_or_default();
        let recording = Recording::read(&outcome.dir)?;
        let last = recording
            .intervals
            .iter()
            .rfind(|interval| interval.series == RESPONSE && !interval.histogram.is_empty());
        let given_up = result.unserved > 0;
        let warmup = outcome.meta.load.rate_target * WARMUP.as_secs_f64();
        let all = (WARMUP + length + GRACE).as_secs_f64();
        Ok(Step {
            most: match given_up {
                true => (warmup + result.completed as f64) / all,
                false => f64::INFINITY,
            },
            share: result.completed_on_schedule as f64 / result.offered.max(1) as f64,
            kept: result.schedule_kept,
            quickest: last.map_or(Nanos(u64::MAX), |interval| Nanos(interval.histogram.min())),
        })
    }

    fn held(&self) -> bool {
        self.kept && self.share >= HELD && self.quickest <= NO_QUEUE
    }

    fn in_words(&self) -> String {
        let done = format!("{} done in time", format::share(self.share));
        if self.held() {
            format!("held, {done}")
        } else if self.most.is_finite() {
            format!("not held, {} at most", format::rate(self.most))
        } else if self.share < HELD || !self.kept {
            format!("not held, {done}")
        } else {
            format!("not held, {done}, but a queue remained")
        }
    }
}
