//! Looks at a run once a second, for whoever watches it: how many requests are done and due, and what the machine
//! took away meanwhile.
//!
//! What is due is counted on lanes of its own, so that the workers have nothing to do with it. That costs nothing for
//! schedules that can be computed, and 20 ns a request where they are drawn.

use super::interval::Timeline;
use super::machine::{UsageProbe, steal};
use super::recorder::{self, LiveSecond, Recorder};
use super::stage::Stage;
use crate::clock::{Nanos, monotonic_ns};
use crate::plan::RunPlan;
use crate::scenario::warmup::{WarmUp, WarmUpEnd};
use crate::schedule::{AnyLane, Lane, Schedule};

/// Samples a run once a second.
pub(crate) struct Watch<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) timeline: Timeline,
    /// How the warm-up ended, as far as is known.
    pub(crate) warm_up: WarmUpEnd,
    /// All that this process has to do.
    lanes: Vec<AnyLane>,
    /// Requests of theirs that were due so far.
    due: u64,
    cpus: Vec<u32>,
    probes: Vec<UsageProbe>,
    next: Nanos,
    last: Sample,
    /// Steal when the recording began.
    steal_before: Option<Nanos>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Nanos,
    completed: u64,
    steal: Nanos,
    run_queue_wait: Nanos,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        plan: &RunPlan,
        stage: &'a Stage,
        timeline: Timeline,
        cpus: Vec<u32>,
        threads: &[u32],
    ) -> Watch<'a> {
        let schedule = Schedule::new(timeline.begin, plan.rate, &plan.arrivals, plan.seed);
        let lanes = (0..plan.services()).map(|service| {
            let (lane, lanes) = plan.lane(service);
            schedule.lane(lane, lanes)
        });
        let warm_up = match plan.warmup {
            WarmUp::Fixed(length) => WarmUpEnd::Fixed(length),
            WarmUp::Auto { .. } => WarmUpEnd::Undecided,
        };
        let probes = threads
            .iter()
            .map(|&thread| UsageProbe::of(thread))
            .collect();
        let last = Sample {
            at: timeline.begin,
            completed: 0,
            steal: Nanos(0),
            run_queue_wait: Nanos(0),
        };
        let next = timeline.begin + Nanos::SECOND;
        let mut watch = Watch {
            stage,
            timeline,
            warm_up,
            lanes: lanes.collect(),
            due: 0,
            cpus,
            probes,
            next,
            last,
            steal_before: None,
        };
        watch.last = watch.sample(timeline.begin);
        watch
    }

    fn sample(&self, at: Nanos) -> Sample {
        Sample {
            at,
            completed: recorder::completed(&self.stage.progress),
            steal: steal(&self.cpus),
            run_queue_wait: self
                .probes
                .iter()
                .fold(Nanos(0), |sum, probe| sum + probe.run_queue_wait()),
        }
    }

    /// How the run stands, if a second has passed since this was last asked for.
    pub(crate) fn second(&mut self, recorder: &mut Recorder) -> Option<LiveSecond> {
        let now = Nanos(monotonic_ns());
        if self.steal_before.is_none() && now >= self.timeline.record {
            self.steal_before = Some(steal(&self.cpus));
        }
        if now < self.next {
            return None;
        }
        self.next = now + Nanos::SECOND;
        let (before, sample) = (self.last, self.sample(now));
        self.last = sample;
        let until = now.min(self.timeline.end);
        self.due += self
            .lanes
            .iter_mut()
            .map(|lane| lane.skip_before(until))
            .sum::<u64>();
        #[allow(clippy::cast_precision_loss)] // shown to a few digits
        let completed = sample.completed.saturating_sub(before.completed) as f64;
        Some(LiveSecond {
            elapsed: now
                .saturating_sub(self.timeline.record)
                .min(self.timeline.duration),
            duration: self.timeline.duration,
            warming_up: now < self.timeline.record,
            completed: sample.completed,
            due: self.due,
            rate: completed / now.saturating_sub(before.at).as_secs_f64().max(1e-9),
            response: recorder.recent(),
            failed: 0,
            steal: sample.steal.saturating_sub(before.steal),
            run_queue_wait: sample.run_queue_wait.saturating_sub(before.run_queue_wait),
        })
    }

    /// Steal since the recording began.
    pub(crate) fn stolen(&self) -> Nanos {
        self.steal_before
            .map_or(Nanos(0), |before| steal(&self.cpus).saturating_sub(before))
    }
}
