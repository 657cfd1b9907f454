//! What a recording saw, in one table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use tailcut_probe::catalogue::{Series, Unit};
use tailcut_probe::tick::{SeriesTick, Tick};
use tailcut_report::format;
use tailcut_report::recording::ProbeMeta;

/// All intervals of a recording, added up.
#[derive(Default)]
pub struct Totals {
    series: BTreeMap<u32, Total>,
    /// Calls of each allocating series by size: powers of two.
    pub sizes: Vec<(String, Vec<u64>)>,
}

struct Total {
    series: Series,
    name: String,
    histogram: tailcut_probe::tick::Values,
    floor_ns: u64,
}

impl Totals {
    /// Adds one interval.
    pub fn add(&mut self, tick: &Tick) {
        for one in &tick.series {
            match self.series.get_mut(&one.series.number) {
                Some(total) => {
                    // Both have the same bounds.
                    let _ = total.histogram.add(&one.histogram);
                    total.floor_ns = one.floor_ns;
                }
                None => {
                    self.series.insert(one.series.number, Total::of(one));
                }
            }
        }
    }

    /// Whether nothing at all was seen.
    pub fn is_empty(&self) -> bool {
        self.series.values().all(|total| total.histogram.is_empty())
    }

    fn seen(&self) -> impl Iterator<Item = &Total> {
        self.series
            .values()
            .filter(|total| !total.histogram.is_empty())
    }

    /// As a table and some lines, for a person.
    pub fn text(&self, meta: &ProbeMeta) -> String {
        let seconds = (meta.end_ns - meta.start_ns) as f64 * 1e-9;
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header([
            "series",
            "per second",
            "seen",
            "P50",
            "P99",
            "P99.9",
            "max",
            "per second",
            "what it is",
        ]);
        for total in self.seen() {
            let sampling = total.sampling(meta);
            let rate = total.histogram.len() as f64 / (seconds * sampling).max(1e-9);
            let value = |quantile| total.value(total.histogram.value_at_quantile(quantile));
            let time = match total.series.unit {
                Unit::Nanoseconds => {
                    let sum = total.sum(meta) as f64 / (seconds * sampling).max(1e-9);
                    format::duration(sum)
                }
                _ => String::new(),
            };
            table.add_row([
                total.name.clone(),
                format::count(rate),
                format!("{:.3}%", sampling * 100.0)
                    .trim_start_matches("100.000%")
                    .to_owned(),
                value(0.5),
                value(0.99),
                value(0.999),
                total.value(total.histogram.max()),
                time,
                total.series.what.to_owned(),
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(7) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = format!("{table}\n");
        let cost = &meta.cost;
        let _ = writeln!(
            text,
            "{:.1} s of process {} ({}); tracing cost {:.2}% of its CPU time (budget {:.0}%), tailcut itself {:.2}% of one \
             CPU and {} MB",
            seconds,
            meta.target.process,
            meta.target.name,
            cost.share_of_target_cpu * 100.0,
            cost.budget * 100.0,
            cost.tailcut_cpu_ns as f64 / (seconds * 1e7).max(1.0),
            cost.tailcut_rss_bytes / 1_000_000
        );
        for dropped in &meta.dropped {
            let _ = writeln!(text, "lost: {} {}", dropped.count, dropped.what);
        }
        text
    }

    /// For a program.
    pub fn json(&self, meta: &ProbeMeta) -> Value {
        let series: Vec<Value> = self
            .seen()
            .map(|total| {
                let value = |quantile| total.histogram.value_at_quantile(quantile);
                json!({
                    "name": total.name,
                    "what": total.series.what,
                    "unit": total.series.unit,
                    "pause": total.series.pause,
                    "events": total.histogram.len(),
                    "sampling": total.sampling(meta),
                    "floor_ns": total.floor_ns,
                    "p50": value(0.5),
                    "p90": value(0.9),
                    "p99": value(0.99),
                    "p99_9": value(0.999),
                    "max": total.histogram.max(),
                    "total": total.sum(meta),
                })
            })
            .collect();
        let sizes: Vec<Value> = self
            .sizes
            .iter()
            .map(|(name, calls)| json!({ "series": name, "calls_by_power_of_two_bytes": calls }))
            .collect();
        json!({ "series": series, "sizes": sizes, "probe": meta })
    }
}

impl Total {
    fn of(one: &SeriesTick) -> Total {
        Total {
            series: one.series.clone(),
            name: one.name.clone(),
            histogram: one.histogram.clone(),
            floor_ns: one.floor_ns,
        }
    }

    fn sampling(&self, meta: &ProbeMeta) -> f64 {
        self.meta(meta).map_or(1.0, |series| series.sampling)
    }

    fn sum(&self, meta: &ProbeMeta) -> u64 {
        self.meta(meta).map_or(0, |series| series.total_ns)
    }

    fn meta<'a>(&self, meta: &'a ProbeMeta) -> Option<&'a tailcut_report::recording::SeriesMeta> {
        meta.series.iter().find(|series| series.name == self.name)
    }

    fn value(&self, value: u64) -> String {
        match self.series.unit {
            Unit::Nanoseconds if value < self.floor_ns => {
                format!("< {}", format::nanos(self.floor_ns))
            }
            Unit::Nanoseconds => format::nanos(value),
            Unit::Bytes => format!("{value} B"),
            Unit::Things => value.to_string(),
        }
    }
}
