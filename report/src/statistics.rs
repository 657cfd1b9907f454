//! The few statistics that a report rests on.
//!
//! Percentiles are read from merged histograms ([`merged`](crate::recording::merged)) and never
//! averaged. They carry the histogram's error: with 3 digits a value is at most 0.1% too high,
//! never too low.

use hdrhistogram::Histogram;

/// The value in nanoseconds that a share `quantile` (0 to 1) of the values does not exceed; 0 when
/// there is no value.
pub fn quantile(histogram: &Histogram<u64>, quantile: f64) -> u64 {
    if histogram.is_empty() {
        return 0;
    }
    histogram.value_at_quantile(quantile)
}

/// The largest value in nanoseconds, to the histogram's precision; 0 when there is no value.
pub fn maximum(histogram: &Histogram<u64>) -> u64 {
    if histogram.is_empty() {
        0
    } else {
        histogram.max()
    }
}

/// The median; of an even number of values the mean of the middle two; 0 of none.
pub fn median(values: impl IntoIterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.into_iter().collect();
    values.sort_unstable();
    let upper = values.len() / 2;
    match values.as_slice() {
        [] => 0,
        odd if odd.len() % 2 == 1 => odd[upper],
        even => even[upper - 1].midpoint(even[upper]),
    }
}

/// The sum, which stays at the largest number rather than overflow.
pub fn total(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, u64::saturating_add)
}

/// The mean; 0 of none.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .into_iter()
        .fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median([]), 0);
        assert_eq!(median([7]), 7);
        assert_eq!(median([9, 1, 5]), 5);
        assert_eq!(median([9, 1, 5, 3]), 4);
        assert_eq!(median([u64::MAX, u64::MAX]), u64::MAX);
    }

    #[test]
    fn a_total_never_overflows() {
        assert_eq!(total([]), 0);
        assert_eq!(total([1, 2]), 3);
        assert_eq!(total([u64::MAX, 2]), u64::MAX);
    }

    #[test]
    fn nothing_recorded_gives_zero_and_no_panic() {
        let empty = Histogram::<u64>::new(3).expect("3 digits are valid");
        assert_eq!(quantile(&empty, 0.999), 0);
        assert_eq!(maximum(&empty), 0);
        assert_eq!(mean([]), 0.0);
    }
}
