//! The page's part on pauses: tables with the names of their columns, as the template wants them.

use super::slot;
use crate::format;
use crate::pauses::tables::{
    LONGEST_HEADER, SERIES_HEADER, pause_cells, series_cells, shown, traced,
};
use crate::pauses::{LongPause, PauseSummary, SeriesSummary};
use crate::recording::Unit;
use crate::report::Report;

/// What the template shows of pauses.
pub(super) struct Section {
    /// Whether rows must say of which variant they are.
    pub(super) several: bool,
    pub(super) series_header: &'static [&'static str],
    /// The series in which a request stands still, by variant.
    pub(super) pauses: Vec<Group>,
    /// The others.
    pub(super) others: Vec<Group>,
    pub(super) longest_header: &'static [&'static str],
    pub(super) longest: Vec<Group>,
    /// Whether there is anything to draw second by second.
    pub(super) charts: bool,
    pub(super) chart_text: String,
    /// Whether pauses lie over the chart of the slowest requests.
    pub(super) marked: bool,
    /// Pauses that this chart has no room for; empty for none.
    pub(super) unmarked: String,
}

/// The rows of one variant.
pub(super) struct Group {
    pub(super) label: String,
    pub(super) slot: String,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) name: String,
    /// What more there is to say, where a pointer rests.
    pub(super) help: String,
    pub(super) cells: Vec<String>,
}

/// `None` when nobody traced.
pub(super) fn section(report: &Report) -> Option<Section> {
    let several = match traced(report).len() {
        0 => return None,
        variants => variants > 1,
    };
    let digests = || report.runs.iter().filter_map(|run| run.pauses.as_ref());
    let unmarked: u64 = digests().map(|digest| digest.unmarked).sum();
    Some(Section {
        several,
        series_header: &SERIES_HEADER,
        pauses: groups(report, |summary| summary.pauses().map(series_row).collect()),
        others: groups(report, |summary| summary.others().map(series_row).collect()),
        longest_header: &LONGEST_HEADER,
        longest: groups(report, |summary| {
            shown(summary, several).map(pause_row).collect()
        }),
        charts: digests().any(|digest| {
            let drawn = |series: &crate::pauses::SeriesDigest| {
                series.is_time() && !series.seconds.is_empty()
            };
            digest.series.iter().any(drawn)
        }),
        chart_text: chart_text(report),
        marked: digests().any(|digest| !digest.marks.is_empty()),
        unmarked: match unmarked {
            0 => String::new(),
            count => format!(
                "Drawn is the longest pause of each kind in each second; {} shorter ones are not.",
                format::count(count as f64)
            ),
        },
    })
}

fn groups(report: &Report, rows: impl Fn(&PauseSummary) -> Vec<Row>) -> Vec<Group> {
    let all = report.all_variants().enumerate();
    all.filter_map(|(index, variant)| {
        let rows = rows(variant.summary.pauses.as_ref()?);
        (!rows.is_empty()).then(|| Group {
            label: variant.label().to_owned(),
            slot: slot(variant, index),
            rows,
        })
    })
    .collect()
}

fn series_row(series: &SeriesSummary) -> Row {
    Row {
        name: series.name.clone(),
        help: String::new(),
        cells: series_cells(series),
    }
}

fn pause_row(pause: &LongPause) -> Row {
    Row {
        name: pause.kind.clone(),
        help: pause.stack.join(" ← "),
        cells: pause_cells(pause),
    }
}

fn chart_text(report: &Report) -> String {
    let each = traced(report).into_iter().map(|(variant, summary)| {
        let series = summary
            .series
            .iter()
            .filter(|series| series.unit == Unit::Nanoseconds && series.events > 0)
            .map(|series| format!("{} {} at most", series.name, format::nanos(series.max)));
        format!(
            "{}: {}",
            variant.label(),
            series.collect::<Vec<_>>().join(", ")
        )
    });
    format!(
        "Line chart of pauses over the seconds of all runs; {}",
        each.collect::<Vec<_>>().join("; ")
    )
}
