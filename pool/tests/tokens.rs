//! Conservation under stress: no object is lost, none is held twice, whatever the scheduler does.
#![cfg(not(loom))]

mod common;

use common::{bind, both_paths};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tailcut_pool::{Guard, Pool, Window};

/// How many operations each of the tests below does; `TAILCUT_STRESS` multiplies it.
fn operations() -> u64 {
    let factor = std::env::var("TAILCUT_STRESS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    400_000 * factor
}

/// A cheap random number (xorshift64*), so that the test's own cost stays small.
fn random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

/// Each object carries an owner mark in the slab's own memory: whoever takes it must find 0.
fn shuffle(portable: bool, capacity: usize, threads: u64, churn: bool) {
    let marked = Pool::builder(|| AtomicU32::new(0))
        .keep_as_is()
        .capacity(capacity);
    let pool = if portable { marked.portable() } else { marked }
        .build()
        .unwrap();
    let served = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for id in 0..threads {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let mut seed = id + 1;
                let mut held: Vec<Guard<'_, _>> = Vec::with_capacity(capacity);
                let mut window: Window<'_, _> = pool.window();
                for turn in 0..operations() / threads {
                    if churn && turn.is_multiple_of(512) {
                        bind(random(&mut seed) as usize % 2);
                    }
                    match random(&mut seed) % 16 {
                        0..8 => {
                            if let Ok(guard) = pool.try_get() {
                                assert_eq!(
                                    guard.swap(id as u32 + 1, Ordering::Relaxed),
                                    0,
                                    "held twice"
                                );
                                held.push(guard);
                                served.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        8..14 => {
                            if !held.is_empty() {
                                let index = random(&mut seed) as usize % held.len();
                                let guard = held.swap_remove(index);
                                assert_eq!(
                                    guard.swap(0, Ordering::Relaxed),
                                    id as u32 + 1,
                                    "taken over"
                                );
                            }
                        }
                        14 => {
                            if let Some(guard) = held.pop() {
                                guard.store(0, Ordering::Relaxed);
                                window.push(guard);
                            }
                        }
                        _ => {
                            if random(&mut seed).is_multiple_of(32) {
                                window.release();
                            }
                        }
                    }
                }
                for guard in &held {
                    guard.store(0, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(served.load(Ordering::Relaxed) > 0);
    let all: Vec<_> = (0..capacity)
        .map(|_| pool.try_get().expect("nothing was lost"))
        .collect();
    assert!(pool.try_get().is_err(), "nothing was doubled");
    drop(all);
}

#[test]
fn six_threads_shuffle_a_hundred_objects() {
    for portable in [false, true] {
        shuffle(portable, 100, 6, false);
    }
}

#[test]
fn threads_that_keep_changing_cores_lose_nothing() {
    for portable in [false, true] {
        shuffle(portable, 300, 4, true);
    }
}

#[test]
fn sixty_four_threads_fight_over_three_objects() {
    for portable in [false, true] {
        shuffle(portable, 3, 64, false);
    }
}

#[test]
fn thousands_of_short_lived_threads_lose_nothing() {
    both_paths(|builder| {
        let pool = builder.capacity(64).build().unwrap();
        for _ in 0..250 {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        drop((0..8).map(|_| pool.try_get().unwrap()).collect::<Vec<_>>());
                    });
                }
            });
        }
        let all: Vec<_> = (0..64).map(|_| pool.try_get().unwrap()).collect();
        assert!(pool.try_get().is_err());
        drop(all);
    });
}

/// The restart path is forced, not hoped for: a timer interrupts the thread some thousand times a
/// second in the middle of its sequences, and the kernel's restarts are counted.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_storm_of_signals_restarts_sequences_and_loses_nothing() {
    use std::time::{Duration, Instant};

    extern "C" fn nothing(_: libc::c_int) {}

    let pool = Pool::builder(|| 0_u64)
        .keep_as_is()
        .capacity(256)
        .build()
        .unwrap();
    if pool.path() != tailcut_pool::Path::Rseq {
        eprintln!("SKIPPED: no restartable sequences here: {}", pool.path());
        return;
    }
    // SAFETY: the handler does nothing, and takes part in no other test's signals.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
    }
    let (done, thread) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: no more than a look at who we are.
            thread.store(unsafe { libc::pthread_self() }, Ordering::Release);
            let mut held = Vec::with_capacity(256);
            let mut turns = 0_u64;
            while !done.load(Ordering::Relaxed) {
                // Up and down over several batches: single and batch sequences alike.
                while let Ok(guard) = pool.try_get() {
                    held.push(guard);
                }
                assert_eq!(held.len(), 256, "turn {turns}");
                held.clear();
                turns += 1;
            }
        });
        let end = Instant::now() + Duration::from_secs(20);
        while pool.restarts() < 20 && Instant::now() < end {
            match thread.load(Ordering::Acquire) {
                0 => std::thread::yield_now(),
                // SAFETY: the thread is alive until `done` is set.
                thread => drop(unsafe { libc::pthread_kill(thread, libc::SIGUSR1) }),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(pool.restarts() >= 20, "only {} restarts", pool.restarts());
}
