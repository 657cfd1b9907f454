//! Conservation: no object is lost, none is held twice, whatever the scheduler does.
#![cfg(not(any(loom, shuttle)))]

mod common;

use common::trial::{Trial, endings, operations};
use common::{bind, both_paths};
use tailcut_pool::Pool;

/// Runs a trial on both paths.
fn both(capacity: usize, threads: usize, migrating: bool) {
    for portable in [false, true] {
        let operations = operations(400_000);
        let done = Trial {
            portable,
            capacity,
            threads,
            migrating,
            signals: false,
            operations,
        }
        .run();
        assert!(done.operations >= operations);
    }
}

#[test]
fn six_threads_shuffle_a_hundred_objects() {
    both(100, 6, false);
}

#[test]
fn threads_that_keep_changing_cores_lose_nothing() {
    both(300, 4, true);
}

#[test]
fn sixty_four_threads_fight_over_three_objects() {
    both(3, 64, false);
}

#[test]
fn pools_that_end_before_their_guards_drop_each_object_once() {
    for portable in [false, true] {
        endings(portable, 4, operations(100_000));
    }
}

/// Threads come and go, and with them whatever a thread has of its own.
#[test]
fn thousands_of_short_lived_threads_lose_nothing() {
    both_paths(|builder| {
        let pool = builder.capacity(64).build().unwrap();
        for round in 0..operations(400_000) / 1600 {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        bind(round as usize % 2);
                        let mut window = pool.window();
                        window.push(pool.try_get().unwrap());
                        let owned = pool.try_get_owned().unwrap();
                        let array = pool.try_get_array::<4>().unwrap();
                        let split = tailcut_pool::Guard::map(pool.try_get().unwrap(), |n| n);
                        drop((array, owned, split));
                    });
                }
            });
        }
        let all: Vec<_> = (0..64).map(|_| pool.try_get().unwrap()).collect();
        assert!(pool.try_get().is_err());
        drop(all);
    });
}

/// The restart path is forced, not hoped for: signals interrupt one thread wherever it is, until
/// the kernel has restarted some of its sequences; each kind of sequence has a test.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod storm {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::{Duration, Instant};
    use tailcut_pool::{AsIs, Path};

    use common::trial::Storm;

    /// So that a batch has 32 objects on machines of up to 32 CPUs.
    const CAPACITY: usize = 4096;

    /// How many restarts a test waits for: up to some seconds, on a busy machine.
    const ENOUGH: u64 = 5;

    fn restarts_lose_nothing(turn: impl Fn(&Pool<u64, AsIs>) + Sync) {
        let pool = Pool::builder(|| 0_u64)
            .keep_as_is()
            .capacity(CAPACITY)
            .build()
            .unwrap();
        if pool.path() != Path::Rseq {
            eprintln!("SKIPPED: no restartable sequences here: {}", pool.path());
            return;
        }
        let storm = Storm::default();
        let end = Instant::now() + Duration::from_secs(60);
        std::thread::scope(|scope| {
            scope.spawn(|| storm.blow());
            scope.spawn(|| {
                let _target = storm.target();
                while pool.restarts() < ENOUGH && Instant::now() < end {
                    (0..100).for_each(|_| turn(&pool));
                }
                storm.over.store(true, Relaxed);
            });
        });
        assert!(
            pool.restarts() >= ENOUGH,
            "only {} restarts",
            pool.restarts()
        );
        let all: Vec<_> = (0..CAPACITY).map(|_| pool.try_get().unwrap()).collect();
        assert!(pool.try_get().is_err());
        drop(all);
    }

    #[test]
    fn signals_restart_gets_and_puts() {
        restarts_lose_nothing(|pool| {
            let held = [(); 16].map(|()| pool.try_get().unwrap());
            drop(held);
        });
    }

    #[test]
    fn signals_restart_gets_and_puts_of_batches() {
        restarts_lose_nothing(|pool| pool.put_all(pool.try_get_array::<32>().unwrap()));
    }

    #[test]
    fn signals_restart_exchanges_with_the_depot() {
        restarts_lose_nothing(|pool| {
            let held: Vec<_> = (0..200).map(|_| pool.try_get().unwrap()).collect();
            drop(held);
        });
    }

    #[test]
    fn signals_restart_gets_and_puts_of_owned_guards() {
        restarts_lose_nothing(|pool| {
            let held = [(); 16].map(|()| pool.try_get_owned().unwrap());
            drop(held);
        });
    }
}
