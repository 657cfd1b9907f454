//! The capacity is exact: everything can be in use at once, nothing more, on either path.
#![cfg(not(loom))]

mod common;

use common::{both_paths, on_cpu};
use std::sync::Barrier;
use tailcut_pool::{BuildError, Exhausted, Pool};

#[test]
fn exactly_the_capacity_can_be_in_use_at_once() {
    for capacity in [1, 2, 3, 31, 32, 33, 63, 64, 65, 100, 1000] {
        both_paths(|builder| {
            let pool = builder.capacity(capacity).build().unwrap();
            for _ in 0..3 {
                let held: Vec<_> = (0..capacity).map(|_| pool.try_get().unwrap()).collect();
                assert_eq!(pool.try_get().unwrap_err(), Exhausted { capacity });
                let mut addresses: Vec<_> = held
                    .iter()
                    .map(|guard| std::ptr::from_ref(&**guard).addr())
                    .collect();
                addresses.sort_unstable();
                addresses.dedup();
                assert_eq!(addresses.len(), capacity, "no object is handed out twice");
            }
        });
    }
}

#[test]
fn a_full_pool_still_serves_when_only_another_core_has_objects() {
    both_paths(|builder| {
        let pool = builder.capacity(4).build().unwrap();
        // All four lie with CPU 0 afterwards.
        on_cpu(0, || {
            drop((0..4).map(|_| pool.try_get().unwrap()).collect::<Vec<_>>());
        });
        on_cpu(1, || {
            let held: Vec<_> = (0..4).map(|_| pool.try_get().unwrap()).collect();
            assert!(pool.try_get().is_err());
            drop(held);
        });
    });
}

#[test]
fn nobody_is_refused_while_as_many_objects_as_threads_exist() {
    // Each of `n` threads holds at most one of `n` objects, so no get may ever be refused,
    // wherever the objects lie and whatever is in transit.
    both_paths(|builder| {
        let threads = 8;
        let pool = builder.capacity(threads).build().unwrap();
        let start = Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    start.wait();
                    for turn in 0..50_000 {
                        let guard = pool.try_get().expect("one object for each thread");
                        if turn % 64 == 0 {
                            std::thread::yield_now();
                        }
                        drop(guard);
                    }
                });
            }
        });
    });
}

#[test]
fn an_exhausted_pool_refuses_many_threads_at_once() {
    both_paths(|builder| {
        let pool = builder.capacity(100).build().unwrap();
        let all: Vec<_> = (0..100).map(|_| pool.try_get().unwrap()).collect();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..5_000).for_each(|_| assert!(pool.try_get().is_err())));
            }
        });
        drop(all);
    });
}

#[test]
fn a_pool_that_cannot_be_is_refused_with_the_value() {
    assert_eq!(
        Pool::builder(|| 0_u8).keep_as_is().build().unwrap_err(),
        BuildError::NoCapacity
    );
    let huge = Pool::builder(|| [0_u8; 4096])
        .keep_as_is()
        .capacity(usize::MAX / 2)
        .build()
        .unwrap_err();
    assert_eq!(
        huge,
        BuildError::TooLarge {
            capacity: usize::MAX / 2,
            object_bytes: 4096
        }
    );
    assert!(huge.to_string().contains("4096 bytes"), "{huge}");
}

#[test]
fn an_object_without_size_can_be_pooled() {
    let pool = Pool::builder(|| ())
        .keep_as_is()
        .capacity(3)
        .build()
        .unwrap();
    let held: Vec<_> = (0..3).map(|_| pool.try_get().unwrap()).collect();
    assert!(pool.try_get().is_err());
    drop(held);
}
