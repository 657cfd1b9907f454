//! A long stress, at least 10^8 operations: `cargo xtask stress`. What it checks is checked in
//! small by `tokens.rs` at every change.
#![cfg(not(any(loom, shuttle)))]

mod common;

use std::time::{Duration, Instant};

use common::trial::{Done, Trial, endings, operations};

/// Each trial's part of the operations, in percent; both paths have the same.
const TRIALS: [(&str, u64, Trial); 6] = [
    ("as many threads as cores", 12, trial(300, 2)),
    ("six threads, a hundred objects", 8, trial(100, 6)),
    (
        "threads that keep changing cores",
        8,
        Trial {
            migrating: true,
            ..trial(300, 4)
        },
    ),
    ("64 threads, 1000 objects", 10, trial(1000, 64)),
    ("64 threads fight over three objects", 2, trial(3, 64)),
    (
        "signals and changes of cores",
        8,
        Trial {
            migrating: true,
            signals: true,
            ..trial(300, 4)
        },
    ),
];

const fn trial(capacity: usize, threads: usize) -> Trial {
    Trial {
        portable: false,
        capacity,
        threads,
        migrating: false,
        signals: false,
        operations: 0,
    }
}

#[test]
#[ignore = "takes minutes: cargo xtask stress"]
fn a_hundred_million_operations_lose_nothing() {
    let wanted = operations(100_000_000);
    let begun = Instant::now();
    let (mut all, mut all_restarts) = (0, 0);
    let mut tell = |what: &str, done: Done, took: Duration| {
        let Done {
            operations,
            restarts,
            path,
        } = done;
        all += operations;
        all_restarts += restarts;
        let (path, seconds) = (path.to_string(), took.as_secs_f64());
        println!(
            "{what:<36} {path:<23} {operations:>11} operations {restarts:>8} restarts {seconds:>6.1} s"
        );
    };
    for portable in [false, true] {
        for (what, percent, trial) in TRIALS {
            let begun = Instant::now();
            let operations = (wanted * percent).div_ceil(100);
            let trial = Trial {
                portable,
                operations,
                ..trial
            };
            tell(what, trial.run(), begun.elapsed());
        }
        let begun = Instant::now();
        let done = endings(portable, 4, wanted.div_ceil(50));
        tell("pools that end before their guards", done, begun.elapsed());
    }
    println!(
        "in all: {all} operations, {all_restarts} restarts, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(all >= wanted, "only {all} operations");
}
