//! The page: one file that holds its style, its script, its chart library and its data.
//!
//! The structure is in `templates/report.html` and its `sections/`, which escape every text; this module says what
//! goes into it. Whatever a chart shows stands in a table too, made here and not by the script, so
//! that the page serves readers without sight, without JavaScript or on paper. The charts' data
//! are in [`data`]. A section has a file of its own, and the page a field for each.

mod allocator;
mod blame;
mod data;
mod head;
mod incident;
mod latency;
mod load;
mod pause_data;
mod pauses;
mod pool;
#[cfg(test)]
mod size_tests;
mod slo;
mod tables;
mod trend;
mod variants;

use askama::Template;

use crate::before_after::BeforeAfter;
use crate::conditions::{Condition, commands, conditions};
use crate::load::Story;
use crate::report::Report;
use crate::table::Table;
use crate::variant::Variant;

use variants::slot;

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
    include_str!("../../assets/keys.js"),
    include_str!("../../assets/timeline.js"),
    include_str!("../../assets/latency.js"),
    include_str!("../../assets/pauses.js"),
    include_str!("../../assets/zoom.js"),
    include_str!("../../assets/slo.js"),
    include_str!("../../assets/heat.js"),
    include_str!("../../assets/load.js"),
    include_str!("../../assets/pool.js"),
    include_str!("../../assets/keyboard.js"),
    include_str!("../../assets/page.js"),
    "})();\n"
);
const CSS: &str = concat!(
    include_str!("../../assets/report.css"),
    include_str!("../../assets/blame.css"),
    include_str!("../../assets/allocator.css"),
    include_str!("../../assets/incident.css"),
);

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    begun: String,
    machine: String,
    outcome: head::Badge,
    sentence: &'a str,
    notes: &'a [String],
    alerts: Vec<String>,
    incident: Option<incident::Section<'a>>,
    comparison: Option<&'a BeforeAfter>,
    trend: Option<trend::Section>,
    any_missed: bool,
    variants_title: &'static str,
    variants: Vec<variants::Column>,
    columns: usize,
    groups: Vec<variants::Group>,
    latency: latency::Section,
    slo: Option<slo::Section>,
    blame: Option<blame::Section>,
    slow: Vec<tables::SlowGroup>,
    slow_dropped: String,
    pauses: Option<pauses::Section>,
    load: load::Section,
    allocator: Option<allocator::Section>,
    pool: Option<pool::Section>,
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
    let page = Page {
        title: head::title(report),
        begun: value("Begun"),
        machine: value("Machine"),
        outcome: head::badge(report),
        sentence: &report.verdict.sentence,
        notes: &report.verdict.notes,
        alerts: report.alerts(),
        incident: incident::section(report),
        comparison: report.comparison(),
        trend: trend::section(report),
        any_missed: variants.iter().any(Variant::lower_bound),
        variants_title: match report.story {
            Story::Load if variants.len() == 1 => "Figures",
            _ => "All variants",
        },
        variants: variants::columns(variants, report),
        columns: variants.len() + 1,
        groups: variants::groups(variants, report.story),
        latency: latency::section(report),
        slo: slo::section(report),
        blame: blame::section(report),
        slow: tables::slow(report),
        slow_dropped: tables::slow_dropped(report),
        pauses: pauses::section(report),
        load: load::section(report),
        allocator: allocator::section(report),
        pool: pool::section(report),
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
