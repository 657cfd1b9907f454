//! What a run over the network says about itself: before it starts, and when it has ended.

use super::part::Tag;
use super::recorder::{Recorder, Sum};
use super::target::NetworkTarget;
use super::verdict::{self, Evidence};
use super::worker::WorkerEnd;
use crate::clock::{Drift, Nanos, monotonic_ns};
use crate::engine::machine::{Usage, max_rss_bytes};
use crate::engine::placement::Placement;
use crate::engine::stalls::Found;
use crate::engine::{ClockFacts, RunOutcome};
use crate::error::LoadError;
use crate::host;
use crate::plan::Labels;
use crate::scenario::{Arrivals, Pacing, Scenario, Target, WarmUp};
use std::path::Path;
use std::thread;
use tailcut_report::recording::{ClockPair, Load, Meta, RunResult, SCHEMA, Stalls, State};

/// What is known before the run.
pub(super) struct Before<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) target: &'a NetworkTarget,
    pub(super) labels: &'a Labels,
    pub(super) placement: &'a Placement,
    /// Whether the workers are bound to their processors.
    pub(super) bound: bool,
    pub(super) facts: &'a ClockFacts,
    pub(super) clock: ClockPair,
}

/// What the recording says while the run goes on.
pub(super) fn meta_before(before: &Before<'_>) -> Meta {
    let Before {
        scenario,
        target,
        labels,
        placement,
        bound,
        facts,
        clock,
    } = *before;
    let labels = labels.clone();
    let (rate, arrivals) = match &scenario.pacing {
        Pacing::Open { rate, arrivals } => {
            // Of a load by several machines, this one's part.
            let of = scenario.shard.map_or(1, |shard| shard.of);
            (rate.as_f64() / f64::from(of), name_of(arrivals))
        }
        Pacing::Closed => (0.0, "closed"),
    };
    Meta {
        schema: SCHEMA,
        tool: labels.tool,
        state: State::Running,
        state_reason: None,
        variant: scenario.name.clone(),
        label: labels.label,
        run: labels.run,
        sequence: labels.sequence,
        command: labels.command,
        host: host::describe(&labels.allocator),
        clock,
        load: Load {
            rate_target: rate,
            duration_ns: scenario.duration.0,
            warmup_ns: match scenario.warmup {
                WarmUp::Fixed(length) => length.0,
                WarmUp::Auto { .. } => 0,
            },
            workers: scenario.workers,
            worker_cpus: if bound {
                placement.worker_cpus()
            } else {
                Vec::new()
            },
            form: "network".to_owned(),
            pacing: arrivals.to_owned(),
            clock_source: facts.name.to_owned(),
            clock_cost_ns: facts.cost_ns,
            target: match &scenario.target {
                Target::Network(named) => named.to_string(),
                Target::InProcess { .. } => target.to_string(),
            },
            connections: scenario.connections,
            pipeline: scenario.pipeline,
            timeout_ns: scenario.timeout.0,
            seed: scenario.seed,
            closed_loop: scenario.pacing == Pacing::Closed,
            shard_index: scenario.shard.map(|shard| shard.index),
            shard_of: scenario.shard.map(|shard| shard.of),
            ..Load::default()
        },
        result: None,
        allocations: None,
    }
}

fn name_of(arrivals: &Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Constant => "constant",
        Arrivals::Poisson => "poisson",
        Arrivals::Burst { .. } => "burst",
        Arrivals::Trace(_) => "trace",
    }
}

/// What the conducting thread holds when all workers have ended.
pub(super) struct Ended {
    pub(super) meta: Meta,
    pub(super) recorder: Recorder,
    pub(super) begin: Nanos,
    /// The start of the recorded part, if it was reached.
    pub(super) record: Option<Nanos>,
    pub(super) end: Nanos,
    pub(super) halted: bool,
    pub(super) steal: Nanos,
    pub(super) ends: Vec<thread::Result<Result<WorkerEnd, LoadError>>>,
}

/// Adds up the workers, ends the recording.
pub(super) fn conclude(
    scenario: &Scenario,
    dir: &Path,
    ended: Ended,
    drift: Option<Drift>,
    counter_refused: Option<&'static str>,
) -> Result<RunOutcome, LoadError> {
    let Ended {
        mut meta,
        recorder,
        begin,
        record,
        end,
        halted,
        steal,
        ends,
    } = ended;
    let mut sum = Workers::default();
    let mut failure = None;
    for (index, end) in ends.into_iter().enumerate() {
        match LoadError::of_thread(index, end) {
            Ok(end) => sum.add(end),
            // A panic says more than the halts that follow from it.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if let Some(record) = record {
        meta.load.warmup_ns = (record - begin).0;
    }
    let until = if halted {
        Nanos(monotonic_ns()).min(end)
    } else {
        end
    };
    let elapsed = until.saturating_sub(record.unwrap_or(until));
    let (whole, writer, unwritten) = recorder.into_parts();
    meta.result = Some(result(scenario, elapsed, &whole, &sum, steal));

    let reason = match (&failure, &unwritten) {
        (Some(error), _) => Some(error.to_string()),
        (None, Some(error)) => Some(error.to_string()),
        (None, None) => halted.then(|| "interrupted".to_owned()),
    };
    meta.state = if reason.is_some() {
        State::Partial
    } else {
        State::Complete
    };
    meta.state_reason = reason;
    let finished = writer.map_or(Ok(()), |writer| writer.finish(&meta));
    if let Some(error) = failure {
        return Err(error);
    }
    finished?;
    let mut series = Tag::ALL
        .into_iter()
        .zip(whole.series.into_array())
        .map(|((_, name), histogram)| (name, histogram));
    let (Some((_, response)), Some((_, service))) = (series.next(), series.next()) else {
        unreachable!("response and service are the first two tags");
    };
    Ok(RunOutcome {
        dir: dir.to_path_buf(),
        meta,
        response,
        service,
        series: series.collect(),
        drift,
        counter_refused,
        swaps_missed: sum.swaps_missed,
    })
}

/// All workers together.
#[derive(Default)]
struct Workers {
    count: u32,
    throughput: u64,
    busy: Nanos,
    usage: Usage,
    found: Found,
    swaps_missed: u64,
    session_error: Option<String>,
}

impl Workers {
    fn add(&mut self, end: WorkerEnd) {
        let WorkerEnd {
            throughput,
            busy,
            usage,
            found,
            swaps_missed,
            last_session_error,
        } = end;
        self.count += 1;
        self.throughput += throughput;
        self.busy += busy;
        self.usage.add(&usage);
        self.found.add(&found);
        self.swaps_missed += swaps_missed;
        self.session_error = self.session_error.take().or(last_session_error);
    }
}

/// The figures of a run.
///
/// - `offered`: the requests due in the recorded part, or in what there was of it until a halt; in a
///   closed loop, those that were sent. Each is either completed (answered, well or not) or unserved.
/// - `unserved`: never answered: `unsent` ones and those sent in vain. The latter, and unsent ones that
///   failed because no connection could be made, are among `errors`, too; `failed` counts each once.
/// - `completed_on_schedule`: answered between the start and the end of the recorded part, whenever they
///   were due; at most what was offered.
/// - The schedule was kept if 99% of what was due was answered before the schedule's end, and all of it
///   before the cut. A closed loop has none to miss.
#[allow(clippy::cast_precision_loss)] // figures for people
fn result(
    scenario: &Scenario,
    elapsed: Nanos,
    whole: &Sum,
    workers: &Workers,
    steal: Nanos,
) -> RunResult {
    let Sum {
        series,
        counts,
        errors,
    } = whole;
    let unserved = counts.unanswered + counts.unsent;
    let offered = counts.completed + unserved;
    let on_time = counts.completed - counts.late;
    let on_schedule = workers.throughput.min(offered);
    let seconds = elapsed.as_secs_f64();
    let rate_achieved = if seconds > 0.0 {
        on_schedule as f64 / seconds
    } else {
        0.0
    };
    let worker_time = seconds * f64::from(workers.count);
    let busy = if worker_time > 0.0 {
        (workers.busy.as_secs_f64() / worker_time).min(1.0)
    } else {
        0.0
    };
    let closed_loop = scenario.pacing == Pacing::Closed;
    let schedule_kept =
        offered > 0 && (closed_loop || (unserved == 0 && on_time as f64 >= 0.99 * offered as f64));
    let found = &workers.found;
    let generator = verdict::judge(&Evidence {
        lateness: series.get(Tag::SendLateness),
        response: series.get(Tag::Response),
        unsent: counts.unsent,
        unanswered: counts.unanswered,
        waited: counts.waited,
        schedule_kept,
        closed_loop,
        busy,
        worker_time: Nanos(elapsed.0 * u64::from(workers.count)),
        taken: workers.usage.run_queue_wait + steal,
    });
    RunResult {
        offered,
        completed: counts.completed,
        completed_on_schedule: on_schedule,
        unserved,
        rejected: errors.by_kind().get("refused").copied().unwrap_or(0),
        rate_achieved,
        schedule_kept,
        cpu_busy: busy,
        max_rss_bytes: max_rss_bytes(),
        stalls: Stalls {
            total_ms: found.idle_gap.as_millis_f64(),
            idle_gaps: found.idle_gaps,
            idle_gap_ms: found.idle_gap.as_millis_f64(),
            idle_gap_max_ns: found.idle_gap_max.0,
            run_queue_wait_ms: workers.usage.run_queue_wait.as_millis_f64(),
            steal_ms: steal.as_millis_f64(),
            involuntary_switches: workers.usage.involuntary_switches,
            major_faults: workers.usage.major_faults,
            minor_faults: workers.usage.minor_faults,
            ..Stalls::default()
        },
        slow_dropped: counts.slow_displaced,
        errors: errors.by_kind(),
        unsent: counts.unsent,
        failed: counts.failed_answers + unserved,
        reconnects: counts.reconnects,
        generator: Some(generator),
        last_protocol_error: workers.session_error.clone(),
        ..RunResult::default()
    }
}
