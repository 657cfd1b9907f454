//! The normal distribution.

use std::f64::consts::SQRT_2;

/// The share of the standard normal distribution above `z`.
pub(super) fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / SQRT_2)
}

/// The `z` that a share `tail` (above 0, at most a half) of the standard normal distribution exceeds.
///
/// By bisection of [`upper_tail`], to the last digits: slower than a rational approximation, and without one's
/// error.
pub(super) fn upper_quantile(tail: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if upper_tail(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_quantiles_come_out() {
        for (tail, z) in [(0.025, 1.959_963_985), (0.2, 0.841_621_234), (0.5, 0.0)] {
            assert!((upper_quantile(tail) - z).abs() < 1e-8, "{tail}");
        }
    }
}
