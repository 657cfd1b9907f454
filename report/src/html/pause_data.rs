//! What the page's script draws of pauses: lines by series and second, single pauses over the
//! chart of the slowest requests, the probe's own windows.
//!
//! An hour of a run with eight series comes to 0.6 MB; single pauses are bounded to a thousand a
//! run, windows to five hundred.

use std::collections::BTreeMap;

use serde::Serialize;

use super::slot;
use crate::digest::RunDigest;
use crate::pauses::{DigestedPause, PauseDigest};
use crate::report::Report;
use crate::variant::Variant;

/// Points of a line at most; the seconds of longer runs are joined, the highest stands for all.
const MOST_POINTS: u64 = 4_000;
/// Windows drawn of a run at most.
const MOST_WINDOWS: usize = 500;
/// Colours that the style sheet has for series.
const COLOURS: usize = 8;
/// Those that are left where a garbage collector has its own.
const BESIDE_A_COLLECTOR: [usize; 4] = [1, 2, 3, 5];

#[derive(Serialize)]
pub(super) struct PauseData {
    kinds: Vec<Kind>,
    /// Runs that were traced, in the order in which they were made.
    runs: Vec<Line>,
    /// Runs under load that were traced, by their place in the list of all runs under load.
    over: Vec<Over>,
}

#[derive(Serialize)]
struct Kind {
    label: String,
    slot: String,
}

#[derive(Serialize)]
struct Line {
    name: String,
    run: u32,
    slot: String,
    /// Its place in the list of all runs under load; null for one that was only traced.
    over: Option<usize>,
    /// From its first measured second to its first traced one, in seconds; negative where tracing
    /// began first.
    offset: f64,
    /// Seconds that one point stands for.
    seconds: u64,
    /// Points; those without a value are null.
    length: u64,
    /// By kind.
    p999: Vec<Vec<Option<u64>>>,
    max: Vec<Vec<Option<u64>>>,
}

#[derive(Serialize)]
struct Over {
    run: usize,
    /// Kind, second, length in ns, thread, where or by whom.
    marks: Vec<(usize, f64, u64, u32, String)>,
    /// From second, to second, series.
    windows: Vec<(f64, f64, String)>,
}

/// `None` when there is nothing to draw. `loaded` are the runs under load, as places in the
/// report's list.
pub(super) fn data(report: &Report, loaded: &[usize]) -> Option<PauseData> {
    let kinds = kinds(report);
    if kinds.is_empty() {
        return None;
    }
    let traced = |run: &'_ RunDigest| run.pauses.is_some();
    let names = kinds.clone();
    Some(PauseData {
        runs: report
            .runs
            .iter()
            .enumerate()
            .filter(|(_, run)| traced(run))
            .filter_map(|run| line(report, run, loaded, &kinds))
            .collect(),
        over: loaded
            .iter()
            .enumerate()
            .filter_map(|(place, run)| over(place, &report.runs[*run], &kinds))
            .collect(),
        kinds: kinds
            .iter()
            .enumerate()
            .map(|(index, name)| Kind {
                label: (*name).to_owned(),
                slot: colour(&names, index),
            })
            .collect(),
    })
}

/// The series that are drawn, in the order of their colours.
pub(super) fn kinds(report: &Report) -> Vec<&str> {
    let mut kinds: Vec<&str> = Vec::new();
    for digest in report.runs.iter().filter_map(|run| run.pauses.as_ref()) {
        for series in digest.series.iter().filter(|series| series.is_time()) {
            if !series.whole.is_empty() && !kinds.contains(&series.meta.name.as_str()) {
                kinds.push(&series.meta.name);
            }
        }
    }
    kinds
}

/// The colour of the series at a place in the list, as the style sheet calls it.
///
/// Mark assist and stopping the world have each the same in every report, because that is what is looked for; the others
/// take theirs in their order.
pub(super) fn colour(kinds: &[&str], place: usize) -> String {
    let of_collector = |kind: &&str| fixed(kind).is_some();
    if !kinds.iter().any(of_collector) {
        return format!("k{}", place % COLOURS);
    }
    let own = kinds.get(place).and_then(|kind| fixed(kind));
    let number = own.unwrap_or_else(|| {
        let before = kinds[..place.min(kinds.len())].iter();
        let others = before.filter(|kind| !of_collector(kind)).count();
        BESIDE_A_COLLECTOR[others % BESIDE_A_COLLECTOR.len()]
    });
    format!("k{number}")
}

/// The colour of what a garbage collector does.
fn fixed(kind: &str) -> Option<usize> {
    match kind {
        "gc_assist" | "gc_sweep_assist" => Some(4),
        "gc_worker" => Some(6),
        stop if stop.starts_with("gc_stw_") => Some(0),
        "gc_cycle" => Some(7),
        _ => None,
    }
}

fn line(
    report: &Report,
    (place_of_run, run): (usize, &RunDigest),
    loaded: &[usize],
    kinds: &[&str],
) -> Option<Line> {
    let digest = run.pauses.as_ref()?;
    let (index, variant): (usize, &Variant) = report
        .all_variants()
        .enumerate()
        .find(|(_, variant)| variant.name == run.meta.variant)?;
    let seconds = || digest.series.iter().flat_map(|series| &series.seconds);
    let start = seconds().map(|second| second.start_ns).min()?;
    let step = seconds().map(|second| second.length_ns).max()?.max(1);
    let last = seconds()
        .map(|second| place(second.start_ns, start, step))
        .max()?;
    let joined = last.saturating_add(1).div_ceil(MOST_POINTS);
    let length = last / joined + 1;
    let by_kind = |value: fn(&crate::digest::Second) -> u64| {
        kinds
            .iter()
            .map(|kind| {
                let mut points = BTreeMap::new();
                let series = digest
                    .series
                    .iter()
                    .filter(|series| series.meta.name == *kind);
                for second in series.flat_map(|series| &series.seconds) {
                    let point = place(second.start_ns, start, step) / joined;
                    let highest = points.entry(point).or_insert(0);
                    *highest = value(second).max(*highest);
                }
                (0..length)
                    .map(|point| points.get(&point).copied())
                    .collect()
            })
            .collect()
    };
    Some(Line {
        name: variant.label().to_owned(),
        run: run.meta.run,
        slot: slot(variant, index),
        over: loaded.iter().position(|place| *place == place_of_run),
        offset: round((start as f64 - run.start_ns() as f64) / 1e9),
        seconds: joined,
        length,
        p999: by_kind(|second| second.p999_ns),
        max: by_kind(|second| second.max_ns),
    })
}

/// Which second of the run an interval is; starts jitter by some milliseconds.
fn place(start_ns: u64, first_ns: u64, step: u64) -> u64 {
    (start_ns - first_ns).saturating_add(step / 2) / step
}

fn over(place: usize, run: &RunDigest, kinds: &[&str]) -> Option<Over> {
    let digest = run.pauses.as_ref()?;
    let marks: Vec<_> = digest
        .marks
        .iter()
        .filter_map(|mark| {
            let pause = &mark.pause;
            let name = &digest.series[pause.series].meta.name;
            // Listed, but without a histogram: it has a kind of its own only in the tables.
            let kind = kinds.iter().position(|kind| kind == name)?;
            Some((
                kind,
                round(mark.second),
                pause.length_ns,
                pause.thread,
                place_of(pause),
            ))
        })
        .collect();
    Some(Over {
        run: place,
        marks,
        windows: windows(run, digest),
    })
}

/// Where a pause was, or who had the CPU.
fn place_of(pause: &DigestedPause) -> String {
    match (&pause.by, pause.stack.as_slice()) {
        (Some(by), _) => format!("by {by}"),
        (None, []) => String::new(),
        (None, [function]) => format!("in {function}"),
        // The innermost is often but the system call that the pause is named after.
        (None, [function, caller, ..]) => format!("in {function} ← {caller}"),
    }
}

/// The probe's windows that lie in the measured time, the longest of them, in seconds of the run.
fn windows(run: &RunDigest, digest: &PauseDigest) -> Vec<(f64, f64, String)> {
    let (Some(first), Some(last)) = (run.seconds.first(), run.seconds.last()) else {
        return Vec::new();
    };
    let end = last.start_ns.saturating_add(last.length_ns);
    let mut inside: Vec<_> = digest
        .meta
        .windows
        .iter()
        .filter(|window| window.end_ns > first.start_ns && window.start_ns < end)
        .collect();
    inside.sort_by_key(|window| std::cmp::Reverse(window.end_ns.saturating_sub(window.start_ns)));
    inside.truncate(MOST_WINDOWS);
    inside.sort_by_key(|window| window.start_ns);
    let at = |ns: u64| {
        let ns = ns.clamp(first.start_ns, end);
        round((ns - first.start_ns) as f64 / first.length_ns.max(1) as f64)
    };
    inside
        .iter()
        .map(|window| {
            (
                at(window.start_ns),
                at(window.end_ns),
                window.series.clone(),
            )
        })
        .collect()
}

fn round(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_assist_and_stop_the_world_have_colours_that_nothing_else_has() {
        let kinds = [
            "off_cpu",
            "gc_stw_mark_termination",
            "run_queue",
            "gc_assist",
            "page_fault",
            "munmap",
            "gc_worker",
            "futex",
        ];
        let colours: Vec<String> = (0..kinds.len())
            .map(|place| colour(&kinds, place))
            .collect();
        assert_eq!(colours, ["k1", "k0", "k2", "k4", "k3", "k5", "k6", "k1"]);
        assert_eq!(colour(&kinds[..1], 0), "k0");
        assert_eq!(colour(&kinds[..1], 9), "k1");
    }
}
