//! How a run stands, once a second, for whoever looks on.

use super::recorder::Recorder;
use super::timeline::{Shared, Timeline};
use crate::clock::{Nanos, monotonic_ns};
use crate::engine::LiveSecond;
use crate::engine::machine::{UsageProbe, steal};
use crate::scenario::{Pacing, Scenario};

/// See the module's head.
///
/// What is due is reckoned from the rate alone, so that a drawn schedule need not be walked through: with
/// requests at random or in bursts it is right on average.
pub(super) struct Watch<'a> {
    pub(super) shared: &'a Shared,
    pub(super) timeline: &'a Timeline,
    /// Requests per second of this process; nothing in a closed loop.
    rate: Option<f64>,
    cpus: &'a [u32],
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
    pub(super) fn new(
        scenario: &Scenario,
        shared: &'a Shared,
        timeline: &'a Timeline,
        cpus: &'a [u32],
        threads: &[u32],
    ) -> Watch<'a> {
        let rate = match scenario.pacing {
            Pacing::Open { rate, .. } => {
                Some(rate.as_f64() / f64::from(scenario.shard.map_or(1, |shard| shard.of)))
            }
            Pacing::Closed => None,
        };
        let probes = threads.iter().map(|&thread| UsageProbe::of(thread));
        let mut watch = Watch {
            shared,
            timeline,
            rate,
            cpus,
            probes: probes.collect(),
            next: timeline.begin + Nanos::SECOND,
            last: Sample {
                at: timeline.begin,
                completed: 0,
                steal: Nanos(0),
                run_queue_wait: Nanos(0),
            },
            steal_before: None,
        };
        watch.last = watch.sample(timeline.begin);
        watch
    }

    fn sample(&self, at: Nanos) -> Sample {
        let waits = self.probes.iter().map(UsageProbe::run_queue_wait);
        Sample {
            at,
            completed: self.shared.sum(|worker| &worker.completed),
            steal: steal(self.cpus),
            run_queue_wait: waits.fold(Nanos(0), |sum, wait| sum + wait),
        }
    }

    /// How the run stands, if a second has passed since this was last asked for.
    pub(super) fn second(&mut self, recorder: &mut Recorder) -> Option<LiveSecond> {
        let now = Nanos(monotonic_ns());
        let record = self.timeline.record();
        if self.steal_before.is_none() && record.is_some_and(|record| now >= record) {
            self.steal_before = Some(steal(self.cpus));
        }
        if now < self.next {
            return None;
        }
        self.next = now + Nanos::SECOND;
        let (before, sample) = (self.last, self.sample(now));
        self.last = sample;
        let elapsed = record.map_or(Nanos(0), |record| now.saturating_sub(record));
        #[allow(clippy::cast_precision_loss)] // shown to a few digits
        let completed = sample.completed.saturating_sub(before.completed) as f64;
        let since_begin = now
            .min(self.timeline.end())
            .saturating_sub(self.timeline.begin);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // neither NaN nor negative
        let due = self.rate.map_or(sample.completed, |rate| {
            (since_begin.as_secs_f64() * rate) as u64
        });
        Some(LiveSecond {
            elapsed: elapsed.min(self.timeline.duration),
            duration: self.timeline.duration,
            warming_up: record.is_none_or(|record| now < record),
            completed: sample.completed,
            due,
            rate: completed / now.saturating_sub(before.at).as_secs_f64().max(1e-9),
            response: recorder.recent(),
            failed: self.shared.sum(|worker| &worker.failed),
            steal: sample.steal.saturating_sub(before.steal),
            run_queue_wait: sample.run_queue_wait.saturating_sub(before.run_queue_wait),
        })
    }

    /// Steal since the recording began.
    pub(super) fn stolen(&self) -> Nanos {
        self.steal_before
            .map_or(Nanos(0), |before| steal(self.cpus).saturating_sub(before))
    }
}
