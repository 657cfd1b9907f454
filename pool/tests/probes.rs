//! What a tracer sees of a pool is what the pool itself counts.
#![cfg(all(target_os = "linux", target_arch = "x86_64", not(any(loom, miri))))]

mod tracer;

use tailcut_pool::{Builder, Pool};

const CAPACITY: usize = 300;

/// Takes everything, is refused once, and gives everything back.
fn round(pool: &Pool<u64, tailcut_pool::AsIs>) {
    let mut held = Vec::with_capacity(CAPACITY);
    while let Ok(guard) = pool.try_get() {
        held.push(guard);
    }
    assert_eq!(held.len(), CAPACITY);
}

fn a_tracer_agrees_with_the_statistics(
    paths: impl Fn(Builder<fn() -> u64, tailcut_pool::AsIs>) -> Pool<u64, tailcut_pool::AsIs>,
) {
    let pool = paths(
        Pool::builder((|| 0) as fn() -> u64)
            .keep_as_is()
            .capacity(CAPACITY)
            .sample_lifetimes(10),
    );
    // One thread on one CPU: every round is like the one before, once the first is over.
    round(&pool);
    let before = pool.statistics().total();
    round(&pool);
    let after = pool.statistics().total();
    let expected = [
        after.refills - before.refills,
        after.spills - before.spills,
        CAPACITY as u64 / 10,
        CAPACITY as u64 / 10,
    ];
    assert!(expected[0] > 0 && expected[1] > 0);
    let output = tracer::trace(
        r#"
        usdt:EXE:tailcut_pool:refill { @refills++; }
        usdt:EXE:tailcut_pool:spill { @spills++; }
        usdt:EXE:tailcut_pool:get { @gets++; }
        usdt:EXE:tailcut_pool:put { @puts++; }
        usdt:EXE:tailcut_pool:exhausted {
            @rounds++;
            printf("round %d %d %d %d\n", @refills, @spills, @gets, @puts);
            if (@rounds >= 50) { exit(); }
        }
        "#,
        || round(&pool),
    );
    let Some(output) = output else { return };
    let seen: Vec<[u64; 4]> = output
        .lines()
        .filter_map(|line| line.strip_prefix("round "))
        .map(|line| {
            let mut numbers = line.split(' ').map(|number| number.parse().unwrap());
            std::array::from_fn(|_| numbers.next().unwrap())
        })
        .collect();
    assert!(seen.len() >= 50);
    // The first rounds fall into the time of attaching, probe by probe.
    for pair in seen[10..].windows(2) {
        let grown: [u64; 4] = std::array::from_fn(|i| pair[1][i] - pair[0][i]);
        assert_eq!(grown, expected, "refills, spills, sampled gets and puts");
    }
}

#[test]
fn a_tracer_counts_refills_spills_and_samples_as_the_pool_does() {
    common::bind(0);
    a_tracer_agrees_with_the_statistics(|builder| builder.build().unwrap());
    a_tracer_agrees_with_the_statistics(|builder| builder.portable().build().unwrap());
}

mod common;
