//! Several tests at once: Holm's correction.
//!
//! Who looks at three percentiles has three chances to be fooled. Holm ("A simple sequentially rejective
//! multiple test procedure", 1979) keeps the chance that any of them is wrongly called a difference at the
//! level asked for, whatever the percentiles have to do with each other.
//!
//! Resampling the tests together (Westfall and Young's step-down minP) takes their correlation into account. It
//! was tried: simulated with six percentiles it found as much as Holm's for 5 + 5 and 7 + 7 runs (p is so
//! coarse there that nothing is left to gain), and for 6 + 6 some more (12 percentage points at most).

/// The p-values after correction, in the order given: each can be held against the level of the whole.
#[must_use]
pub fn adjusted(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|one, other| p[*one].total_cmp(&p[*other]));
    let mut adjusted = vec![1.0; p.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        // What comes after a larger p cannot be more significant than it.
        largest = largest.max((p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_p_pays_for_all_tests_and_the_largest_for_itself() {
        let corrected = adjusted(&[0.04, 0.01, 0.03]);
        let expected = [0.06, 0.03, 0.06];
        for (found, expected) in corrected.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(adjusted(&[0.5, 0.9]), [1.0, 1.0]);
        assert_eq!(adjusted(&[0.03]), [0.03]);
        assert!(adjusted(&[]).is_empty());
    }
}
