//! Guards that own their share of the pool: they may outlive it, anywhere, and the last of them
//! drops everything exactly once.
#![cfg(not(loom))]

mod common;

use common::both_paths;
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use tailcut_pool::{AsIs, OwnedGuard, OwnedMappedGuard, Pool};

/// An object that counts its end.
struct Counted {
    value: usize,
    drops: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted(portable: bool, capacity: usize) -> (Pool<Counted, AsIs>, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    let mine = Arc::clone(&drops);
    let builder = Pool::builder(move || Counted {
        value: 0,
        drops: Arc::clone(&mine),
    });
    let builder = builder.keep_as_is().capacity(capacity);
    let builder = if portable {
        builder.portable()
    } else {
        builder
    };
    (builder.build().unwrap(), drops)
}

fn take<T>(pool: &Pool<T, AsIs>, count: usize) -> Vec<OwnedGuard<T>> {
    (0..count).map(|_| pool.try_get_owned().unwrap()).collect()
}

#[test]
fn an_owned_guard_can_go_wherever_a_static_value_can() {
    fn free_of_borrows<T: Send + Sync + 'static>() {}
    free_of_borrows::<OwnedGuard<u64>>();
    free_of_borrows::<OwnedMappedGuard<dyn Display + Send + Sync>>();
}

#[test]
fn guards_work_on_in_other_threads_after_their_pool_is_gone() {
    for portable in [false, true] {
        let (pool, drops) = counted(portable, 20);
        let gone = Barrier::new(9);
        thread::scope(|scope| {
            for (number, mut guard) in take(&pool, 8).into_iter().enumerate() {
                let gone = &gone;
                scope.spawn(move || {
                    guard.value = number;
                    gone.wait();
                    assert_eq!(guard.value, number);
                    guard.value += 1;
                });
            }
            drop(pool);
            assert_eq!(drops.load(Ordering::Relaxed), 0, "guards are left");
            gone.wait();
        });
        assert_eq!(drops.load(Ordering::Relaxed), 20);
    }
}

#[test]
fn the_last_guard_drops_every_object_exactly_once() {
    for portable in [false, true] {
        for (capacity, lent) in [(1, 1), (64, 1), (64, 64), (1000, 333)] {
            let (pool, drops) = counted(portable, capacity);
            let mut guards = take(&pool, lent);
            drop(pool);
            while let Some(guard) = guards.pop() {
                assert_eq!(drops.load(Ordering::Relaxed), 0);
                drop(guard);
            }
            assert_eq!(drops.load(Ordering::Relaxed), capacity);
        }
    }
}

#[test]
fn a_pool_whose_guards_came_back_before_ends_with_itself() {
    for portable in [false, true] {
        let (pool, drops) = counted(portable, 100);
        for _ in 0..10 {
            drop(take(&pool, 100));
        }
        drop(pool);
        assert_eq!(drops.load(Ordering::Relaxed), 100);
    }
}

#[test]
fn a_forgotten_owned_guard_keeps_the_objects_alive_and_a_forgotten_plain_one_does_not() {
    for portable in [false, true] {
        let (pool, drops) = counted(portable, 10);
        let [kept, forgotten] = [(); 2].map(|()| pool.try_get_owned().unwrap());
        std::mem::forget(forgotten);
        drop(pool);
        assert_eq!(kept.value, 0);
        drop(kept);
        assert_eq!(drops.load(Ordering::Relaxed), 0, "one is in use for ever");

        let (pool, drops) = counted(portable, 10);
        std::mem::forget(pool.try_get().unwrap());
        drop(pool);
        assert_eq!(drops.load(Ordering::Relaxed), 10);
    }
}

#[test]
fn all_objects_can_be_owned_and_none_more() {
    both_paths(|builder| {
        let pool = builder.capacity(70).build().unwrap();
        for _ in 0..3 {
            let all = take(&pool, 70);
            assert!(pool.try_get_owned().is_err());
            assert!(pool.try_get().is_err());
            drop(all);
        }
    });
}

#[test]
fn an_object_taken_by_an_address_comes_back_by_a_plain_guard() {
    both_paths(|builder| {
        let pool = builder.capacity(1).build().unwrap();
        let mut guard = pool.try_get_owned().unwrap();
        *guard = 7;
        let address = OwnedGuard::into_raw(guard);
        assert!(pool.try_get().is_err());
        // SAFETY: the address came from this pool's guard, and this is the first guard made of it.
        let guard = unsafe { pool.from_raw(address) };
        assert_eq!(*guard, 7);
        drop(guard);
        assert!(pool.try_get().is_ok());
    });
}

#[test]
fn another_pools_guard_is_not_owned_and_goes_back_to_its_own() {
    both_paths(|builder| {
        let mine = builder.clone().capacity(1).build().unwrap();
        let other = builder.capacity(1).build().unwrap();
        let foreign = other.try_get().unwrap();
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = mine.own(foreign);
        }));
        assert!(refused.is_err());
        assert!(other.try_get().is_ok());
        assert!(mine.try_get().is_ok());
    });
}

#[test]
fn thousands_of_threads_hand_guards_on_while_the_pool_goes() {
    for portable in [false, true] {
        let (pool, drops) = counted(portable, 64);
        let pool = Arc::new(pool);
        let (give, receive) = mpsc::channel();
        let receiver = thread::spawn(move || {
            let mut late = Vec::new();
            for (number, guard) in receive.into_iter().enumerate() {
                if number % 100 == 0 {
                    late.push(guard);
                }
            }
            late
        });
        for _ in 0..100 {
            thread::scope(|scope| {
                for _ in 0..20 {
                    let (give, pool) = (give.clone(), &pool);
                    scope.spawn(move || {
                        let mine = Arc::clone(pool);
                        if let Ok(mut guard) = mine.try_get_owned() {
                            guard.value += 1;
                            give.send(guard).unwrap();
                        }
                    });
                }
            });
        }
        drop(give);
        drop(pool);
        let late = receiver.join().unwrap();
        assert!(!late.is_empty());
        assert_eq!(drops.load(Ordering::Relaxed), 0);
        drop(late);
        assert_eq!(drops.load(Ordering::Relaxed), 64);
    }
}

/// Guards are dropped on three threads just when the pool is: whoever comes last ends it.
#[test]
fn a_pool_that_goes_while_its_guards_go_ends_exactly_once() {
    const ROUNDS: usize = 2_000;
    for portable in [false, true] {
        let (jobs, done) = (Barrier::new(4), Barrier::new(4));
        let hands: [_; 3] = std::array::from_fn(|_| std::sync::Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for hand in &hands {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        jobs.wait();
                        let mine = std::mem::take(&mut *hand.lock().unwrap());
                        drop(mine);
                        done.wait();
                    }
                });
            }
            for round in 0..ROUNDS {
                // From pools with one object in all to such whose magazines run over.
                let capacity = [3, 5, 17, 200][round % 4];
                let (pool, drops) = counted(portable, capacity);
                for (guard, hand) in take(&pool, capacity - round % 3)
                    .into_iter()
                    .zip(hands.iter().cycle())
                {
                    hand.lock().unwrap().push(guard);
                }
                jobs.wait();
                (0..round % 50).for_each(|_| std::hint::spin_loop());
                drop(pool);
                done.wait();
                assert_eq!(drops.load(Ordering::Relaxed), capacity, "round {round}");
            }
        });
    }
}

#[test]
fn guards_of_several_types_lie_in_one_collection_after_their_pools_are_gone() {
    let numbers = Pool::builder(|| 7_u64).keep_as_is().capacity(3).build();
    let words = Pool::builder(|| "seven".to_owned())
        .keep_as_is()
        .capacity(3)
        .build();
    let (numbers, words) = (numbers.unwrap(), words.unwrap());
    let shown: Vec<OwnedMappedGuard<dyn Display + Send>> = vec![
        OwnedGuard::map(numbers.try_get_owned().unwrap(), |number| {
            number as &mut (dyn Display + Send)
        }),
        OwnedGuard::map(words.try_get_owned().unwrap(), |word| {
            word as &mut (dyn Display + Send)
        }),
    ];
    drop((numbers, words));
    let texts = thread::spawn(move || shown.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(texts.join().unwrap(), ["7", "seven"]);
}

#[test]
fn a_view_that_panics_gives_the_owned_object_back_even_after_the_pool() {
    for portable in [false, true] {
        let (pool, drops) = counted(portable, 2);
        let view = |guard: OwnedGuard<Counted>| {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _ = OwnedGuard::map(guard, |_| -> &mut usize { panic!("no view") });
            }));
            assert!(panicked.is_err());
        };
        let guards = take(&pool, 2);
        guards.into_iter().for_each(view);
        let [last] = [pool.try_get_owned().unwrap()];
        let nested = OwnedGuard::map(pool.try_get_owned().unwrap(), |object| object);
        drop(pool);
        view(last);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = OwnedMappedGuard::map(nested, |_| -> &mut usize { panic!("no view") });
        }));
        assert!(panicked.is_err());
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn tasks_keep_their_guards_after_the_pool_is_gone() {
    for portable in [false, true] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let (pool, drops) = counted(portable, 100);
        let tasks: Vec<_> = take(&pool, 100)
            .into_iter()
            .enumerate()
            .map(|(number, mut guard)| {
                runtime.spawn(async move {
                    guard.value = number;
                    tokio::task::yield_now().await;
                    let value = OwnedGuard::map(guard, |object| &mut object.value);
                    tokio::task::yield_now().await;
                    *value
                })
            })
            .collect();
        drop(pool);
        let sum: usize = runtime.block_on(async {
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, (0..100).sum());
        assert_eq!(drops.load(Ordering::Relaxed), 100);
    }
}

#[test]
fn an_owned_guard_dropped_elsewhere_serves_whoever_waits() {
    for portable in [false, true] {
        let builder = Pool::builder(|| 0_u64).keep_as_is().capacity(1).wait();
        let pool = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = pool.build().unwrap();
        for _ in 0..50 {
            let held = pool.own(pool.get());
            thread::scope(|scope| {
                let waits = scope.spawn(|| drop(pool.get()));
                while pool.statistics().waiting == 0 {
                    thread::yield_now();
                }
                scope.spawn(|| drop(held));
                waits.join().unwrap();
            });
        }
    }
}

#[test]
fn objects_are_cleaned_on_return_even_when_the_pool_is_gone() {
    for portable in [false, true] {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&cleaned);
        let builder =
            Pool::builder(|| 0_u64)
                .keep_as_is()
                .capacity(5)
                .on_return(move |_: &mut u64| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let mut guards: Vec<_> = (0..5).map(|_| pool.try_get_owned().unwrap()).collect();
        drop(guards.pop());
        drop(pool);
        assert_eq!(cleaned.load(Ordering::Relaxed), 1);
        drop(guards);
        assert_eq!(cleaned.load(Ordering::Relaxed), 5);
        assert_eq!(Arc::strong_count(&cleaned), 1, "the pool has ended");
    }
}

#[test]
fn a_pool_of_borrowed_objects_lends_them_no_longer_than_they_live() {
    let text = String::from("borrowed");
    let text = text.as_str();
    let guard = {
        let pool = Pool::builder(|| "static").keep_as_is().capacity(2).build();
        let pool: Pool<&str, AsIs> = pool.unwrap();
        let mut guard = pool.try_get_owned().unwrap();
        *guard = text;
        guard
    };
    assert_eq!(*guard, "borrowed");
}
