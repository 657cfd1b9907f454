//! Objectives, errors, further series, marks and resources as text, for a terminal, for Markdown and
//! for the page.
//!
//! Where there are several variants, rows say of which they are.

use super::{LoadSummary, ObjectiveSummary, SeriesUnit};
use crate::format;
use crate::report::Report;
use crate::table::Table;
use crate::variant::Variant;

/// Marks shown of each variant; the charts have more.
const MARKS_SHOWN: usize = 40;

/// The variants that a load generator recorded more of than response times.
fn loaded(report: &Report) -> Vec<(&Variant, &LoadSummary)> {
    report
        .variants
        .iter()
        .filter_map(|variant| Some((variant, variant.summary.load.as_ref()?)))
        .collect()
}

/// A table of the rows of all variants; `None` without any.
fn table(
    report: &Report,
    header: &[&str],
    rows: impl Fn(&LoadSummary) -> Vec<Vec<String>>,
) -> Option<Table> {
    let several = report.variants.len() > 1;
    let rows: Vec<Vec<String>> = loaded(report)
        .into_iter()
        .flat_map(|(variant, load)| {
            let mut rows = rows(load);
            if several {
                for row in &mut rows {
                    row[0] = format!("{}: {}", variant.label(), row[0]);
                }
            }
            rows
        })
        .collect();
    (!rows.is_empty()).then(|| Table {
        header: std::iter::once("")
            .chain(header.iter().copied())
            .map(str::to_owned)
            .collect(),
        rows,
    })
}

/// Each objective, and whether it held.
pub(crate) fn objectives(report: &Report) -> Option<Table> {
    table(report, &["Measured", "Held"], |load| {
        load.objectives
            .iter()
            .map(|objective| {
                vec![
                    objective.objective.clone(),
                    measured(objective),
                    match (objective.held, objective.runs) {
                        (1, 1) => "yes".to_owned(),
                        (0, 1) => "BROKEN".to_owned(),
                        (held, runs) if held == runs => format!("in all {runs} runs"),
                        (held, runs) => format!("BROKEN in {} of {runs} runs", runs - held),
                    },
                ]
            })
            .collect()
    })
}

/// What was measured of an objective: of several runs the lowest and the highest.
pub(crate) fn measured(objective: &ObjectiveSummary) -> String {
    // What the number is stands in the objective's own text.
    let show: fn(f64) -> String = match objective.objective.trim_start() {
        text if text.starts_with("errors") => format::share,
        text if text.starts_with("rate") => format::rate,
        _ => format::duration,
    };
    let of = |pick: fn(f64, f64) -> f64| objective.measured.iter().copied().reduce(pick);
    match (of(f64::min), of(f64::max)) {
        (Some(low), Some(high)) if low < high => format!("{} to {}", show(low), show(high)),
        (Some(one), _) => show(one),
        _ => format::MISSING.to_owned(),
    }
}

/// Failed requests by kind, the most frequent first.
pub(crate) fn errors(report: &Report) -> Option<Table> {
    table(report, &["Requests", "Of those due"], |load| {
        let mut kinds: Vec<(&String, &u64)> = load.errors.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        kinds
            .into_iter()
            .map(|(kind, count)| {
                vec![
                    kind.clone(),
                    format::count(*count as f64),
                    match load.offered {
                        0 => format::MISSING.to_owned(),
                        offered => format::share(*count as f64 / offered as f64),
                    },
                ]
            })
            .collect()
    })
}

/// The further series, each in its unit.
pub(crate) fn series(report: &Report) -> Option<Table> {
    let header = ["Values", "P50", "P99", "P99.9", "Maximum", "What"];
    table(report, &header, |load| {
        load.series
            .iter()
            .map(|series| {
                let show = |value: u64| match series.unit {
                    SeriesUnit::Nanoseconds => format::nanos(value),
                    SeriesUnit::Count => format::count(value as f64),
                };
                vec![
                    series.name.clone(),
                    format::count(series.values as f64),
                    show(series.p50),
                    show(series.p99),
                    show(series.p999),
                    show(series.max),
                    series.what.clone(),
                ]
            })
            .collect()
    })
}

/// What happened meanwhile.
pub(crate) fn marks(report: &Report) -> Option<Table> {
    table(report, &["Run", "Began at", "Lasted", "What"], |load| {
        load.marks
            .iter()
            .take(MARKS_SHOWN)
            .map(|mark| {
                vec![
                    mark.kind.clone(),
                    mark.run.to_string(),
                    format!("{:.3} s", mark.at_s),
                    match mark.length_ns {
                        0 => "an instant".to_owned(),
                        length => format::nanos(length),
                    },
                    mark.detail.clone(),
                ]
            })
            .collect()
    })
}

/// How many marks the table has no room for; empty for none.
pub(crate) fn marks_left_out(report: &Report) -> String {
    let left_out: u64 = loaded(report)
        .iter()
        .map(|(_, load)| {
            load.marks_left_out
                .saturating_add(load.marks.len().saturating_sub(MARKS_SHOWN) as u64)
        })
        .fold(0, u64::saturating_add);
    match left_out {
        0 => String::new(),
        number => format!("{} more are not shown.", format::count(number as f64)),
    }
}

/// The target's use of resources: a row per figure, a column per variant.
pub(crate) fn resources(report: &Report) -> Option<Table> {
    type Show = fn(&super::ResourceSummary) -> String;
    const ROWS: &[(&str, Show)] = &[
        ("CPU, mean (100% is one core)", |used| {
            format::share(used.cores_mean)
        }),
        ("CPU, busiest second", |used| format::share(used.cores_peak)),
        ("Runnable time spent waiting for a core", |used| {
            format::share(used.run_queue_wait_share)
        }),
        ("Peak memory", |used| format::memory(used.peak_rss_bytes)),
        ("Minor page faults", |used| {
            format::rate(used.minor_faults_per_second)
        }),
        ("Major page faults", |used| {
            format::count(used.major_faults as f64)
        }),
        ("Voluntary switches", |used| {
            format::rate(used.voluntary_switches_per_second)
        }),
        ("Involuntary switches", |used| {
            format::rate(used.involuntary_switches_per_second)
        }),
        ("Threads, at most", |used| used.peak_threads.to_string()),
        ("Open descriptors, at most", |used| {
            match used.peak_descriptors {
                0 => format::MISSING.to_owned(),
                number => number.to_string(),
            }
        }),
    ];
    let sampled: Vec<_> = loaded(report)
        .into_iter()
        .filter_map(|(variant, load)| Some((variant, load.resources.as_ref()?)))
        .collect();
    if sampled.is_empty() {
        return None;
    }
    let row = |name: &str, cells: Vec<String>| {
        let mut row = vec![name.to_owned()];
        row.extend(cells);
        row
    };
    Some(Table {
        header: row(
            "",
            sampled
                .iter()
                .map(|(variant, used)| format!("{} (process {})", variant.label(), used.process))
                .collect(),
        ),
        rows: ROWS
            .iter()
            .map(|(name, show)| row(name, sampled.iter().map(|(_, used)| show(used)).collect()))
            .collect(),
    })
}
