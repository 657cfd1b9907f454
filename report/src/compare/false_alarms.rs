//! How often a difference is claimed where there is none, and found where there is one: simulated comparisons, run
//! by run in the order in which they would be made, through the same functions as real ones.
//! The machines are those of `simulated.rs`.
//!
//! Figures of 6,000 simulated comparisons of 5 + 5 runs, judged by P50, P99 and P99.9: see the tests, which
//! print them with `--nocapture`.

use super::simulated::{Conditions, Machine, NOISY, QUIET};
use crate::statistics::holm;
use crate::statistics::rank_sum::rank_sum;

const DEFAULT_RUNS: u32 = 5;
const LEVEL: f64 = 0.05;

/// The shares of comparisons in which any difference was claimed, and one of P99.9.
fn claimed(conditions: Conditions, runs: u32, seed: u64) -> (f64, f64) {
    let rounds = if runs == DEFAULT_RUNS { 6_000 } else { 1_000 };
    let mut machine = Machine::new(conditions, seed);
    let (mut any, mut tail) = (0, 0);
    for _ in 0..rounds {
        let [a, b] = &machine.session(runs);
        let p: Vec<f64> = a
            .iter()
            .zip(b)
            .map(|(a, b)| rank_sum(a, b).expect("there are values").p)
            .collect();
        let adjusted = holm::adjusted(&p);
        any += u32::from(adjusted.iter().any(|p| *p <= LEVEL));
        tail += u32::from(adjusted[2] <= LEVEL);
    }
    let share = |count: u32| f64::from(count) / f64::from(rounds);
    (share(any), share(tail))
}

#[test]
fn a_side_compared_with_itself_differs_in_at_most_one_comparison_of_twenty() {
    for (name, conditions) in [("quiet", QUIET), ("noisy", NOISY)] {
        for runs in [DEFAULT_RUNS, 6, 8] {
            let (any, _) = claimed(conditions, runs, u64::from(runs));
            println!("{name}, {runs} + {runs} runs: {any}");
            assert!(any <= 0.05, "{name} {runs}: {any}");
        }
    }
}

#[test]
fn percentiles_that_vary_independently_raise_no_more_alarms() {
    let conditions = Conditions {
        whole_run: 0.0,
        ..QUIET
    };
    // The worst case, and known: 4 of 252 orders of 5 + 5 runs are significant, for each of three percentiles,
    // 1 - (1 - 4/252)^3 = 4.7%. Enough rounds to tell that from more than 5%.
    let seeds = [1, 2, 3, 4, 5, 6];
    let any = seeds
        .map(|seed| claimed(conditions, DEFAULT_RUNS, 10 * seed).0)
        .iter()
        .sum::<f64>()
        / 6.0;
    println!("independent: {any}");
    assert!(any <= 0.05, "{any}");
}

#[test]
fn what_is_there_is_found() {
    let with = |conditions: Conditions, effect| Conditions {
        effect,
        ..conditions
    };
    let found = |name: &str, conditions, runs| {
        let (any, tail) = claimed(conditions, runs, 17);
        println!("{name}, {runs} + {runs} runs: any {any}, P99.9 {tail}");
        (any, tail)
    };
    let twenty = with(QUIET, [1.2; 3]);
    assert!(found("20%", twenty, DEFAULT_RUNS).0 > 0.9);
    let (_, few) = found(
        "20% in the tail alone",
        with(QUIET, [1.0, 1.2, 1.2]),
        DEFAULT_RUNS,
    );
    let (_, more) = found("20% in the tail alone", with(QUIET, [1.0, 1.2, 1.2]), 10);
    assert!(few > 0.4 && more > 0.9, "{few} {more}");
    let double = with(QUIET, [1.0, 2.0, 2.0]);
    assert!(found("2x in the tail alone", double, DEFAULT_RUNS).1 > 0.99);
    let double = with(NOISY, [1.0, 2.0, 2.0]);
    assert!(found("2x in the tail alone, noisy", double, DEFAULT_RUNS).1 > 0.6);
}
