//! The statistics that reports and comparisons rest on: pure functions, nothing drawn at random but in [`power`].
//!
//! **Of requests**: percentiles are read from merged histograms ([`merged`](crate::recording::merged)) and never
//! averaged. They carry the histogram's error: with 3 digits a value is at most 0.1% too high, never too low.
//!
//! **Of runs**: what one figure a run says of a difference.
//!
//! **The replicate is the run.** A run of a million requests gives one P99.9, not a million values: requests of
//! one run share its memory layout, its caches and its neighbours on the machine, so that taking them for
//! independent makes any two runs differ "significantly" (Kalibera and Jones, "Rigorous benchmarking in
//! reasonable time", ISMM 2013). Runs are few and not normal: now and then one is far out. So everything here
//! rests on ranks and medians, and all of it is exact for few runs; nothing is drawn at random but in
//! [`power`].
//!
//! | question | answer | where |
//! |---|---|---|
//! | do A and B differ? | Mann-Whitney U, exact, with ties as well | [`rank_sum`] |
//! | in which of several percentiles? | Holm's correction | [`holm`] |
//! | by how much? | quotient of the medians of the runs, with a bootstrap interval | [`bootstrap`] |
//! | what do two or three runs say? | the range over pairs of runs, with its true level | [`few_runs`] |
//! | how consistently? | Vargha and Delaney's A12 | [`rank_sum::RankSum::superiority`] |
//! | what would have been missed? | the difference seen four times in five | [`power`] |
//!
//! **Why not the usual bootstrap of a mean.** Measured, 2,000 simulated comparisons each, share of the 95%
//! intervals of the ratio that held the true one; noise from run to run log-normal, log-normal with one run
//! in ten far out, or exponential:
//!
//! | | n = 4 | n = 5 | n = 6 | n = 10 |
//! |---|---|---|---|---|
//! | means of logarithms, percentile bootstrap | 83 to 85% | 85 to 88% | 87 to 88% | 89 to 92% |
//! | the same, BCa | 78 to 85% | 79 to 88% | 80 to 89% | 78 to 92% |
//! | the same, studentised bootstrap | 96 to 98% | 96 to 97% | 95 to 97% | 93 to 96% |
//! | the same, Welch's t | 96 to 98% | 96 to 98% | 96 to 98% | 96 to 99% |
//! | **medians, percentile bootstrap** | 92 to 93% | **96 to 97%** | **96 to 97%** | **96 to 97%** |
//!
//! Where one run in ten was far out and n was 10, the studentised interval was nearly six times and Welch's
//! nearly four times as wide as that of the medians. BCa, made for many values, is the worst for few.
//!
//! **Why not a paired test.** Runs alternate so that each A has a B beside it, but a signed-rank test of 5 pairs
//! cannot go below p = 0.0625, whatever was measured; U of 5 + 5 can go down to 0.008. A balanced order
//! makes drift fall on both sides alike; it then widens both, and the test errs towards finding nothing.

pub mod bootstrap;
pub mod few_runs;
pub mod holm;
mod normal;
pub mod power;
pub mod rank_sum;

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

/// The median of figures, one a run; of an even number of values the mean of the middle two; `NaN` of none.
#[must_use]
pub fn median_of(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let upper = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[upper],
        _ => f64::midpoint(sorted[upper - 1], sorted[upper]),
    }
}

/// In ascending order.
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
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
        assert!(median_of(&[]).is_nan());
        assert_eq!(median_of(&[7.0]), 7.0);
        assert_eq!(median_of(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median_of(&[9.0, 1.0, 5.0, 3.0]), 4.0);
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
