//! The figures of a variant's pauses over all its runs.

use hdrhistogram::Histogram;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::digest::{DigestedPause, PauseDigest, SeriesDigest};
use crate::digest::RunDigest;
use crate::recording::{self, ProbeMeta, Unit};
use crate::statistics::{maximum, quantile, total};

/// The longest pauses that are shown of a variant.
const SHOWN: usize = 10;
/// Of these, those of one kind at most, so that no kind hides the others.
const SHOWN_OF_A_KIND: usize = 4;

/// What a probe saw of one variant, over all its runs that were traced.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PauseSummary {
    /// Runs that were traced.
    pub runs: u32,
    /// How long they were traced, in nanoseconds: the sum.
    pub traced_ns: u64,
    /// The series, pauses first, those that took most time before the others.
    pub series: Vec<SeriesSummary>,
    /// The longest pauses of all runs, longest first; at most ten, of one kind at most four.
    pub longest: Vec<LongPause>,
    /// Intervals and pauses that were recorded and are in none of these figures: of more than 64
    /// series of a run, or more pauses than were read.
    pub ignored: u64,
    /// What the probe says of each run, control characters removed.
    pub probes: Vec<ProbeMeta>,
}

/// The figures of one series.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SeriesSummary {
    /// Its name: `off_cpu`, `malloc@jemalloc`.
    pub name: String,
    /// What it measures, in one line.
    pub what: String,
    /// The unit of the percentiles and of the maximum.
    pub unit: Unit,
    /// Whether time in it is time in which a request of that thread stands still.
    pub pause: bool,
    /// Events seen.
    pub events: u64,
    /// Share of all events that was seen, 0 to 1.
    pub sampling: f64,
    /// Events per second of tracing, all that there were: those seen over their share.
    pub events_per_second: f64,
    /// By how much of itself this may be off, 0 to 1, from sampling alone and as if events were
    /// independent of each other (95%): where they come in bursts it is off by more.
    pub sampling_error: f64,
    /// Share of the events that took no longer than the probe's own hit, 0 to 1.
    pub under_floor: f64,
    /// That floor, in nanoseconds; 0 for none.
    pub floor_ns: u64,
    /// Half of the events seen stay within this; null when fewer than two were. The floor, where
    /// the truth is less.
    pub p50: Option<u64>,
    /// One event in 100 exceeds this; null when fewer than 100 were seen.
    pub p99: Option<u64>,
    /// One event in 1,000 exceeds this; null when fewer than 1,000 were seen.
    pub p999: Option<u64>,
    /// The largest value seen.
    pub max: u64,
    /// Time or bytes per second of tracing, in the series' unit, all threads together, scaled as
    /// the events are; null for plain numbers.
    pub total_per_second: Option<f64>,
}

/// One pause.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LongPause {
    /// Its series.
    pub kind: String,
    /// The run that it is of.
    pub run: u32,
    /// The process.
    pub process: u32,
    /// The thread that paused; 0 for all of the process.
    pub thread: u32,
    /// When it began, in seconds after the start of the run; before it when negative.
    pub start_s: f64,
    /// Its length, in nanoseconds.
    pub length_ns: u64,
    /// Bytes, an address, a task; what it is stands in the probe's description of the series.
    pub detail: Option<u64>,
    /// Who had the CPU, or the lock, meanwhile.
    pub by: Option<String>,
    /// The functions that it happened in, the innermost first; at most sixteen.
    pub stack: Vec<String>,
}

impl PauseSummary {
    /// `None` when no run was traced.
    pub(crate) fn of(runs: &[&RunDigest]) -> Option<PauseSummary> {
        let traced: Vec<(&RunDigest, &PauseDigest)> = runs
            .iter()
            .filter_map(|run| Some((*run, run.pauses.as_ref()?)))
            .collect();
        if traced.is_empty() {
            return None;
        }
        let digests = || traced.iter().map(|(_, digest)| *digest);
        Some(PauseSummary {
            runs: traced.len() as u32,
            traced_ns: total(digests().map(PauseDigest::traced_ns)),
            series: series(&traced),
            longest: longest(&traced),
            ignored: total(digests().map(|digest| digest.ignored)),
            probes: digests().map(|digest| digest.meta.clone()).collect(),
        })
    }

    /// The series in which a request stands still, with anything in them.
    pub(crate) fn pauses(&self) -> impl Iterator<Item = &SeriesSummary> {
        self.series
            .iter()
            .filter(|series| series.pause && series.events > 0)
    }

    /// The other series with anything in them.
    pub(crate) fn others(&self) -> impl Iterator<Item = &SeriesSummary> {
        self.series
            .iter()
            .filter(|series| !series.pause && series.events > 0)
    }
}

fn series(traced: &[(&RunDigest, &PauseDigest)]) -> Vec<SeriesSummary> {
    let mut by_name: IndexMap<&str, Vec<(u64, &SeriesDigest)>> = IndexMap::new();
    for (_, digest) in traced {
        let traced_ns = digest.traced_ns();
        for series in &digest.series {
            let runs = by_name.entry(&series.meta.name).or_default();
            runs.push((traced_ns, series));
        }
    }
    let mut all: Vec<SeriesSummary> = by_name.values().map(|runs| one(runs)).collect();
    all.sort_by(|a, b| {
        let weight = |series: &SeriesSummary| match series.unit {
            Unit::Nanoseconds => series.total_per_second.unwrap_or(0.0),
            // After the times, in the order of the probe.
            Unit::Bytes | Unit::Count => -1.0,
        };
        (b.pause.cmp(&a.pause)).then(weight(b).total_cmp(&weight(a)))
    });
    all
}

/// One series over the runs that have it, each with the time that it was traced.
fn one(runs: &[(u64, &SeriesDigest)]) -> SeriesSummary {
    let meta = &runs[0].1.meta;
    let whole = recording::merged(runs.iter().map(|(_, series)| &series.whole));
    let seconds = total(runs.iter().map(|(traced_ns, _)| *traced_ns)) as f64 / 1e9;
    let (mut seen, mut all, mut sum, mut under) = (0u64, 0.0, 0.0, 0u64);
    for (_, series) in runs {
        let meta = &series.meta;
        let listed = series.whole.len();
        // A probe that was killed wrote more intervals than it came to count.
        let (events, total) = if meta.events >= listed {
            let total = match meta.unit {
                Unit::Nanoseconds => meta.total_ns,
                Unit::Bytes | Unit::Count => meta.bytes,
            };
            (meta.events, total as f64)
        } else {
            (listed, series.whole.mean() * listed as f64)
        };
        seen = seen.saturating_add(events);
        under = under.saturating_add(meta.under_floor.min(events));
        all += events as f64 / meta.sampling;
        sum += total / meta.sampling;
    }
    let per_second = |total: f64| if seconds > 0.0 { total / seconds } else { 0.0 };
    let sampling = if all > 0.0 { seen as f64 / all } else { 1.0 };
    let under_floor = under as f64 / seen.max(1) as f64;
    let floor_ns = runs
        .iter()
        .map(|(_, series)| series.meta.floor_ns)
        .max()
        .unwrap_or(0);
    let level = |level: f64| {
        // Rounded, because 1 - 0.999 is not quite 0.001.
        let beyond = whole.len() as f64 * (1.0 - level);
        (beyond >= 0.999_999).then(|| above_floor(&whole, level, under_floor, floor_ns))
    };
    SeriesSummary {
        name: meta.name.clone(),
        what: meta.what.clone(),
        unit: meta.unit,
        pause: meta.pause,
        events: seen,
        sampling,
        events_per_second: per_second(all),
        sampling_error: 1.96 * ((1.0 - sampling).max(0.0) / seen.max(1) as f64).sqrt(),
        under_floor,
        floor_ns,
        p50: level(0.5),
        p99: level(0.99),
        p999: level(0.999),
        max: maximum(&whole),
        total_per_second: (meta.unit != Unit::Count).then(|| per_second(sum)),
    }
}

/// A percentile, which is the floor where its rank lies among the events under it.
fn above_floor(whole: &Histogram<u64>, level: f64, under_floor: f64, floor_ns: u64) -> u64 {
    let value = quantile(whole, level);
    if level <= under_floor {
        floor_ns
    } else {
        value
    }
}

fn longest(traced: &[(&RunDigest, &PauseDigest)]) -> Vec<LongPause> {
    let mut all: Vec<(&RunDigest, &PauseDigest, &DigestedPause)> = traced
        .iter()
        .flat_map(|(run, digest)| digest.longest.iter().map(|pause| (*run, *digest, pause)))
        .collect();
    all.sort_by_key(|(_, _, pause)| std::cmp::Reverse(pause.length_ns));
    let mut of_a_kind: IndexMap<&str, usize> = IndexMap::new();
    all.into_iter()
        .map(|(run, digest, pause)| (run, &digest.series[pause.series].meta.name, pause))
        .filter(|(_, kind, _)| {
            let shown = of_a_kind.entry(kind).or_default();
            *shown += 1;
            *shown <= SHOWN_OF_A_KIND
        })
        .take(SHOWN)
        .map(|(run, kind, pause)| LongPause {
            kind: kind.clone(),
            run: run.meta.run,
            process: pause.process,
            thread: pause.thread,
            start_s: (pause.start_ns as f64 - run.start_ns() as f64) / 1e9,
            length_ns: pause.length_ns,
            detail: pause.detail,
            by: pause.by.clone(),
            stack: pause.stack.clone(),
        })
        .collect()
}
