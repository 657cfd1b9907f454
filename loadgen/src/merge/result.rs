//! What the whole says about itself.

use hdrhistogram::Histogram;
use tailcut_report::recording::{Generator, Meta, RunResult, SEND_LATENESS, Stalls, State};

use super::shards::Shard;

/// As the first shard has it, for all of them.
pub(super) fn meta(shards: &[Shard]) -> Meta {
    let mut meta = shards[0].reader.meta().clone();
    let all = || shards.iter().map(|shard| shard.reader.meta());
    let load = &mut meta.load;
    load.rate_target = all().map(|meta| meta.load.rate_target).sum();
    load.workers = all().map(|meta| meta.load.workers).sum();
    load.connections = all().map(|meta| meta.load.connections).sum();
    load.window = all().map(|meta| meta.load.window).sum();
    load.worker_cpus.clear(); // of several machines
    (load.shard_index, load.shard_of) = (None, None);
    meta.command = vec!["merged from".to_owned()];
    meta.command.extend(
        shards
            .iter()
            .map(|shard| shard.reader.dir().display().to_string()),
    );
    let mut machines: Vec<String> = shards.iter().map(Shard::host).collect();
    machines.sort_unstable();
    machines.dedup();
    if machines.len() > 1 {
        meta.host.cpu_model = machines.join("; ");
        meta.host.cpus = all().map(|meta| meta.host.cpus).sum();
    }
    let reasons: Vec<String> = shards
        .iter()
        .filter(|shard| shard.reader.meta().state != State::Complete)
        .map(|shard| {
            let reason = shard.reader.meta().state_reason.as_deref();
            format!("shard {}: {}", shard.index, reason.unwrap_or("partial"))
        })
        .collect();
    meta.state = if reasons.is_empty() {
        State::Complete
    } else {
        State::Partial
    };
    meta.state_reason = (!reasons.is_empty()).then(|| reasons.join("; "));
    meta
}

/// Adds up what came of the shards; `series` are the whole's histograms.
pub(super) fn finish<'h>(
    meta: &mut Meta,
    shards: &[Shard],
    series: &dyn Fn(&str) -> Option<&'h Histogram<u64>>,
) {
    let results: Vec<&RunResult> = shards
        .iter()
        .filter_map(|shard| shard.reader.meta().result.as_ref())
        .collect();
    let mut sum = RunResult {
        schedule_kept: true,
        ..RunResult::default()
    };
    for result in &results {
        add(&mut sum, result);
    }
    #[allow(clippy::cast_precision_loss)] // a handful of machines
    let count = results.len().max(1) as f64;
    sum.cpu_busy /= count;
    let generators: Vec<&Generator> = results
        .iter()
        .filter_map(|result| result.generator.as_ref())
        .collect();
    sum.generator = generator(&generators, series(SEND_LATENESS));
    meta.result = Some(sum);
}

fn add(sum: &mut RunResult, part: &RunResult) {
    sum.offered += part.offered;
    sum.completed += part.completed;
    sum.completed_on_schedule += part.completed_on_schedule;
    sum.unserved += part.unserved;
    sum.rejected += part.rejected;
    sum.rate_achieved += part.rate_achieved;
    sum.schedule_kept &= part.schedule_kept;
    sum.settled_windows += part.settled_windows;
    sum.cpu_busy += part.cpu_busy;
    sum.max_rss_bytes = sum.max_rss_bytes.max(part.max_rss_bytes);
    sum.slow_dropped += part.slow_dropped;
    for (kind, count) in &part.errors {
        *sum.errors.entry(kind.clone()).or_default() += count;
    }
    sum.unsent += part.unsent;
    sum.failed += part.failed;
    sum.reconnects += part.reconnects;
    if sum.last_protocol_error.is_none() {
        sum.last_protocol_error
            .clone_from(&part.last_protocol_error);
    }
    let Stalls {
        total_ms,
        idle_gaps,
        idle_gap_ms,
        idle_gap_max_ns,
        busy_stalls,
        busy_stall_ms,
        run_queue_wait_ms,
        steal_ms,
        involuntary_switches,
        major_faults,
        minor_faults,
    } = &part.stalls;
    let stalls = &mut sum.stalls;
    stalls.total_ms += total_ms;
    stalls.idle_gaps += idle_gaps;
    stalls.idle_gap_ms += idle_gap_ms;
    stalls.idle_gap_max_ns = stalls.idle_gap_max_ns.max(*idle_gap_max_ns);
    stalls.busy_stalls += busy_stalls;
    stalls.busy_stall_ms += busy_stall_ms;
    stalls.run_queue_wait_ms += run_queue_wait_ms;
    stalls.steal_ms += steal_ms;
    stalls.involuntary_switches += involuntary_switches;
    stalls.major_faults += major_faults;
    stalls.minor_faults += minor_faults;
}

/// The busiest generator's share, the lateness of all, and the verdict of the first that blames itself, its
/// machine or the target, in this order.
fn generator(all: &[&Generator], lateness: Option<&Histogram<u64>>) -> Option<Generator> {
    let worst = ["generator", "machine", "target"]
        .into_iter()
        .find_map(|who| all.iter().find(|generator| generator.bottleneck == who))
        .or(all.first())?;
    let at = |quantile| {
        lateness
            .filter(|histogram| !histogram.is_empty())
            .map_or(0, |histogram| histogram.value_at_quantile(quantile))
    };
    Some(Generator {
        busy: all
            .iter()
            .map(|generator| generator.busy)
            .fold(0.0, f64::max),
        lateness_p50_ns: at(0.5),
        lateness_p999_ns: at(0.999),
        lateness_max_ns: lateness.map_or(0, Histogram::max),
        waited_for_place: all.iter().map(|generator| generator.waited_for_place).sum(),
        bottleneck: worst.bottleneck.clone(),
        reason: format!("of {} generators, one: {}", all.len(), worst.reason),
    })
}
