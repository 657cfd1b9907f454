//! The tables behind the charts, and that of the slowest requests.

use crate::format;
use crate::measures::response;
use crate::report::Report;
use crate::statistics::{median, quantile, total};
use crate::table::{Table, header, row};
use crate::variant::{Variant, label};

use super::slot;

/// Slow requests shown of each variant.
const SLOW_ROWS: usize = 4;

/// Percentiles of the curve, by name and share.
const LEVELS: [(&str, f64); 10] = [
    ("P50", 0.5),
    ("P75", 0.75),
    ("P90", 0.9),
    ("P99", 0.99),
    ("P99.9", 0.999),
    ("P99.99", 0.9999),
    ("P99.999", 0.99999),
    ("P99.9999", 0.999_999),
    ("P99.99999", 0.999_999_9),
    ("Maximum", 1.0),
];

/// Bands of response time: upper end in nanoseconds (inclusive) and name.
const BANDS: [(u64, &str); 7] = [
    (10_000, "up to 10 µs"),
    (100_000, "10 to 100 µs"),
    (1_000_000, "100 µs to 1 ms"),
    (10_000_000, "1 to 10 ms"),
    (100_000_000, "10 to 100 ms"),
    (1_000_000_000, "100 ms to 1 s"),
    (u64::MAX, "over 1 s"),
];

/// The percentile curve's figures.
pub(super) fn percentiles(variants: &[Variant]) -> Table {
    let cell = |variant: &Variant, level: f64| {
        let beyond = variant.summary.requests as f64 * (1.0 - level);
        // Rounded, because 1 - 0.9999 is not quite 0.0001.
        if variant.summary.requests == 0 || (level < 1.0 && beyond < 0.999_999) {
            return format::MISSING.to_owned();
        }
        response(variant, quantile(&variant.response, level)).text
    };
    Table {
        header: header(variants),
        rows: LEVELS
            .iter()
            .map(|(name, level)| row(name, variants.iter().map(|variant| cell(variant, *level))))
            .filter(|row| row[1..].iter().any(|cell| cell != format::MISSING))
            .collect(),
    }
}

/// One row per run: what its seconds were like.
pub(super) fn runs(report: &Report) -> Table {
    let loaded = report.runs.iter().filter(|run| !run.only_traced());
    let rows = loaded.map(|run| {
        let p999 = || run.seconds.iter().map(|second| second.p999_ns);
        let worst = run
            .seconds
            .iter()
            .enumerate()
            .max_by_key(|(_, second)| second.p999_ns)
            .map_or(format::MISSING.to_owned(), |(index, _)| {
                format!("second {}", index + 1)
            });
        vec![
            format!("{} {}", label(&run.meta.variant), run.meta.run),
            run.seconds.len().to_string(),
            format::count(run.response.len() as f64),
            format::nanos(p999().min().unwrap_or(0)),
            format::nanos(median(p999())),
            format::nanos(p999().max().unwrap_or(0)),
            worst,
            format::nanos(
                run.seconds
                    .iter()
                    .map(|second| second.max_ns)
                    .max()
                    .unwrap_or(0),
            ),
        ]
    });
    Table {
        header: [
            "Run",
            "Seconds",
            "Requests",
            "Lowest P99.9",
            "Median P99.9",
            "Highest P99.9",
            "in",
            "Maximum",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: rows.collect(),
    }
}

/// The heat maps' figures: which share of the requests lies in which band.
pub(super) fn bands(variants: &[Variant]) -> Table {
    let mut low = 0;
    let mut rows = Vec::new();
    for (high, name) in BANDS {
        let cells = variants.iter().map(|variant| {
            // A bucket that lies across an edge counts below it, so that bands add up to all.
            let up_to = |ns: u64| {
                variant
                    .response
                    .iter_recorded()
                    .take_while(|value| {
                        variant
                            .response
                            .lowest_equivalent(value.value_iterated_to())
                            <= ns
                    })
                    .map(|value| value.count_at_value())
                    .sum::<u64>()
            };
            let within = up_to(high) - if low == 0 { 0 } else { up_to(low) };
            match (variant.summary.requests, within) {
                (0, _) => format::MISSING.to_owned(),
                (_, 0) => "none".to_owned(),
                (all, within) => portion(within, all),
            }
        });
        rows.push(row(name, cells));
        low = high;
    }
    Table {
        header: header(variants),
        rows,
    }
}

/// A share that neither hides a few among many nor rounds up to all.
fn portion(within: u64, all: u64) -> String {
    if within == all {
        return "100%".to_owned();
    }
    let share = within as f64 / all as f64;
    if share < 1e-5 {
        return format!(
            "{} of {}",
            format::count(within as f64),
            format::count(all as f64)
        );
    }
    if share > 0.99 {
        let decimals = (-(1.0 - share).log10()).ceil() as usize - 2;
        return format!("{:.*}%", decimals.clamp(1, 7), share * 100.0);
    }
    format::share(share)
}

/// The slowest requests of one variant.
pub(super) struct SlowGroup {
    pub(super) label: String,
    pub(super) slot: String,
    pub(super) rows: Vec<SlowRow>,
}

pub(super) struct SlowRow {
    pub(super) run: u32,
    pub(super) at: String,
    pub(super) response: String,
    pub(super) waiting: String,
    pub(super) service: String,
    /// Waiting in percent of the response, for the bar.
    pub(super) percent: u64,
    /// The same as text.
    pub(super) share: String,
    pub(super) thread: u32,
    pub(super) request: u64,
}

/// The slowest requests, by variant.
pub(super) fn slow(report: &Report) -> Vec<SlowGroup> {
    let groups = report.variants.iter().enumerate().map(|(index, variant)| {
        let mut worst: Vec<_> = variant
            .runs
            .iter()
            .map(|run| &report.runs[*run])
            .flat_map(|run| run.worst.iter().map(move |request| (run, request)))
            .collect();
        worst.sort_by_key(|(_, request)| std::cmp::Reverse(request.response_ns()));
        SlowGroup {
            label: variant.label().to_owned(),
            slot: slot(variant, index),
            rows: worst
                .into_iter()
                .take(SLOW_ROWS)
                .map(|(run, request)| {
                    let percent =
                        request.backlog_ns().saturating_mul(100) / request.response_ns().max(1);
                    let due = request.intended_ns.saturating_sub(run.start_ns());
                    SlowRow {
                        run: run.meta.run,
                        at: format!("{:.3} s", due as f64 / 1e9),
                        response: format::nanos(request.response_ns()),
                        waiting: format::nanos(request.backlog_ns()),
                        service: format::nanos(request.service_ns()),
                        percent,
                        share: match percent {
                            99 => ">99%".to_owned(),
                            percent => format!("{percent}%"),
                        },
                        thread: request.thread,
                        request: request.request,
                    }
                })
                .collect(),
        }
    });
    groups.filter(|group| !group.rows.is_empty()).collect()
}

/// How many slow requests the recordings had no room for; empty for none.
pub(super) fn slow_dropped(report: &Report) -> String {
    let results = report
        .runs
        .iter()
        .filter_map(|run| run.meta.result.as_ref());
    let dropped = total(results.map(|result| result.slow_dropped));
    if dropped == 0 {
        return String::new();
    }
    format!(
        "The recordings hold the slowest of each second; {} more slow requests were counted but not kept.",
        format::count(dropped as f64)
    )
}
