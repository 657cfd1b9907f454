//! What two or three runs of a side can say of a difference: little, and this is how little.
//!
//! With so few runs no test that assumes nothing can find anything: of 2 + 2 values complete separation has p = 0.33
//! ([`rank_sum`](super::rank_sum)). A bootstrap over runs would draw from two values; one over the seconds
//! of the runs would only know how seconds of one run differ, which is not what differs from run to run (each run has
//! its own memory layout and its own neighbours), and was therefore not made. Two things remain:
//!
//! - [`over_pairs`]: the lowest and the highest difference between a run of one side and a run of the other. If the
//!   sides differ by a shift and nothing else, this range holds it with a probability that is exactly known,
//!   1 - 2 / C(n + m, n): 67% for 2 + 2 runs, 90% for 3 + 3 (Moses' interval; Hollander and Wolfe, "Nonparametric
//!   statistical methods", 1999, 4.3). It is shown with that figure, never as if it were 95%.
//! - [`welch`]: a 95% interval that assumes normal noise, which of logarithms of latencies is half true. Welch's, with the
//!   fewest degrees of freedom that it can have, n - 1 of the smaller side, which makes it hold at least 95% whatever the
//!   two variances are (Mickey and Brown, "Bounds on the distribution functions of the Behrens-Fisher statistic",
//!   1966). For 2 + 2 runs the quantile is 12.7: only a difference that dwarfs the noise gets past it.
//!
//! Coverage of [`welch`]'s 95% in this module's simulation (20,000 comparisons; noise log-normal, log-normal with one run in
//! ten far out, exponential): 99.2 to 99.6% for 2 + 2 runs, 98.7 to 99.1% for 3 + 3; of [`over_pairs`], 66 to 67% and 90%.

use std::f64::consts::PI;

use super::bootstrap::ConfidenceInterval;
use super::mean;

/// The lowest and the highest difference of a value of `b` and one of `a`, and the probability with which a shift between
/// them lies in that range; nothing without values on both sides.
///
/// Given logarithms it is the range of a quotient.
#[must_use]
pub fn over_pairs(a: &[f64], b: &[f64]) -> Option<(ConfidenceInterval, f64)> {
    let ends = |values: &[f64]| {
        let low = values.iter().copied().reduce(f64::min)?;
        Some((low, values.iter().copied().reduce(f64::max)?))
    };
    let ((a_low, a_high), (b_low, b_high)) = (ends(a)?, ends(b)?);
    let range = ConfidenceInterval {
        low: b_low - a_high,
        high: b_high - a_low,
    };
    Some((range, 1.0 - super::rank_sum::smallest_p(a.len(), b.len())))
}

/// Where the difference of the means, `b` less `a`, lies with 95% confidence if noise is normal; nothing with fewer than
/// two values of either.
#[must_use]
pub fn welch(a: &[f64], b: &[f64]) -> Option<ConfidenceInterval> {
    let fewer = a.len().min(b.len());
    if fewer < 2 {
        return None;
    }
    let difference = mean(b.iter().copied()) - mean(a.iter().copied());
    let error = (variance(a) / a.len() as f64 + variance(b) / b.len() as f64).sqrt();
    let reach = error * upper_quantile(0.025, fewer - 1);
    Some(ConfidenceInterval {
        low: difference - reach,
        high: difference + reach,
    })
}

/// Of a sample: with n - 1.
fn variance(values: &[f64]) -> f64 {
    let middle = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    squares / (values.len() as f64 - 1.0)
}

/// The share of Student's distribution above `t`, by its closed form for whole degrees of freedom (Abramowitz and Stegun,
/// "Handbook of mathematical functions", 26.7.3 and 26.7.4).
fn upper_tail(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    // Each term is the one before it, times (k - 1) / k of its power and the cosine squared.
    let first = if freedom.is_multiple_of(2) { 1.0 } else { cos };
    let mut term = first;
    let mut sum = 0.0;
    let mut power = if freedom.is_multiple_of(2) { 0 } else { 1 };
    while power + 2 <= freedom {
        sum += term;
        power += 2;
        term *= (power - 1) as f64 / power as f64 * cos * cos;
    }
    let within = if freedom.is_multiple_of(2) {
        sin * sum
    } else {
        2.0 / PI * (angle + sin * sum)
    };
    0.5 * (1.0 - within)
}

/// The `t` that a share `tail` of the distribution exceeds, by bisection.
fn upper_quantile(tail: f64, freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if upper_tail(middle, freedom) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulated::{Noise, RunToRun};

    #[test]
    fn the_usual_quantiles_of_student_come_out() {
        // As printed in every table; scipy.stats.t.ppf(0.975, n).
        for (freedom, t) in [
            (1, 12.706_204_736),
            (2, 4.302_652_730),
            (3, 3.182_446_305),
            (4, 2.776_445_105),
            (5, 2.570_581_836),
            (8, 2.306_004_135),
            (9, 2.262_157_163),
            (30, 2.042_272_456),
        ] {
            let found = upper_quantile(0.025, freedom);
            assert!((found - t).abs() < 1e-8, "{freedom}: {found}");
        }
    }

    #[test]
    fn the_range_over_pairs_has_the_probability_of_a_rank_test() {
        let (range, probability) = over_pairs(&[1.0, 3.0], &[10.0, 20.0]).expect("values");
        assert_eq!((range.low, range.high), (7.0, 19.0));
        assert!((probability - (1.0 - 2.0 / 6.0)).abs() < 1e-12);
        let (_, three) = over_pairs(&[1.0; 3], &[1.0; 3]).expect("values");
        assert!((three - 0.9).abs() < 1e-12);
        assert_eq!(over_pairs(&[], &[1.0]), None);
    }

    #[test]
    fn one_run_of_a_side_has_no_interval() {
        assert_eq!(welch(&[1.0], &[2.0, 3.0]), None);
        let exact = welch(&[1.0, 1.0], &[3.0, 3.0]).expect("two of each");
        assert_eq!((exact.low, exact.high), (2.0, 2.0));
        // By hand: means 2 and 6, variances 2 and 2, so an error of the square root of 2.
        let found = welch(&[1.0, 3.0], &[5.0, 7.0]).expect("two of each");
        assert!((found.high - 4.0 - 12.706_204_736 * 2.0_f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn ranges_and_intervals_of_few_runs_hold_the_truth_as_often_as_they_say() {
        for (runs, stated) in [(2, 2.0 / 3.0), (3, 0.9)] {
            for noise in [Noise::LogNormal, Noise::Outliers, Noise::Skewed] {
                let mut source = RunToRun::new(noise, 0.1, 11);
                let rounds = 20_000;
                let (mut pairs, mut normal) = (0, 0);
                for _ in 0..rounds {
                    let (a, b) = source.sides(runs);
                    let (range, _) = over_pairs(&a, &b).expect("values");
                    pairs += u32::from(range.contains(0.0));
                    let interval = welch(&a, &b).expect("two of each");
                    normal += u32::from(interval.contains(0.0));
                }
                let share = |hits: u32| f64::from(hits) / f64::from(rounds);
                println!(
                    "n = {runs}, {noise:?}: over pairs {}, Welch {}",
                    share(pairs),
                    share(normal)
                );
                assert!((share(pairs) - stated).abs() < 0.02, "{runs} {noise:?}");
                assert!(share(normal) > 0.945, "{runs} {noise:?}");
            }
        }
    }

    #[test]
    fn unequal_noise_does_not_make_the_interval_too_narrow() {
        let mut quiet = RunToRun::new(Noise::LogNormal, 0.01, 5);
        let mut loud = RunToRun::new(Noise::LogNormal, 0.5, 6);
        let rounds = 20_000;
        let held = (0..rounds).filter(|_| {
            let (a, b) = (quiet.sides(2).0, loud.sides(2).0);
            welch(&a, &b).expect("two of each").contains(0.0)
        });
        let share = held.count() as f64 / f64::from(rounds);
        assert!(share > 0.945, "{share}");
    }
}
