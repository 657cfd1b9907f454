//! Values of a series since the exporter began, in buckets that never shrink.
//!
//! Two sets of buckets are kept for each series. **Classic**: the fixed bounds of the text format,
//! few, because each is a time series of its own. **Exponential**: those of native histograms at
//! schema 4, 2^(1/16) apart (4.4% wide), stored sparsely; some 200 of them for a busy series.
//!
//! A value counts as the middle of its bucket in the session's histogram, which is within 1.6%.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::catalogue::Unit;

/// Schema of the exponential buckets: bucket `i` ends at 2^(i / 2^schema).
pub(crate) const SCHEMA: i32 = 4;

/// Upper bounds of the classic buckets with their text in OpenMetrics' form.
pub(crate) type Bounds = &'static [(f64, &'static str)];

/// Seconds, from 1 us to 10 s. Two milliseconds are among them because that is the limit of a pause
/// in a service of low latency: alarms compare with a bound.
const SECONDS: Bounds = &[
    (1e-6, "1e-06"),
    (2.5e-6, "2.5e-06"),
    (5e-6, "5e-06"),
    (1e-5, "1e-05"),
    (2.5e-5, "2.5e-05"),
    (5e-5, "5e-05"),
    (1e-4, "0.0001"),
    (2.5e-4, "0.00025"),
    (5e-4, "0.0005"),
    (1e-3, "0.001"),
    (2e-3, "0.002"),
    (2.5e-3, "0.0025"),
    (5e-3, "0.005"),
    (1e-2, "0.01"),
    (2.5e-2, "0.025"),
    (5e-2, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1.0"),
    (2.5, "2.5"),
    (10.0, "10.0"),
];

/// Bytes, and numbers of things: powers of eight.
const NUMBERS: Bounds = &[
    (1.0, "1.0"),
    (8.0, "8.0"),
    (64.0, "64.0"),
    (512.0, "512.0"),
    (4096.0, "4096.0"),
    (32768.0, "32768.0"),
    (262_144.0, "262144.0"),
    (2_097_152.0, "2097152.0"),
    (16_777_216.0, "16777216.0"),
];

/// All values of a series, in its exported unit: seconds, bytes, things.
#[derive(Debug, Clone)]
pub(crate) struct Distribution {
    unit: Unit,
    count: u64,
    /// In the unit of the session: nanoseconds, bytes, things.
    sum: u64,
    /// Values of exactly 0.
    zeros: u64,
    classic: Vec<u64>,
    exponential: BTreeMap<i32, u64>,
}

impl Distribution {
    pub(crate) fn new(unit: Unit) -> Distribution {
        Distribution {
            unit,
            count: 0,
            sum: 0,
            zeros: 0,
            classic: vec![0; bounds(unit).len()],
            exponential: BTreeMap::new(),
        }
    }

    /// Adds the values of an interval, whose sum is `total`.
    pub(crate) fn add(&mut self, histogram: &Histogram<u64>, total: u64) {
        self.sum = self.sum.saturating_add(total);
        for recorded in histogram.iter_recorded() {
            let count = recorded.count_at_value();
            let value = recorded.value_iterated_to();
            self.count = self.count.saturating_add(count);
            if value == 0 {
                self.zeros = self.zeros.saturating_add(count);
                // The first classic bucket holds what is least.
                self.classic[0] = self.classic[0].saturating_add(count);
                continue;
            }
            let value = histogram.median_equivalent(value).max(1) as f64 * self.scale();
            let bounds = bounds(self.unit);
            let place = bounds.partition_point(|(bound, _)| *bound < value);
            if let Some(bucket) = self.classic.get_mut(place) {
                *bucket = bucket.saturating_add(count);
            }
            let bucket = self.exponential.entry(index(value)).or_default();
            *bucket = bucket.saturating_add(count);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn zeros(&self) -> u64 {
        self.zeros
    }

    /// In the exported unit.
    pub(crate) fn sum(&self) -> f64 {
        self.sum as f64 * self.scale()
    }

    /// Upper bound, its text, and how many values lie at or below it. Without the last bucket, that
    /// of all values.
    pub(crate) fn classic(&self) -> impl Iterator<Item = (f64, &'static str, u64)> + '_ {
        let mut below = 0u64;
        let buckets = bounds(self.unit).iter().zip(&self.classic);
        buckets.map(move |((bound, text), count)| {
            below = below.saturating_add(*count);
            (*bound, *text, below)
        })
    }

    /// Index and count of each exponential bucket that has any, ascending.
    pub(crate) fn exponential(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        self.exponential
            .iter()
            .map(|(index, count)| (*index, *count))
    }

    fn scale(&self) -> f64 {
        match self.unit {
            Unit::Nanoseconds => 1e-9,
            Unit::Bytes | Unit::Things => 1.0,
        }
    }
}

fn bounds(unit: Unit) -> Bounds {
    match unit {
        Unit::Nanoseconds => SECONDS,
        Unit::Bytes | Unit::Things => NUMBERS,
    }
}

/// The exponential bucket of a positive value: the least `i` with value <= 2^(i / 2^schema).
///
/// The logarithm may be off by one unit in the last place, which matters for exact powers only.
/// Numbers of things are such: they are rounded to the nearest bound first.
fn index(value: f64) -> i32 {
    let exact = value.log2() * f64::from(1 << SCHEMA);
    let nearest = exact.round();
    if (exact - nearest).abs() < 1e-9 {
        nearest as i32
    } else {
        exact.ceil() as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(unit: Unit, values: &[u64]) -> Distribution {
        let mut histogram = Histogram::<u64>::new(2).unwrap();
        for value in values {
            histogram.record(*value).unwrap();
        }
        let mut distribution = Distribution::new(unit);
        distribution.add(&histogram, values.iter().sum());
        distribution
    }

    #[test]
    fn classic_buckets_are_cumulative_and_lose_nothing_but_what_is_above() {
        let values = [500, 3_000, 3_000, 40_000_000, 60_000_000_000];
        let distribution = of(Unit::Nanoseconds, &values);
        let buckets: Vec<_> = distribution.classic().collect();
        assert!(buckets.is_sorted_by_key(|(bound, _, count)| (bound.to_bits(), *count)));
        let at = |text: &str| buckets.iter().find(|bucket| bucket.1 == text).unwrap().2;
        assert_eq!((at("1e-06"), at("2.5e-06"), at("5e-06")), (1, 1, 3));
        assert_eq!((at("0.025"), at("0.05"), at("10.0")), (3, 4, 4));
        assert_eq!(distribution.count(), 5);
        assert!((distribution.sum() - 60.040_006_5).abs() < 1e-9);
    }

    #[test]
    fn the_text_of_each_bound_is_its_value() {
        for (bound, text) in SECONDS.iter().chain(NUMBERS) {
            assert_eq!(text.parse::<f64>().unwrap(), *bound);
        }
    }

    #[test]
    fn each_exponential_bucket_encloses_its_values() {
        let end = |index: i32| 2f64.powf(f64::from(index) / 16.0);
        for value in [1e-9, 1e-6, 3.7e-5, 1.0, 2.0, 8.0, 513.0, 1e9] {
            let index = index(value);
            assert!(end(index - 1) < value * (1.0 - 1e-12), "{value}");
            assert!(value <= end(index) * (1.0 + 1e-12), "{value}");
        }
        assert_eq!(
            (index(1.0), index(2.0), index(8.0), index(0.5)),
            (0, 16, 48, -16)
        );
    }

    #[test]
    fn zeros_have_a_bucket_of_their_own() {
        let distribution = of(Unit::Things, &[0, 0, 8]);
        assert_eq!(distribution.zeros(), 2);
        let counts: u64 = distribution.exponential().map(|(_, count)| count).sum();
        assert_eq!(counts + distribution.zeros(), distribution.count());
        assert_eq!(distribution.classic().next().unwrap().2, 2);
    }
}
