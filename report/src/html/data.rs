//! What the page's script draws, as compact JSON.
//!
//! Times are whole nanoseconds; a heat map is one byte a cell in base64, the logarithm of its count
//! in 255 steps. An hour of five variants comes to 1.8 MB.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::load::{self, LoadData};
use super::pause_data::{self, PauseData};
use super::pool::{self, PoolData};
use super::slo::{self, SloData};
use super::slot;
use crate::digest::Second;
use crate::heat::{HeatMap, LOWEST_DECADE, ROWS_PER_DECADE};
use crate::report::Report;
use crate::statistics::quantile;
use crate::variant::Variant;

/// Points of the percentile curve to a tenfold of requests.
const POINTS_PER_DECADE: u32 = 24;
/// The curve's last decade: P99.99999.
const LAST_DECADE: u32 = 7;

#[derive(Serialize)]
struct Data<'a> {
    variants: Vec<Key<'a>>,
    curve: Curve,
    runs: Vec<Run>,
    heat: Heat,
    slo: SloData,
    pauses: Option<PauseData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<LoadData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<PoolData>,
}

#[derive(Serialize)]
struct Key<'a> {
    label: &'a str,
    slot: String,
}

/// One x for all: log10(1 / (1 - share)).
#[derive(Serialize)]
struct Curve {
    x: Vec<f64>,
    y: Vec<Vec<Option<u64>>>,
}

#[derive(Serialize)]
struct Run {
    variant: usize,
    run: u32,
    /// By second, in nanoseconds.
    p50: Vec<u64>,
    p99: Vec<u64>,
    p999: Vec<u64>,
    max: Vec<u64>,
    /// Requests, by second.
    count: Vec<u64>,
}

#[derive(Serialize)]
struct Heat {
    rows_per_decade: u32,
    /// log10 of the lower edge of the first row, in rows.
    lowest_row: u32,
    rows: usize,
    most: u64,
    maps: Vec<Map>,
}

#[derive(Serialize)]
struct Map {
    seconds_per_column: usize,
    /// The first column of each of the variant's runs.
    run_starts: Vec<usize>,
    /// Column after column, each from the lowest row up.
    cells: String,
}

/// The fullest cell of all maps.
pub(super) fn most(variants: &[Variant]) -> u64 {
    variants
        .iter()
        .map(|variant| variant.heat.most())
        .max()
        .unwrap_or(0)
}

/// The data, fit to stand in a script element.
pub(super) fn json(report: &Report) -> String {
    // Processes that were only traced have no latencies to draw.
    let loaded: Vec<usize> = (0..report.runs.len())
        .filter(|run| variant_of(report, *run).is_some())
        .collect();
    let data = Data {
        variants: report
            .variants
            .iter()
            .enumerate()
            .map(|(index, variant)| Key {
                label: variant.label(),
                slot: slot(variant, index),
            })
            .collect(),
        curve: curve(&report.variants),
        runs: runs(report, &loaded),
        heat: heat(report),
        slo: slo::data(report, &loaded),
        pauses: pause_data::data(report, &loaded),
        load: load::data(report, &loaded),
        pool: pool::data(report, &loaded),
    };
    let json = serde_json::to_string(&data)
        .expect("strings, numbers and lists of them are always valid JSON");
    inert(&json)
}

/// Replaces whatever could end the script element, begin another, or break a script's line. All of
/// it can only stand inside JSON strings, where the escapes mean the same.
fn inert(json: &str) -> String {
    let mut inert = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                inert.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => inert.push(letter),
        }
    }
    inert
}

fn curve(variants: &[Variant]) -> Curve {
    let most = variants
        .iter()
        .map(|variant| variant.summary.requests)
        .max()
        .unwrap_or(0);
    let decades = (most.max(10) as f64)
        .log10()
        .ceil()
        .min(f64::from(LAST_DECADE)) as u32;
    let x: Vec<f64> = (0..=decades * POINTS_PER_DECADE)
        .map(|point| f64::from(point) / f64::from(POINTS_PER_DECADE))
        .collect();
    let y = variants
        .iter()
        .map(|variant| {
            let requests = variant.summary.requests as f64;
            x.iter()
                .map(|x| {
                    let beyond = 10f64.powf(-x);
                    // Where less than one request is left there is nothing to show.
                    (requests * beyond >= 1.0).then(|| quantile(&variant.response, 1.0 - beyond))
                })
                .collect()
        })
        .collect();
    let x = x.iter().map(|x| (x * 1e4).round() / 1e4).collect();
    Curve { x, y }
}

/// The place of a run's variant among those under load.
fn variant_of(report: &Report, run: usize) -> Option<usize> {
    report
        .variants
        .iter()
        .position(|variant| variant.runs.contains(&run))
}

fn runs(report: &Report, loaded: &[usize]) -> Vec<Run> {
    loaded
        .iter()
        .map(|index| {
            let run = &report.runs[*index];
            let by_second = |figure: fn(&Second) -> u64| run.seconds.iter().map(figure).collect();
            Run {
                variant: variant_of(report, *index).unwrap_or(0),
                run: run.meta.run,
                p50: by_second(|second| second.p50_ns),
                p99: by_second(|second| second.p99_ns),
                p999: by_second(|second| second.p999_ns),
                max: by_second(|second| second.max_ns),
                count: by_second(|second| second.requests),
            }
        })
        .collect()
}

fn heat(report: &Report) -> Heat {
    let variants = &report.variants;
    let most = most(variants);
    let spans = variants.iter().filter_map(|variant| variant.heat.span());
    let (lowest, highest) = spans
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        .unwrap_or((0, 0));
    Heat {
        rows_per_decade: ROWS_PER_DECADE,
        lowest_row: LOWEST_DECADE * ROWS_PER_DECADE + lowest as u32,
        rows: highest - lowest + 1,
        most,
        maps: variants
            .iter()
            .map(|variant| Map {
                seconds_per_column: variant.heat.seconds_per_column,
                run_starts: variant.heat.run_starts.clone(),
                cells: STANDARD.encode(cells(&variant.heat, lowest, highest, most)),
            })
            .collect(),
    }
}

/// A byte per cell: 0 for none, else 1 for a single request up to 255 for the fullest cell.
fn cells(map: &HeatMap, lowest: usize, highest: usize, most: u64) -> Vec<u8> {
    let scale = 254.0 / (most.max(10) as f64).ln();
    map.columns
        .iter()
        .flat_map(|column| &column[lowest..=highest])
        .map(|count| match count {
            0 => 0,
            count => 1 + (scale * (*count as f64).ln()).round() as u8,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_leave_the_script_element() {
        let hostile = serde_json::to_string("</script><!--<script>&\u{2028}").expect("a string");
        let inert = inert(&hostile);
        assert!(!inert.contains(['<', '>', '&', '\u{2028}']));
        let back: String = serde_json::from_str(&inert).expect("still JSON");
        assert_eq!(back, "</script><!--<script>&\u{2028}");
    }
}
