//! Before and after: the best heap allocator against the pool.

use serde::Serialize;

use crate::format;
use crate::measures::response;
use crate::variant::{POOL, Variant};

/// The comparison in which the original incident was reported: before, after, change.
///
/// "Before" is the heap variant with the lowest P99.9 over the whole run, so that the pool is
/// never compared with a straw man; [`BeforeAfter::ratios`] has the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BeforeAfter {
    /// The best heap variant, by its name in the recording.
    pub before: String,
    /// The pool's variant.
    pub after: String,
    /// One row per measure.
    pub rows: Vec<BeforeAfterRow>,
    /// For each heap variant, in the order of the report: its P99.9 over the pool's. A lower
    /// bound where the heap variant missed its schedule.
    pub ratios: Vec<(String, f64)>,
}

/// One measure before and after, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BeforeAfterRow {
    /// What is measured.
    pub measure: String,
    /// With the best heap allocator; begins with `≥` where it is a lower bound.
    pub before: String,
    /// With the pool.
    pub after: String,
    /// How much it changed: `−86%`.
    pub change: String,
    /// How many times less it is: `7.23×`; begins with `≥` where before is a lower bound.
    pub factor: String,
}

/// The heap variant with the lowest P99.9, among those that recorded anything.
pub(crate) fn best_heap(variants: &[Variant]) -> Option<&Variant> {
    variants
        .iter()
        .filter(|variant| variant.is_heap() && variant.summary.requests > 0)
        .min_by_key(|variant| variant.summary.p999_ns)
}

/// The pool's variant, if it recorded anything.
pub(crate) fn pool(variants: &[Variant]) -> Option<&Variant> {
    variants
        .iter()
        .find(|variant| variant.name == POOL && variant.summary.requests > 0)
}

/// The comparison, when there is something to compare.
pub(crate) fn compare(variants: &[Variant]) -> Option<BeforeAfter> {
    let before = best_heap(variants)?;
    let after = pool(variants)?;
    let time = |measure: &str, of: fn(&Variant) -> u64| BeforeAfterRow {
        measure: measure.to_owned(),
        before: response(before, of(before)).text,
        after: response(after, of(after)).text,
        change: format::change(of(before) as f64, of(after) as f64),
        factor: {
            let factor = format::ratio(of(before) as f64 / of(after) as f64);
            match (before.lower_bound(), after.lower_bound()) {
                (_, true) => format::MISSING.to_owned(),
                (true, false) => format!("≥ {factor}"),
                (false, false) => factor,
            }
        },
    };
    let cost = |measure: &str, of: fn(&Variant) -> Option<f64>, show: fn(f64) -> String| {
        let missing = || format::MISSING.to_owned();
        BeforeAfterRow {
            measure: measure.to_owned(),
            before: of(before).map_or_else(missing, show),
            after: of(after).map_or_else(missing, show),
            change: match (of(before), of(after)) {
                (Some(before), Some(after)) => format::change(before, after),
                _ => missing(),
            },
            factor: match (of(before), of(after)) {
                (Some(before), Some(after)) => format::ratio(before / after),
                _ => missing(),
            },
        }
    };
    Some(BeforeAfter {
        before: before.name.clone(),
        after: after.name.clone(),
        rows: vec![
            time("P99.9", |variant| variant.summary.p999_ns),
            time("P99.9, median second", |variant| {
                variant.summary.p999_ns_median_of_seconds
            }),
            time("Maximum", |variant| variant.summary.max_ns),
            cost(
                "Heap allocation rate",
                |variant| variant.summary.bytes_per_second,
                format::bytes_rate,
            ),
            cost(
                "CPU in service",
                |variant| Some(variant.summary.cpu_busy),
                format::share,
            ),
        ],
        ratios: variants
            .iter()
            .filter(|variant| variant.is_heap() && variant.summary.requests > 0)
            .map(|heap| {
                let ratio = heap.summary.p999_ns as f64 / after.summary.p999_ns.max(1) as f64;
                (heap.name.clone(), ratio)
            })
            .collect(),
    })
}
