//! Waiting: whoever waits is served as soon as there is something, on either path.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tailcut_pool::{AsIs, Exhausted, Pool, Wait};

fn both_paths(capacity: usize, test: impl Fn(Pool<u64, AsIs, Wait>)) {
    let builder = Pool::builder(|| 0_u64)
        .capacity(capacity)
        .keep_as_is()
        .wait();
    test(builder.clone().build().unwrap());
    test(builder.portable().build().unwrap());
}

#[test]
fn many_threads_that_wait_for_few_objects_are_all_served() {
    both_paths(2, |pool| {
        let served = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let mut guard = pool.get();
                        *guard += 1;
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(served.into_inner(), 16_000);
        let (a, b) = (pool.get(), pool.get());
        assert_eq!(
            *a + *b,
            16_000,
            "no two threads had the same object at once"
        );
    });
}

#[test]
fn a_window_that_is_released_wakes_all_who_wait() {
    both_paths(100, |pool| {
        let mut window = pool.window();
        while let Ok(guard) = pool.try_get() {
            window.push(guard);
        }
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| *pool.get())).collect();
            std::thread::sleep(Duration::from_millis(20));
            assert!(
                waiting.iter().all(|thread| !thread.is_finished()),
                "nothing is free yet"
            );
            window.release();
            for thread in waiting {
                assert_eq!(thread.join().unwrap(), 0);
            }
        });
    });
}

#[test]
fn patience_ends() {
    both_paths(1, |pool| {
        let held = pool.get();
        let begun = Instant::now();
        assert_eq!(
            pool.get_timeout(Duration::from_millis(30)).unwrap_err(),
            Exhausted { capacity: 1 }
        );
        assert!(begun.elapsed() >= Duration::from_millis(30));
        drop(held);
        assert!(pool.get_timeout(Duration::ZERO).is_ok());
        assert!(pool.get_timeout(Duration::MAX).is_ok());
    });
}

#[test]
fn after_the_last_waiter_has_left_puts_are_served_by_the_magazine_again() {
    both_paths(64, |pool| {
        for _ in 0..3 {
            let all: Vec<_> = (0..64).map(|_| pool.get()).collect();
            assert!(pool.get_timeout(Duration::from_millis(1)).is_err());
            drop(all);
        }
        assert_eq!((0..64).map(|_| pool.get()).collect::<Vec<_>>().len(), 64);
    });
}
