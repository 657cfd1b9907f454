//! Runs of A and of B in, what they show out.

use std::path::PathBuf;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::matching::{self, Difference};
use super::order::Side;
use super::percentile::Percentile;
use super::run::Run;
use super::verdict::{self, Verdict};
use super::{CompareError, verdict::Grounds};
use crate::format;
use crate::statistics::bootstrap::{self, ConfidenceInterval};
use crate::statistics::rank_sum::rank_sum;
use crate::statistics::{holm, median_of, power};

/// Version of the form of a [`Comparison`] as JSON.
pub const SCHEMA: u32 = 1;

/// What a verdict rests on; to be settled before the runs are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What the verdict is about. The more there are, the more it takes to show a difference in any.
    pub judged: Vec<Percentile>,
    /// The chance that any difference is claimed where there is none, 0 to 1.
    pub level: f64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            judged: Percentile::JUDGED.to_vec(),
            level: 0.05,
        }
    }
}

/// What the runs of two sides show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Side A.
    pub a: SideSummary,
    /// Side B.
    pub b: SideSummary,
    /// What differs between the sides on purpose; more than is shown here does not.
    pub differences: Vec<Difference>,
    /// The percentiles, lowest first.
    pub rows: Vec<Row>,
    /// What it comes to.
    pub verdict: Verdict,
    /// What a reader must know beside it.
    pub notes: Vec<String>,
}

/// One side as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideSummary {
    /// What its recordings call it.
    pub name: String,
    /// Its recordings, in the order given.
    pub recordings: Vec<PathBuf>,
    /// Requests that the schedules of all its runs held.
    pub offered: u64,
    /// Requests that were answered.
    pub completed: u64,
    /// Share of those due that failed or were not answered, 0 to 1.
    pub failed: f64,
    /// Requests per second that a run was asked for; 0 in a closed loop.
    pub rate_target: f64,
    /// Requests per second that were answered in time: the median of its runs.
    pub rate_achieved: f64,
    /// Runs that missed their schedule: their latencies are lower bounds.
    pub schedules_missed: usize,
    /// Runs in which the load generator was the bottleneck by its own judgement.
    pub generator_bound: usize,
    /// Whether requests waited for answers instead of following a schedule.
    pub closed_loop: bool,
}

/// One percentile of both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// `P99.9`, `max`.
    pub percentile: String,
    /// From 0 to 1; 1 is the maximum.
    pub quantile: f64,
    /// Of side A.
    pub a: Figures,
    /// Of side B.
    pub b: Figures,
    /// The median of B's runs over that of A's.
    pub ratio: f64,
    /// Where that lies with 95% confidence; absent with fewer than four runs of a side.
    pub ratio_interval: Option<ConfidenceInterval>,
    /// Two-sided p of the rank sum test, taken by itself.
    pub p: f64,
    /// The same, corrected for all percentiles that are judged; absent for those that are not.
    pub p_adjusted: Option<f64>,
    /// The share of pairs of runs in which B's figure is the larger one (Vargha and Delaney's A12).
    pub superiority: f64,
    /// `negligible`, `small`, `medium` or `large`.
    pub effect: &'static str,
    /// Whether every run has at least ten requests beyond this percentile.
    pub known: bool,
}

/// One percentile of one side, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Of each run, in the order of the recordings.
    pub runs_ns: Vec<u64>,
    /// The median of the runs.
    pub median_ns: f64,
    /// Where the median of many runs lies with 95% confidence; absent with fewer than four runs.
    pub interval_ns: Option<ConfidenceInterval>,
    /// Of all requests of all runs together (merged histograms, not a mean of percentiles).
    pub all_requests_ns: u64,
}

impl Figures {
    /// `31.2 ms (29.8 to 33 ms)`: the median of the runs, and where it lies with 95% confidence, if that is known.
    #[must_use]
    pub fn text(&self) -> String {
        let median = format::duration(self.median_ns);
        match self.interval_ns {
            Some(interval) => format!(
                "{median} ({} to {})",
                format::duration(interval.low),
                format::duration(interval.high)
            ),
            None => median,
        }
    }

    /// Logarithms of the runs' figures, because what differs from run to run and from side to side is a factor.
    #[allow(clippy::cast_precision_loss)] // latencies stay below 2^53 ns
    pub(crate) fn logs(&self) -> Vec<f64> {
        let runs = self.runs_ns.iter();
        runs.map(|ns| (*ns.max(&1) as f64).ln()).collect()
    }
}

impl Row {
    /// Whether the verdict is about it.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.p_adjusted.is_some()
    }

    /// `0.42× (0.38 to 0.47)`: the ratio, and where it lies with 95% confidence, if that is known.
    #[must_use]
    pub fn ratio_text(&self) -> String {
        let ratio = format::ratio(self.ratio);
        match self.ratio_interval {
            Some(interval) => format!(
                "{ratio} ({} to {})",
                format::ratio(interval.low).trim_end_matches('×'),
                format::ratio(interval.high).trim_end_matches('×')
            ),
            None => ratio,
        }
    }

    /// `***`, `**`, `*` for a corrected p up to 0.001, 0.01 and 0.05; nothing otherwise, or if it is not
    /// judged.
    #[must_use]
    pub fn stars(&self) -> &'static str {
        match self.p_adjusted {
            Some(p) if p <= 0.001 => "***",
            Some(p) if p <= 0.01 => "**",
            Some(p) if p <= 0.05 => "*",
            _ => "",
        }
    }
}

/// Compares complete runs of two sides.
///
/// Costs microseconds for 5 + 5 runs and some tens of milliseconds for 30 + 30.
///
/// # Errors
/// Sides without runs, runs that are partial, empty or given twice, runs of one side that are not
/// repetitions, sides that were not loaded alike or not on the same machine; nothing to judge.
pub fn compare(a: &[Run], b: &[Run], options: &Options) -> Result<Comparison, CompareError> {
    if options.judged.is_empty() {
        return Err(CompareError::NothingJudged);
    }
    let differences = matching::check(a, b)?;
    let (side_a, side_b) = (summary(Side::A, a), summary(Side::B, b));
    let rows = rows(a, b, options);
    let verdict = verdict::of(&Grounds {
        a: &side_a,
        b: &side_b,
        rows: &rows,
        options,
    });
    let notes = verdict::notes(&side_a, &side_b, &rows);
    Ok(Comparison {
        schema: SCHEMA,
        a: side_a,
        b: side_b,
        differences,
        rows,
        verdict,
        notes,
    })
}

fn rows(a: &[Run], b: &[Run], options: &Options) -> Vec<Row> {
    let mut percentiles = Percentile::SHOWN.to_vec();
    percentiles.extend(&options.judged);
    percentiles.sort_by(|one, other| one.quantile().total_cmp(&other.quantile()));
    percentiles.dedup();
    let (merged_a, merged_b) = (merged(a), merged(b));
    let mut rows: Vec<Row> = percentiles
        .iter()
        .map(|percentile| row(*percentile, (a, &merged_a), (b, &merged_b)))
        .collect();
    let is_judged = |row: &Row| {
        options
            .judged
            .iter()
            .any(|judged| judged.quantile() == row.quantile)
    };
    let p: Vec<f64> = rows
        .iter()
        .filter(|row| is_judged(row))
        .map(|row| row.p)
        .collect();
    let judged = rows.iter_mut().filter(|row| is_judged(row));
    for (row, adjusted) in judged.zip(holm::adjusted(&p)) {
        row.p_adjusted = Some(adjusted);
    }
    rows
}

/// A side's runs, and all their requests together.
type Measured<'r> = (&'r [Run], &'r Histogram<u64>);

fn row(percentile: Percentile, a: Measured<'_>, b: Measured<'_>) -> Row {
    let (figures_a, logs_a) = figures(percentile, a);
    let (figures_b, logs_b) = figures(percentile, b);
    // There are runs on both sides, and none of the logarithms is a NaN.
    let test = rank_sum(&logs_a, &logs_b);
    Row {
        percentile: percentile.to_string(),
        quantile: percentile.quantile(),
        ratio: (median_of(&logs_b) - median_of(&logs_a)).exp(),
        ratio_interval: bootstrap::of_difference(&logs_a, &logs_b)
            .map(|interval| interval.map(f64::exp)),
        p: test.map_or(1.0, |test| test.p),
        p_adjusted: None,
        superiority: test.map_or(0.5, |test| test.superiority()),
        effect: test.map_or("negligible", |test| test.effect()),
        known: a
            .0
            .iter()
            .chain(b.0)
            .all(|run| percentile.is_known_by(run.response.len())),
        a: figures_a,
        b: figures_b,
    }
}

fn figures(percentile: Percentile, (runs, merged): Measured<'_>) -> (Figures, Vec<f64>) {
    let mut figures = Figures {
        runs_ns: runs
            .iter()
            .map(|run| percentile.of(&run.response))
            .collect(),
        median_ns: 0.0,
        interval_ns: None,
        all_requests_ns: percentile.of(merged),
    };
    let logs = figures.logs();
    figures.median_ns = median_of(&logs).exp();
    figures.interval_ns = bootstrap::of_median(&logs).map(|interval| interval.map(f64::exp));
    (figures, logs)
}

/// The smallest factor by which the sides' figures of a row would have to differ to be probably found; `None`
/// when there are too few runs for any.
pub(crate) fn detectable(row: &Row, level: f64) -> Option<f64> {
    /// A histogram tells values apart to 0.1%.
    const RESOLUTION: f64 = 0.001;
    let (a, b) = (row.a.logs(), row.b.logs());
    let shift = power::detectable_shift(a.len(), b.len(), level)?;
    Some((shift * power::spread(&a, &b)).max(RESOLUTION).exp())
}

/// All requests of all runs together.
fn merged(runs: &[Run]) -> Histogram<u64> {
    crate::recording::merged(runs.iter().map(|run| &run.response))
}

#[allow(clippy::cast_precision_loss)] // shares for people
fn summary(side: Side, runs: &[Run]) -> SideSummary {
    let results = || runs.iter().filter_map(|run| run.meta.result.as_ref());
    let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(0, u64::saturating_add);
    let offered = sum(&mut results().map(|result| result.offered));
    let failed: f64 = runs
        .iter()
        .zip(results())
        .map(|(run, result)| run.failed() * result.offered as f64)
        .sum();
    let achieved: Vec<f64> = results().map(|result| result.rate_achieved).collect();
    let by_generator = |result: &&crate::recording::RunResult| {
        result
            .generator
            .as_ref()
            .is_some_and(|generator| generator.bottleneck == "generator")
    };
    let first = runs.first().map(|run| &run.meta);
    let name = first.map_or_else(String::new, |meta| matching::text(&meta.variant));
    SideSummary {
        name: if name.is_empty() {
            side.to_string()
        } else {
            name
        },
        recordings: runs.iter().map(|run| run.dir.clone()).collect(),
        offered,
        completed: sum(&mut results().map(|result| result.completed)),
        failed: failed / (offered.max(1)) as f64,
        rate_target: first.map_or(0.0, |meta| meta.load.rate_target),
        rate_achieved: median_of(&achieved),
        schedules_missed: runs.iter().filter(|run| !run.kept_its_schedule()).count(),
        generator_bound: results().filter(by_generator).count(),
        closed_loop: first.is_some_and(|meta| meta.load.closed_loop),
    }
}

#[cfg(test)]
mod tests;
