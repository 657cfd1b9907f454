//! Confidence intervals: the percentile bootstrap of the median over runs, without a random number.
//!
//! The bootstrap asks what else could have been measured by drawing runs from those measured, again and again,
//! with replacement, each side for itself. Of a median the answer is known without drawing: how often each
//! value, or each mean of two, is the median of a resample follows from binomial probabilities (Efron, "The
//! jackknife, the bootstrap and other resampling plans", 1982; Maritz and Jarrett, 1978). So the intervals
//! here are what resampling converges to, and the same data always give the same ones.
//!
//! Coverage of the 95% intervals, from this module's own simulation (2,000 comparisons each; noise from run to
//! run log-normal, log-normal with one run in ten far out, or exponential): a side's median 93 to 95%, and
//! 87% with 4 runs; the difference 96 to 97%, and 93% with 4 runs. Below [`FEWEST_RUNS`] there is none: 3 runs would
//! give 75%.
//!
//! Cost: microseconds for ten runs, some milliseconds for a hundred.

use schemars::JsonSchema;
use serde::Serialize;

use super::sorted;

/// With fewer runs than this no interval is given.
pub const FEWEST_RUNS: usize = 4;

/// The share of each tail of a 95% interval.
const TAIL: f64 = 0.025;

/// A 95% confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct ConfidenceInterval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl ConfidenceInterval {
    /// Whether `value` lies in it.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Both ends by a rising function.
    #[must_use]
    pub fn map(&self, rising: impl Fn(f64) -> f64) -> ConfidenceInterval {
        ConfidenceInterval {
            low: rising(self.low),
            high: rising(self.high),
        }
    }
}

/// Of the median; `None` with fewer than [`FEWEST_RUNS`] values.
#[must_use]
pub fn of_median(values: &[f64]) -> Option<ConfidenceInterval> {
    let medians = Resampled::of(values)?;
    let quantile = |share: f64| {
        let mut below = 0.0;
        let reached = medians.0.iter().find(|(_, weight)| {
            below += weight;
            below >= share
        });
        reached.or(medians.0.last()).map(|(value, _)| *value)
    };
    Some(ConfidenceInterval {
        low: quantile(TAIL)?,
        high: quantile(1.0 - TAIL)?,
    })
}

/// Of the median of `b` less that of `a`; `None` with fewer than [`FEWEST_RUNS`] values in either.
///
/// Given logarithms it is the interval of a quotient.
#[must_use]
pub fn of_difference(a: &[f64], b: &[f64]) -> Option<ConfidenceInterval> {
    let (a, b) = (Resampled::of(a)?, Resampled::of(b)?);
    let ends = |side: &Resampled| Some((side.0.first()?.0, side.0.last()?.0));
    let ((a_low, a_high), (b_low, b_high)) = (ends(&a)?, ends(&b)?);
    let (lowest, highest) = (b_low - a_high, b_high - a_low);
    // The smallest difference that is not exceeded with this probability, by bisection: all differences need
    // not be listed (25 million for 100 + 100 runs).
    let quantile = |share: f64| {
        let (mut low, mut high) = (lowest, highest);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if share_up_to(&a, &b, middle) >= share {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    };
    if share_up_to(&a, &b, lowest) >= 1.0 - TAIL {
        return Some(ConfidenceInterval {
            low: lowest,
            high: lowest,
        });
    }
    let low = if share_up_to(&a, &b, lowest) >= TAIL {
        lowest
    } else {
        quantile(TAIL)
    };
    Some(ConfidenceInterval {
        low,
        high: quantile(1.0 - TAIL),
    })
}

/// The medians that resampling can give, ascending, each with its probability.
struct Resampled(Vec<(f64, f64)>);

impl Resampled {
    fn of(values: &[f64]) -> Option<Resampled> {
        let count = values.len();
        if count < FEWEST_RUNS || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let values = sorted(values);
        let mut medians = if count % 2 == 1 {
            odd(&values)
        } else {
            even(&values)
        };
        medians.sort_by(|one, other| one.0.total_cmp(&other.0));
        // Rounding: the probabilities are to add up to exactly one.
        let all: f64 = medians.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut medians {
            *weight /= all;
        }
        Some(Resampled(medians))
    }
}

/// One value is the median.
fn odd(values: &[f64]) -> Vec<(f64, f64)> {
    let count = values.len();
    let up_to = |k: usize| at_least(count, count / 2 + 1, k as f64 / count as f64);
    let weighted = |(index, value): (usize, &f64)| (*value, up_to(index + 1) - up_to(index));
    values.iter().enumerate().map(weighted).collect()
}

/// The median is the mean of two: the probability of each pair in the middle of a resample.
fn even(values: &[f64]) -> Vec<(f64, f64)> {
    let count = values.len();
    let half = count / 2;
    let share = |k: usize| k as f64 / count as f64;
    let power = |share: f64| share.powi(half as i32);
    let halves = binomial_coefficient(count, half);
    let lower_up_to = |k: usize| at_least(count, half, share(k));
    let mut medians = Vec::with_capacity(count * (count + 1) / 2);
    for (i, low) in values.iter().enumerate() {
        let mut rest = lower_up_to(i + 1) - lower_up_to(i);
        for (j, high) in values.iter().enumerate().skip(i + 1) {
            // Half of the draws lie at or below value i with at least one on it, the other half at or above
            // value j with at least one on it.
            let below = power(share(i + 1)) - power(share(i));
            let above = power(share(count - j)) - power(share(count - j - 1));
            let weight = halves * below * above;
            rest -= weight;
            medians.push((f64::midpoint(*low, *high), weight));
        }
        medians.push((*low, rest.max(0.0)));
    }
    medians
}

/// The probability of at least `least` successes in `count` trials of probability `share` each.
fn at_least(count: usize, least: usize, share: f64) -> f64 {
    (least..=count)
        .map(|k| {
            binomial_coefficient(count, k)
                * share.powi(k as i32)
                * (1.0 - share).powi((count - k) as i32)
        })
        .sum::<f64>()
        .min(1.0)
}

fn binomial_coefficient(count: usize, k: usize) -> f64 {
    (1..=k).fold(1.0, |ways, step| {
        ways * (count - k + step) as f64 / step as f64
    })
}

/// The probability that a median of `b` less one of `a` is at most `limit`: one walk through both.
fn share_up_to(a: &Resampled, b: &Resampled, limit: f64) -> f64 {
    let mut next = 0;
    let mut of_b = 0.0;
    let mut share = 0.0;
    for (value, weight) in &a.0 {
        while let Some((other, more)) = b.0.get(next)
            && other - value <= limit
        {
            of_b += more;
            next += 1;
        }
        share += weight * of_b;
    }
    share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulated::{Noise, RunToRun};

    /// By listing every resample there is.
    fn listed(values: &[f64]) -> Vec<(f64, f64)> {
        let count = values.len();
        let all = count.pow(count as u32);
        let mut medians: Vec<(f64, f64)> = Vec::new();
        for mut number in 0..all {
            let resample: Vec<f64> = (0..count)
                .map(|_| {
                    let value = values[number % count];
                    number /= count;
                    value
                })
                .collect();
            let median = crate::statistics::median_of(&resample);
            match medians
                .iter_mut()
                .find(|(value, _)| (value - median).abs() < 1e-12)
            {
                Some((_, weight)) => *weight += 1.0 / all as f64,
                None => medians.push((median, 1.0 / all as f64)),
            }
        }
        medians.sort_by(|one, other| one.0.total_cmp(&other.0));
        medians
    }

    #[test]
    fn the_formula_gives_what_listing_all_resamples_gives() {
        for values in [
            vec![1.0, 2.0, 4.0, 8.0],
            vec![1.0, 2.0, 4.0, 8.0, 16.0],
            vec![1.0, 2.5, 4.1, 8.3, 16.9, 33.0],
        ] {
            let made = Resampled::of(&values).expect("enough values").0;
            let listed = listed(&values);
            assert_eq!(made.len(), listed.len());
            for ((value, weight), (expected, probability)) in made.iter().zip(&listed) {
                assert!((value - expected).abs() < 1e-12 && (weight - probability).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn few_runs_give_no_interval_and_equal_runs_one_without_width() {
        assert_eq!(of_median(&[1.0, 2.0, 3.0]), None);
        assert_eq!(of_difference(&[1.0, 2.0, 3.0], &[1.0; 9]), None);
        let point = ConfidenceInterval {
            low: 2.0,
            high: 2.0,
        };
        assert_eq!(of_median(&[2.0; 5]), Some(point));
        assert_eq!(of_difference(&[1.0; 5], &[3.0; 6]), Some(point));
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        for runs in [5, 6, 8, 10] {
            for noise in [Noise::LogNormal, Noise::Outliers, Noise::Skewed] {
                let mut source = RunToRun::new(noise, 0.1, 7);
                let truth = source.median();
                let (mut ratio, mut one) = (0, 0);
                let rounds = 2_000;
                for _ in 0..rounds {
                    let (a, b) = source.sides(runs);
                    let interval = of_difference(&a, &b).expect("enough runs");
                    ratio += u32::from(interval.contains(0.0));
                    let interval = of_median(&a).expect("enough runs");
                    one += u32::from(interval.contains(truth));
                }
                let share = |hits: u32| f64::from(hits) / f64::from(rounds);
                println!(
                    "n = {runs}, {noise:?}: ratio {}, a side {}",
                    share(ratio),
                    share(one)
                );
                assert!(
                    share(ratio) > 0.945 && share(ratio) < 0.985,
                    "{runs} {noise:?}"
                );
                assert!(share(one) > 0.925, "{runs} {noise:?}");
            }
        }
    }

    #[test]
    fn one_run_far_out_hardly_widens_an_interval_of_ten() {
        let usual: Vec<f64> = (0..10).map(f64::from).collect();
        let mut with_one_out = usual.clone();
        with_one_out[9] = 1_000.0;
        let width = |a: &[f64]| {
            let interval = of_difference(a, &usual).expect("enough runs");
            interval.high - interval.low
        };
        assert!(width(&with_one_out) < 1.5 * width(&usual));
    }
}
