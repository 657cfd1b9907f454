//! Comma-separated values (RFC 4180), for spreadsheets and data frames.
//!
//! | file | a row for each |
//! |---|---|
//! | `seconds.csv` | variant, run and second: requests, P50, P99, P99.9, maximum |
//! | `percentiles.csv` | variant, run (empty: all runs together), series and percentile |
//! | `figures.csv` | variant and figure of `--json`, by its path there |
//! | `pauses.csv` | single pause that was recorded; absent where nobody traced |
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and names in
//! recordings are chosen by whoever was traced: such a text gets an apostrophe in front.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use csv::{Terminator, Writer, WriterBuilder};
use hdrhistogram::Histogram;
use serde_json::Value;

use super::{ExportError, folder, whole_file};
use crate::digest::RunDigest;
use crate::recording::{self, Pause, PauseReader, Reader};
use crate::report::Report;
use crate::statistics::quantile;
use crate::text;

/// The percentiles of `percentiles.csv`, as shares.
const LEVELS: [f64; 15] = [
    0.0,
    0.25,
    0.5,
    0.75,
    0.9,
    0.95,
    0.99,
    0.995,
    0.999,
    0.9995,
    0.9999,
    0.99999,
    0.999_999,
    0.999_999_9,
    1.0,
];

/// Writes the files into a folder, which is made if it is missing; older ones of these names are
/// replaced. Returns those that were written.
///
/// # Errors
/// [`ExportError::Io`], and [`ExportError::Recording`] when a recording has gone since the report
/// was made.
pub fn csv(report: &Report, dir: &Path) -> Result<Vec<PathBuf>, ExportError> {
    folder(dir)?;
    let mut written = vec![
        table(&dir.join("seconds.csv"), |rows| seconds(report, rows))?,
        table(&dir.join("percentiles.csv"), |rows| {
            percentiles(report, rows)
        })?,
        table(&dir.join("figures.csv"), |rows| figures(report, rows))?,
    ];
    if report.runs.iter().any(|run| run.pauses.is_some()) {
        let path = dir.join("pauses.csv");
        written.push(table(&path, |rows| pauses(report, rows))?);
    }
    Ok(written)
}

/// Rows of one file.
struct Rows<'a> {
    writer: Writer<&'a mut BufWriter<File>>,
    path: &'a Path,
}

impl Rows<'_> {
    fn row<const N: usize>(&mut self, cells: [String; N]) -> Result<(), ExportError> {
        self.writer
            .write_record(&cells)
            .map_err(|error| ExportError::io(self.path)(error.into()))
    }

    fn head<const N: usize>(&mut self, names: [&str; N]) -> Result<(), ExportError> {
        self.row(names.map(str::to_owned))
    }
}

fn table(
    path: &Path,
    fill: impl FnOnce(&mut Rows<'_>) -> Result<(), ExportError>,
) -> Result<PathBuf, ExportError> {
    whole_file(path, |file| {
        let writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .from_writer(file);
        let mut rows = Rows { writer, path };
        fill(&mut rows)?;
        rows.writer.flush().map_err(ExportError::io(path))
    })
}

/// A text that no spreadsheet computes.
fn cell(text: &str) -> String {
    let clean = text::clean(text);
    match clean.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => format!("'{clean}"),
        _ => clean,
    }
}

/// Nanoseconds as seconds, to the last of them.
fn seconds_of(ns: i128) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    format!("{sign}{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// An instant of a run on the wall clock, in nanoseconds since 1970.
fn unix_ns(run: &RunDigest, monotonic_ns: u64) -> i128 {
    let clock = run.meta.clock;
    i128::from(clock.unix_ns) + i128::from(monotonic_ns) - i128::from(clock.monotonic_ns)
}

fn since_start(run: &RunDigest, monotonic_ns: u64) -> String {
    seconds_of(i128::from(monotonic_ns) - i128::from(run.start_ns()))
}

fn seconds(report: &Report, rows: &mut Rows<'_>) -> Result<(), ExportError> {
    rows.head([
        "variant", "run", "partial", "start_s", "length_s", "unix_ns", "requests", "p50_ns",
        "p99_ns", "p999_ns", "max_ns",
    ])?;
    for run in &report.runs {
        for second in &run.seconds {
            rows.row([
                cell(&run.meta.variant),
                run.meta.run.to_string(),
                run.partial().to_string(),
                since_start(run, second.start_ns),
                seconds_of(second.length_ns.into()),
                unix_ns(run, second.start_ns).to_string(),
                second.requests.to_string(),
                second.p50_ns.to_string(),
                second.p99_ns.to_string(),
                second.p999_ns.to_string(),
                second.max_ns.to_string(),
            ])?;
        }
    }
    Ok(())
}

fn percentiles(report: &Report, rows: &mut Rows<'_>) -> Result<(), ExportError> {
    rows.head([
        "variant",
        "run",
        "partial",
        "series",
        "percentile",
        "value_ns",
        "values",
    ])?;
    for variant in &report.variants {
        let runs = variant.runs.iter().map(|index| &report.runs[*index]);
        let service = recording::merged(runs.clone().map(|run| &run.service));
        let all = (
            String::new(),
            runs.clone().any(RunDigest::partial),
            &variant.response,
            &service,
        );
        let each = runs.map(|run| {
            (
                run.meta.run.to_string(),
                run.partial(),
                &run.response,
                &run.service,
            )
        });
        for (run, partial, response, service) in std::iter::once(all).chain(each) {
            for (series, histogram) in [
                (recording::RESPONSE, response),
                (recording::SERVICE, service),
            ] {
                let head = [
                    cell(&variant.name),
                    run.clone(),
                    partial.to_string(),
                    series.to_owned(),
                ];
                levels(histogram, head, rows)?;
            }
        }
    }
    Ok(())
}

fn levels(
    histogram: &Histogram<u64>,
    head: [String; 4],
    rows: &mut Rows<'_>,
) -> Result<(), ExportError> {
    if histogram.is_empty() {
        return Ok(());
    }
    for level in LEVELS {
        let [variant, run, partial, series] = head.clone();
        // 0.9999999 * 100 is not quite 99.99999.
        let percentile = (level * 1e9).round() / 1e7;
        rows.row([
            variant,
            run,
            partial,
            series,
            percentile.to_string(),
            quantile(histogram, level).to_string(),
            histogram.len().to_string(),
        ])?;
    }
    Ok(())
}

fn figures(report: &Report, rows: &mut Rows<'_>) -> Result<(), ExportError> {
    rows.head(["variant", "figure", "value"])?;
    let all = serde_json::to_value(report.summaries()).unwrap_or_default();
    for (variant, summary) in all.as_object().into_iter().flatten() {
        flatten(&cell(variant), String::new(), summary, rows)?;
    }
    Ok(())
}

/// Every value under its path; of lists of objects those that have a name of their own.
fn flatten(
    variant: &str,
    path: String,
    value: &Value,
    rows: &mut Rows<'_>,
) -> Result<(), ExportError> {
    let below = |key: &str| match path.as_str() {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    let text = match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(variant, below(key), value, rows)?;
            }
            return Ok(());
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                let name = match item {
                    Value::Object(fields) => ["name", "tag", "objective"]
                        .iter()
                        .find_map(|key| fields.get(*key)?.as_str())
                        .map(str::to_owned),
                    _ => Some(place.to_string()),
                };
                if let Some(name) = name {
                    flatten(variant, below(&name), item, rows)?;
                }
            }
            return Ok(());
        }
        Value::Null => String::new(),
        Value::String(text) => cell(text),
        other => other.to_string(),
    };
    rows.row([variant.to_owned(), cell(&path), text])
}

fn pauses(report: &Report, rows: &mut Rows<'_>) -> Result<(), ExportError> {
    rows.head([
        "variant",
        "run",
        "partial",
        "kind",
        "process",
        "thread",
        "cpu",
        "start_s",
        "unix_ns",
        "length_ns",
        "detail",
        "by",
        "stack",
    ])?;
    for run in report.runs.iter().filter(|run| run.pauses.is_some()) {
        let (reader, _) = Reader::open_damaged(&run.dir)?;
        if let Some(pauses) = reader.pauses() {
            of_run(run, pauses, rows)?;
        }
    }
    Ok(())
}

fn of_run(run: &RunDigest, reader: &PauseReader, rows: &mut Rows<'_>) -> Result<(), ExportError> {
    let stacks = super::trace::stacks(reader);
    // What lies behind a damaged line is not in the report either.
    for pause in reader.pauses().map_while(Result::ok) {
        rows.row(pause_row(run, &pause, &stacks))?;
    }
    Ok(())
}

fn pause_row(run: &RunDigest, pause: &Pause, stacks: &HashMap<u32, String>) -> [String; 13] {
    let optional = |number: Option<u64>| number.map_or_else(String::new, |n| n.to_string());
    let stack = pause.stack.and_then(|id| stacks.get(&id));
    [
        cell(&run.meta.variant),
        run.meta.run.to_string(),
        run.partial().to_string(),
        cell(&text::name(&pause.kind)),
        pause.process.to_string(),
        pause.thread.to_string(),
        optional(pause.cpu.map(u64::from)),
        since_start(run, pause.start_ns),
        unix_ns(run, pause.start_ns).to_string(),
        pause.length_ns().to_string(),
        optional(pause.detail),
        cell(&text::name(pause.by.as_deref().unwrap_or_default())),
        stack.map_or_else(String::new, |stack| cell(stack)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_computed_by_a_spreadsheet() {
        assert_eq!(cell("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(cell("\t=1"), "' =1");
        assert_eq!(cell("\u{200b}@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(cell("-redis"), "'-redis");
        assert_eq!(cell("heap_jemalloc, 5-3"), "heap_jemalloc, 5-3");
    }

    #[test]
    fn an_instant_before_the_start_is_below_zero_to_the_nanosecond() {
        assert_eq!(seconds_of(-1), "-0.000000001");
        assert_eq!(seconds_of(1_500_000_000), "1.500000000");
    }
}
