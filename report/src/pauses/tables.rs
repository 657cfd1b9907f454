//! Pauses as text, for a terminal, for Markdown and for the page.
//!
//! Each table is of all variants that were traced; where there are several, rows say which.

use super::summary::{LongPause, PauseSummary, SeriesSummary};
use crate::format;
use crate::recording::Unit;
use crate::report::Report;
use crate::table::Table;
use crate::variant::Variant;

/// What stands over the figures of a series.
pub(crate) const SERIES_HEADER: [&str; 7] = [
    "Events/s",
    "P50",
    "P99",
    "P99.9",
    "Maximum",
    "Per second",
    "What",
];

/// What stands over single pauses.
pub(crate) const LONGEST_HEADER: [&str; 5] = ["Run", "Thread", "Began at", "Length", "Where"];

/// Single pauses shown of each variant where there are several; of one alone, all ten.
const SHOWN_OF_SEVERAL: usize = 5;

/// The variants that were traced, with what was seen of them.
pub(crate) fn traced(report: &Report) -> Vec<(&Variant, &PauseSummary)> {
    report
        .all_variants()
        .filter_map(|variant| Some((variant, variant.summary.pauses.as_ref()?)))
        .collect()
}

/// The series in which a request stands still.
pub(crate) fn pauses(report: &Report) -> Option<Table> {
    of_series(report, |summary| summary.pauses().collect())
}

/// The other series: calls, sizes, counts.
pub(crate) fn others(report: &Report) -> Option<Table> {
    of_series(report, |summary| summary.others().collect())
}

/// The longest single pauses.
pub(crate) fn longest(report: &Report) -> Option<Table> {
    let traced = traced(report);
    let rows: Vec<Vec<String>> = traced
        .iter()
        .flat_map(|(variant, summary)| {
            let several = traced.len() > 1;
            summary
                .longest
                .iter()
                .map(move |pause| row(name(variant, &pause.kind, several), pause_cells(pause)))
        })
        .collect();
    table(&LONGEST_HEADER, rows)
}

/// The single pauses of a variant that a table shows; JSON has all.
pub(crate) fn shown(summary: &PauseSummary, several: bool) -> impl Iterator<Item = &LongPause> {
    let most = if several {
        SHOWN_OF_SEVERAL
    } else {
        summary.longest.len()
    };
    summary.longest.iter().take(most)
}

/// The cells of a series, under [`SERIES_HEADER`].
pub(crate) fn series_cells(series: &SeriesSummary) -> Vec<String> {
    let level = |level: f64, value: Option<u64>| match value {
        None => format::MISSING.to_owned(),
        Some(_) if level <= series.under_floor => {
            format!("< {}", format::nanos(series.floor_ns))
        }
        Some(value) => in_unit(series.unit, value as f64),
    };
    vec![
        format::count(series.events_per_second),
        level(0.5, series.p50),
        level(0.99, series.p99),
        level(0.999, series.p999),
        in_unit(series.unit, series.max as f64),
        series.total_per_second.map_or_else(
            || format::MISSING.to_owned(),
            |sum| in_unit(series.unit, sum),
        ),
        meaning(series),
    ]
}

/// The cells of a single pause, under [`LONGEST_HEADER`].
pub(crate) fn pause_cells(pause: &LongPause) -> Vec<String> {
    let by = pause.by.as_ref().map(|by| format!("by {by}"));
    let frames = pause.stack.iter().take(3).cloned();
    let stack = frames.collect::<Vec<_>>().join(" ← ");
    let place: Vec<String> = by
        .into_iter()
        .chain(Some(stack).filter(|stack| !stack.is_empty()))
        .collect();
    vec![
        pause.run.to_string(),
        format::thread(pause.thread),
        format!("{:.3} s", pause.start_s),
        format::nanos(pause.length_ns),
        if place.is_empty() {
            format::MISSING.to_owned()
        } else {
            place.join(", ")
        },
    ]
}

/// What a series is, and what must be said of its figures: what they are a share of, what could not
/// be measured.
fn meaning(series: &SeriesSummary) -> String {
    let sampled = (series.sampling < 0.9995).then(|| {
        format!(
            "{} seen, totals scaled (±{} at best)",
            format::share(series.sampling),
            format::share(series.sampling_error)
        )
    });
    let under = (series.under_floor > 0.0).then(|| {
        format!(
            "{} under the probe's floor of {}",
            format::share(series.under_floor),
            format::nanos(series.floor_ns)
        )
    });
    let what = Some(series.what.clone()).filter(|what| !what.is_empty());
    let parts: Vec<String> = what.into_iter().chain(sampled).chain(under).collect();
    parts.join("; ")
}

fn in_unit(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Nanoseconds => format::duration(value),
        Unit::Bytes => format::bytes(value),
        Unit::Count => format::count(value),
    }
}

fn of_series(
    report: &Report,
    choose: for<'a> fn(&'a PauseSummary) -> Vec<&'a SeriesSummary>,
) -> Option<Table> {
    let traced = traced(report);
    let rows: Vec<Vec<String>> = traced
        .iter()
        .flat_map(|(variant, summary)| {
            let several = traced.len() > 1;
            choose(summary)
                .into_iter()
                .map(move |series| row(name(variant, &series.name, several), series_cells(series)))
        })
        .collect();
    table(&SERIES_HEADER, rows)
}

fn name(variant: &Variant, name: &str, several: bool) -> String {
    if several {
        format!("{}: {name}", variant.label())
    } else {
        name.to_owned()
    }
}

fn row(name: String, cells: Vec<String>) -> Vec<String> {
    std::iter::once(name).chain(cells).collect()
}

/// `None` without rows.
fn table(header: &[&str], rows: Vec<Vec<String>>) -> Option<Table> {
    if rows.is_empty() {
        return None;
    }
    let header = std::iter::once("").chain(header.iter().copied());
    Some(Table {
        header: header.map(str::to_owned).collect(),
        rows,
    })
}
