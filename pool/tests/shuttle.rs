//! Whole pools under thousands of random interleavings, with more threads and objects than loom can
//! exhaust: `cargo xtask shuttle`.
//!
//! Shuttle runs the threads of one test on one thread, switches between them at each atomic and
//! lock (see `src/sync.rs`), and repeats that with other choices: half of the runs choose anew at
//! every step, the others keep to one thread and interrupt it at few places (PCT), which is how
//! most races need it. It sees every access in one order; weaker orders are loom's to check. A
//! failure prints its schedule, which `shuttle::replay` repeats.
//!
//! Costs some 20 s. `TAILCUT_SHUTTLE=n` runs n times as many.
#![cfg(shuttle)]

use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::scope;
use shuttle::{Config, Runner, future::block_on};
use tailcut_pool::{AsIs, Builder, Guard, OwnedGuard, Pool};

const THREADS: usize = 4;
const OBJECTS: usize = 16;

/// Runs a test by many schedules.
fn check(runs: usize, test: impl Fn() + Send + Sync + Clone + 'static) {
    let factor = std::env::var("TAILCUT_SHUTTLE").ok();
    let runs = runs * factor.and_then(|factor| factor.parse().ok()).unwrap_or(1);
    let config = || {
        let mut config = Config::new();
        config.silence_warnings = true; // that orders count as sequential: see above
        config
    };
    Runner::new(RandomScheduler::new(runs / 2), config()).run(test.clone());
    Runner::new(PctScheduler::new(3, runs / 2), config()).run(test);
}

/// What every object carries: who has it, 0 for nobody. No switch happens at this atomic, so that
/// a thread cannot be interrupted between taking an object and saying so.
type Marked = AtomicU32;

fn pool() -> Builder<fn() -> Marked, AsIs> {
    let make: fn() -> Marked = || AtomicU32::new(0);
    Pool::builder(make)
        .keep_as_is()
        .portable()
        .capacity(OBJECTS)
}

fn take(object: &Marked) {
    assert_eq!(object.swap(1, Relaxed), 0, "held twice");
}

fn give(object: &Marked) {
    assert_eq!(object.swap(0, Relaxed), 1, "held by nobody");
}

/// Every object is there, once.
fn all_are_there<O>(pool: &Pool<Marked, AsIs, O>, objects: usize) {
    let all: Vec<_> = (0..objects)
        .map(|_| pool.try_get().expect("nothing was lost"))
        .collect();
    all.iter().for_each(|object| take(object));
    assert!(pool.try_get().is_err(), "nothing was doubled");
    all.iter().for_each(|object| give(object));
}

/// Each thread holds at most its share, so that an object is always free: no get may be refused,
/// wherever the objects lie and whatever is under way.
#[test]
fn nobody_is_refused_a_share() {
    check(20_000, || {
        let pool = pool().build().unwrap();
        scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..4).for_each(|_| use_a_share(&pool)));
            }
        });
        all_are_there(&pool, OBJECTS);
    });
}

/// As above, with as few free objects as there are threads, which all pass from hand to hand.
#[test]
fn nobody_is_refused_the_last_object_of_a_share() {
    check(20_000, || {
        let pool = pool().build().unwrap();
        scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let _kept = [(); 3].map(|()| pool.try_get().expect("a share is free"));
                    (0..4).for_each(|_| drop(pool.try_get().expect("a share is free")));
                });
            }
        });
        all_are_there(&pool, OBJECTS);
    });
}

/// Takes up to `OBJECTS / THREADS` objects in some way, and gives them back in some way.
fn use_a_share(pool: &Pool<Marked, AsIs>) {
    let mut held: Vec<Guard<'_, Marked>> = Vec::new();
    match thread_rng().gen_range(0..3) {
        0 => held.extend(pool.try_get_array::<4>().expect("a share is free")),
        1 => held.extend(pool.try_get_array::<3>().expect("a share is free")),
        _ => (0..4).for_each(|_| held.push(pool.try_get().expect("a share is free"))),
    }
    held.iter().for_each(|object| take(object));
    held.iter().for_each(|object| give(object));
    match thread_rng().gen_range(0..4) {
        0 => drop(held),
        1 => pool.put_all(held),
        2 => {
            let mut window = pool.window();
            held.drain(..).for_each(|guard| window.push(guard));
        }
        _ => drop(
            held.into_iter()
                .map(|guard| pool.own(guard))
                .collect::<Vec<_>>(),
        ),
    }
}

/// More are wanted than there are: gets are refused, and nothing is lost or doubled.
#[test]
fn refused_or_not_nothing_is_lost() {
    check(20_000, || {
        let pool = pool().capacity(5).build().unwrap();
        scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..4 {
                        let Ok(some) = pool.try_get_array::<2>() else {
                            continue;
                        };
                        some.iter().for_each(|object| take(object));
                        let one = pool.try_get();
                        one.iter().for_each(|object| take(object));
                        some.iter().chain(&one).for_each(|object| give(object));
                        pool.put_all(some);
                    }
                });
            }
        });
        all_are_there(&pool, 5);
    });
}

/// The two parts of an object are dropped by two threads: it comes back once, and not before both.
#[test]
fn an_object_in_two_parts_comes_back_once() {
    check(10_000, || {
        let make: fn() -> (Marked, Marked) = Default::default;
        let pool = Pool::builder(make)
            .keep_as_is()
            .portable()
            .capacity(2)
            .build()
            .unwrap();
        scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let guard = pool.try_get().expect("one each");
                        let (left, right) = Guard::split(guard, |pair| (&mut pair.0, &mut pair.1));
                        take(&left);
                        take(&right);
                        shuttle::thread::scope(|scope| {
                            scope.spawn(move || {
                                give(&left);
                                drop(left);
                            });
                            give(&right);
                            drop(right);
                        });
                    }
                });
            }
        });
        assert!(pool.try_get_array::<2>().is_ok() && pool.try_get_array::<3>().is_err());
    });
}

/// Threads and tasks wait, and some tasks give up: each of the others is served (shuttle reports a
/// sleep without end as a deadlock).
#[test]
fn whoever_waits_is_served() {
    check(40_000, || {
        let objects = thread_rng().gen_range(1..THREADS);
        let pool = pool().capacity(objects).wait().build().unwrap();
        scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let guard = match thread_rng().gen_range(0..3) {
                            0 => pool.get(),
                            1 => block_on(pool.get_async()),
                            _ => {
                                let wait = pin!(pool.get_async());
                                let mut context = Context::from_waker(Waker::noop());
                                match wait.poll(&mut context) {
                                    Poll::Ready(guard) => guard,
                                    Poll::Pending => continue,
                                }
                            }
                        };
                        take(&guard);
                        shuttle::thread::yield_now();
                        give(&guard);
                        match thread_rng().gen_range(0..3) {
                            0 => drop(guard),
                            1 => drop(pool.own(guard)),
                            _ => pool.window().push(guard),
                        }
                    }
                });
            }
        });
        assert_eq!(pool.statistics().waiting, 0);
        all_are_there(&pool, objects);
    });
}

/// One object goes through all hands once: whoever comes last can rely on one wake-up only.
#[test]
fn one_object_reaches_whoever_waits_last() {
    check(40_000, || {
        let pool = pool().capacity(1).wait().build().unwrap();
        scope(|scope| {
            for _ in 1..THREADS {
                scope.spawn(|| {
                    let object = pool.get();
                    take(&object);
                    give(&object);
                });
            }
        });
        all_are_there(&pool, 1);
    });
}

/// Counts the objects alive.
struct Alive<'c>(&'c AtomicUsize);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn made() -> (
    &'static AtomicUsize,
    impl FnMut() -> Alive<'static> + Send + 'static,
) {
    let alive: &'static AtomicUsize = Box::leak(Box::default());
    let make = move || {
        alive.fetch_add(1, Relaxed);
        Alive(alive)
    };
    (alive, make)
}

/// A pool ends while owned guards are dropped elsewhere: its objects are dropped once, by the last
/// of them, and not before.
#[test]
fn a_pool_ends_once_with_its_last_guard() {
    check(20_000, || {
        let (alive, make) = made();
        let pool = Pool::builder(make)
            .keep_as_is()
            .portable()
            .capacity(OBJECTS)
            .build()
            .unwrap();
        let held = (0..THREADS).map(|_| [(); 2].map(|()| pool.try_get_owned().unwrap()));
        let held: Vec<[OwnedGuard<Alive<'_>>; 2]> = held.collect();
        let threads: Vec<_> = held
            .into_iter()
            .map(|[first, last]| {
                shuttle::thread::spawn(move || {
                    drop(first);
                    assert_eq!(last.0.load(Relaxed), OBJECTS, "dropped under a guard");
                    drop(last);
                })
            })
            .collect();
        drop(pool);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(alive.load(Relaxed), 0);
    });
}

/// One thread resizes a pool that others use: objects alive and capacity agree in the end.
#[test]
fn a_pool_is_resized_while_it_is_used() {
    check(10_000, || {
        let (alive, make) = made();
        let builder = Pool::builder(make).keep_as_is().portable().capacity(4);
        let pool = builder.room_for(OBJECTS).build().unwrap();
        scope(|scope| {
            scope.spawn(|| {
                for _ in 0..4 {
                    pool.resize(thread_rng().gen_range(0..=OBJECTS));
                }
            });
            for _ in 1..THREADS {
                scope.spawn(|| {
                    for _ in 0..4 {
                        let array = pool.try_get_array::<2>();
                        let one = pool.try_get();
                        drop(array);
                        drop(one);
                    }
                });
            }
        });
        let objects = pool.capacity();
        assert_eq!(alive.load(Relaxed), objects);
        let all: Vec<_> = (0..objects)
            .map(|_| pool.try_get().expect("nothing was lost"))
            .collect();
        assert!(pool.try_get().is_err(), "nothing was doubled");
        drop(all);
        drop(pool);
        assert_eq!(alive.load(Relaxed), 0);
    });
}

/// A pool grows under all threads at once: exactly to its limit, and nobody is refused below that.
#[test]
fn a_pool_grows_to_its_limit_and_no_further() {
    check(10_000, || {
        let pool = pool().capacity(1).grow_to(OBJECTS).build().unwrap();
        scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let share = || pool.get().expect("there is room for each share");
                    let held = [(); OBJECTS / THREADS].map(|()| share());
                    held.iter().for_each(|object| take(object));
                    held.iter().for_each(|object| give(object));
                });
            }
        });
        pool.resize(OBJECTS);
        all_are_there(&pool, OBJECTS);
    });
}
