//! What a garbage collector did in the runs of a variant: seen by the probe, else by the runtime's own account.
//!
//! The probe's series are summed over runs: counts and times over the time traced, percentiles from merged histograms. A
//! pause that stops the world has a series for each of its reasons, which are one here.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use crate::digest::RunDigest;
use crate::pauses::SeriesDigest;
use crate::recording::{self, Runtime};
use crate::statistics::{quantile, total};
use crate::variant::Variant;

/// The series of whole collections.
const CYCLE: &str = "gc_cycle";
/// The beginnings of the names of the series in which all threads stand still.
const STOP_THE_WORLD: &str = "gc_stw_";
/// The series in which a thread that allocates does the collector's marking.
const ASSIST: &str = "gc_assist";
/// The series in which a processor does so that would run the service otherwise.
const WORKER: &str = "gc_worker";
/// The same for its sweeping.
const SWEEP_ASSIST: &str = "gc_sweep_assist";

/// What the collector did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CollectorSummary {
    /// The runtime, with its version; empty where it did not say.
    pub runtime: String,
    /// Collections per second.
    pub cycles_per_second: Option<f64>,
    /// Share of the time in which the whole process stood still for it, 0 to 1.
    pub pause_share: Option<f64>,
    /// One such pause in 100 is longer, in nanoseconds; null where it was not traced, or too few were seen.
    pub pause_p99_ns: Option<u64>,
    /// Share of the workers' time that they spent on the collector's marking, 0 to 1.
    pub assist_share: Option<f64>,
    /// One such assist in 100 is longer, in nanoseconds; null where it was not traced, or too few were seen.
    pub assist_p99_ns: Option<u64>,
}

impl CollectorSummary {
    /// `None` where no run has a runtime that collects.
    pub(super) fn of(runs: &[&RunDigest]) -> Option<CollectorSummary> {
        let first = runs.iter().find_map(|run| runtime(run))?;
        Some(CollectorSummary {
            runtime: crate::text::name(&first.name),
            cycles_per_second: cycles(runs),
            pause_share: pause_share(runs),
            pause_p99_ns: pause_p99(runs),
            assist_share: assist_share(runs),
            assist_p99_ns: p99(runs, is_assist),
        })
    }
}

/// Whether mark assist was looked for: what was not cannot be said to be absent.
pub(super) fn traced(variant: &Variant) -> bool {
    let pauses = variant.summary.pauses.as_ref();
    pauses.is_some_and(|pauses| pauses.series.iter().any(|series| is_assist(&series.name)))
}

/// What the runtime says of itself.
pub(super) fn runtime(run: &RunDigest) -> Option<&Runtime> {
    run.meta.result.as_ref()?.runtime.as_ref()
}

/// Whether time in a series is mark assist.
pub(super) fn is_assist(series: &str) -> bool {
    series == ASSIST
}

/// Whether it is marking in the background.
pub(super) fn is_background(series: &str) -> bool {
    series == WORKER
}

/// Whether it is sweeping on the allocating thread.
pub(super) fn is_sweep_assist(series: &str) -> bool {
    series == SWEEP_ASSIST
}

/// Whether all threads stand still in a series.
pub(super) fn stops_the_world(series: &str) -> bool {
    series.starts_with(STOP_THE_WORLD)
}

/// The 99th percentile of its pauses, in nanoseconds.
pub(crate) fn pause_p99(runs: &[&RunDigest]) -> Option<u64> {
    p99(runs, stops_the_world)
}

/// Share of the workers' time in mark assist, 0 to 1.
pub(crate) fn assist_share(runs: &[&RunDigest]) -> Option<f64> {
    let workers = |run: &RunDigest| f64::from(run.meta.load.workers.max(1));
    let traced = share(runs, is_assist, workers);
    traced.or_else(|| by_the_runtime(runs, |runtime| runtime.gc_assist_cpu_ns, workers))
}

fn pause_share(runs: &[&RunDigest]) -> Option<f64> {
    share(runs, stops_the_world, |_| 1.0)
        .or_else(|| by_the_runtime(runs, |runtime| Some(runtime.gc_pause_total_ns), |_| 1.0))
}

/// The runtime's count is exact, and of the measured time.
fn cycles(runs: &[&RunDigest]) -> Option<f64> {
    let counted = by_the_runtime(runs, |runtime| Some(runtime.gc_cycles), |_| 1e-9);
    counted.or_else(|| {
        let (mut events, mut traced_ns) = (0.0, 0);
        for (run, series) in series(runs, |name| name == CYCLE) {
            events += series.meta.events as f64 / series.meta.sampling;
            traced_ns += run.pauses.as_ref()?.traced_ns();
        }
        (traced_ns > 0).then(|| events / (traced_ns as f64 / 1e9))
    })
}

/// Time in some series over the time traced, by so many threads.
fn share(
    runs: &[&RunDigest],
    wanted: fn(&str) -> bool,
    threads: impl Fn(&RunDigest) -> f64,
) -> Option<f64> {
    let (mut spent, mut had) = (0.0, 0.0);
    for run in runs {
        let one = [*run];
        let times: Vec<f64> = series(&one, wanted)
            .map(|(_, series)| series.meta.total_ns as f64 / series.meta.sampling)
            .collect();
        if times.is_empty() {
            continue;
        }
        let traced_ns = run.pauses.as_ref()?.traced_ns();
        spent += times.iter().sum::<f64>();
        had += traced_ns as f64 * threads(run);
    }
    (had > 0.0).then_some(spent / had)
}

/// The same by the runtime's own figures, over the measured time.
fn by_the_runtime(
    runs: &[&RunDigest],
    figure: fn(&Runtime) -> Option<u64>,
    threads: impl Fn(&RunDigest) -> f64,
) -> Option<f64> {
    let (mut spent, mut had) = (0.0, 0.0);
    for run in runs.iter().filter(|run| !run.partial()) {
        spent += figure(runtime(run)?)? as f64;
        had += run.duration_ns() as f64 * threads(run);
    }
    (had > 0.0).then_some(spent / had)
}

fn p99(runs: &[&RunDigest], wanted: fn(&str) -> bool) -> Option<u64> {
    let all: Vec<&Histogram<u64>> = series(runs, wanted)
        .map(|(_, series)| &series.whole)
        .collect();
    let enough = total(all.iter().map(|histogram| histogram.len())) >= 100;
    enough.then(|| quantile(&recording::merged(all), 0.99))
}

fn series<'a>(
    runs: &'a [&'a RunDigest],
    wanted: impl Fn(&str) -> bool + Copy + 'a,
) -> impl Iterator<Item = (&'a RunDigest, &'a SeriesDigest)> {
    runs.iter().flat_map(move |run| {
        let all = run.pauses.iter().flat_map(|digest| &digest.series);
        all.filter(move |series| wanted(&series.meta.name) && series.is_time())
            .map(move |series| (*run, series))
    })
}
