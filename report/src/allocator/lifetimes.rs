//! How long sampled objects lived, on a logarithmic scale.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use crate::statistics::{maximum, quantile};

/// The shortest lifetime that has a band of its own: what is below it is in the first.
const SHORTEST_NS: u64 = 1_000;

/// Lifetimes of sampled objects.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LifetimeSummary {
    /// What was measured, as the probe says it.
    pub what: String,
    /// Objects that were seen from birth to death.
    pub objects: u64,
    /// In nanoseconds.
    pub p50_ns: u64,
    /// In nanoseconds; null with fewer than 100 objects.
    pub p99_ns: Option<u64>,
    /// In nanoseconds.
    pub max_ns: u64,
    /// By powers of ten.
    pub bands: Vec<LifetimeBand>,
}

/// Objects that lived about as long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct LifetimeBand {
    /// Up to so many nanoseconds, inclusive, from a tenth of it on; the first from 0 on.
    pub up_to_ns: u64,
    /// Objects.
    pub objects: u64,
    /// Their share, 0 to 1.
    pub share: f64,
}

impl LifetimeSummary {
    /// `None` without an object.
    pub(super) fn of(what: String, whole: &Histogram<u64>) -> Option<LifetimeSummary> {
        if whole.is_empty() {
            return None;
        }
        let mut bands = Vec::new();
        let mut up_to_ns = SHORTEST_NS;
        let mut below = 0;
        while below < whole.len() {
            let up_to = whole
                .iter_recorded()
                .take_while(|value| whole.lowest_equivalent(value.value_iterated_to()) <= up_to_ns)
                .map(|value| value.count_at_value())
                .sum::<u64>();
            bands.push(LifetimeBand {
                up_to_ns,
                objects: up_to - below,
                share: (up_to - below) as f64 / whole.len() as f64,
            });
            below = up_to;
            up_to_ns = up_to_ns.saturating_mul(10);
        }
        // Empty bands between two that are not stay, so that the scale has no gap.
        let empty = bands.iter().take_while(|band| band.objects == 0).count();
        bands.drain(..empty);
        Some(LifetimeSummary {
            what,
            objects: whole.len(),
            p50_ns: quantile(whole, 0.5),
            p99_ns: (whole.len() >= 100).then(|| quantile(whole, 0.99)),
            max_ns: maximum(whole),
            bands,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording;

    #[test]
    fn bands_are_powers_of_ten_without_a_gap_and_hold_every_object() {
        let mut whole = recording::empty();
        whole.saturating_record_n(5_000, 90);
        whole.saturating_record_n(2_000_000, 10);
        let found = LifetimeSummary::of(String::new(), &whole).expect("there are some");
        let bands: Vec<_> = found
            .bands
            .iter()
            .map(|band| (band.up_to_ns, band.objects))
            .collect();
        assert_eq!(
            bands,
            [(10_000, 90), (100_000, 0), (1_000_000, 0), (10_000_000, 10)]
        );
        assert!(found.p99_ns.is_some_and(|p99| p99 > 1_900_000));
        assert!(LifetimeSummary::of(String::new(), &recording::empty()).is_none());
    }
}
