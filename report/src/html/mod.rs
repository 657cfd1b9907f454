//! The page: one file that holds its style, its script, its chart library and its data.
//!
//! The structure is in `templates/report.html` and its `sections/`, which escape every text; this module says what
//! goes into it. Whatever a chart shows stands in a table too, made here and not by the script, so
//! that the page serves readers without sight, without JavaScript or on paper. The charts' data
//! are in [`data`].

mod data;
mod load;
mod pause_data;
mod pauses;
mod tables;
mod trend;

use askama::Template;

use crate::before_after::BeforeAfter;
use crate::conditions::{Condition, commands, conditions};
use crate::format;
use crate::load::Story;
use crate::measures::{Mark, closed};
use crate::report::Report;
use crate::table::{Table, measures};
use crate::variant::{self, NOOP, POOL, Variant};
use crate::verdict::Outcome;

/// The library's licence asks to stand in every copy, and a report is one.
const UPLOT_JS: &str = concat!(
    "/*! uPlot 1.6.32\n",
    include_str!("../../assets/uplot/LICENSE"),
    "*/\n",
    include_str!("../../assets/uplot/uPlot.iife.min.js")
);
const UPLOT_CSS: &str = include_str!("../../assets/uplot/uPlot.min.css");
/// One function around all of it: nothing leaks into the page, and each file is one idea.
const JS: &str = concat!(
    "(() => {\n\"use strict\";\n",
    include_str!("../../assets/charts.js"),
    include_str!("../../assets/latency.js"),
    include_str!("../../assets/heat.js"),
    include_str!("../../assets/pauses.js"),
    include_str!("../../assets/load.js"),
    include_str!("../../assets/page.js"),
    "})();\n"
);
const CSS: &str = include_str!("../../assets/report.css");

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    begun: String,
    machine: String,
    outcome: Badge,
    sentence: &'a str,
    notes: &'a [String],
    alerts: Vec<String>,
    comparison: Option<&'a BeforeAfter>,
    trend: Option<trend::Section>,
    any_missed: bool,
    variants_title: &'static str,
    variants: Vec<Column>,
    columns: usize,
    groups: Vec<Group>,
    curve_text: String,
    percentiles: Table,
    seconds_text: String,
    run_table: Table,
    seconds_per_column: usize,
    most: String,
    ramp: Vec<(f64, String)>,
    bands: Table,
    slow: Vec<tables::SlowGroup>,
    slow_dropped: String,
    pauses: Option<pauses::Section>,
    load: load::Section,
    conditions: Vec<Condition>,
    stalls: Option<Table>,
    commands: Vec<String>,
    tool: String,
    recordings: String,
    data: String,
    uplot_css: &'static str,
    uplot_js: &'static str,
    css: &'static str,
    js: &'static str,
}

struct Badge {
    class: &'static str,
    label: &'static str,
}

/// A variant as the head of a column.
struct Column {
    label: String,
    kind: &'static str,
    slot: String,
    missed: bool,
    heat_text: String,
}

struct Group {
    label: &'static str,
    rows: Vec<Row>,
}

struct Row {
    label: &'static str,
    help: &'static str,
    cells: Vec<Shown>,
}

struct Shown {
    text: String,
    class: &'static str,
}

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let variants = &report.variants;
    let conditions = conditions(report);
    let value = |label: &str| {
        conditions
            .iter()
            .find(|condition| condition.label == label)
            .and_then(|condition| condition.values.first())
            .cloned()
            .unwrap_or_default()
    };
    let most = data::most(variants);
    let page = Page {
        title: title(report),
        begun: value("Begun"),
        machine: value("Machine"),
        outcome: badge(report),
        sentence: &report.verdict.sentence,
        notes: &report.verdict.notes,
        alerts: report.alerts(),
        comparison: report.comparison(),
        trend: trend::section(report),
        any_missed: variants.iter().any(Variant::lower_bound),
        variants_title: match report.story {
            Story::Load if variants.len() == 1 => "Figures",
            _ => "All variants",
        },
        variants: columns(variants, report),
        columns: variants.len() + 1,
        groups: groups(variants, report.story),
        curve_text: curve_text(variants),
        percentiles: tables::percentiles(variants),
        seconds_text: "Line chart over the seconds of all runs; the table of runs below the second chart holds its figures".to_owned(),
        run_table: tables::runs(report),
        seconds_per_column: variants
            .iter()
            .map(|variant| variant.heat.seconds_per_column)
            .max()
            .unwrap_or(1),
        ramp: ramp(most),
        most: format::count(most as f64),
        bands: tables::bands(variants),
        slow: tables::slow(report),
        slow_dropped: tables::slow_dropped(report),
        pauses: pauses::section(report),
        load: load::section(report),
        stalls: Table::of_stalls(variants),
        commands: commands(report),
        tool: match value("Made by") {
            empty if empty.is_empty() => "tailcut".to_owned(),
            tool => tool,
        },
        recordings: match report.runs.len() {
            1 => "1 recording".to_owned(),
            runs => format!("{runs} recordings"),
        },
        data: data::json(report),
        conditions,
        uplot_css: UPLOT_CSS,
        uplot_js: UPLOT_JS,
        css: CSS,
        js: JS,
    };
    page.render()
        .expect("a template that only formats strings into a String cannot fail")
}

fn title(report: &Report) -> String {
    match (report.variants.as_slice(), report.traced.as_slice()) {
        ([], [one]) => format!("Pauses of {}", one.label()),
        ([], several) => format!("Pauses of {} processes", several.len()),
        (variants, _) if report.story == Story::Load => of_load(variants),
        _ => match &report.comparison {
            Some(known) if known.ratios.is_empty() => {
                format!(
                    "Tail latency of {} and {}",
                    variant::label(&known.before),
                    variant::label(&known.after)
                )
            }
            _ => "Tail latency before and after pooling".to_owned(),
        },
    }
}

/// What was loaded, as a title.
fn of_load(variants: &[Variant]) -> String {
    let mut targets: Vec<&str> = variants
        .iter()
        .map(|variant| match &variant.summary.load {
            Some(load) if !load.target.is_empty() => load.target.as_str(),
            _ => variant.label(),
        })
        .collect();
    targets.dedup();
    match targets.as_slice() {
        [one] => format!("Latency of {one} under load"),
        several => format!("Latency of {} targets under load", several.len()),
    }
}

fn badge(report: &Report) -> Badge {
    match report.verdict.outcome {
        Outcome::Inconclusive if report.variants.is_empty() => Badge {
            class: "inconclusive",
            label: "Traced, nothing to compare",
        },
        Outcome::ObjectivesHeld => Badge {
            class: "better",
            label: "Every objective held",
        },
        Outcome::ObjectivesBroken => Badge {
            class: "worse",
            label: "An objective is broken",
        },
        Outcome::ScheduleMissed => Badge {
            class: "worse",
            label: "The schedule was missed",
        },
        Outcome::Measured => Badge {
            class: "measured",
            label: "Measured",
        },
        Outcome::Better => Badge {
            class: "better",
            label: "The tail is cut",
        },
        Outcome::NotBetter => Badge {
            class: "worse",
            label: "The tail is not cut",
        },
        Outcome::Inconclusive => Badge {
            class: "inconclusive",
            label: "No conclusion",
        },
    }
}

/// The name of a variant's colour in the style sheet.
fn slot(variant: &Variant, index: usize) -> String {
    match variant.name.as_str() {
        NOOP => "v-noop".to_owned(),
        POOL => "v-pool".to_owned(),
        "heap_system" => "v-system".to_owned(),
        "heap_jemalloc" => "v-jemalloc".to_owned(),
        "heap_mimalloc" => "v-mimalloc".to_owned(),
        _ if index < 3 => format!("v-other{index}"),
        // More than anybody tells apart: the colours of pauses, which stand in charts of their own.
        _ => format!("k{}", (index - 3) % 8),
    }
}

fn columns(variants: &[Variant], report: &Report) -> Vec<Column> {
    let side = |variant: &Variant| match &report.comparison {
        // Of heaps and pool the names say it.
        Some(known) if known.ratios.is_empty() && known.before == variant.name => Some("before"),
        Some(known) if known.ratios.is_empty() && known.after == variant.name => Some("after"),
        _ => None,
    };
    variants
        .iter()
        .enumerate()
        .map(|(index, variant)| Column {
            label: variant.label().to_owned(),
            kind: match variant.name.as_str() {
                _ if side(variant).is_some() => side(variant).unwrap_or_default(),
                _ if closed(variant) => "closed loop",
                _ if report.story == Story::Load => "",
                NOOP => "floor",
                POOL => "after",
                _ if variant.is_heap() => "heap",
                _ => "",
            },
            slot: slot(variant, index),
            missed: variant.lower_bound(),
            heat_text: format!(
                "Heat map of {}: half of the requests within {}, 99.9% within {}, the slowest {}; the table below holds the shares",
                variant.label(),
                format::nanos(variant.summary.p50_ns),
                format::nanos(variant.summary.p999_ns),
                format::nanos(variant.summary.max_ns),
            ),
        })
        .collect()
}

fn groups(variants: &[Variant], story: Story) -> Vec<Group> {
    let (measures, context) = measures(variants, story);
    let mut groups: Vec<Group> = Vec::new();
    for measure in measures {
        let cells: Vec<_> = variants
            .iter()
            .map(|variant| (measure.cell)(variant, &context))
            .collect();
        if cells.iter().all(|cell| cell.mark == Mark::Missing) {
            continue;
        }
        let row = Row {
            label: measure.label,
            help: measure.help,
            cells: cells
                .into_iter()
                .map(|cell| Shown {
                    text: cell.text,
                    class: match cell.mark {
                        Mark::None => "",
                        Mark::Missing => "missing",
                        Mark::LowerBound => "bound",
                        Mark::Bad => "bad",
                    },
                })
                .collect(),
        };
        match groups.last_mut() {
            Some(group) if group.label == measure.group => group.rows.push(row),
            _ => groups.push(Group {
                label: measure.group,
                rows: vec![row],
            }),
        }
    }
    groups
}

fn curve_text(variants: &[Variant]) -> String {
    let each: Vec<String> = variants
        .iter()
        .filter(|variant| variant.summary.requests > 0)
        .map(|variant| {
            format!(
                "{} {} at P50, {} at P99.9, {} at most",
                variant.label(),
                format::nanos(variant.summary.p50_ns),
                format::nanos(variant.summary.p999_ns),
                format::nanos(variant.summary.max_ns)
            )
        })
        .collect();
    format!("Response time by percentile: {}", each.join("; "))
}

/// Where the colour scale's powers of ten stand, in percent of its length.
fn ramp(most: u64) -> Vec<(f64, String)> {
    let decades = (most.max(10) as f64).log10();
    (0..=decades.floor() as u32)
        .map(|power| {
            let place = f64::from(power) / decades * 100.0;
            (
                (place * 10.0).round() / 10.0,
                format::count(10f64.powi(power as i32)),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::digest::{RunDigest, Second};
    use crate::heat::ROWS;
    use crate::recording::{Meta, Recording, State};
    use crate::report::Report;

    /// A run whose seconds all differ in every figure, which is the worst case for size.
    fn hour(variant: &str, sequence: u32) -> RunDigest {
        let mut digest = RunDigest::of_recording(Recording {
            dir: variant.into(),
            meta: Meta {
                schema: 1,
                variant: variant.to_owned(),
                run: 1,
                sequence,
                state: State::Complete,
                ..Meta::default()
            },
            intervals: Vec::new(),
            slow: Vec::new(),
            marks: Vec::new(),
            resources: Vec::new(),
            not_read: 0,
            torn: false,
            pauses: None,
        });
        digest.response.saturating_record(1);
        digest.seconds = (0..3600)
            .map(|second: u64| Second {
                start_ns: second * 1_000_000_000,
                length_ns: 1_000_000_000,
                requests: 2_400_000,
                p50_ns: 1_000,
                p99_ns: 100_000,
                p999_ns: 1_234_567_890 + second * 1_048_576,
                max_ns: 9_234_567_890 + second * 1_048_576,
                heat: (0..ROWS as u8)
                    .map(|row| (row, second * 97 + u64::from(row)))
                    .collect(),
            })
            .collect();
        digest
    }

    #[test]
    fn an_hour_of_five_variants_stays_under_5_mb() {
        let variants = [
            "noop",
            "heap_system",
            "heap_jemalloc",
            "heap_mimalloc",
            "pool",
        ];
        let runs = variants
            .iter()
            .zip(0..)
            .map(|(name, place)| hour(name, place));
        let report = Report::from_digests(runs.collect()).expect("five runs");
        let html = report.html();
        assert!(html.len() < 5_000_000, "{} bytes", html.len());
        // Nothing was left out: every second of every run is in the data.
        assert_eq!(html.matches("1234567890").count(), variants.len());
        assert_eq!(html.matches("5008392914").count(), variants.len());
    }
}
