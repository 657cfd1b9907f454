//! Trends in short, noisy series, judged by ranks alone: one wild second moves them little.
//!
//! - **Mann-Kendall** (Mann, "Nonparametric tests against trend", Econometrica 1945): S is the number of
//!   pairs that rise minus the number that fall. How large S gets by chance is known exactly; the
//!   normal approximation with continuity correction, rounded up to what S can be, gives the exact
//!   critical values of the tables from 4 points on.
//! - **Theil-Sen** (Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 1968):
//!   the trend is the median of all pairs' slopes, and its confidence interval is cut off their sorted
//!   list where Mann-Kendall's critical value says.
//!
//! Cost: all pairs of at most [`LONGEST`] points, some microseconds.

/// No more points than this are looked at.
pub(super) const LONGEST: usize = 40;

/// The trend of a series with one point a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trend {
    /// Median slope, per second.
    pub(super) slope: f64,
    /// Its confidence interval, 5% or less on either side (17% with three points, the least that
    /// three can give).
    pub(super) least: f64,
    /// See [`Trend::least`].
    pub(super) most: f64,
    /// Whether so much order comes by chance in less than 5% of series that have none, on either side.
    pub(super) significant: bool,
}

impl Trend {
    /// Of `values`, of which there must be 3 to [`LONGEST`]; nothing otherwise.
    pub(super) fn of(values: &[f64]) -> Option<Trend> {
        if !(3..=LONGEST).contains(&values.len()) {
            return None;
        }
        let mut slopes = Vec::with_capacity(values.len() * (values.len() - 1) / 2);
        let mut order = 0_i64;
        for (first, &earlier) in values.iter().enumerate() {
            for (later, &value) in values.iter().enumerate().skip(first + 1) {
                order += i64::from(value > earlier) - i64::from(value < earlier);
                #[allow(clippy::cast_precision_loss)] // at most LONGEST
                slopes.push((value - earlier) / (later - first) as f64);
            }
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let pairs = slopes.len();
        let critical = critical(values.len());
        // Hollander and Wolfe, "Nonparametric Statistical Methods", 9.3: with C the next smaller value
        // of S, the interval runs from the M-th slope to the M-th last, M = (pairs - C) / 2.
        let cut = (pairs - critical.saturating_sub(2)) / 2;
        let cut = cut.clamp(1, pairs.div_ceil(2));
        Some(Trend {
            slope: f64::midpoint(slopes[(pairs - 1) / 2], slopes[pairs / 2]),
            least: slopes[cut - 1],
            most: slopes[pairs - cut],
            significant: order.unsigned_abs() >= critical as u64,
        })
    }
}

/// The least |S| of `points` values that chance gives in less than 5% of series on one side; with three
/// points the largest that there is.
fn critical(points: usize) -> usize {
    let pairs = points * (points - 1) / 2;
    #[allow(clippy::cast_precision_loss)] // at most LONGEST
    let variance = (points * (points - 1) * (2 * points + 5)) as f64 / 18.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 200
    let least = (1.0 + 1.645 * variance.sqrt()).ceil() as usize;
    // S is odd where the number of pairs is odd.
    let least = least + usize::from(least % 2 != pairs % 2);
    least.min(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn critical_values_are_those_of_kendalls_table() {
        // Kendall, "Rank Correlation Methods", one-sided 5%.
        let table = [(4, 6), (5, 8), (6, 11), (7, 13), (8, 16), (9, 18), (10, 21)];
        for (points, least) in table {
            assert_eq!(critical(points), least, "{points} points");
        }
    }

    #[test]
    fn a_straight_line_has_its_own_slope_and_no_doubt_about_it() {
        let line: Vec<f64> = (0..12)
            .map(|second| 7.0 - 0.25 * f64::from(second))
            .collect();
        let trend = Trend::of(&line).unwrap();
        for slope in [trend.slope, trend.least, trend.most] {
            assert!((slope + 0.25).abs() < 1e-12);
        }
        assert!(trend.significant);
    }

    #[test]
    fn a_constant_has_no_trend() {
        let trend = Trend::of(&[3.0; 9]).unwrap();
        assert_eq!((trend.slope, trend.significant), (0.0, false));
    }

    #[test]
    fn one_wild_point_in_the_middle_of_nine_changes_no_verdict() {
        let mut values = [1.0; 9];
        values[4] = 1e6;
        let trend = Trend::of(&values).unwrap();
        assert_eq!(trend.slope, 0.0);
        assert!(!trend.significant);
        assert_eq!((trend.least, trend.most), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_slope_and_turns_round_with_the_series(values in proptest::collection::vec(-1e3_f64..1e3, 3..=LONGEST)) {
            let trend = Trend::of(&values).unwrap();
            prop_assert!(trend.least <= trend.slope && trend.slope <= trend.most);
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            let mirrored = Trend::of(&mirrored).unwrap();
            prop_assert_eq!((mirrored.least, mirrored.most), (-trend.most, -trend.least));
            prop_assert_eq!(mirrored.significant, trend.significant);
        }
    }
}
