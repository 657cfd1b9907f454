//! What a run says about itself: before it starts, and when it has ended.

use super::ClockFacts;
use super::conduct::ThreadEnd;
use super::interval::Timeline;
use super::machine::max_rss_bytes;
use super::placement::Placement;
use super::recorder::Recorder;
use super::stalls::Found;
use super::tally::Totals;
use crate::clock::{Drift, Nanos, monotonic_ns};
use crate::error::LoadError;
use crate::host;
use crate::plan::RunPlan;
use crate::scenario::warmup::{WarmUp, WarmUpEnd};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tailcut_pool::Path;
use tailcut_report::recording::{
    ClockPair, Load, Meta, PoolSizing, RunResult, SCHEMA, Stalls, State,
};

/// A run that has ended, and whose recording is on disk.
#[derive(Debug)]
pub struct RunOutcome {
    /// The recording's folder.
    pub dir: PathBuf,
    /// As it stands in the recording; its `result` is there.
    pub meta: Meta,
    /// Response time over the whole run: the sum of the recorded intervals.
    pub response: Histogram<u64>,
    /// Service time over the whole run.
    pub service: Histogram<u64>,
    /// The other series of a run over the network, by their tag in the recording.
    pub series: BTreeMap<&'static str, Histogram<u64>>,
    /// How far the time stamp counter went from the kernel's clock, where it was the clock.
    pub drift: Option<Drift>,
    /// Why the time stamp counter was not the clock, where it was not.
    pub counter_refused: Option<&'static str>,
    /// Seconds that share an interval with the one before, because the recorder was late.
    pub swaps_missed: u64,
}

/// What the conducting thread holds when all threads have ended.
pub(crate) struct Ended {
    pub(crate) timeline: Timeline,
    pub(crate) warm_up: WarmUpEnd,
    pub(crate) recorder: Recorder,
    pub(crate) halted: bool,
    pub(crate) steal: Nanos,
    /// Nothing without a pool.
    pub(crate) pool: Option<PoolSizing>,
    pub(crate) ends: Vec<std::thread::Result<Result<ThreadEnd, LoadError>>>,
}

/// What the recording says while the run goes on.
pub(crate) fn meta_before(
    plan: &RunPlan,
    placement: &Placement,
    facts: &ClockFacts,
    clock: ClockPair,
    pool: Option<Path>,
) -> Meta {
    let labels = plan.labels.clone();
    let (warmup, warm_up_end) = match plan.warmup {
        WarmUp::Fixed(length) => (length, WarmUpEnd::Fixed(length)),
        WarmUp::Auto { .. } => (Nanos(0), WarmUpEnd::Undecided),
    };
    let pool_path = pool.map(|path| match path {
        Path::Rseq => "rseq".to_owned(),
        _ => "portable".to_owned(),
    });
    Meta {
        schema: SCHEMA,
        tool: labels.tool,
        state: State::Running,
        state_reason: None,
        variant: labels.variant,
        label: labels.label,
        run: labels.run,
        sequence: labels.sequence,
        command: labels.command,
        host: host::describe(&labels.allocator),
        clock,
        load: Load {
            rate_target: plan.share_of_rate(),
            duration_ns: plan.duration.0,
            warmup_ns: warmup.0,
            window: plan.window,
            workers: plan.workers,
            worker_cpus: placement.worker_cpus(),
            form: plan.form.name().to_owned(),
            pacing: plan.arrivals.to_string(),
            clock_source: facts.name.to_owned(),
            clock_cost_ns: facts.cost_ns,
            pool_path,
            seed: plan.seed,
            warmup_rule: warm_up_end.to_string(),
            shard_index: plan.shard.map(|shard| shard.index),
            shard_of: plan.shard.map(|shard| shard.of),
            ..Load::default()
        },
        result: None,
        allocations: plan.allocations.clone(),
    }
}

/// Adds up the threads, ends the recording.
pub(crate) fn conclude(
    plan: &RunPlan,
    meta: &mut Meta,
    ended: Ended,
    drift: Option<Drift>,
    counter_refused: Option<&'static str>,
) -> Result<RunOutcome, LoadError> {
    let Ended {
        timeline,
        warm_up,
        recorder,
        halted,
        steal,
        pool,
        ends,
    } = ended;
    if timeline.is_decided() {
        meta.load.warmup_ns = (timeline.record - timeline.begin).0;
    }
    meta.load.warmup_rule = warm_up.to_string();
    let mut totals = Totals::default();
    let mut found = Found::default();
    let (mut checksum, mut settled) = (Some(0_u64), 0);
    let mut failure = None;
    let threads = ends.len();
    for (thread, end) in ends.into_iter().enumerate() {
        match LoadError::of_thread(thread, end) {
            Ok(end) => {
                totals.add(&end.totals);
                found.add(&end.found);
                settled += end.settled;
                // Added up: the order in which services finish does not matter. A front has none.
                if let Some(part) = end.checksum {
                    checksum = checksum.map(|sum| sum.wrapping_add(part));
                } else if plan.services() as usize == threads {
                    checksum = None;
                }
            }
            // A panic says more than the halts that follow from it.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let result = result(&timeline, halted, threads, &totals, &found, steal);
    let checksum = checksum.map_or_else(String::new, |sum| format!("{sum:016x}"));
    meta.result = Some(RunResult {
        checksum,
        settled_windows: settled,
        pool_sizing: pool,
        ..result
    });

    let (whole, writer, unwritten) = recorder.into_parts();
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
    let finished = writer.map_or(Ok(()), |writer| writer.finish(meta));
    if let Some(error) = failure {
        return Err(error);
    }
    finished?;
    Ok(RunOutcome {
        dir: plan.out_dir.clone(),
        meta: meta.clone(),
        response: whole.response,
        service: whole.service,
        series: BTreeMap::new(),
        drift,
        counter_refused,
        swaps_missed: totals.counts.swaps_missed,
    })
}

/// Refusals, as a kind of error.
fn refused(count: u64) -> BTreeMap<String, u64> {
    (count > 0)
        .then(|| ("refused".to_owned(), count))
        .into_iter()
        .collect()
}

/// The figures of a run.
///
/// - `offered` are the requests of the recorded schedule, or of its part until a halt: each of them
///   is either completed or unserved.
/// - `completed_on_schedule` counts what was completed between the recorded schedule's start and
///   its end, whichever part of the schedule it was due in; `rate_achieved` is that per second. A
///   service that starts with a backlog from the warm-up would look slower than it is if only
///   requests due within this time counted; one that keeps up completes what is due, and the two
///   are the same. Working a backlog off is not faster than the schedule: at most what was
///   offered counts.
/// - The schedule was kept if 99% of what was due was completed before the schedule's end, and all
///   of it before the cut. A rate alone would not tell: a service that stands still for the last
///   second and another that is late throughout can have the same one.
#[allow(clippy::cast_precision_loss)] // figures for people
fn result(
    timeline: &Timeline,
    halted: bool,
    threads: usize,
    totals: &Totals,
    found: &Found,
    steal: Nanos,
) -> RunResult {
    let Totals {
        counts,
        throughput,
        usage,
    } = totals;
    let offered = counts.completed + counts.unserved;
    let on_time = counts.completed - counts.late;
    let on_schedule = throughput.requests.min(offered);
    let until = if halted {
        Nanos(monotonic_ns()).min(timeline.end)
    } else {
        timeline.end
    };
    let elapsed = until.saturating_sub(timeline.record).as_secs_f64();
    let per_second = |amount: f64| if elapsed > 0.0 { amount / elapsed } else { 0.0 };
    let stall = |nanos: Nanos| nanos.as_millis_f64();
    RunResult {
        offered,
        completed: counts.completed,
        completed_on_schedule: on_schedule,
        unserved: counts.unserved,
        rejected: counts.refused,
        rate_achieved: per_second(on_schedule as f64),
        schedule_kept: offered > 0
            && counts.unserved == 0
            && on_time as f64 >= 0.99 * offered as f64,
        checksum: String::new(),
        settled_windows: 0,
        cpu_busy: (per_second(throughput.busy.as_secs_f64()) / threads as f64).min(1.0),
        max_rss_bytes: max_rss_bytes(),
        stalls: Stalls {
            total_ms: stall(found.idle_gap + found.busy_stall),
            idle_gaps: found.idle_gaps,
            idle_gap_ms: stall(found.idle_gap),
            idle_gap_max_ns: found.idle_gap_max.0,
            busy_stalls: found.busy_stalls,
            busy_stall_ms: stall(found.busy_stall),
            run_queue_wait_ms: stall(usage.run_queue_wait),
            steal_ms: stall(steal),
            involuntary_switches: usage.involuntary_switches,
            major_faults: usage.major_faults,
            minor_faults: usage.minor_faults,
        },
        slow_dropped: counts.slow_displaced,
        errors: refused(counts.refused),
        failed: counts.refused + counts.unserved,
        ..RunResult::default()
    }
}
