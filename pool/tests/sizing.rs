//! Capacities by Little's law, by Erlang's loss formula, and from a peak.
#![cfg(not(loom))]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use proptest::prelude::*;
use tailcut_pool::Pool;
use tailcut_pool::sizing::{Load, Rate, Sizing, SizingError};

/// A load of `mean` objects in use: so many requests a second, one second each.
fn load(mean: f64) -> Sizing<Load> {
    Sizing::for_load(Rate::per_second(mean), Duration::from_secs(1))
}

#[test]
fn the_usual_rule_is_mean_times_one_and_a_half_up_to_a_power_of_two() {
    for (rate, held_for, in_use, capacity, back_pressure_at) in [
        (282.0, Duration::from_millis(80), 22.56, 64, 48), // 23 x 1.5 = 34.5
        (
            2_400_000.0,
            Duration::from_millis(50),
            120_000.0,
            262_144,
            196_608,
        ),
        (1000.0, Duration::from_millis(10), 10.0, 16, 12),
        (0.1, Duration::from_millis(1), 0.0001, 2, 2),
        (0.0, Duration::from_secs(1), 0.0, 1, 1),
        (1e9, Duration::ZERO, 0.0, 1, 1),
    ] {
        let advice = Sizing::for_load(Rate::per_second(rate), held_for)
            .recommend()
            .unwrap();
        assert_eq!(
            (advice.in_use, advice.capacity, advice.back_pressure_at),
            (in_use, capacity, back_pressure_at)
        );
    }
}

#[test]
fn a_mean_that_is_whole_is_not_rounded_up_further() {
    for millis in 1..=1000 {
        let advice = Sizing::for_load(Rate::per_second(2_400_000.0), Duration::from_millis(millis));
        let advice = advice.headroom(1.0).exact().recommend().unwrap();
        assert_eq!(advice.capacity as u64, 2400 * millis);
    }
}

#[test]
fn back_pressure_begins_at_three_quarters() {
    for capacity in 1..1000_u64 {
        let advice = Sizing::from_peak(capacity).headroom(1.0).exact();
        let advice = advice.recommend().unwrap();
        for in_use in 0..=advice.capacity {
            let expected = in_use as f64 >= 0.75 * capacity as f64;
            assert_eq!(advice.back_pressure(in_use), expected);
        }
    }
}

#[test]
fn memory_counts_whole_cache_lines() {
    let advice = Sizing::from_peak(1000).headroom(1.0).exact();
    let advice = advice.recommend().unwrap();
    assert_eq!(advice.bytes(256), 256_000);
    assert_eq!(advice.bytes(65), 128_000);
    assert_eq!(advice.bytes(0), 64_000);
    assert!(advice.bytes(usize::MAX) > usize::MAX as u128);
}

/// Load, capacity, share refused. The upper part was computed from the closed formula in exact
/// rational arithmetic (Python's `fractions`), the lower one, where that would take too long, from
/// Poisson probabilities with 60 digits (mpmath).
const REFUSED: [(f64, u32, f64); 20] = [
    (1.0, 1, 0.5),
    (1.0, 2, 0.2),
    (2.5, 7, 9.983_011_310_672e-3),
    (10.0, 15, 3.649_694_547_237e-2),
    (10.0, 16, 2.230_187_204_036e-2),
    (10.0, 20, 1.869_049_852_354e-3),
    (25.0, 30, 5.260_317_222_814e-2),
    (100.0, 100, 7.570_045_271_086e-2),
    (100.0, 117, 9.790_071_125_371e-3),
    (100.0, 150, 6.511_168_497_672e-7),
    (0.001, 3, 1.665_000_833_056e-10),
    (300.0, 250, 1.806_266_430_356e-1),
    (120_000.0, 110_000, 8.342_478_126_516e-2),
    (120_000.0, 120_000, 2.299_761_382_492e-3),
    (120_000.0, 121_500, 1.009_191_514_876e-7),
    (1_000_000.0, 900_000, 1.000_089_982_009e-1),
    (1_000_000.0, 1_000_000, 7.974_603_068_556e-4),
    (1_000_000.0, 1_004_000, 1.349_970_944_363e-7),
    (2_147_483_648.0, 2_147_483_648, 1.721_750_206_204e-5),
    (2_147_483_648.0, 2_147_683_648, 7.769_111_803_938e-10),
];

#[test]
fn refusals_are_those_of_the_loss_formula() {
    for (mean, capacity, expected) in REFUSED {
        let refused = load(mean).refused_with(capacity).unwrap();
        let error = (refused / expected - 1.0).abs();
        assert!(
            error < 1e-9,
            "load {mean}, capacity {capacity}: {refused} for {expected}"
        );
    }
}

#[test]
fn a_published_table_value_is_met() {
    // 15 lines bear 8.108 erlangs at a loss of 1% (the manual of erlang.com's calculator).
    assert!(load(8.108).refused_with(15).unwrap() <= 0.01);
    assert!(load(8.109).refused_with(15).unwrap() > 0.01);
}

#[test]
fn the_capacity_for_a_share_of_refusals_is_the_least() {
    // Computed as `REFUSED` was.
    for (mean, share, expected) in [
        (1.0, 0.01, 5),
        (1.0, 1e-6, 10),
        (2.5, 0.01, 7),
        (10.0, 0.01, 18),
        (10.0, 1e-6, 29),
        (100.0, 0.01, 117),
        (100.0, 1e-9, 165),
        (120_000.0, 1e-3, 120_295),
        (120_000.0, 1e-6, 121_303),
        (1e6, 1e-9, 1_005_083),
    ] {
        let asked = load(mean).headroom(1.0).refusals_at_most(share).exact();
        assert_eq!(asked.recommend().unwrap().capacity, expected);
    }
}

#[test]
fn the_larger_of_headroom_and_refusals_counts() {
    let with = |mean, headroom| {
        let sizing = load(mean).headroom(headroom).refusals_at_most(1e-6);
        sizing.exact().recommend().unwrap().capacity
    };
    assert_eq!(with(10.0, 1.5), 29);
    assert_eq!(with(10.0, 4.0), 40);
    assert_eq!(with(120_000.0, 1.5), 180_000);
}

/// The share that a real pool refuses, on a clock of the test's own: requests come at random,
/// `held_for` gives each one's holding time from a random number below 1.
fn refused_by_a_pool(mean: f64, capacity: usize, held_for: impl Fn(f64) -> f64) -> f64 {
    const REQUESTS: u32 = 400_000;
    let pool = Pool::builder(|| ()).capacity(capacity).keep_as_is();
    let pool = pool.build().unwrap();
    let mut random = {
        let mut state = 1_u64;
        move || {
            // Knuth's MMIX generator; its upper bits are good enough here.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    };
    let mut ends = BinaryHeap::new();
    let mut held = Vec::new();
    let (mut now, mut refused) = (0.0, 0);
    for _ in 0..REQUESTS {
        now -= (1.0 - random()).ln() / mean;
        let nanos = (now * 1e9) as u64;
        while ends.peek().is_some_and(|&Reverse(end)| end <= nanos) {
            ends.pop();
            drop(held.pop()); // objects are alike: any of them will do
        }
        match pool.try_get() {
            Ok(object) => {
                held.push(object);
                ends.push(Reverse(nanos + (held_for(random()) * 1e9) as u64));
            }
            Err(_) => refused += 1,
        }
    }
    f64::from(refused) / f64::from(REQUESTS)
}

#[test]
fn a_pool_refuses_what_the_formula_says_however_holding_times_vary() {
    let expected = load(10.0).refused_with(14).unwrap();
    let constant = refused_by_a_pool(10.0, 14, |_| 1.0);
    let exponential = refused_by_a_pool(10.0, 14, |random| -(1.0 - random).ln());
    let one_in_ten_is_long =
        refused_by_a_pool(10.0, 14, |random| if random < 0.1 { 5.5 } else { 0.5 });
    for refused in [constant, exponential, one_in_ten_is_long] {
        let error = (refused / expected - 1.0).abs();
        assert!(
            error < 0.1,
            "{refused} refused where {expected} was foretold"
        );
    }
}

#[test]
fn what_makes_no_sense_is_named() {
    let second = Duration::from_secs(1);
    for rate in [-1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let sizing = Sizing::for_load(Rate::per_second(rate), second);
        for error in [
            sizing.recommend().unwrap_err(),
            sizing.refused_with(5).unwrap_err(),
        ] {
            assert!(matches!(error, SizingError::Rate(_)));
            assert!(error.to_string().contains(&rate.to_string()), "{error}");
        }
    }
    for rate in [
        Rate::counted(5, Duration::ZERO),
        Rate::counted(0, Duration::ZERO),
    ] {
        let refused = Sizing::for_load(rate, second).recommend();
        assert!(matches!(refused, Err(SizingError::Rate(_))));
    }
    for headroom in [0.0, 0.99, -2.0, f64::INFINITY, f64::NAN] {
        let error = load(1.0).headroom(headroom).recommend().unwrap_err();
        assert!(matches!(error, SizingError::Headroom(_)));
        assert!(error.to_string().contains(&headroom.to_string()), "{error}");
        assert!(Sizing::from_peak(1).headroom(headroom).recommend().is_err());
    }
    for share in [0.0, 1.0, -0.1, 2.0, f64::INFINITY, f64::NAN] {
        let error = load(1.0).refusals_at_most(share).recommend().unwrap_err();
        assert!(matches!(error, SizingError::Refusals(_)));
        assert!(error.to_string().contains(&share.to_string()), "{error}");
    }
}

#[test]
fn more_than_a_pool_can_hold_is_refused() {
    let most = u32::MAX as usize - 1;
    let exact = |peak| Sizing::from_peak(peak).headroom(1.0).exact().recommend();
    assert_eq!(exact(most as u64).unwrap().capacity, most);
    assert!(matches!(
        exact(most as u64 + 1),
        Err(SizingError::TooLarge { .. })
    ));
    let rounded = |peak| Sizing::from_peak(peak).headroom(1.0).recommend();
    assert_eq!(rounded(1 << 31).unwrap().capacity, 1 << 31);
    assert!(matches!(
        rounded((1 << 31) + 1),
        Err(SizingError::TooLarge { .. })
    ));

    for sizing in [
        load(f64::MAX),
        load(1e12),
        Sizing::for_load(Rate::per_second(1e300), Duration::MAX),
        load(5.0).headroom(1e300),
    ] {
        let refused = sizing.refusals_at_most(1e-6).recommend();
        assert!(matches!(refused, Err(SizingError::TooLarge { .. })));
    }
    assert!(Sizing::from_peak(u64::MAX).recommend().is_err());
}

proptest! {
    #[test]
    fn the_recursion_agrees_with_the_closed_formula(mean in 0.001_f64..30.0, capacity in 0_u32..60) {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..=capacity {
            term *= mean / f64::from(k);
            sum += term;
        }
        let refused = load(mean).refused_with(capacity).unwrap();
        prop_assert!((refused / (term / sum) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_object_less_would_refuse_more_than_was_allowed(
        mean in 0.001_f64..1e7,
        exponent in -12.0_f64..-0.01,
    ) {
        let share = 10_f64.powf(exponent);
        let sizing = load(mean).headroom(1.0).refusals_at_most(share).exact();
        let capacity = sizing.recommend().unwrap().capacity as u32;
        prop_assert!(sizing.refused_with(capacity).unwrap() <= share * (1.0 + 1e-9));
        let one_less = sizing.refused_with(capacity - 1).unwrap();
        // Less than the mean is never recommended, even where the share would allow it.
        prop_assert!(one_less > share * (1.0 - 1e-9) || f64::from(capacity) == mean.ceil());
    }
}
