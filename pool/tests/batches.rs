//! Several objects at once: all or none, and what is given back is given back whole.
#![cfg(not(loom))]

mod common;

use common::both_paths;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tailcut_pool::{Exhausted, Pool, Statistics};

/// Nothing is in use, and what was taken was given back.
fn assert_quiet(statistics: &Statistics) {
    let total = statistics.total();
    assert_eq!(statistics.in_use, 0, "{statistics:?}");
    assert_eq!(total.gets, total.puts, "{statistics:?}");
}

#[test]
fn an_array_is_taken_whole_or_not_at_all() {
    both_paths(|builder| {
        for capacity in [1, 31, 32, 33, 64, 100, 1000] {
            let pool = builder.clone().capacity(capacity).build().unwrap();
            for _ in 0..3 {
                let empty: [_; 0] = pool.try_get_array().unwrap();
                pool.put_all(empty);
                let mut held = Vec::new();
                while let Ok(some) = pool.try_get_array::<7>() {
                    held.extend(some);
                }
                assert_eq!(held.len(), capacity / 7 * 7);
                assert_eq!(pool.statistics().in_use, held.len());
                let addresses: HashSet<_> = held
                    .iter()
                    .map(|guard| std::ptr::from_ref(&**guard).addr())
                    .collect();
                assert_eq!(addresses.len(), held.len(), "no object is handed out twice");
                pool.put_all(held);
                assert_quiet(&pool.statistics());
                let refused = pool.try_get_array::<1001>().unwrap_err();
                assert_eq!(refused, Exhausted { capacity });
                assert_quiet(&pool.statistics());
            }
            let all: Vec<_> = (0..capacity).map(|_| pool.try_get().unwrap()).collect();
            assert!(pool.try_get_array::<1>().is_err());
            assert!(pool.try_get_array::<0>().is_ok());
            drop(all);
        }
    });
}

#[test]
fn arrays_and_single_objects_count_alike() {
    both_paths(|builder| {
        let pool = builder.capacity(500).build().unwrap();
        let mut gets = 0;
        for round in 0..50 {
            let array = pool.try_get_array::<40>().unwrap();
            let pair = pool.try_get_array::<2>().unwrap();
            let one = pool.try_get().unwrap();
            gets += 43;
            assert_eq!(pool.statistics().in_use, 43);
            if round % 2 == 0 {
                pool.put_all(array);
                drop((pair, one));
            } else {
                drop(array);
                pool.put_all(pair.into_iter().chain([one]));
            }
            assert_quiet(&pool.statistics());
            assert_eq!(pool.statistics().total().gets, gets);
        }
    });
}

#[test]
fn a_recycler_that_panics_in_the_middle_of_an_array_costs_nothing() {
    for portable in [false, true] {
        let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        struct Object {
            spoilt: bool,
            dropped: Arc<AtomicUsize>,
        }
        impl Drop for Object {
            fn drop(&mut self) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (count, end) = (Arc::clone(&made), Arc::clone(&dropped));
        let builder = Pool::builder(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Object {
                spoilt: false,
                dropped: Arc::clone(&end),
            }
        })
        .capacity(20)
        .recycle_with(|object: &mut Object| assert!(!object.spoilt, "spoilt"));
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        for spoilt in [0, 7, 19] {
            let mut all = pool.try_get_array::<20>().unwrap();
            all[spoilt].spoilt = true;
            drop(all);
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                drop(pool.try_get_array::<20>());
            }));
            assert!(panicked.is_err());
            assert_quiet(&pool.statistics());
        }
        assert_eq!(pool.statistics().discarded, 3);
        assert_eq!(pool.try_get_array::<20>().unwrap().len(), 20);
        assert_eq!(made.load(Ordering::Relaxed), 23);
        drop(pool);
        assert_eq!(dropped.load(Ordering::Relaxed), 23);
    }
}

#[test]
fn objects_given_back_together_can_be_taken_again_by_anybody() {
    both_paths(|builder| {
        let pool = builder.capacity(1000).build().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..500 {
                        match turn % 3 {
                            0 => drop(pool.try_get_array::<100>().map(|all| pool.put_all(all))),
                            1 => drop(pool.try_get_array::<33>()),
                            _ => pool.put_all((0..50).filter_map(|_| pool.try_get().ok())),
                        }
                    }
                });
            }
        });
        assert_quiet(&pool.statistics());
        assert_eq!(pool.try_get_array::<1000>().unwrap().len(), 1000);
    });
}

#[test]
fn another_pools_guard_stops_giving_back_and_loses_nothing() {
    both_paths(|builder| {
        for before in [0, 1, 31, 32, 40] {
            let mine = builder.clone().capacity(100).build().unwrap();
            let other = builder.clone().capacity(2).build().unwrap();
            let mut guards: Vec<_> = (0..before).map(|_| mine.try_get().unwrap()).collect();
            guards.push(other.try_get().unwrap());
            guards.extend((0..5).map(|_| mine.try_get().unwrap()));
            guards.push(other.try_get().unwrap());
            let panicked = catch_unwind(AssertUnwindSafe(|| mine.put_all(guards)));
            assert!(panicked.is_err());
            assert_quiet(&other.statistics());
            assert_quiet(&mine.statistics());
        }
    });
}

#[test]
fn an_iterator_that_panics_while_objects_are_given_back_loses_none() {
    both_paths(|builder| {
        let pool = builder.capacity(100).build().unwrap();
        for before in [0, 1, 31, 32, 50] {
            let mut guards: Vec<_> = (0..60).map(|_| pool.try_get().unwrap()).collect();
            let some = (0..).map(|turn| {
                assert!(turn < before, "the iterator gives up");
                guards.pop().unwrap()
            });
            assert!(catch_unwind(AssertUnwindSafe(|| pool.put_all(some))).is_err());
            drop(guards);
            assert_quiet(&pool.statistics());
        }
    });
}

#[test]
fn objects_given_back_together_serve_whoever_waits() {
    for portable in [false, true] {
        let builder = Pool::builder(|| 0_u64).keep_as_is().capacity(64).wait();
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let all = pool.try_get_array::<64>().unwrap();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..6).map(|_| scope.spawn(|| drop(pool.get()))).collect();
            while pool.statistics().waiting < 6 {
                std::thread::yield_now();
            }
            pool.put_all(all);
            waiting
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        });
        assert_quiet(&pool.statistics());
    }
}
