//! What to run: fixed, and checked, before anything starts.

use crate::clock::Nanos;
use crate::engine::placement::{available_cpus, default_workers};
use crate::error::LoadError;
use crate::host;
use crate::memory;
use crate::quantity::Rate;
use crate::scenario::warmup::WarmUp;
use crate::scenario::{Arrivals, ScenarioError, Shard};
use std::path::PathBuf;
use tailcut_report::recording::Allocations;

/// No start is waited for that is further away: a day.
const LATEST_START: Nanos = Nanos(86_400 * Nanos::SECOND.0);

/// What the workers serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Nothing: the floor of machine and engine.
    Noop,
    /// The order service as it is usually written: a box, a vector, a hash map and strings each.
    Heap,
    /// The order service with one flat object, boxed for each request.
    HeapPreshaped,
    /// The order service with the same flat object, from a pool.
    Pool,
}

/// Who does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Each worker does whole requests.
    Inline,
    /// Workers come in pairs: one decodes, the other settles; a bounded ring between them.
    Handoff,
}

impl Form {
    /// The name that a recording carries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Form::Inline => "inline",
            Form::Handoff => "handoff",
        }
    }
}

/// What the recording says about itself, and the engine cannot know.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// Name and version of the program: `tailcut 0.1.0`.
    pub tool: String,
    /// The variant's name: `heap_jemalloc`.
    pub variant: String,
    /// Which version of it, as the user says: a revision, a release; empty if nobody said.
    pub label: String,
    /// Which repetition of the variant, from 1.
    pub run: u32,
    /// Its position in the interleaving, from 0.
    pub sequence: u32,
    /// What ran, with arguments.
    pub command: Vec<String>,
    /// The program's global allocator.
    pub allocator: String,
}

/// One run.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// What the workers serve.
    pub service: Service,
    /// Who does what.
    pub form: Form,
    /// Requests per second, of all workers (and shards) together.
    pub rate: Rate,
    /// How they are spaced.
    pub arrivals: Arrivals,
    /// How long the recorded schedule is.
    pub duration: Nanos,
    /// How long the same schedule runs before that, unrecorded.
    pub warmup: WarmUp,
    /// Live orders of one worker (or pair): so many are settled at once.
    pub window: u64,
    /// How many workers, each on a core of its own. The handoff form takes two for a pair.
    pub workers: u32,
    /// Whether each thread is bound to a core of its own; else the scheduler places them.
    pub pin: bool,
    /// What orders are made from, and arrivals drawn.
    pub seed: u64,
    /// The schedule begins at this instant of the wall clock, in nanoseconds since 1970; as soon as
    /// all are ready if absent.
    pub start_at_unix_ns: Option<u64>,
    /// Which part of the schedule this process takes; all of it if absent.
    pub shard: Option<Shard>,
    /// The recording's folder: made by the run, must not hold anything yet.
    pub out_dir: PathBuf,
    /// What the recording says about itself.
    pub labels: Labels,
    /// What a counting run found ([`count_requests`](crate::count_requests)), for the recording.
    pub allocations: Option<Allocations>,
}

impl RunPlan {
    /// The usual run: 2.4 million requests a second for 7 s after a warm-up of 1 s, windows of
    /// 120,000, and all processors but one.
    #[must_use]
    pub fn new(service: Service, out_dir: impl Into<PathBuf>) -> RunPlan {
        let rate =
            Rate::per_second(2_400_000).unwrap_or_else(|_| unreachable!("neither zero nor absurd"));
        RunPlan {
            service,
            form: Form::Inline,
            rate,
            arrivals: Arrivals::Constant,
            duration: Nanos::from_millis(7_000),
            warmup: WarmUp::Fixed(Nanos::SECOND),
            window: 120_000,
            workers: default_workers(),
            pin: true,
            seed: 1,
            start_at_unix_ns: None,
            shard: None,
            out_dir: out_dir.into(),
            labels: Labels {
                run: 1,
                ..Labels::default()
            },
            allocations: None,
        }
    }

    /// Refuses what cannot run here. Touches neither the folder nor any thread.
    ///
    /// # Errors
    /// No or too many workers, an odd number of them in the handoff form, no window, no duration,
    /// a schedule that is none, a start in the past, or a window that does not fit into memory.
    pub fn check(&self) -> Result<(), LoadError> {
        let cpus = available_cpus();
        let workers = self.workers;
        if workers == 0 {
            return Err(LoadError::NoWorkers);
        }
        if self.form == Form::Handoff && (!workers.is_multiple_of(2) || cpus < 2) {
            return Err(LoadError::HandoffWorkers { workers, cpus });
        }
        if workers > cpus {
            return Err(LoadError::TooManyWorkers { workers, cpus });
        }
        if self.window == 0 {
            return Err(LoadError::NoWindow);
        }
        if self.duration.0 == 0 {
            return Err(LoadError::NoDuration);
        }
        self.arrivals.check()?;
        self.check_warm_up()?;
        self.check_shard()?;
        self.check_start()?;
        memory::check(self)
    }

    fn check_warm_up(&self) -> Result<(), ScenarioError> {
        match self.warmup {
            WarmUp::Auto { at_most } if at_most < Nanos(2 * Nanos::SECOND.0) => {
                Err(ScenarioError::Refused(format!(
                    "a warm-up whose end is to be decided within {at_most} is too short for that; give at least 2 s,                      or a fixed length"
                )))
            }
            WarmUp::Auto { .. } | WarmUp::Fixed(_) => Ok(()),
        }
    }

    fn check_shard(&self) -> Result<(), ScenarioError> {
        match self.shard {
            Some(Shard { index, of })
                if index >= of || of.checked_mul(self.services()).is_none() =>
            {
                Err(ScenarioError::Refused(format!(
                    "there is no shard {index} of {of}: shards are counted from 0"
                )))
            }
            _ => Ok(()),
        }
    }

    fn check_start(&self) -> Result<(), ScenarioError> {
        let now = host::clock_pair().unix_ns;
        match self.start_at_unix_ns {
            Some(at) if at <= now => Err(ScenarioError::Refused(format!(
                "the agreed start was {} ago; agree on one that lies ahead of every machine's clock",
                Nanos(now - at)
            ))),
            Some(at) if at - now > LATEST_START.0 => Err(ScenarioError::Refused(format!(
                "the agreed start lies {} ahead; at most {LATEST_START} are waited for",
                Nanos(at - now)
            ))),
            _ => Ok(()),
        }
    }

    /// Which lane of the schedule service `service` of this process has, and of how many.
    pub(crate) fn lane(&self, service: u32) -> (u32, u32) {
        let services = self.services();
        match self.shard {
            Some(Shard { index, of }) => (index * services + service, of * services),
            None => (service, services),
        }
    }

    /// Requests per second of this process.
    pub(crate) fn share_of_rate(&self) -> f64 {
        self.rate.as_f64() / f64::from(self.shard.map_or(1, |shard| shard.of))
    }

    /// How many services there are: workers, or pairs of them.
    #[must_use]
    pub fn services(&self) -> u32 {
        match self.form {
            Form::Inline => self.workers,
            Form::Handoff => self.workers / 2,
        }
    }

    #[cfg(test)]
    pub(crate) fn example(service: Service) -> RunPlan {
        RunPlan {
            workers: 1,
            ..RunPlan::new(service, "unused")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut RunPlan)) -> String {
        let mut plan = RunPlan::example(Service::Pool);
        change(&mut plan);
        plan.check().unwrap_err().to_string()
    }

    #[test]
    fn a_sensible_plan_passes() {
        RunPlan::example(Service::Pool).check().unwrap();
    }

    #[test]
    fn a_plan_that_cannot_run_says_why_before_it_starts() {
        assert!(refusal(|plan| plan.workers = 0).contains("0 workers"));
        assert!(refusal(|plan| plan.workers = 100_000).contains("may use"));
        assert!(refusal(|plan| plan.window = 0).contains("window of 0"));
        assert!(refusal(|plan| plan.duration = Nanos(0)).contains("duration of 0"));
        assert!(refusal(|plan| plan.window = u64::MAX / 4).contains("smaller window"));
        assert!(refusal(|plan| plan.form = Form::Handoff).contains("at least 2"));
        assert!(refusal(|plan| plan.arrivals = Arrivals::Burst { size: 0 }).contains("burst of 0"));
        let at_most = Nanos::SECOND;
        assert!(refusal(|plan| plan.warmup = WarmUp::Auto { at_most }).contains("at least 2 s"));
        assert!(
            refusal(|plan| plan.shard = Some(Shard { index: 3, of: 3 })).contains("shard 3 of 3")
        );
        assert!(refusal(|plan| plan.start_at_unix_ns = Some(1)).contains("ago"));
        assert!(refusal(|plan| plan.start_at_unix_ns = Some(u64::MAX)).contains("ahead"));
    }

    #[test]
    fn the_shards_of_a_load_have_all_of_its_lanes_once() {
        let mut lanes = Vec::new();
        for index in 0..3 {
            let plan = RunPlan {
                workers: 2,
                shard: Some(Shard { index, of: 3 }),
                ..RunPlan::example(Service::Noop)
            };
            assert_eq!(plan.share_of_rate(), 800_000.0);
            lanes.extend((0..2).map(|service| plan.lane(service)));
        }
        assert_eq!(lanes, [0, 1, 2, 3, 4, 5].map(|lane| (lane, 6)));
    }
}
