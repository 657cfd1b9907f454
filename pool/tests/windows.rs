//! Windows: bulk return gives everything back, whatever its size, and touches nothing.
#![cfg(not(loom))]

mod common;

use common::{both_paths, on_cpu};
use tailcut_pool::Pool;

#[test]
fn a_window_of_any_size_gives_everything_back() {
    both_paths(|builder| {
        let pool = builder.capacity(1000).build().unwrap();
        let mut window = pool.window();
        for size in (0..=130).chain([999, 1000, 1000]) {
            (0..size).for_each(|_| window.push(pool.try_get().unwrap()));
            assert_eq!(window.len(), size);
            assert_eq!(window.is_empty(), size == 0);
            window.release();
            assert!(window.is_empty());
            let all: Vec<_> = (0..1000).map(|_| pool.try_get().unwrap()).collect();
            assert!(pool.try_get().is_err());
            drop(all);
        }
    });
}

#[test]
fn a_dropped_window_gives_everything_back() {
    both_paths(|builder| {
        let pool = builder.capacity(100).build().unwrap();
        let mut window = pool.window();
        while let Ok(guard) = pool.try_get() {
            window.push(guard);
        }
        drop(window);
        assert_eq!(
            (0..100)
                .map(|_| pool.try_get().unwrap())
                .collect::<Vec<_>>()
                .len(),
            100
        );
    });
}

#[test]
fn a_window_shows_its_objects_in_the_order_of_pushing() {
    both_paths(|builder| {
        let pool = builder.capacity(500).build().unwrap();
        let mut window = pool.window();
        for round in 0..3 {
            for i in 0..333 {
                let mut guard = pool.try_get().unwrap();
                *guard = round * 1000 + i;
                window.push(guard);
            }
            let mut seen = Vec::new();
            window.for_each(|&n| seen.push(n));
            assert_eq!(seen, (0..333).map(|i| round * 1000 + i).collect::<Vec<_>>());
            window.release();
        }
    });
}

#[test]
fn a_window_filled_on_one_core_serves_another() {
    both_paths(|builder| {
        let pool = builder.capacity(10_000).build().unwrap();
        for _ in 0..20 {
            let mut window = on_cpu(0, || {
                let mut window = pool.window();
                while let Ok(guard) = pool.try_get() {
                    window.push(guard);
                }
                window
            });
            assert_eq!(window.len(), 10_000);
            on_cpu(1, || window.release());
        }
    });
}

#[test]
#[should_panic(expected = "of its own pool only")]
fn a_guard_of_another_pool_is_not_taken() {
    let make = || {
        Pool::builder(|| 0_u64)
            .keep_as_is()
            .capacity(2)
            .build()
            .unwrap()
    };
    let (mine, other) = (make(), make());
    mine.window().push(other.try_get().unwrap());
}
