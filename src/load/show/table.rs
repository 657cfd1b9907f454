//! Percentiles of a run, side by side.

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use tailcut_loadgen::RunOutcome;
use tailcut_report::format;
use tailcut_report::recording::{CONNECT, FIRST_BYTE, QUEUE_DEPTH, SEND_LATENESS};

/// Up to six nines.
pub const PERCENTILES: [(&str, f64); 8] = [
    ("P50", 0.5),
    ("P90", 0.9),
    ("P99", 0.99),
    ("P99.9", 0.999),
    ("P99.99", 0.9999),
    ("P99.999", 0.99999),
    ("P99.9999", 0.999_999),
    ("max", 1.0),
];

/// Series over the network, by their tag, with what a person calls them and whether they are times.
const SERIES: [(&str, &str, bool); 4] = [
    (FIRST_BYTE, "first byte", true),
    (CONNECT, "connect", true),
    (SEND_LATENESS, "generator late", true),
    (QUEUE_DEPTH, "under way", false),
];

/// Response time first, then the parts of it, then the generator's own lateness.
pub fn latencies(outcome: &RunOutcome) -> Table {
    let mut columns = vec![
        ("response", &outcome.response, true),
        ("service", &outcome.service, true),
    ];
    for (tag, title, time) in SERIES {
        if let Some(histogram) = outcome.series.get(tag).filter(|series| !series.is_empty()) {
            columns.push((title, histogram, time));
        }
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let titles = columns.iter().map(|(title, ..)| (*title).to_owned());
    table.set_header(std::iter::once(String::new()).chain(titles));
    for (name, quantile) in PERCENTILES {
        let cells: Vec<String> = columns
            .iter()
            .map(|(_, histogram, time)| cell(histogram, quantile, *time))
            .collect();
        if cells[0].is_empty() {
            continue;
        }
        table.add_row(std::iter::once(name.to_owned()).chain(cells));
    }
    let means = columns
        .iter()
        .map(|(_, histogram, time)| shown(histogram.mean(), *time));
    table.add_row(std::iter::once("mean".to_owned()).chain(means));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[allow(clippy::cast_precision_loss)] // shown to three digits
fn cell(histogram: &Histogram<u64>, quantile: f64, time: bool) -> String {
    if !says_something(histogram, quantile) {
        return String::new();
    }
    let value = match quantile < 1.0 {
        true => histogram.value_at_quantile(quantile),
        false => histogram.max(),
    };
    shown(value as f64, time)
}

/// Whether at least one value lies beyond the quantile: otherwise it is but the maximum.
#[allow(clippy::cast_precision_loss)] // counts
pub fn says_something(histogram: &Histogram<u64>, quantile: f64) -> bool {
    let beyond = (1.0 - quantile) * histogram.len() as f64;
    !histogram.is_empty() && (quantile >= 1.0 || beyond > 0.999_999)
}

fn shown(value: f64, time: bool) -> String {
    match time {
        true => format::duration(value),
        false => format::count(value),
    }
}
