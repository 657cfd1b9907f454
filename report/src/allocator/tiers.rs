//! Calls by how long they took, in four bands, each named after what usually lies behind it.
//!
//! The bands are of latency: a call of 50 µs may have refilled a thread's cache, or may have been interrupted. Slow paths
//! that were traced by their own symbols stand in rows of their own, which is the surer way to tell.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use super::series::Role;
use crate::pauses::SeriesDigest;

/// Upper ends in nanoseconds, inclusive; the last band has none.
pub(super) const EDGES: [Option<u64>; 4] = [Some(10_000), Some(100_000), Some(1_000_000), None];

/// Calls of one function by how long they took.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TierSummary {
    /// The series: `malloc@jemalloc`.
    pub name: String,
    /// What it measures, in one line.
    pub what: String,
    /// Calls that were seen.
    pub events: u64,
    /// Calls per second, scaled by the share that was sampled.
    pub events_per_second: f64,
    /// Of those seen, how many took no longer than the probe's own hit: they are in no band, since their
    /// lengths are not known.
    pub under_floor: u64,
    /// That hit, in nanoseconds; 0 where nothing stands in the measured path.
    pub floor_ns: u64,
    /// The others: up to 10 µs, up to 100 µs, up to 1 ms, above.
    pub bands: [TierBand; 4],
    #[serde(skip)]
    pub(crate) role: Role,
}

/// The calls of one band.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct TierBand {
    /// Its upper end, in nanoseconds, inclusive; null for the last.
    pub up_to_ns: Option<u64>,
    /// Calls that were seen.
    pub events: u64,
    /// Their share of all that were seen, 0 to 1.
    pub share: f64,
    /// Time in them per second, in nanoseconds, scaled by the share that was sampled: of all threads together.
    pub ns_per_second: f64,
}

/// Adds up one series over the runs of a variant.
pub(super) struct TierBuilder {
    summary: TierSummary,
    /// Scaled by sampling.
    calls: f64,
    times: [f64; 4],
}

impl TierBuilder {
    pub(super) fn new(series: &SeriesDigest, role: Role) -> TierBuilder {
        TierBuilder {
            summary: TierSummary {
                name: series.meta.name.clone(),
                what: series.meta.what.clone(),
                events: 0,
                events_per_second: 0.0,
                under_floor: 0,
                floor_ns: 0,
                bands: EDGES.map(|up_to_ns| TierBand {
                    up_to_ns,
                    ..TierBand::default()
                }),
                role,
            },
            calls: 0.0,
            times: [0.0; 4],
        }
    }

    /// Adds a run.
    pub(super) fn add(&mut self, series: &SeriesDigest) {
        let events = series.whole.len();
        let under_floor = series.meta.under_floor.min(events);
        let summary = &mut self.summary;
        summary.events = summary.events.saturating_add(events);
        summary.under_floor = summary.under_floor.saturating_add(under_floor);
        summary.floor_ns = summary.floor_ns.max(series.meta.floor_ns);
        self.calls += events as f64 / series.meta.sampling;
        for ((band, time), (calls, ns)) in summary
            .bands
            .iter_mut()
            .zip(&mut self.times)
            .zip(banded(&series.whole, under_floor))
        {
            band.events = band.events.saturating_add(calls);
            *time += ns / series.meta.sampling;
        }
    }

    /// What it comes to; `None` without a call. `seconds` is how long was traced.
    pub(super) fn finish(self, seconds: f64) -> Option<TierSummary> {
        let TierBuilder {
            mut summary,
            calls,
            times,
        } = self;
        let per_second = |sum: f64| if seconds > 0.0 { sum / seconds } else { 0.0 };
        summary.events_per_second = per_second(calls);
        for (band, time) in summary.bands.iter_mut().zip(times) {
            band.share = band.events as f64 / summary.events.max(1) as f64;
            band.ns_per_second = per_second(time);
        }
        (summary.events > 0).then_some(summary)
    }
}

/// Calls and nanoseconds of each band. The lowest `under_floor` values say nothing and are left out.
fn banded(whole: &Histogram<u64>, under_floor: u64) -> [(u64, f64); 4] {
    let mut bands = [(0, 0.0); 4];
    let mut unknown = under_floor;
    for value in whole.iter_recorded() {
        let count = value.count_at_value();
        let hidden = count.min(unknown);
        unknown -= hidden;
        // A bucket that lies across an edge counts below it.
        let lowest = whole.lowest_equivalent(value.value_iterated_to());
        let place = EDGES
            .iter()
            .position(|edge| edge.is_none_or(|edge| lowest <= edge))
            .unwrap_or(EDGES.len() - 1);
        let middle = whole.median_equivalent(value.value_iterated_to());
        bands[place].0 += count - hidden;
        bands[place].1 += (count - hidden) as f64 * middle as f64;
    }
    bands
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recording::{self, SeriesMeta};

    fn series(values: &[(u64, u64)], under_floor: u64, sampling: f64) -> SeriesDigest {
        let mut whole = recording::empty();
        for (value, count) in values {
            whole.saturating_record_n(*value, *count);
        }
        SeriesDigest {
            meta: SeriesMeta {
                name: "malloc".to_owned(),
                under_floor,
                floor_ns: 700,
                sampling,
                ..SeriesMeta::default()
            },
            whole,
            seconds: Vec::new(),
        }
    }

    fn tiers(series: &[SeriesDigest], seconds: f64) -> Option<TierSummary> {
        let mut builder = TierBuilder::new(&series[0], Role::Function);
        series.iter().for_each(|series| builder.add(series));
        builder.finish(seconds)
    }

    #[test]
    fn calls_under_the_floor_are_in_no_band_and_the_others_in_theirs() {
        let run = series(
            &[
                (300, 900),
                (5_000, 50),
                (50_000, 30),
                (500_000, 15),
                (5_000_000, 5),
            ],
            900,
            1.0,
        );
        let found = tiers(&[run], 10.0).expect("there were calls");
        assert_eq!((found.events, found.under_floor), (1_000, 900));
        assert_eq!(found.bands.map(|band| band.events), [50, 30, 15, 5]);
        assert_eq!(found.bands[3].share, 0.005);
        let ms = found.bands[3].ns_per_second / 1e6;
        assert!((ms - 2.5).abs() < 0.01, "{ms}");
    }

    #[test]
    fn rates_are_scaled_by_what_was_sampled_in_each_run_and_shares_are_not() {
        let seen = series(&[(5_000, 100)], 0, 1.0);
        let sampled = series(&[(50_000, 100)], 0, 0.01);
        let found = tiers(&[seen, sampled], 1.0).expect("there were calls");
        assert_eq!(found.events, 200);
        assert!((found.events_per_second - 10_100.0).abs() < 1e-6);
        assert_eq!(found.bands[1].share, 0.5);
        assert!(tiers(&[series(&[], 0, 1.0)], 1.0).is_none());
    }

    proptest! {
        #[test]
        fn each_call_is_either_under_the_floor_or_in_one_band(
            values in prop::collection::vec((1..10_000_000_000_u64, 1..1_000_u64), 1..40),
            under_floor in 0..50_000_u64,
        ) {
            let run = series(&values, under_floor, 0.5);
            let found = tiers(&[run], 3.0).expect("there were calls");
            let banded: u64 = found.bands.iter().map(|band| band.events).sum();
            prop_assert_eq!(banded + found.under_floor, found.events);
        }
    }
}
