//! What a comparison would have missed: the smallest difference that it would probably have shown.
//!
//! "No difference can be shown" is worth as much as the difference that could have been. It is found by
//! simulation: normal noise in the logarithms, one side shifted, the very test that decides, and the shift
//! bisected until the test finds it four times in five. It is stated in standard deviations of the noise,
//! which come from the runs measured ([`spread`]).
//!
//! For more than [`SIMULATED_LIMIT`] runs in all, by Noether's formula instead ("Sample size determination for
//! some common nonparametric tests", 1987), some percent too large by then.
//!
//! It is an estimate from few runs. Simulated, the difference stated for 5 + 5 and 8 + 8 runs is then found in
//! 76 to 79% of further comparisons if noise is log-normal, in 62 to 66% if one run in ten is far out.
//!
//! Cost: 3,000 tests for each of 20 steps; some milliseconds for 5 + 5.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::rank_sum::{rank_sum, smallest_p};
use super::{normal, sorted};

/// The most runs of both sides together for which power is simulated.
pub const SIMULATED_LIMIT: usize = 40;

/// How often the difference is to be found.
const POWER: f64 = 0.8;

/// The shift, in standard deviations of the noise from run to run, that a test of `a` + `b` runs at `level`
/// finds four times in five; `None` when no difference can be found with so few runs.
#[must_use]
pub fn detectable_shift(a: usize, b: usize, level: f64) -> Option<f64> {
    if smallest_p(a, b) > level {
        return None;
    }
    if a + b > SIMULATED_LIMIT {
        return Some(by_formula(a, b, level));
    }
    // p depends on U alone as long as nothing ties: tabulated once.
    let significant = significant_until(a, b, level);
    let mut normals = Normals(Xoshiro256PlusPlus::seed_from_u64(1));
    const ROUNDS: usize = 3_000;
    let noise: Vec<Vec<f64>> = (0..ROUNDS)
        .map(|_| (0..a + b).map(|_| normals.next()).collect())
        .collect();
    let power = |shift: f64| {
        let found = noise.iter().filter(|values| {
            let (first, second) = values.split_at(a);
            let above = first
                .iter()
                .flat_map(|one| second.iter().map(move |other| other + shift > *one))
                .filter(|above| *above)
                .count();
            above.min(a * b - above) <= significant
        });
        found.count() as f64 / ROUNDS as f64
    };
    let (mut low, mut high) = (0.0, 50.0);
    for _ in 0..20 {
        let middle = f64::midpoint(low, high);
        if power(middle) < POWER {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

/// The standard deviation of the noise from run to run, if it is normal but for some runs far out: the median
/// distance between two runs of the same side, over what it is for a standard normal distribution.
///
/// 0 when no side has two runs.
#[must_use]
pub fn spread(a: &[f64], b: &[f64]) -> f64 {
    /// The median distance of two standard normal values: 0.6745 times the square root of 2.
    const MEDIAN_DISTANCE: f64 = 0.953_872_552_417_5;
    let mut distances = Vec::new();
    for side in [a, b] {
        for (index, one) in side.iter().enumerate() {
            distances.extend(side[index + 1..].iter().map(|other| (one - other).abs()));
        }
    }
    let distances = sorted(&distances);
    if distances.is_empty() {
        return 0.0;
    }
    super::median_of(&distances) / MEDIAN_DISTANCE
}

/// The largest U (of the smaller side) at which p is at most `level`.
fn significant_until(a: usize, b: usize, level: f64) -> usize {
    // Samples without ties that have each U: the smallest value of `b` is moved up past one more of `a`, and so
    // on.
    let pairs = a * b;
    let p_of = |u: usize| {
        let mut above = vec![0; b];
        let mut rest = u;
        for place in above.iter_mut().rev() {
            *place = rest.min(a);
            rest -= *place;
        }
        let first: Vec<f64> = (1..=a).map(|value| value as f64).collect();
        // Between two values of `a`, and apart from each other.
        let second: Vec<f64> = above
            .iter()
            .enumerate()
            .map(|(index, above)| *above as f64 + (index as f64 + 1.0) / (b as f64 + 2.0))
            .collect();
        rank_sum(&first, &second).map_or(1.0, |found| found.p)
    };
    let (mut significant, mut not) = (0, pairs / 2 + 1);
    while not - significant > 1 {
        let middle = usize::midpoint(significant, not);
        if p_of(middle) <= level {
            significant = middle;
        } else {
            not = middle;
        }
    }
    significant
}

fn by_formula(a: usize, b: usize, level: f64) -> f64 {
    let (a, b) = (a as f64, b as f64);
    let all = a + b;
    let share = a / all;
    let z = normal::upper_quantile(level / 2.0) + normal::upper_quantile(1.0 - POWER);
    // The probability that a value of one side exceeds one of the other, which for a shift d of normal noise
    // is that of a normal value below d over the square root of 2.
    let superiority = 0.5 + z / (12.0 * share * (1.0 - share) * all).sqrt();
    normal::upper_quantile((1.0 - superiority).max(1e-9)) * std::f64::consts::SQRT_2
}

/// Normal numbers by the polar method of Marsaglia, without the second one of each pair.
pub(crate) struct Normals(pub(crate) Xoshiro256PlusPlus);

impl Normals {
    pub(crate) fn next(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// From 0 to below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulated::{Noise, RunToRun};

    #[test]
    fn with_too_few_runs_nothing_can_be_found() {
        assert_eq!(detectable_shift(3, 3, 0.05), None);
        assert_eq!(detectable_shift(4, 4, 0.05 / 3.0), None);
        assert!(detectable_shift(4, 4, 0.05).is_some());
    }

    #[test]
    fn more_runs_find_smaller_differences() {
        let shifts: Vec<f64> = [5, 6, 8, 12, 20, 30, 50]
            .into_iter()
            .map(|runs| detectable_shift(runs, runs, 0.05 / 3.0).expect("enough runs"))
            .collect();
        println!("{shifts:?}");
        assert!(shifts.is_sorted_by(|few, many| few > many), "{shifts:?}");
    }

    #[test]
    fn the_difference_said_to_be_seen_is_seen_four_times_in_five() {
        let level = 0.05 / 3.0;
        for (noise, runs) in [
            (Noise::LogNormal, 5),
            (Noise::LogNormal, 8),
            (Noise::Outliers, 5),
            (Noise::Outliers, 8),
        ] {
            let shift = detectable_shift(runs, runs, level).expect("enough runs");
            let mut source = RunToRun::new(noise, 0.1, 3);
            let rounds = 1_000;
            let mut found = 0;
            for _ in 0..rounds {
                // What one comparison says of itself, checked by the next one.
                let (a, b) = source.sides(runs);
                let missed = shift * spread(&a, &b);
                let (a, b) = source.sides(runs);
                let b: Vec<f64> = b.iter().map(|value| value + missed).collect();
                let p = rank_sum(&a, &b).expect("there are values").p;
                found += u32::from(p <= level);
            }
            let power = f64::from(found) / f64::from(rounds);
            println!("{noise:?}, n = {runs}: {power}");
            assert!((0.6..0.92).contains(&power), "{noise:?} {runs}: {power}");
        }
    }

    #[test]
    fn the_spread_of_runs_is_that_of_most_of_them() {
        let mut source = RunToRun::new(Noise::Outliers, 0.1, 5);
        let (a, b) = source.sides(2_000);
        let (a, b) = (&a[..400], &b[..400]);
        let found = spread(a, b);
        assert!((0.09..0.14).contains(&found), "{found}");
        assert_eq!(spread(&[1.0], &[2.0]), 0.0);
    }
}
