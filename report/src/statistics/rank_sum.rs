//! The test of Mann and Whitney (Wilcoxon's rank sum): do values of one sample tend to be larger?
//!
//! For up to [`EXACT_LIMIT`] values in all, p is exact: the share of all ways to deal the values out to two
//! samples of these sizes whose rank sum is at least as far from its mean as the one found. Without ties that
//! is the exact distribution of U; with ties it is the permutation distribution of midranks, which the tables
//! do not hold but which costs the same here. Beyond, the normal approximation with corrections for ties and
//! continuity. Both as in Lehmann, "Nonparametrics", 1975, chapter 1, and equal to what
//! `scipy.stats.mannwhitneyu` (exact without ties, asymptotic) and `scipy.stats.permutation_test` (ties) give:
//! see `tests/statistics_reference.rs`.
//!
//! **The fewest runs.** The smallest p of n + n values is 2 / C(2n, n): 0.1 for 3 + 3, 0.029 for 4 + 4, 0.008 for
//! 5 + 5 ([`smallest_p`]).
//!
//! Cost: the exact distribution takes (n + m) n S additions, S being twice the largest rank sum: microseconds
//! for 5 + 5, 10 ms for 30 + 30.

use serde::Serialize;

use super::normal;

/// The most values of both samples together for which p is exact.
pub const EXACT_LIMIT: usize = 60;

/// What the test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RankSum {
    /// U of the second sample: the pairs in which its value is the larger one; equal pairs count a half.
    pub u: f64,
    /// Of all pairs.
    pub pairs: f64,
    /// Two-sided.
    pub p: f64,
    /// Whether p is exact rather than the normal approximation.
    pub exact: bool,
}

impl RankSum {
    /// Vargha and Delaney's A12 ("A critique and improvement of the CL common language effect size statistics",
    /// 2000): the share of pairs in which the second sample's value is the larger one. 0.5 is no
    /// difference, 0 and 1 are complete separation.
    #[must_use]
    pub fn superiority(&self) -> f64 {
        self.u / self.pairs
    }

    /// Cliff's delta: from -1 (every value of the second sample is smaller) to 1.
    #[must_use]
    pub fn delta(&self) -> f64 {
        2.0 * self.superiority() - 1.0
    }

    /// The size of the effect in a word, by the usual limits of Cliff's delta: 0.147, 0.33, 0.474.
    #[must_use]
    pub fn effect(&self) -> &'static str {
        match self.delta().abs() {
            size if size < 0.147 => "negligible",
            size if size < 0.33 => "small",
            size if size < 0.474 => "medium",
            _ => "large",
        }
    }
}

/// Tests whether `b` tends to be larger or smaller than `a`; `None` when one of them is empty or holds a NaN.
#[must_use]
pub fn rank_sum(a: &[f64], b: &[f64]) -> Option<RankSum> {
    if a.is_empty() || b.is_empty() || a.iter().chain(b).any(|value| value.is_nan()) {
        return None;
    }
    let ranks = Ranks::of(a, b);
    let (first, second) = (a.len() as f64, b.len() as f64);
    let u = ranks.doubled_sum_of_second as f64 / 2.0 - second * (second + 1.0) / 2.0;
    let exact = a.len() + b.len() <= EXACT_LIMIT;
    let p = if exact {
        ranks.exact_p(b.len())
    } else {
        ranks.normal_p(u, first, second)
    };
    Some(RankSum {
        u,
        pairs: first * second,
        p,
        exact,
    })
}

/// The smallest p that samples of these sizes can have: that of complete separation.
#[must_use]
pub fn smallest_p(a: usize, b: usize) -> f64 {
    // 2 / C(a + b, a), without large factorials.
    let ways = (1..=a).fold(1.0, |ways, k| ways * (b + k) as f64 / k as f64);
    (2.0 / ways).min(1.0)
}

/// Midranks, doubled so that they are whole numbers.
struct Ranks {
    doubled: Vec<usize>,
    doubled_sum_of_second: usize,
    /// The sum of t^3 - t over the groups of t equal values.
    ties: f64,
}

impl Ranks {
    fn of(a: &[f64], b: &[f64]) -> Ranks {
        let mut all: Vec<(f64, bool)> = a.iter().map(|value| (*value, false)).collect();
        all.extend(b.iter().map(|value| (*value, true)));
        all.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut ranks = Ranks {
            doubled: Vec::with_capacity(all.len()),
            doubled_sum_of_second: 0,
            ties: 0.0,
        };
        for equal in all.chunk_by(|one, other| one.0 == other.0) {
            // Ranks r + 1 to r + t have the mean r + (t + 1) / 2.
            let doubled = 2 * ranks.doubled.len() + equal.len() + 1;
            let of_second = equal.iter().filter(|(_, second)| *second).count();
            ranks.doubled_sum_of_second += doubled * of_second;
            let tied = equal.len() as f64;
            ranks.ties += tied * tied * tied - tied;
            ranks
                .doubled
                .extend(std::iter::repeat_n(doubled, equal.len()));
        }
        ranks
    }

    /// Counts, for every sum, the ways to choose `size` of the ranks that have it: by taking one rank after the
    /// other into account.
    fn exact_p(&self, size: usize) -> f64 {
        let most: usize = self.doubled.iter().rev().take(size).sum();
        let width = most + 1;
        // Ways to choose k ranks with sum s, at k * width + s. Up to 10^17, of which 53 bits are kept.
        let mut ways = vec![0.0_f64; (size + 1) * width];
        ways[0] = 1.0;
        for rank in &self.doubled {
            for chosen in (1..=size).rev() {
                let (fewer, these) = ways.split_at_mut(chosen * width);
                let fewer = &fewer[(chosen - 1) * width..];
                for sum in *rank..width {
                    these[sum] += fewer[sum - rank];
                }
            }
        }
        let sums = &ways[size * width..];
        // The mean of all doubled sums is size (N + 1): a whole number.
        let mean = size * (self.doubled.len() + 1);
        let distance = self.doubled_sum_of_second.abs_diff(mean);
        let far = |&(sum, _): &(usize, &f64)| sum.abs_diff(mean) >= distance;
        let extreme: f64 = sums
            .iter()
            .enumerate()
            .filter(far)
            .map(|(_, ways)| ways)
            .sum();
        (extreme / sums.iter().sum::<f64>()).min(1.0)
    }

    fn normal_p(&self, u: f64, first: f64, second: f64) -> f64 {
        let all = first + second;
        let variance =
            first * second / 12.0 * (all + 1.0 - self.ties / (all * (all - 1.0)).max(1.0));
        // All values are equal.
        if variance <= 0.0 {
            return 1.0;
        }
        let distance = (u - first * second / 2.0).abs() - 0.5;
        (2.0 * normal::upper_tail(distance / variance.sqrt())).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn complete_separation_has_the_smallest_p_there_is() {
        for (n, smallest) in [(3, 0.1), (4, 2.0 / 70.0), (5, 2.0 / 252.0)] {
            let a: Vec<f64> = (0..n).map(f64::from).collect();
            let b: Vec<f64> = (n..2 * n).map(f64::from).collect();
            let found = rank_sum(&a, &b).expect("there are values");
            assert!((found.p - smallest).abs() < 1e-12, "{n}: {}", found.p);
            assert!((smallest_p(a.len(), b.len()) - smallest).abs() < 1e-12);
            assert_eq!((found.superiority(), found.effect()), (1.0, "large"));
        }
    }

    #[test]
    fn equal_samples_do_not_differ() {
        let found = rank_sum(&[3.0; 5], &[3.0; 5]).expect("there are values");
        assert_eq!(
            (found.p, found.superiority(), found.effect()),
            (1.0, 0.5, "negligible")
        );
        let many = rank_sum(&[3.0; 50], &[3.0; 50]).expect("there are values");
        assert_eq!((many.p, many.exact), (1.0, false));
    }

    #[test]
    fn nothing_can_be_said_of_no_values() {
        assert_eq!(rank_sum(&[], &[1.0]), None);
        assert_eq!(rank_sum(&[f64::NAN], &[1.0]), None);
    }

    #[test]
    fn the_approximation_continues_where_the_exact_test_ends() {
        let sample = |count: usize, shift: f64| -> Vec<f64> {
            (0..count)
                .map(|index| (index * 37 % 101) as f64 + shift)
                .collect()
        };
        let exact = rank_sum(&sample(30, 0.0), &sample(30, 12.0)).expect("there are values");
        assert!(exact.exact);
        let ranks = Ranks::of(&sample(30, 0.0), &sample(30, 12.0));
        let approximate = ranks.normal_p(exact.u, 30.0, 30.0);
        assert!(
            (exact.p / approximate - 1.0).abs() < 0.05,
            "{} {approximate}",
            exact.p
        );
    }

    proptest! {
        #[test]
        fn the_sides_can_be_exchanged(
            a in proptest::collection::vec(0u8..9, 1..40),
            b in proptest::collection::vec(0u8..9, 1..40),
        ) {
            let a: Vec<f64> = a.into_iter().map(f64::from).collect();
            let b: Vec<f64> = b.into_iter().map(f64::from).collect();
            let there = rank_sum(&a, &b).expect("there are values");
            let back = rank_sum(&b, &a).expect("there are values");
            prop_assert!((there.p - back.p).abs() < 1e-9);
            prop_assert!((there.superiority() + back.superiority() - 1.0).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&there.p));
        }
    }
}
