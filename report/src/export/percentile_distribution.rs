//! `.hgrm` files: the percentile distribution that HdrHistogram's plotters read.
//!
//! Columns, steps and the three lines at the end are those of `outputPercentileDistribution` of the
//! Java original: five steps to each halving of the distance to 100%. Values are microseconds with
//! three decimals, so that no nanosecond is lost; the plotters ask for the unit. A line
//! `#[Partial = ...]` follows where the recording is; readers skip what begins with `#`.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use super::{ExportError, folder, whole_file};
use crate::digest::RunDigest;
use crate::recording;
use crate::report::Report;

/// Steps to each halving of the distance to 100%.
const TICKS_PER_HALF_DISTANCE: u64 = 5;
/// Nanoseconds in the unit of the file.
const UNIT: f64 = 1_000.0;
/// The longest name of a file that is made of a variant's, in bytes.
const LONGEST_NAME: usize = 80;

/// Writes `VARIANT.hgrm` and `VARIANT-service.hgrm` for all runs of a variant together and
/// `VARIANT-runN.hgrm` for each, into a folder, which is made if it is missing; older files of
/// these names are replaced. Returns those that were written.
///
/// # Errors
/// [`ExportError::Io`].
pub fn percentile_distributions(report: &Report, dir: &Path) -> Result<Vec<PathBuf>, ExportError> {
    folder(dir)?;
    let mut names = Names::default();
    let mut written = Vec::new();
    for variant in &report.variants {
        let runs = variant.runs.iter().map(|index| &report.runs[*index]);
        let service = recording::merged(runs.clone().map(|run| &run.service));
        let partial = runs.clone().find_map(partial);
        let mut all = vec![
            (variant.name.clone(), &variant.response, partial.clone()),
            (format!("{}-service", variant.name), &service, partial),
        ];
        all.extend(runs.map(|run| {
            let name = format!("{}-run{}", variant.name, run.meta.run);
            (name, &run.response, self::partial(run))
        }));
        for (name, histogram, partial) in all {
            if histogram.is_empty() {
                continue;
            }
            let path = dir.join(names.file(&name));
            written.push(whole_file(&path, |file| {
                write_percentile_distribution(histogram, file)
                    .and_then(|()| match &partial {
                        Some(reason) => writeln!(file, "#[Partial = {reason}]"),
                        None => Ok(()),
                    })
                    .map_err(ExportError::io(&path))
            })?);
        }
    }
    Ok(written)
}

/// Why a run is not whole, if it is not.
fn partial(run: &RunDigest) -> Option<String> {
    let reason = run.meta.state_reason.as_deref().unwrap_or("cut short");
    run.partial().then(|| crate::text::clean(reason))
}

/// Writes the distribution of values in nanoseconds, in microseconds.
///
/// # Errors
/// Those of `out`.
pub fn write_percentile_distribution(
    histogram: &Histogram<u64>,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let total = histogram.len();
    let mut counted = 0;
    // In percent, as the original computes it, so that rounding is the same.
    let mut level = 0.0f64;
    let mut last = 0.0;
    for step in histogram.iter_recorded() {
        counted += step.count_at_value();
        last = step.value_iterated_to() as f64 / UNIT;
        let reached = 100.0 * counted as f64 / total as f64;
        while reached >= level {
            let share = level / 100.0;
            let inverse = 1.0 / (1.0 - share);
            writeln!(out, "{last:12.3} {share:.12} {counted:10} {inverse:14.2}")?;
            level += 100.0 / ticks(level);
            if counted == total {
                break;
            }
        }
    }
    if total > 0 {
        writeln!(out, "{last:12.3} {:.12} {total:10}", 1.0)?;
    }
    let buckets = Buckets::of(histogram);
    writeln!(
        out,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]",
        histogram.mean() / UNIT,
        histogram.stdev() / UNIT
    )?;
    writeln!(
        out,
        "#[Max     = {:12.3}, Total count    = {total:12}]",
        crate::statistics::maximum(histogram) as f64 / UNIT
    )?;
    writeln!(
        out,
        "#[Buckets = {:12}, SubBuckets     = {:12}]",
        buckets.count, buckets.sub_buckets
    )
}

/// Steps that would be in 100% at the density of a place.
fn ticks(level: f64) -> f64 {
    let halvings = ((100.0 / (100.0 - level)).ln() / std::f64::consts::LN_2).floor();
    TICKS_PER_HALF_DISTANCE as f64 * 2f64.powf(halvings + 1.0)
}

/// A histogram's layout, from its bounds, as HdrHistogram defines it.
struct Buckets {
    count: u32,
    sub_buckets: u64,
}

impl Buckets {
    fn of(histogram: &Histogram<u64>) -> Buckets {
        let single_unit = 2 * 10u64.pow(histogram.sigfig().into());
        let sub_buckets = single_unit.next_power_of_two();
        let unit_magnitude = histogram.low().max(1).ilog2();
        let mut first_untrackable = u128::from(sub_buckets) << unit_magnitude;
        let mut count = 1;
        while first_untrackable <= u128::from(histogram.high()) {
            first_untrackable <<= 1;
            count += 1;
        }
        Buckets { count, sub_buckets }
    }
}

/// Names of files, each once.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// A name that is a file's everywhere, whatever the variant is called.
    fn file(&mut self, name: &str) -> String {
        let safe = |letter: char| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
            _ => '_',
        };
        let mut stem: String = name.chars().map(safe).take(LONGEST_NAME).collect();
        if stem.starts_with('.') || stem.starts_with('-') || stem.is_empty() {
            stem.insert(0, '_');
        }
        let mut file = format!("{stem}.hgrm");
        let mut again = 2;
        // A file system may not tell large letters from small ones.
        while !self.0.insert(file.to_ascii_lowercase()) {
            file = format!("{stem}~{again}.hgrm");
            again += 1;
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_variant_is_called_its_file_stays_in_the_folder_and_is_its_own() {
        let mut names = Names::default();
        assert_eq!(names.file("heap_jemalloc-run1"), "heap_jemalloc-run1.hgrm");
        assert_eq!(names.file("../../etc/passwd"), "_.._.._etc_passwd.hgrm");
        assert_eq!(names.file("a/b"), "a_b.hgrm");
        assert_eq!(names.file("a:b"), "a_b~2.hgrm");
        assert_eq!(names.file("A?b"), "A_b~3.hgrm");
        assert_eq!(names.file(""), "_.hgrm");
        assert!(names.file(&"x".repeat(5_000)).len() < 100);
    }

    #[test]
    fn nothing_recorded_has_a_head_and_no_step() {
        let mut bytes = Vec::new();
        write_percentile_distribution(&recording::empty(), &mut bytes).expect("a Vec takes all");
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(
            text.lines().filter(|line| line.contains("0.0000")).count(),
            0
        );
        assert!(text.contains("Total count    =            0]"), "{text}");
    }
}
