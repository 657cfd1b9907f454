//! The page's part on what a load generator recorded beside response times: tables for the
//! template, marks and the target's resources for the script.
//!
//! Two numbers a second and at most two hundred marks a run: 60 KB for an hour.

use serde::Serialize;

use crate::digest::{RunDigest, Second};
use crate::format;
use crate::load::{LoadSummary, tables};
use crate::report::Report;
use crate::table::Table;

/// Colours that the style sheet has for kinds of marks.
const COLOURS: usize = 8;

/// What the template shows.
pub(super) struct Section {
    pub(super) objectives: Option<Table>,
    pub(super) errors: Option<Table>,
    pub(super) series: Option<Table>,
    pub(super) marks: Option<Table>,
    /// Marks that the table has no room for; empty for none.
    pub(super) marks_left_out: String,
    pub(super) resources: Option<Table>,
    /// The charts of resources in words.
    pub(super) resource_text: String,
}

/// The tables; each is `None` where there is nothing of it.
pub(super) fn section(report: &Report) -> Section {
    Section {
        objectives: tables::objectives(report),
        errors: tables::errors(report),
        series: tables::series(report),
        marks: tables::marks(report),
        marks_left_out: tables::marks_left_out(report),
        resources: tables::resources(report),
        resource_text: resource_text(report),
    }
}

fn resource_text(report: &Report) -> String {
    let sampled = report.variants.iter().filter_map(|variant| {
        let load: &LoadSummary = variant.summary.load.as_ref()?;
        let used = load.resources.as_ref()?;
        Some(format!(
            "{}: {} of a core on average, {} in the busiest second, {} of memory at most",
            variant.label(),
            format::share(used.cores_mean),
            format::share(used.cores_peak),
            format::memory(used.peak_rss_bytes)
        ))
    });
    format!(
        "Line chart over the seconds of all runs; {}",
        sampled.collect::<Vec<_>>().join("; ")
    )
}

/// What the script draws.
#[derive(Serialize)]
pub(super) struct LoadData {
    kinds: Vec<Kind>,
    marks: Vec<Span>,
    resources: Vec<Used>,
}

#[derive(Serialize)]
struct Kind {
    label: String,
    slot: String,
}

/// A mark, by its run's place in the list of all runs under load.
#[derive(Serialize)]
struct Span {
    run: usize,
    /// In seconds of the run: 2.25 is a quarter into the third.
    from: f64,
    to: f64,
    kind: usize,
    length: u64,
    detail: String,
}

#[derive(Serialize)]
struct Used {
    run: usize,
    /// By second: cores in use.
    cores: Vec<Option<f64>>,
    /// By second: bytes.
    rss: Vec<Option<u64>>,
}

/// `None` where there is nothing to draw. `loaded` are the runs under load, as places in the
/// report's list.
pub(super) fn data(report: &Report, loaded: &[usize]) -> Option<LoadData> {
    let mut kinds: Vec<String> = Vec::new();
    let mut marks = Vec::new();
    let mut resources = Vec::new();
    for (place, run) in loaded.iter().enumerate() {
        let run = &report.runs[*run];
        for (mark, (from, to)) in run
            .load
            .marks
            .iter()
            .filter_map(|mark| Some((mark, inside(run, mark.start_ns, mark.end_ns)?)))
        {
            let name = mark.name();
            let kind = kinds.iter().position(|known| *known == name);
            marks.push(Span {
                run: place,
                from,
                to,
                kind: kind.unwrap_or_else(|| {
                    kinds.push(name);
                    kinds.len() - 1
                }),
                length: mark.length_ns(),
                detail: mark.detail.clone(),
            });
        }
        if let Some(used) = &run.load.resources {
            let cores = used.cores.iter();
            resources.push(Used {
                run: place,
                cores: cores
                    .map(|cores| cores.map(|cores| (cores * 1e4).round() / 1e4))
                    .collect(),
                rss: used.rss_bytes.clone(),
            });
        }
    }
    if marks.is_empty() && resources.is_empty() {
        return None;
    }
    Some(LoadData {
        kinds: kinds
            .into_iter()
            .enumerate()
            .map(|(index, label)| Kind {
                label,
                slot: format!("k{}", index % COLOURS),
            })
            .collect(),
        marks,
        resources,
    })
}

/// The part of a span that lies within the measured seconds.
fn inside(run: &RunDigest, start_ns: u64, end_ns: u64) -> Option<(f64, f64)> {
    let (first, last) = (run.seconds.first()?, run.seconds.last()?);
    let end = last.start_ns.saturating_add(last.length_ns);
    if end_ns < first.start_ns || start_ns > end {
        return None;
    }
    Some((at(&run.seconds, start_ns), at(&run.seconds, end_ns)))
}

/// An instant in seconds of the run, where a second is as wide as it is drawn: 2.25 is a quarter
/// into the third.
fn at(seconds: &[Second], ns: u64) -> f64 {
    let after = seconds.partition_point(|second| second.start_ns <= ns);
    let Some(place) = after.checked_sub(1) else {
        return 0.0;
    };
    let second = &seconds[place];
    let within = (ns - second.start_ns) as f64 / second.length_ns.max(1) as f64;
    ((place as f64 + within.min(1.0)) * 1e4).round() / 1e4
}
