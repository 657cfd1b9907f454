//! Statistics: exact while nobody uses the pool, whatever was done before.
#![cfg(not(loom))]

mod common;

use common::{both_paths, on_cpu};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tailcut_pool::{CoreStatistics, Pool, Statistics};

/// What was taken and not given back is in use, and every object is in one place.
fn assert_exact(statistics: &Statistics, in_use: usize) {
    let total = statistics.total();
    assert_eq!(statistics.in_use, in_use, "{statistics:?}");
    assert_eq!(total.gets, total.puts + in_use as u64, "{statistics:?}");
    assert_eq!(statistics.free(), statistics.capacity - in_use);
    assert_eq!(
        total.resident + statistics.in_depot + statistics.loose,
        statistics.free(),
        "{statistics:?}"
    );
}

#[test]
fn a_new_pool_has_done_nothing() {
    both_paths(|builder| {
        let pool = builder.capacity(100).build().unwrap();
        let statistics = pool.statistics();
        assert_eq!(statistics.total(), CoreStatistics::default());
        assert_eq!(statistics.capacity, 100);
        assert_eq!(statistics.path, pool.path());
        assert_eq!(
            (statistics.grown, statistics.shrunk, statistics.discarded),
            (0, 0, 0)
        );
        assert_exact(&statistics, 0);
    });
}

#[test]
fn every_get_and_put_of_one_thread_is_counted() {
    both_paths(|builder| {
        let pool = builder.capacity(300).build().unwrap();
        let mut expected = 0;
        for round in 1..=20_usize {
            let held: Vec<_> = (0..round * 15).map(|_| pool.try_get().unwrap()).collect();
            expected += held.len() as u64;
            assert_exact(&pool.statistics(), held.len());
            drop(held);
            let total = pool.statistics().total();
            assert_eq!((total.gets, total.puts), (expected, expected));
        }
    });
}

#[test]
fn gets_and_puts_balance_after_many_threads_did_everything() {
    for portable in [false, true] {
        let builder = Pool::builder(|| 0_u64).keep_as_is().capacity(150).wait();
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let taken = AtomicUsize::new(0);
        let count = |objects: usize| {
            taken.fetch_add(objects, Ordering::Relaxed);
        };
        thread::scope(|scope| {
            for id in 0..6_usize {
                let (pool, count) = (&pool, &count);
                scope.spawn(move || {
                    common::bind(id % 2);
                    let mut window = pool.window();
                    for turn in 0..4_000 {
                        match (turn + id) % 7 {
                            0 => {
                                if let Ok(all) = pool.try_get_array::<20>() {
                                    count(20);
                                    pool.put_all(all);
                                }
                            }
                            1 => {
                                drop(pool.get());
                                count(1);
                            }
                            2 => {
                                if let Ok(guard) = pool.try_get() {
                                    count(1);
                                    window.push(guard);
                                }
                            }
                            3 if window.len() > 15 => window.release(),
                            4 => count(usize::from(pool.try_get_owned().is_ok())),
                            5 => count(usize::from(
                                pool.get_timeout(Duration::from_micros(50)).is_ok(),
                            )),
                            _ => {
                                let some: Vec<_> =
                                    (0..3).filter_map(|_| pool.try_get().ok()).collect();
                                count(some.len());
                            }
                        }
                    }
                });
            }
        });
        let statistics = pool.statistics();
        assert_exact(&statistics, 0);
        // What an array could not be filled with was taken and given back as well.
        assert!(statistics.total().gets >= taken.into_inner() as u64);
        assert_eq!(statistics.waiting, 0);
        let held = pool.try_get_array::<7>().unwrap();
        assert_exact(&pool.statistics(), 7);
        drop(held);
    }
}

#[test]
fn refills_and_spills_are_counted_by_batches() {
    both_paths(|builder| {
        let pool = builder.capacity(10_000).build().unwrap();
        let held: Vec<_> = (0..10_000).map(|_| pool.try_get().unwrap()).collect();
        let taken = pool.statistics();
        // The pool was full, in batches of at most 32.
        assert!(taken.total().refills >= 10_000 / 32, "{taken:?}");
        assert_eq!(taken.total().spills, 0);
        assert_eq!((taken.in_depot, taken.loose), (0, 0));
        drop(held);
        let given = pool.statistics();
        // No more than 64 stay in the magazine.
        assert!(given.total().spills >= (10_000 - 2 * 64) / 32, "{given:?}");
        assert_eq!(given.total().refills, taken.total().refills);
        assert!(given.in_depot >= 10_000 - 2 * 64 - 32, "{given:?}");
    });
}

#[test]
fn refusals_are_counted_as_misses() {
    both_paths(|builder| {
        let pool = builder.capacity(3).build().unwrap();
        let all = pool.try_get_array::<3>().unwrap();
        for misses in 1..=10 {
            assert!(pool.try_get().is_err());
            assert_eq!(pool.statistics().total().misses, misses);
        }
        drop(all);
    });
}

#[test]
fn waits_are_counted_whatever_their_end() {
    both_paths(|builder| {
        let pool = builder.capacity(1).wait().build().unwrap();
        drop(pool.get());
        let held = pool.get();
        assert_eq!(pool.statistics().total().waits, 0);
        assert!(pool.get_timeout(Duration::from_millis(1)).is_err());
        thread::scope(|scope| {
            scope.spawn(|| drop(pool.get()));
            while pool.statistics().waiting == 0 {
                thread::yield_now();
            }
            drop(held);
        });
        let statistics = pool.statistics();
        assert_eq!((statistics.total().waits, statistics.waiting), (2, 0));
        assert_exact(&statistics, 0);
    });
}

#[test]
fn an_object_taken_from_another_core_is_counted_as_stolen() {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        eprintln!("SKIPPED: one CPU has nobody to take from");
        return;
    }
    both_paths(|builder| {
        let pool = builder.capacity(2).build().unwrap();
        // Both threads live at once, so that they are two cores on the portable path, too. (Some
        // may share a magazine there: hence several rounds.)
        for round in 0..50 {
            on_cpu(round % 2, || {
                drop(pool.try_get_array::<2>().unwrap());
                on_cpu((round + 1) % 2, || drop(pool.try_get().unwrap()));
            });
        }
        let statistics = pool.statistics();
        assert!(statistics.total().steals > 0, "{statistics:?}");
        assert_exact(&statistics, 0);
    });
}

#[test]
fn the_total_is_the_sum_over_the_cores() {
    both_paths(|builder| {
        let pool = builder.capacity(200).build().unwrap();
        for cpu in 0..2 {
            on_cpu(cpu, || {
                drop((0..50).map(|_| pool.try_get()).collect::<Vec<_>>());
            });
        }
        let statistics = pool.statistics();
        let sum = |what: fn(&CoreStatistics) -> u64| statistics.cores.iter().map(what).sum::<u64>();
        let total = statistics.total();
        assert_eq!(total.gets, sum(|core| core.gets));
        assert_eq!(total.puts, sum(|core| core.puts));
        assert_eq!(total.gets, 100);
        assert_eq!(total.refills, sum(|core| core.refills));
        assert_eq!(total.resident as u64, sum(|core| core.resident as u64));
        assert!(statistics.cores.iter().all(|core| core.resident <= 64));
    });
}

#[test]
fn the_core_that_worked_is_the_one_that_counts() {
    both_paths(|builder| {
        let pool = builder.capacity(200).build().unwrap();
        if pool.path() != tailcut_pool::Path::Rseq {
            return;
        }
        on_cpu(0, || {
            drop((0..50).map(|_| pool.try_get()).collect::<Vec<_>>());
        });
        let statistics = pool.statistics();
        assert_eq!(statistics.cores[0].gets, 50);
        assert_eq!(statistics.cores[0].puts, 50);
        assert!(statistics.cores[1..].iter().all(|core| core.gets == 0));
    });
}

#[test]
fn the_high_water_mark_bounds_what_was_in_use_from_above() {
    both_paths(|builder| {
        let pool = builder.capacity(5_000).build().unwrap();
        for most in [10, 700, 300, 4_000, 50] {
            let held: Vec<_> = (0..most).map(|_| pool.try_get().unwrap()).collect();
            assert!(pool.statistics().high_water >= most);
            drop(held);
        }
        let high_water = pool.statistics().high_water;
        let magazines = 64 * pool.statistics().cores.len();
        assert!(
            (4_000..=4_000 + magazines).contains(&high_water),
            "{high_water}"
        );
    });
}

#[test]
fn the_high_water_mark_never_falls() {
    both_paths(|builder| {
        let pool = builder.capacity(1_000).room_for(2_000).build().unwrap();
        drop((0..1_000).map(|_| pool.try_get()).collect::<Vec<_>>());
        assert_eq!(pool.statistics().high_water, 1_000);
        pool.decay();
        assert_eq!(pool.statistics().high_water, 1_000, "after decay");
        pool.resize(100);
        assert_eq!(pool.statistics().high_water, 1_000, "after shrinking");
    });
}

#[test]
fn growing_a_pool_does_not_raise_its_high_water_mark() {
    both_paths(|builder| {
        let pool = builder.capacity(100).room_for(10_000).build().unwrap();
        drop((0..100).map(|_| pool.try_get()).collect::<Vec<_>>());
        pool.resize(10_000);
        let high_water = pool.statistics().high_water;
        let magazines = 64 * pool.statistics().cores.len();
        assert!(
            (100..=100 + magazines).contains(&high_water),
            "{high_water}"
        );
    });
}

#[test]
fn growing_shrinking_and_discarding_are_counted() {
    let pool = Pool::builder(|| 0_u64)
        .keep_as_is()
        .reusable_if(|object: &u64| *object != 7)
        .capacity(10)
        .room_for(20)
        .build()
        .unwrap();
    pool.resize(20);
    pool.resize(5);
    *pool.try_get().unwrap() = 7;
    assert_eq!(*pool.try_get().unwrap(), 0);
    let statistics = pool.statistics();
    assert_eq!(
        (statistics.grown, statistics.shrunk, statistics.discarded),
        (10, 15, 1)
    );
    assert_exact(&statistics, 0);
}
