//! The page's part on response times: the percentile curve, second by second, and the heat map.

use super::{data, tables};
use crate::format;
use crate::report::Report;
use crate::table::Table;
use crate::variant::{NOOP, Variant};

/// What the template shows of response times.
pub(super) struct Section {
    /// The curve in words.
    pub(super) curve_text: String,
    pub(super) percentiles: Table,
    /// Whether the curve has the machine's floor.
    pub(super) floor: bool,
    pub(super) seconds_text: String,
    pub(super) run_table: Table,
    /// The heat map in words.
    pub(super) heat_text: String,
    /// Seconds of a run that are joined in one column of the heat map, at most.
    pub(super) seconds_per_column: usize,
    /// The fullest cell of the heat map.
    pub(super) most: String,
    /// The marks of its colour scale: place in percent, and number of requests.
    pub(super) ramp: Vec<(f64, String)>,
    pub(super) bands: Table,
}

/// Of the variants under load.
pub(super) fn section(report: &Report) -> Section {
    let variants = &report.variants;
    let most = data::most(variants);
    Section {
        curve_text: curve_text(variants),
        percentiles: tables::percentiles(variants),
        floor: variants.len() > 1 && variants.iter().any(|variant| variant.name == NOOP),
        seconds_text: "Line chart over the seconds of all runs; the table of runs below the second chart holds its figures".to_owned(),
        run_table: tables::runs(report),
        heat_text: heat_text(variants),
        seconds_per_column: variants
            .iter()
            .map(|variant| variant.heat.seconds_per_column)
            .max()
            .unwrap_or(1),
        ramp: ramp(most),
        most: format::count(most as f64),
        bands: tables::bands(variants),
    }
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

fn heat_text(variants: &[Variant]) -> String {
    let each: Vec<String> = variants
        .iter()
        .filter(|variant| variant.summary.requests > 0)
        .map(|variant| {
            format!(
                "{} half of the requests within {}, 99.9% within {}, the slowest {}",
                variant.label(),
                format::nanos(variant.summary.p50_ns),
                format::nanos(variant.summary.p999_ns),
                format::nanos(variant.summary.max_ns),
            )
        })
        .collect();
    format!(
        "Heat map of response times over the seconds of all runs: {}; the table below holds the shares",
        each.join("; ")
    )
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
