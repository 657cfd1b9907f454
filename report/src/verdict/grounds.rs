//! What forbids a comparison, and what a reader must know to weigh one.

use super::{capital, runs_of, sentence_list};
use crate::compare::Comparison;
use crate::digest::RunDigest;
use crate::format;
use crate::sides::Pair;
use crate::statistics::total;
use crate::variant::{NOOP, POOL, Variant, is_go};

/// What forbids a comparison.
pub(super) fn obstacles(
    variants: &[Variant],
    compared: &[&Variant],
    runs: &[RunDigest],
) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(noop) = variants.iter().find(|v| v.name == NOOP && v.lower_bound()) {
        found.push(format!(
            "the no-op control missed its schedule in {} of {}: this machine cannot hold {} requests/s with no service at all",
            noop.summary.missed_runs,
            runs_of(noop.summary.runs),
            format::count(noop.summary.rate_target),
        ));
    }
    for variant in compared {
        let cut: Vec<&RunDigest> = variant
            .runs
            .iter()
            .map(|index| &runs[*index])
            .filter(|run| run.partial())
            .collect();
        if let Some(first) = cut.first() {
            let reason = first
                .meta
                .state_reason
                .as_deref()
                .unwrap_or("no reason given");
            found.push(format!(
                "{} of {} with {} cut short ({reason})",
                cut.len(),
                runs_of(variant.summary.runs),
                match cut.len() {
                    1 => format!("{} was", variant.spoken()),
                    _ => format!("{} were", variant.spoken()),
                },
            ));
        }
        if !variant.summary.checksums_agree {
            found.push(format!(
                "the runs with {} computed different results",
                variant.spoken()
            ));
        }
    }
    let mut checksums = compared
        .iter()
        .filter(|variant| !variant.summary.checksum.is_empty());
    if let Some(one) = checksums.next()
        && let Some(other) = checksums.find(|other| other.summary.checksum != one.summary.checksum)
    {
        found.push(format!(
            "{} and {} computed different results (checksums {} and {}), so they are not the same service",
            one.spoken(),
            other.spoken(),
            one.summary.checksum,
            other.summary.checksum,
        ));
    }
    if let Some((slow, fast)) = rates(runs, compared) {
        found.push(format!(
            "the runs were made at different rates, {} to {}",
            format::rate(slow),
            format::rate(fast)
        ));
    }
    found
}

/// The lowest and the highest rate asked for, when they differ.
fn rates(runs: &[RunDigest], compared: &[&Variant]) -> Option<(f64, f64)> {
    let rates = || {
        compared
            .iter()
            .flat_map(|variant| &variant.runs)
            .map(|index| runs[*index].meta.load.rate_target)
    };
    let slow = rates().fold(f64::INFINITY, f64::min);
    let fast = rates().fold(f64::NEG_INFINITY, f64::max);
    (slow < fast).then_some((slow, fast))
}

/// What was set on purpose, so that a difference that was not meant is seen.
pub(super) fn what_differs(comparison: &Comparison) -> Option<String> {
    let differences: Vec<String> = comparison
        .differences
        .iter()
        .filter(|difference| difference.what != "name")
        .map(ToString::to_string)
        .collect();
    match differences.is_empty() {
        true => None,
        false => Some(format!(
            "What is compared differs in {}.",
            differences.join(", ")
        )),
    }
}

/// What a reader must know to weigh any verdict.
pub(super) fn context(variants: &[Variant], pair: Option<Pair>) -> Vec<String> {
    let mut notes = Vec::new();
    let noop = variants
        .iter()
        .find(|variant| variant.name == NOOP && variant.summary.requests > 0);
    let pool = variants
        .iter()
        .find(|variant| variant.name == POOL && variant.summary.requests > 0);
    match (noop, pool) {
        // Runs that somebody named need no floor of ours.
        (None, _) if pair.is_some_and(|pair| !pair.usual) => {}
        (None, _) => notes.push(
            "There is no no-op control run, so how much of each tail is the machine's own is unknown."
                .to_owned(),
        ),
        (Some(noop), Some(pool)) if !noop.lower_bound() && noop.summary.p999_ns > 0 => {
            notes.push(format!(
                "The machine's own floor, the same schedule without a service, has a P99.9 of {}; the pool's is {} that.",
                format::nanos(noop.summary.p999_ns),
                format::ratio(pool.summary.p999_ns as f64 / noop.summary.p999_ns as f64),
            ));
        }
        _ => {}
    }
    let missed: Vec<&str> = variants
        .iter()
        .filter(|variant| variant.is_heap() || is_go(&variant.name))
        .filter(|variant| variant.lower_bound())
        .map(Variant::spoken)
        .collect();
    if !missed.is_empty() {
        notes.push(format!(
            "{} could not hold the rate: requests were still waiting when the schedule ended, so the percentiles are lower bounds that grow with the run's duration.",
            capital(&sentence_list(&missed))
        ));
    }
    let refused = total(variants.iter().map(|variant| variant.summary.rejected));
    // One request in ten thousand cannot move what one in a thousand exceeds.
    let matters = |variant: &Variant| {
        variant.summary.rejected.saturating_mul(10_000) > variant.summary.requests
    };
    if variants.iter().any(matters) {
        notes.push(format!(
            "{} requests were refused; a refusal is quick and flatters the percentiles.",
            format::count(refused as f64)
        ));
    }
    notes
}
