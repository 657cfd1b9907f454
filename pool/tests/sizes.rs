//! Pools that grow and shrink while they are used.
#![cfg(not(loom))]

mod common;

use common::both_paths;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tailcut_pool::{AsIs, Guard, Pool, decay};

fn panics<R>(work: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
}

/// Takes everything, and proves that no object is handed out twice.
fn all<T, O>(pool: &Pool<T, AsIs, O>) -> Vec<Guard<'_, T>> {
    let all: Vec<_> = std::iter::from_fn(|| pool.try_get().ok()).collect();
    let mut addresses: Vec<_> = all
        .iter()
        .map(|guard| std::ptr::from_ref(&**guard).addr())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), all.len());
    all
}

#[test]
fn a_resized_pool_has_exactly_as_many_objects() {
    both_paths(|builder| {
        let pool = builder.capacity(100).room_for(1_000).build().unwrap();
        let (mut grown, mut shrunk, mut now) = (0, 0, 100);
        for size in [100, 101, 1_000, 31, 64, 1, 999, 0, 50] {
            assert_eq!(pool.resize(size), size);
            assert_eq!(pool.capacity(), size);
            assert_eq!(all(&pool).len(), size);
            grown += size.saturating_sub(now);
            shrunk += now.saturating_sub(size);
            now = size;
            let statistics = pool.statistics();
            assert_eq!(statistics.capacity, size);
            assert_eq!(
                (statistics.grown, statistics.shrunk),
                (grown as u64, shrunk as u64)
            );
        }
        assert_eq!(pool.resize(5_000), 1_000, "as far as there is room");
        assert_eq!(pool.room(), 1_000);
    });
}

#[test]
fn objects_in_use_stay_when_the_pool_shrinks() {
    both_paths(|builder| {
        let pool = builder.capacity(200).build().unwrap();
        let mut held: Vec<_> = (0..50).map(|_| pool.try_get().unwrap()).collect();
        held.iter_mut()
            .enumerate()
            .for_each(|(n, guard)| **guard = n as u64);
        assert_eq!(pool.resize(0), 50);
        assert!(pool.try_get().is_err());
        assert!((0..).zip(&held).all(|(n, guard)| **guard == n));
        held.truncate(20);
        assert_eq!(pool.resize(0), 20);
        assert_eq!(pool.resize(200), 200);
        assert_eq!(all(&pool).len(), 180);
        assert!((0..).zip(&held).all(|(n, guard)| **guard == n));
    });
}

/// A mark in each object shows that nobody else has it, and a count that each is dropped once.
#[test]
fn a_pool_can_be_resized_while_other_threads_use_it() {
    struct Object {
        owner: AtomicUsize,
        drops: Arc<AtomicUsize>,
    }
    impl Drop for Object {
        fn drop(&mut self) {
            assert_eq!(
                self.owner.load(Ordering::Relaxed),
                0,
                "dropped while in use"
            );
            self.drops.fetch_add(1, Ordering::Relaxed);
        }
    }
    for portable in [false, true] {
        let (makes, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (made, gone) = (Arc::clone(&makes), Arc::clone(&drops));
        let builder = Pool::builder(move || {
            made.fetch_add(1, Ordering::Relaxed);
            Object {
                owner: AtomicUsize::new(0),
                drops: Arc::clone(&gone),
            }
        })
        .keep_as_is()
        .capacity(100)
        .room_for(2_000);
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for id in 1..=3 {
                let (pool, stop) = (&pool, &stop);
                scope.spawn(move || {
                    let mut held = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..70 {
                            if let Ok(guard) = pool.try_get() {
                                assert_eq!(guard.owner.swap(id, Ordering::Relaxed), 0);
                                held.push(guard);
                            }
                        }
                        for guard in held.drain(..) {
                            assert_eq!(guard.owner.swap(0, Ordering::Relaxed), id);
                        }
                    }
                });
            }
            for round in 0..300 {
                let size = [2_000, 0, 150, 37, 1_000][round % 5];
                pool.resize(size);
                assert!(pool.capacity() <= 2_000);
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(pool.resize(123), 123);
        let held = all(&pool);
        assert_eq!(held.len(), 123);
        drop(held);
        let statistics = pool.statistics();
        let total = statistics.total();
        assert_eq!((statistics.in_use, total.gets), (0, total.puts));
        assert_eq!(
            makes.load(Ordering::Relaxed) - drops.load(Ordering::Relaxed),
            123
        );
        drop(pool);
        assert_eq!(makes.load(Ordering::Relaxed), drops.load(Ordering::Relaxed));
    }
}

#[test]
fn sixteen_threads_grow_a_pool_to_its_limit_and_no_further() {
    both_paths(|builder| {
        for limit in [17, 100, 513] {
            let pool = builder.clone().capacity(1).grow_to(limit).build().unwrap();
            let held = thread::scope(|scope| {
                let threads: Vec<_> = (0..16)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut held = Vec::new();
                            while let Ok(guard) = pool.get() {
                                held.push(guard);
                            }
                            held
                        })
                    })
                    .collect();
                let held = threads.into_iter().map(|thread| thread.join().unwrap());
                held.flatten().collect::<Vec<_>>()
            });
            assert_eq!(held.len(), limit);
            assert_eq!(pool.capacity(), limit);
            assert_eq!(pool.statistics().grown, limit as u64 - 1);
            assert!(pool.get().is_err());
            drop(held);
            assert_eq!(all(&pool).len(), limit);
        }
    });
}

#[test]
fn only_the_overload_policy_grows() {
    both_paths(|builder| {
        let pool = builder.capacity(2).grow_to(10).build().unwrap();
        let held = pool.try_get_array::<2>().unwrap();
        assert!(pool.try_get().is_err());
        assert!(pool.try_get_array::<1>().is_err());
        assert_eq!(pool.capacity(), 2);
        assert!(pool.get().is_ok());
        assert!(pool.capacity() > 2);
        drop(held);
    });
}

#[test]
fn new_objects_serve_those_who_wait() {
    both_paths(|builder| {
        let pool = builder.capacity(1).room_for(10).wait().build().unwrap();
        let held = pool.get();
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| drop(pool.get()))).collect();
            while pool.statistics().waiting < 3 {
                thread::yield_now();
            }
            assert_eq!(pool.resize(2), 2);
            waiting
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        });
        drop(held);
    });
}

#[test]
fn decay_brings_a_grown_pool_back_and_not_below_its_base() {
    both_paths(|builder| {
        let pool = builder.capacity(100).grow_to(5_000).build().unwrap();
        let held: Vec<_> = (0..5_000).map(|_| pool.get().unwrap()).collect();
        assert_eq!(pool.decay(), 0, "all were needed");
        drop(held);
        pool.decay();
        let mut dropped = 0;
        for _ in 0..100 {
            dropped += pool.decay();
        }
        assert!(dropped > 0);
        assert!(pool.capacity() >= 100);
        // What the magazines hold, and half a batch, may stay.
        assert!(pool.capacity() < 1_000, "{}", pool.capacity());
        assert_eq!(all(&pool).len(), pool.capacity());
    });
}

#[test]
fn what_is_needed_all_the_time_does_not_decay() {
    both_paths(|builder| {
        let pool = builder.capacity(10).grow_to(1_000).build().unwrap();
        pool.decay();
        for _ in 0..20 {
            let held: Vec<_> = (0..1_000).map(|_| pool.get().unwrap()).collect();
            drop(held);
            assert_eq!(pool.decay(), 0);
        }
        assert_eq!(pool.capacity(), 1_000);
    });
}

#[test]
fn a_pool_may_decay_while_it_grows() {
    both_paths(|builder| {
        let pool = builder.capacity(1).grow_to(3_000).build().unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert!(pool.decay() <= 3_000);
                }
            });
            for round in 0..400 {
                let held: Vec<_> = (0..round * 7).map(|_| pool.get()).collect();
                assert!(held.iter().all(Result::is_ok), "within the limit");
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(all(&pool).len(), pool.capacity());
    });
}

#[test]
fn a_timed_decay_works_and_ends_with_its_handle() {
    let builder = Pool::builder(|| 0_u64).keep_as_is();
    let pool = Arc::new(builder.capacity(10).grow_to(2_000).build().unwrap());
    drop((0..2_000).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    let running = decay::every(Duration::from_millis(1), &pool).unwrap();
    while pool.capacity() > 500 {
        thread::yield_now();
    }
    drop(running);
    assert_eq!(Arc::strong_count(&pool), 1);
    pool.resize(2_000);
    let before = pool.capacity();
    thread::sleep(Duration::from_millis(20));
    assert_eq!(pool.capacity(), before, "nothing decays any more");
}

#[test]
fn a_timed_decay_ends_at_once_however_long_its_period() {
    let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(10).build();
    let pool = Arc::new(pool.unwrap());
    drop(decay::every(Duration::from_secs(1_000_000), &pool).unwrap());
}

#[test]
fn a_timed_decay_does_not_keep_its_pool_alive() {
    struct Object(Arc<()>);
    let alive = Arc::new(());
    let mine = Arc::clone(&alive);
    let pool = Pool::builder(move || Object(Arc::clone(&mine)))
        .keep_as_is()
        .capacity(10)
        .build();
    let pool = Arc::new(pool.unwrap());
    assert_eq!(Arc::strong_count(&pool.try_get().unwrap().0), 12);
    let running = decay::every(Duration::from_millis(1), &pool).unwrap();
    drop(pool);
    while Arc::strong_count(&alive) > 1 {
        thread::yield_now();
    }
    drop(running);
}

/// A maker that can be told to fail.
fn failing(portable: bool, capacity: usize) -> (Pool<u64, AsIs>, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&fails);
    let builder = Pool::builder(move || {
        assert!(!asked.load(Ordering::Relaxed), "nothing can be made now");
        0_u64
    })
    .keep_as_is()
    .capacity(capacity)
    .room_for(200);
    let builder = if portable {
        builder.portable()
    } else {
        builder
    };
    (builder.build().unwrap(), fails)
}

#[test]
fn a_maker_that_panics_while_growing_leaves_the_pool_as_it_was() {
    for portable in [false, true] {
        let (pool, fails) = failing(portable, 50);
        fails.store(true, Ordering::Relaxed);
        panics(|| pool.resize(100));
        assert_eq!(all(&pool).len(), 50);
        assert_eq!(pool.resize(20), 20);
        panics(|| pool.resize(21));
        fails.store(false, Ordering::Relaxed);
        assert_eq!(pool.resize(100), 100);
        assert_eq!(all(&pool).len(), 100);
    }
}

#[test]
fn a_maker_that_panics_after_some_objects_keeps_those() {
    for portable in [false, true] {
        let mut made = 0;
        let builder = Pool::builder(move || {
            made += 1;
            assert_ne!(made, 8, "the eighth fails");
            made
        })
        .keep_as_is()
        .capacity(5)
        .grow_to(30);
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        panics(|| pool.resize(20));
        assert_eq!(pool.capacity(), 7);
        assert_eq!(all(&pool).len(), 7);
        let held: Vec<_> = std::iter::from_fn(|| pool.get().ok()).collect();
        assert_eq!(held.len(), 30);
    }
}

#[test]
fn a_maker_that_panics_while_replacing_costs_that_object() {
    for portable in [false, true] {
        let fails = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&fails);
        let builder = Pool::builder(move || {
            assert!(!asked.load(Ordering::Relaxed), "nothing can be made now");
            vec![0_u64]
        })
        .capacity(3)
        .reusable_if(|object: &Vec<u64>| object.len() != 7);
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        pool.try_get().unwrap().resize(7, 0);
        fails.store(true, Ordering::Relaxed);
        panics(|| drop(pool.try_get()));
        assert_eq!(pool.capacity(), 2);
        assert_eq!(pool.statistics().discarded, 1);
        assert_eq!(pool.statistics().in_use, 0);
        assert_eq!(pool.try_get_array::<2>().unwrap().len(), 2);
        assert!(pool.try_get_array::<3>().is_err());
        fails.store(false, Ordering::Relaxed);
        assert_eq!(pool.resize(3), 3);
        assert_eq!(pool.try_get_array::<3>().unwrap().len(), 3);
    }
}

/// An object whose destructor may fail, and which counts its end either way.
struct Fragile {
    fails: bool,
    drops: Arc<AtomicUsize>,
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        assert!(!self.fails, "cannot be dropped");
    }
}

#[test]
fn a_destructor_that_panics_keeps_no_other_object_from_its_end() {
    for portable in [false, true] {
        let drops = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&drops);
        let builder = Pool::builder(move || Fragile {
            fails: false,
            drops: Arc::clone(&count),
        })
        .keep_as_is()
        .capacity(40);
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        {
            let mut held = all(&pool);
            held[3].fails = true;
            held[30].fails = true;
        }
        panics(|| pool.resize(0));
        assert_eq!(pool.capacity(), 0);
        assert_eq!(drops.load(Ordering::Relaxed), 40);
        assert_eq!(pool.resize(40), 40);
        all(&pool)[5].fails = true;
        panics(|| drop(pool));
        assert_eq!(drops.load(Ordering::Relaxed), 80);
    }
}

#[test]
fn a_rejected_object_whose_destructor_panics_costs_that_object() {
    for portable in [false, true] {
        let drops = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&drops);
        let builder = Pool::builder(move || Fragile {
            fails: false,
            drops: Arc::clone(&count),
        })
        .keep_as_is()
        .reusable_if(|object: &Fragile| !object.fails)
        .capacity(2);
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        pool.try_get().unwrap().fails = true;
        panics(|| drop(pool.try_get()));
        assert_eq!((pool.capacity(), pool.statistics().in_use), (1, 0));
        drop(pool);
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    }
}

/// The kernel's own word for which of these pages lie in memory.
#[cfg(target_os = "linux")]
mod resident {
    use super::*;
    use tailcut_pool::HugePages;

    type Page = [u64; 512];

    /// How many of the pages at these addresses lie in memory.
    fn count(addresses: &[usize]) -> usize {
        let lies = |&address: &usize| {
            let mut byte = 0_u8;
            // SAFETY: the kernel looks at one page of this process and writes one byte.
            let asked = unsafe { libc::mincore(address as *mut libc::c_void, 4096, &raw mut byte) };
            assert_eq!(asked, 0, "the page is mapped");
            byte & 1 == 1
        };
        addresses.iter().filter(|address| lies(address)).count()
    }

    #[test]
    fn dropped_objects_give_their_pages_back() {
        for portable in [false, true] {
            let builder = Pool::builder(|| [1_u64; 512] as Page)
                .keep_as_is()
                .align(4096)
                .huge_pages(HugePages::Never)
                .capacity(16)
                .grow_to(2_000);
            let builder = if portable {
                builder.portable()
            } else {
                builder
            };
            let pool = builder.build().unwrap();
            let held: Vec<_> = (0..2_000).map(|_| pool.get().unwrap()).collect();
            let addresses: Vec<_> = held
                .iter()
                .map(|guard| std::ptr::from_ref(&**guard).addr())
                .collect();
            assert_eq!(count(&addresses), 2_000);
            drop(held);
            pool.decay();
            for _ in 0..100 {
                pool.decay();
            }
            let left = pool.capacity();
            assert!(left < 400, "{left}");
            assert_eq!(
                count(&addresses),
                left,
                "pages of the objects that are left"
            );
            assert_eq!(pool.resize(0), 0);
            assert_eq!(count(&addresses), 0);
            assert_eq!(pool.resize(2_000), 2_000);
            assert!(all(&pool).iter().all(|page| page[511] == 1));
            assert_eq!(count(&addresses), 2_000);
        }
    }

    #[test]
    fn room_to_grow_costs_no_memory_for_objects() {
        let pool = Pool::builder(|| [1_u64; 512] as Page)
            .keep_as_is()
            .align(4096)
            .huge_pages(HugePages::Never)
            .capacity(1)
            .room_for(10_000)
            .build()
            .unwrap();
        let first = std::ptr::from_ref(&*pool.try_get().unwrap()).addr();
        let addresses: Vec<_> = (0..10_000).map(|page| first + page * 4096).collect();
        assert_eq!(count(&addresses), 1);
    }
}
