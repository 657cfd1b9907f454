//! How often the gate fails where nothing is worse than tolerated, and where something is: simulated sessions, through
//! the functions that judge real ones. The figures stand in the module's head; the tests print them with
//! `--nocapture`.

use super::regression::{beyond, judge};
use crate::compare::simulated::{Conditions, Machine, NOISY, QUIET};

const LEVEL: f64 = 0.05;
const TOLERATED: f64 = 0.05;
/// Enough for the figures of the module's head; without optimisation as many as a test can wait for.
const SESSIONS: u32 = if cfg!(debug_assertions) { 500 } else { 10_000 };

/// The share of gates that fail.
fn failing(conditions: Conditions, runs: u32, tolerated: f64) -> f64 {
    let mut machine = Machine::new(conditions, u64::from(runs));
    let failed = (0..SESSIONS).filter(|_| {
        let [base, new] = machine.session(runs);
        let tests: Vec<_> = base
            .iter()
            .zip(&new)
            .map(|(base, new)| beyond(base, new, f64::ln_1p(tolerated)))
            .collect();
        judge(&tests, LEVEL).iter().any(|(_, regressed)| *regressed)
    });
    failed.count() as f64 / f64::from(SESSIONS)
}

fn with(conditions: Conditions, effect: [f64; 3]) -> Conditions {
    Conditions {
        effect,
        ..conditions
    }
}

#[test]
fn a_change_that_makes_nothing_worse_than_tolerated_fails_in_at_most_one_gate_of_twenty() {
    for runs in [5, 8, 12] {
        for (name, conditions, tolerated) in [
            ("the same, quiet", QUIET, TOLERATED),
            ("the same, noisy", NOISY, TOLERATED),
            ("the same, quiet, nothing tolerated", QUIET, 0.0),
            ("the same, noisy, nothing tolerated", NOISY, 0.0),
            ("just what is tolerated", with(QUIET, [1.05; 3]), TOLERATED),
        ] {
            let share = failing(conditions, runs, tolerated);
            println!("{name}, {runs} + {runs} runs: {share}");
            assert!(share <= LEVEL, "{name} {runs}: {share}");
        }
    }
}

#[test]
fn a_change_that_makes_things_worse_is_found_the_more_surely_the_more_runs_there_are() {
    let all = [5, 8, 12].map(|runs| {
        let share = failing(with(QUIET, [1.2; 3]), runs, TOLERATED);
        println!("20% slower, {runs} + {runs} runs: {share}");
        share
    });
    assert!(all[0] > 0.5 && all[1] > 0.9 && all[2] > 0.98, "{all:?}");
    let tail = [5, 8, 12].map(|runs| {
        let share = failing(with(QUIET, [1.0, 1.2, 1.2]), runs, TOLERATED);
        println!("20% slower in the tail alone, {runs} + {runs} runs: {share}");
        share
    });
    assert!(tail[0] < tail[1] && tail[1] < tail[2], "{tail:?}");
}
