//! Before and after: the table in which the original incident was reported, with its doubt beside each figure.
//!
//! Every figure is one a run; shown is the median of the runs with a range below it: where that median lies with 95%
//! confidence, from four runs on, else from the lowest to the highest run. p is that of the exact rank sum test over runs
//! ([`compare`](crate::compare)).

use schemars::JsonSchema;
use serde::Serialize;

use crate::compare::comparison::Row;
use crate::compare::verdict::p_value;
use crate::digest::RunDigest;
use crate::evidence::Evidence;
use crate::format;
use crate::incident;
use crate::sides::Pair;
use crate::statistics::bootstrap;
use crate::statistics::rank_sum::rank_sum;
use crate::statistics::{maximum, median, median_of, quantile};
use crate::variant::Variant;

/// Two variants side by side: before, after, change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BeforeAfter {
    /// What there was, by its name in the recording. Of several heap variants it is the one with the lowest P99.9 over
    /// the whole run; [`BeforeAfter::ratios`] has the others.
    pub before: String,
    /// What is held against it.
    pub after: String,
    /// One row per measure.
    pub rows: Vec<BeforeAfterRow>,
    /// For each heap variant, in the order of the report: its P99.9 over the pool's, of all requests. A lower bound where
    /// the heap variant missed its schedule. Empty where the sides are no heap and pool.
    pub ratios: Vec<(String, f64)>,
    /// What ranges and p mean here, in sentences.
    pub legend: Vec<String>,
}

/// One measure before and after, as text; what is not known is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BeforeAfterRow {
    /// What is measured.
    pub measure: String,
    /// Before: the median of the runs; begins with `≥` where it is a lower bound.
    pub before: String,
    /// Its range: `29.8 to 33 ms`.
    pub before_range: String,
    /// After.
    pub after: String,
    /// Its range.
    pub after_range: String,
    /// How much it changed: `−86%`.
    pub change: String,
    /// How many times less it is: `7.23×`; begins with `≥` where before is a lower bound.
    pub factor: String,
    /// Its range.
    pub factor_range: String,
    /// `0.024 *`; in brackets where the measure is not judged, and its p not corrected for the others.
    pub p: String,
}

/// How a figure is read from a run; nothing where it has none.
type Figure = Box<dyn Fn(&RunDigest) -> Option<f64>>;

/// A measure of which every run has a figure.
struct PerRun {
    name: &'static str,
    of: Figure,
    show: fn(f64) -> String,
    /// Whether runs differ in it by chance: what was counted once, apart from the runs, does not.
    varies: bool,
    /// Whether it is a response time: then what differs is a factor, and a missed schedule makes it a lower bound.
    time: bool,
}

/// The table of a pair.
pub(crate) fn before_after(
    pair: Pair,
    variants: &[Variant],
    runs: &[RunDigest],
    evidence: &Evidence,
) -> BeforeAfter {
    let (before, after) = (&variants[pair.before], &variants[pair.after]);
    let comparison = evidence.comparison.as_ref().ok();
    let tested = |name: &str| -> Option<&Row> {
        let rows = &comparison?.rows;
        rows.iter().find(|row| row.percentile == name)
    };
    let collected = [before, after].iter().any(|variant| {
        let mut results = variant
            .runs
            .iter()
            .filter_map(|run| runs[*run].meta.result.as_ref());
        results.any(|result| result.runtime.is_some())
    });
    let rows: Vec<BeforeAfterRow> = measures(collected)
        .iter()
        .filter_map(|measure| {
            row(
                measure,
                before,
                after,
                runs,
                tested(measure.name),
                evidence.too_few,
            )
        })
        .collect();
    BeforeAfter {
        before: before.name.clone(),
        after: after.name.clone(),
        rows,
        ratios: if pair.usual {
            ratios(variants, after)
        } else {
            Vec::new()
        },
        legend: legend(before, after, evidence),
    }
}

/// With those of a garbage collector where there was one.
fn measures(collected: bool) -> Vec<PerRun> {
    let percentile = |name, level: f64| PerRun {
        name,
        of: Box::new(move |run| {
            let response = &run.response;
            (!response.is_empty()).then(|| match level {
                1.0 => maximum(response) as f64,
                level => quantile(response, level) as f64,
            })
        }),
        show: format::duration,
        varies: true,
        time: true,
    };
    let mut measures = vec![
        percentile("P99.9", 0.999),
        percentile("P50", 0.5),
        percentile("P99", 0.99),
        PerRun {
            name: "P99.9, median second",
            of: Box::new(|run| {
                let seconds = || run.seconds.iter().map(|second| second.p999_ns);
                (!run.seconds.is_empty()).then(|| median(seconds()) as f64)
            }),
            show: format::duration,
            varies: true,
            time: true,
        },
        percentile("max", 1.0),
        PerRun {
            name: "Heap allocation rate",
            of: Box::new(|run| {
                let counted = run.meta.allocations.as_ref()?;
                let rate = run.meta.result.as_ref()?.rate_achieved;
                Some(counted.bytes_per_request * rate)
            }),
            show: format::bytes_rate,
            varies: false,
            time: false,
        },
        PerRun {
            name: "CPU in service",
            of: Box::new(|run| {
                let busy = run.meta.result.as_ref()?.cpu_busy;
                (busy > 0.0).then_some(busy)
            }),
            show: format::share,
            varies: true,
            time: false,
        },
    ];
    if collected {
        measures.splice(1..1, of_collector());
    }
    measures
}

fn of_collector() -> [PerRun; 3] {
    [
        PerRun {
            name: "GC pause P99",
            of: Box::new(|run| incident::pause_p99(&[run]).map(|ns| ns as f64)),
            show: format::duration,
            varies: true,
            time: false,
        },
        PerRun {
            name: "Time in mark assist",
            of: Box::new(|run| incident::assist_share(&[run])),
            show: format::share,
            varies: true,
            time: false,
        },
        PerRun {
            name: "Cores in use",
            of: Box::new(incident::cores_in_use),
            show: |cores| format!("{cores:.2}"),
            varies: true,
            time: false,
        },
    ]
}

/// Nothing where neither side has a figure.
fn row(
    measure: &PerRun,
    before: &Variant,
    after: &Variant,
    runs: &[RunDigest],
    tested: Option<&Row>,
    too_few: bool,
) -> Option<BeforeAfterRow> {
    let figures = |variant: &Variant| -> Vec<f64> {
        let of = variant
            .runs
            .iter()
            .filter_map(|run| (measure.of)(&runs[*run]));
        of.filter(|figure| figure.is_finite() && *figure >= 0.0)
            .collect()
    };
    let (first, second) = (figures(before), figures(after));
    if first.is_empty() && second.is_empty() {
        return None;
    }
    let bound = |variant: &Variant| measure.time && variant.lower_bound();
    let at_least = |bound: bool, text: String| if bound { format!("≥ {text}") } else { text };
    let missing = || format::MISSING.to_owned();
    let shown = |figures: &[f64], variant: &Variant| match figures {
        [] => missing(),
        some => at_least(bound(variant), (measure.show)(middle(some, measure.time))),
    };
    let range = |figures: &[f64]| match measure.varies {
        true => spread(figures, measure.time, measure.show),
        false => String::new(),
    };
    let both = !first.is_empty() && !second.is_empty();
    let [from, to] = [&first, &second].map(|figures| match figures.as_slice() {
        [] => f64::NAN,
        some => middle(some, measure.time),
    });
    let factor = match (both, bound(before), bound(after)) {
        (false, ..) | (.., true) => missing(),
        (_, before, _) => at_least(before, format::ratio(from / to)),
    };
    Some(BeforeAfterRow {
        measure: match measure.name {
            "max" => "Maximum".to_owned(),
            name => name.to_owned(),
        },
        before: shown(&first, before),
        before_range: range(&first),
        after: shown(&second, after),
        after_range: range(&second),
        change: if both {
            format::change(from, to)
        } else {
            missing()
        },
        factor_range: match &factor {
            known if known != format::MISSING && measure.time => ratio_range(&second, &first),
            _ => String::new(),
        },
        factor,
        p: significance(measure, tested, too_few, &first, &second),
    })
}

/// The median; of times the geometric one, since what differs from run to run is a factor.
fn middle(figures: &[f64], time: bool) -> f64 {
    if time {
        median_of(&logarithms(figures)).exp()
    } else {
        median_of(figures)
    }
}

fn logarithms(figures: &[f64]) -> Vec<f64> {
    figures.iter().map(|figure| figure.max(1.0).ln()).collect()
}

/// Where the median lies with 95% confidence, or from the lowest to the highest of too few runs; empty for one run.
fn spread(figures: &[f64], time: bool, show: fn(f64) -> String) -> String {
    let interval = if time {
        bootstrap::of_median(&logarithms(figures)).map(|interval| interval.map(f64::exp))
    } else {
        bootstrap::of_median(figures)
    };
    let (low, high) = match (interval, figures) {
        (Some(interval), _) => (interval.low, interval.high),
        (None, [] | [_]) => return String::new(),
        (None, several) => (
            several.iter().copied().fold(f64::INFINITY, f64::min),
            several.iter().copied().fold(0.0, f64::max),
        ),
    };
    format::range(low, high, show)
}

/// The same of the factor.
fn ratio_range(after: &[f64], before: &[f64]) -> String {
    let (after, before) = (logarithms(after), logarithms(before));
    let range = bootstrap::of_difference(&after, &before).or_else(|| {
        let several = after.len() > 1 && before.len() > 1;
        let pairs = crate::statistics::few_runs::over_pairs(&after, &before)?;
        several.then_some(pairs.0)
    });
    range.map_or_else(String::new, |range| {
        let range = range.map(f64::exp);
        format::range(range.low, range.high, format::ratio)
    })
}

/// Nothing for figures that no test was asked about.
fn significance(
    measure: &PerRun,
    tested: Option<&Row>,
    too_few: bool,
    before: &[f64],
    after: &[f64],
) -> String {
    if !measure.varies || before.is_empty() || after.is_empty() {
        return String::new();
    }
    if too_few {
        return "too few".to_owned();
    }
    if let Some((row, p)) = tested.and_then(|row| Some((row, row.p_adjusted?))) {
        return format!("{} {}", p_value(p), row.stars())
            .trim_end()
            .to_owned();
    }
    rank_sum(before, after).map_or_else(String::new, |test| format!("({})", p_value(test.p)))
}

/// Each heap's P99.9 over the pool's.
fn ratios(variants: &[Variant], pool: &Variant) -> Vec<(String, f64)> {
    variants
        .iter()
        .filter(|variant| variant.is_heap() && variant.summary.requests > 0)
        .map(|heap| {
            let ratio = heap.summary.p999_ns as f64 / pool.summary.p999_ns.max(1) as f64;
            (heap.name.clone(), ratio)
        })
        .collect()
}

/// What a reader must know of the ranges and of p.
fn legend(before: &Variant, after: &Variant, evidence: &Evidence) -> Vec<String> {
    let fewest = before.runs.len().min(after.runs.len());
    let n = format!("n = {} + {} runs", before.runs.len(), after.runs.len());
    let ranges = match fewest {
        1 => format!("{n}: one run has no range."),
        2 | 3 => format!(
            "{n}: ranges are from the lowest to the highest run, and of the factor over pairs of runs; too few for 95%."
        ),
        _ => format!(
            "{n}: figures are their medians, ranges hold those with 95% confidence (bootstrap over runs)."
        ),
    };
    let mut legend = vec![ranges];
    if fewest > 1 {
        let few = if evidence.too_few {
            " With so few runs it cannot come below 0.05, whatever they show, and is left out."
        } else {
            ""
        };
        legend.push(format!(
            "p: exact rank sum test over runs, corrected for P50, P99 and P99.9 together (* up to 0.05, ** 0.01, *** \
             0.001); in brackets by itself, of measures that no claim rests on.{few}"
        ));
    }
    legend
}
