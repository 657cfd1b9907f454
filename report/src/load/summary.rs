//! [`LoadSummary`]: what a load generator recorded beside response times, over all runs of a variant.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::digest::SERIES;
use super::resources::{ResourceDigest, Used};
use crate::digest::RunDigest;
use crate::recording::{Generator, ObjectiveResult, merged};
use crate::statistics::{maximum, quantile, total};
use crate::text;

/// Kinds of errors that a table shows; the rarest beyond are added up.
const MOST_ERROR_KINDS: usize = 24;
/// Objectives of a run that are looked at; nobody writes as many.
const MOST_OBJECTIVES: usize = 64;

/// What the runs of a variant recorded beside their response times.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LoadSummary {
    /// What was loaded, as the recording says it; empty for a service within the process.
    pub target: String,
    /// Whether any run waited for answers instead of following a schedule.
    pub closed_loop: bool,
    /// Requests that were due, over all runs.
    pub offered: u64,
    /// Requests that did not succeed, each counted once, over all runs: failed, or never answered.
    pub failed: u64,
    /// Those of a known kind. A request that was never answered may be among several kinds, or none.
    pub errors: BTreeMap<String, u64>,
    /// Requests that could not even be sent, over all runs.
    pub unsent: u64,
    /// Connections made anew during the recorded part, over all runs.
    pub reconnects: u64,
    /// The generator's own part: that of the run in which it was latest; null within the process.
    pub generator: Option<Generator>,
    /// Runs whose bottleneck was the generator.
    pub generator_limited_runs: u32,
    /// The service level objectives.
    pub objectives: Vec<ObjectiveSummary>,
    /// The further series; those that no run recorded are left out.
    pub series: Vec<ExtraSeries>,
    /// What happened meanwhile, in the order of runs and time.
    pub marks: Vec<MarkSummary>,
    /// Marks that were recorded and are not among them.
    pub marks_left_out: u64,
    /// The target's use of resources; null where it was not sampled.
    pub resources: Option<ResourceSummary>,
}

/// One objective over all runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ObjectiveSummary {
    /// As it was written: `p99.9<1ms`.
    pub objective: String,
    /// Runs that were judged by it.
    pub runs: u32,
    /// Those in which it held.
    pub held: u32,
    /// What was measured, by run: nanoseconds, a share, or requests per second.
    pub measured: Vec<f64>,
}

/// What the values of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesUnit {
    /// Times in nanoseconds.
    Nanoseconds,
    /// A plain number.
    Count,
}

/// One further series over all runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExtraSeries {
    /// Its tag in the recording.
    pub tag: String,
    /// What it is called.
    pub name: String,
    /// What its values are.
    pub unit: SeriesUnit,
    /// What it means.
    pub what: String,
    /// How many values.
    pub values: u64,
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
    /// The largest.
    pub max: u64,
}

/// Something that happened during a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MarkSummary {
    /// Which run of the variant.
    pub run: u32,
    /// What kind: `freeze`.
    pub kind: String,
    /// In words.
    pub detail: String,
    /// When, in seconds of the run; negative before its start.
    pub at_s: f64,
    /// How long it was, in nanoseconds; 0 for an instant.
    pub length_ns: u64,
}

/// The target's use of resources over all runs, while they were measured.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ResourceSummary {
    /// The process, of the last run.
    pub process: u32,
    /// Samples taken.
    pub samples: u64,
    /// CPU time per time: 1 is one core.
    pub cores_mean: f64,
    /// The highest of any second.
    pub cores_peak: f64,
    /// Share of its threads' running and waiting time that they waited for a core, 0 to 1.
    pub run_queue_wait_share: f64,
    /// The largest resident set, in bytes.
    pub peak_rss_bytes: u64,
    /// Page faults per second that did not wait for a device.
    pub minor_faults_per_second: f64,
    /// Page faults that did, in all.
    pub major_faults: u64,
    /// Times per second that a thread gave its CPU away.
    pub voluntary_switches_per_second: f64,
    /// Times per second that a CPU was taken from one.
    pub involuntary_switches_per_second: f64,
    /// The most threads.
    pub peak_threads: u32,
    /// The most open descriptors; 0 where they could not be counted.
    pub peak_descriptors: u32,
}

impl LoadSummary {
    /// `None` where no run recorded anything of this.
    pub(crate) fn of(runs: &[&RunDigest]) -> Option<LoadSummary> {
        let results = || runs.iter().filter_map(|run| run.meta.result.as_ref());
        let generators = || results().filter_map(|result| result.generator.as_ref());
        let mut errors: BTreeMap<String, u64> = BTreeMap::new();
        for (kind, count) in results().flat_map(|result| &result.errors) {
            let kind = errors.entry(text::name(kind)).or_default();
            *kind = kind.saturating_add(*count);
        }
        let summary = LoadSummary {
            target: runs
                .first()
                .map(|run| text::name(&run.meta.load.target))
                .unwrap_or_default(),
            closed_loop: runs.iter().any(|run| run.meta.load.closed_loop),
            offered: total(results().map(|result| result.offered)),
            failed: total(results().map(|result| match result.failed {
                // Written by what did not count them by themselves.
                0 => total(result.errors.values().copied()),
                failed => failed,
            })),
            errors: bounded(errors),
            unsent: total(results().map(|result| result.unsent)),
            reconnects: total(results().map(|result| result.reconnects)),
            generator: generators()
                .max_by_key(|generator| generator.lateness_p999_ns)
                .map(cleaned),
            generator_limited_runs: generators()
                .filter(|generator| generator.bottleneck == "generator")
                .count() as u32,
            objectives: objectives(
                results().flat_map(|result| result.objectives.iter().take(MOST_OBJECTIVES)),
            ),
            series: series(runs),
            marks: runs.iter().flat_map(|run| marks(run)).collect(),
            marks_left_out: total(runs.iter().map(|run| run.load.marks_left_out)),
            resources: resources(runs),
        };
        // An in-process run of the demo has none of it, but for refusals, which it shows elsewhere.
        let nothing = summary.target.is_empty()
            && !summary.closed_loop
            && summary.generator.is_none()
            && summary.objectives.is_empty()
            && summary.series.is_empty()
            && summary.marks.is_empty()
            && summary.resources.is_none()
            && !runs
                .iter()
                .any(|run| super::is_load(&run.meta) && run.meta.load.duration_ns > 0);
        (!nothing).then_some(summary)
    }
}

/// The most frequent kinds; the others are one.
fn bounded(errors: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    if errors.len() <= MOST_ERROR_KINDS {
        return errors;
    }
    let mut all: Vec<(String, u64)> = errors.into_iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rest = all.split_off(MOST_ERROR_KINDS - 1);
    let others = (
        format!("{} other kinds", rest.len()),
        total(rest.iter().map(|(_, count)| *count)),
    );
    all.into_iter().chain([others]).collect()
}

fn cleaned(generator: &Generator) -> Generator {
    Generator {
        bottleneck: text::name(&generator.bottleneck),
        reason: text::clean(&generator.reason),
        ..generator.clone()
    }
}

fn objectives<'a>(results: impl Iterator<Item = &'a ObjectiveResult>) -> Vec<ObjectiveSummary> {
    let mut all: Vec<ObjectiveSummary> = Vec::new();
    for result in results {
        let objective = text::name(&result.objective);
        let place = all
            .iter()
            .position(|known| known.objective == objective)
            .unwrap_or_else(|| {
                all.push(ObjectiveSummary {
                    objective,
                    runs: 0,
                    held: 0,
                    measured: Vec::new(),
                });
                all.len() - 1
            });
        let summary = &mut all[place];
        summary.runs += 1;
        summary.held += u32::from(result.held);
        summary.measured.push(result.measured);
    }
    all
}

fn series(runs: &[&RunDigest]) -> Vec<ExtraSeries> {
    let all = SERIES.iter().enumerate();
    all.filter_map(|(place, (tag, name, unit, what))| {
        let recorded = runs
            .iter()
            .filter_map(|run| run.load.series[place].as_ref());
        let whole = merged(recorded);
        (!whole.is_empty()).then(|| ExtraSeries {
            tag: (*tag).to_owned(),
            name: (*name).to_owned(),
            unit: *unit,
            what: (*what).to_owned(),
            values: whole.len(),
            p50: quantile(&whole, 0.5),
            p99: quantile(&whole, 0.99),
            p999: quantile(&whole, 0.999),
            max: maximum(&whole),
        })
    })
    .collect()
}

fn marks(run: &RunDigest) -> impl Iterator<Item = MarkSummary> {
    run.load.marks.iter().map(|mark| MarkSummary {
        run: run.meta.run,
        kind: mark.name(),
        detail: mark.detail.clone(),
        at_s: (mark.start_ns as f64 - run.start_ns() as f64) / 1e9,
        length_ns: mark.length_ns(),
    })
}

fn resources(runs: &[&RunDigest]) -> Option<ResourceSummary> {
    let all: Vec<&ResourceDigest> = runs
        .iter()
        .filter_map(|run| run.load.resources.as_ref())
        .collect();
    let last = all.last()?;
    let mut used = Used::default();
    all.iter().for_each(|digest| used.add(&digest.used));
    let seconds = total(all.iter().map(|digest| digest.span_ns)) as f64 / 1e9;
    let per_second = |number: u64| match seconds {
        0.0 => 0.0,
        seconds => number as f64 / seconds,
    };
    let runnable = used.cpu_ns as f64 + used.run_queue_wait_ns as f64;
    Some(ResourceSummary {
        process: last.process,
        samples: total(all.iter().map(|digest| digest.samples)),
        cores_mean: per_second(used.cpu_ns) / 1e9,
        cores_peak: all
            .iter()
            .flat_map(|digest| digest.cores.iter().flatten())
            .fold(0.0, |peak, cores| cores.max(peak)),
        run_queue_wait_share: if runnable > 0.0 {
            used.run_queue_wait_ns as f64 / runnable
        } else {
            0.0
        },
        peak_rss_bytes: all.iter().map(|digest| digest.peak_rss_bytes).max()?,
        minor_faults_per_second: per_second(used.minor_faults),
        major_faults: used.major_faults,
        voluntary_switches_per_second: per_second(used.voluntary_switches),
        involuntary_switches_per_second: per_second(used.involuntary_switches),
        peak_threads: all.iter().map(|digest| digest.peak_threads).max()?,
        peak_descriptors: all.iter().map(|digest| digest.peak_descriptors).max()?,
    })
}
