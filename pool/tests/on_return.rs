//! Cleaning on return: before anybody else can have the object, by whatever way it comes back; and
//! a cleaning that panics spoils nothing but its own object.
#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tailcut_pool::{AsIs, Checks, Guard, OwnedGuard, Pool};

/// A secret, and how it behaves when it is cleaned.
#[derive(Default)]
struct Secret {
    key: u64,
    stuck: bool,
}

/// A pool that cleans secrets and counts that; a stuck one panics instead.
fn secrets(portable: bool, capacity: usize) -> (Pool<Secret, AsIs>, Arc<AtomicUsize>) {
    let cleaned = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&cleaned);
    let builder = Pool::builder(Secret::default)
        .keep_as_is()
        .capacity(capacity)
        .on_return(move |secret: &mut Secret| {
            assert!(!secret.stuck, "cannot be cleaned");
            secret.key = 0;
            count.fetch_add(1, Ordering::Relaxed);
        });
    let builder = if portable {
        builder.portable()
    } else {
        builder
    };
    (builder.build().unwrap(), cleaned)
}

/// Takes everything that is to be had: each object once, and clean.
fn drain(pool: &Pool<Secret, AsIs>) -> usize {
    let mut all: Vec<Guard<'_, Secret>> = Vec::new();
    while let Ok(guard) = pool.try_get() {
        assert_eq!(guard.key, 0, "not cleaned");
        all.push(guard);
    }
    let mut addresses: Vec<_> = all
        .iter()
        .map(|guard| std::ptr::from_ref(&**guard).addr())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), all.len(), "an object was handed out twice");
    all.len()
}

/// Whether `work` came to its end: fails instead of hanging for ever.
fn ends(work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(30)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("hangs"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => thread.join().unwrap(),
    }
}

fn panics(work: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
}

#[test]
fn an_object_is_clean_before_anybody_else_can_have_it() {
    for portable in [false, true] {
        let (pool, cleaned) = secrets(portable, 8);
        thread::scope(|scope| {
            for id in 1..=4 {
                let pool = &pool;
                scope.spawn(move || {
                    for turn in 0..2_000 {
                        let Ok(mut guard) = pool.try_get() else {
                            continue;
                        };
                        assert_eq!(guard.key, 0);
                        guard.key = id;
                        match turn % 3 {
                            0 => drop(guard),
                            1 => drop(pool.own(guard)),
                            _ => pool.put_all([guard]),
                        }
                    }
                });
            }
        });
        let total = pool.statistics().total();
        assert_eq!(cleaned.load(Ordering::Relaxed) as u64, total.puts);
        assert_eq!(drain(&pool), 8);
    }
}

#[test]
fn every_way_back_cleans_each_object_once() {
    for portable in [false, true] {
        for size in [1_usize, 31, 32, 33, 100] {
            let (pool, cleaned) = secrets(portable, 100);
            let spoilt = || {
                let mut guard = pool.try_get().unwrap();
                guard.key = 7;
                guard
            };
            let cleaned = || cleaned.swap(0, Ordering::Relaxed);
            let mut window = pool.window();
            (0..size).for_each(|_| window.push(spoilt()));
            assert_eq!(cleaned(), 0);
            window.release();
            assert_eq!((cleaned(), drain(&pool)), (size, 100));
            cleaned();
            (0..size).for_each(|_| window.push(spoilt()));
            drop(window);
            assert_eq!(cleaned(), size);
            pool.put_all((0..size).map(|_| spoilt()).collect::<Vec<_>>());
            assert_eq!(cleaned(), size);
            drop((0..size).map(|_| pool.own(spoilt())).collect::<Vec<_>>());
            assert_eq!(cleaned(), size);
            drop(Guard::map(spoilt(), |secret| &mut secret.key));
            // SAFETY: the address comes from this pool's guard, once.
            drop(unsafe { pool.from_raw(Guard::into_raw(spoilt())) });
            assert_eq!((cleaned(), drain(&pool)), (2, 100));
        }
    }
}

#[test]
fn a_cleaning_that_panics_costs_its_own_object_only() {
    for portable in [false, true] {
        let (pool, _) = secrets(portable, 4);
        panics(|| pool.try_get().unwrap().stuck = true);
        assert_eq!(pool.statistics().in_use, 1);
        assert_eq!(drain(&pool), 3);
        panics(|| {
            let (mut key, stuck) = Guard::split(pool.try_get().unwrap(), |secret| {
                secret.stuck = true;
                (&mut secret.key, &mut secret.stuck)
            });
            *key = 1;
            drop(stuck);
        });
        assert_eq!(drain(&pool), 2);
    }
}

#[test]
fn a_cleaning_that_panics_in_a_window_costs_its_own_object_only() {
    for portable in [false, true] {
        for stuck in [0_usize, 3, 40, 99] {
            let (pool, cleaned) = secrets(portable, 100);
            let mut window = pool.window();
            for number in 0..100 {
                let mut guard = pool.try_get().unwrap();
                guard.key = 7;
                guard.stuck = number == stuck;
                window.push(guard);
            }
            panics(|| window.release());
            assert!(window.is_empty());
            drop(window);
            assert_eq!(cleaned.load(Ordering::Relaxed), 99);
            assert_eq!(drain(&pool), 99);
        }
    }
}

#[test]
fn a_window_dropped_with_a_cleaning_that_panics_loses_nothing_else() {
    for portable in [false, true] {
        for size in [5_usize, 50] {
            let (pool, _) = secrets(portable, 100);
            panics(|| {
                let mut window = pool.window();
                for number in 0..size {
                    let mut guard = pool.try_get().unwrap();
                    guard.stuck = number == 3;
                    window.push(guard);
                }
            });
            assert_eq!(drain(&pool), 99);
        }
    }
}

#[test]
fn a_cleaning_that_panics_in_a_batch_costs_its_own_object_only() {
    for portable in [false, true] {
        for (size, stuck) in [(1_usize, 0_usize), (10, 0), (10, 9), (80, 40)] {
            let (pool, _) = secrets(portable, 100);
            let mut guards: Vec<_> = (0..size).map(|_| pool.try_get().unwrap()).collect();
            guards[stuck].stuck = true;
            panics(|| pool.put_all(guards));
            assert_eq!(drain(&pool), 99);
        }
    }
}

#[test]
fn a_pool_can_end_after_an_owned_guards_cleaning_has_panicked() {
    for portable in [false, true] {
        ends(move || {
            let (pool, _) = secrets(portable, 4);
            let mut guard = pool.try_get_owned().unwrap();
            guard.stuck = true;
            panics(|| drop(guard));
            assert_eq!(drain(&pool), 3);
            let other = pool.try_get_owned().unwrap();
            drop(pool);
            drop(other);
        });
    }
}

#[test]
fn a_late_guard_whose_cleaning_panics_still_counts_as_given_back() {
    for portable in [false, true] {
        ends(move || {
            let (pool, cleaned) = secrets(portable, 4);
            let mut guards: Vec<OwnedGuard<Secret>> =
                (0..3).map(|_| pool.try_get_owned().unwrap()).collect();
            guards[1].stuck = true;
            drop(pool);
            let last = guards.remove(0);
            panics(|| drop(guards.remove(0)));
            drop(guards);
            drop(last);
            assert_eq!(Arc::strong_count(&cleaned), 1, "the pool has ended");
        });
    }
}

#[test]
fn a_recycler_and_a_cleaning_that_both_panic_do_not_end_the_process() {
    for portable in [false, true] {
        let builder = Pool::builder(|| 0_u64)
            .capacity(2)
            .recycle_with(|object: &mut u64| assert_ne!(*object, 7, "cannot be recycled"))
            .on_return(|object: &mut u64| {
                // A new object comes back unused when the old one's recycling has panicked.
                assert_ne!(*object, 0, "cannot be cleaned");
            });
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let mut both = pool.try_get_array::<2>().unwrap();
        (*both[0], *both[1]) = (7, 7);
        drop(both);
        panics(|| drop(pool.try_get()));
        panics(|| drop(pool.try_get()));
        assert!(pool.try_get().is_err(), "both are out of use");
    }
}

#[test]
fn a_cleaning_that_panics_does_not_hide_why_an_array_was_not_taken() {
    for (portable, victim) in (0..8).map(|case| (case % 2 == 1, case / 2)) {
        let failing = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&failing);
        let builder = Pool::builder(|| [0_u8; 100])
            .keep_as_is()
            .capacity(4)
            .checked(Checks::new())
            .on_return(move |_: &mut [u8; 100]| {
                assert!(!fails.load(Ordering::Relaxed), "cannot be cleaned");
            });
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let mut all = pool.try_get_array::<4>().unwrap();
        let behind = (&raw mut *all[victim]).cast::<u8>().wrapping_add(127);
        drop(all);
        // SAFETY: the slot's last byte, which belongs to nobody but the pool's own check.
        unsafe { behind.write(0) };
        failing.store(true, Ordering::Relaxed);
        let panic = catch_unwind(AssertUnwindSafe(|| drop(pool.try_get_array::<4>())));
        let message = panic.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("beyond the end"), "{message}");
    }
}
