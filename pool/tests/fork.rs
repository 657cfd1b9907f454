//! A child made by `fork` goes on with its copies of the pools, whatever the parent's other threads
//! were doing at that moment, and the parent does not notice.
#![cfg(all(unix, not(any(loom, shuttle, miri))))]

mod common;

use std::collections::HashSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tailcut_pool::{AsIs, Checks, Exhausted, Guard, Pool, Wait, decay};

type Waiting = Pool<u64, AsIs, Wait>;

/// Forks, and runs `work` in the child.
///
/// # Panics
/// If `work` panics there, or takes longer than ten seconds.
fn in_child(work: impl FnOnce()) {
    let child = fork(work);
    finished(child);
}

fn fork(work: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs what is under test and ends by `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no child: {}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: kills this child if it hangs.
        unsafe { libc::alarm(10) };
        let ended = catch_unwind(AssertUnwindSafe(work));
        if let Err(panic) = &ended {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied());
            let line = format!("in the child: {}\n", text.unwrap_or("a panic"));
            // SAFETY: the bytes live until the call is over. (The standard library's own output may
            // be locked by a thread of the parent.)
            unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
        }
        // SAFETY: ends the child without the parent's business at exit.
        unsafe { libc::_exit(i32::from(ended.is_err())) };
    }
    child
}

fn finished(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: waits for our own child, and writes to `status`.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(ended, child);
    assert!(
        !libc::WIFSIGNALED(status),
        "the child ended by signal {} (14: it hung)",
        libc::WTERMSIG(status)
    );
    assert_eq!(libc::WEXITSTATUS(status), 0, "the child failed: see above");
}

fn both_paths(test: impl Fn(tailcut_pool::Builder<fn() -> u64, AsIs>)) {
    common::both_paths(test);
}

/// Every object that can be had, which must be different ones, and then none.
fn take_all(pool: &Waiting) -> Vec<Guard<'_, u64>> {
    let all: Vec<_> = std::iter::from_fn(|| pool.try_get().ok()).collect();
    let addresses: HashSet<*const u64> = all.iter().map(|guard| &raw const **guard).collect();
    assert_eq!(addresses.len(), all.len(), "an object was handed out twice");
    all
}

/// What threads do to a pool until told to stop: everything.
fn hammer(pool: &Waiting, thread: usize, stop: &AtomicBool) {
    let mut turn = thread;
    while !stop.load(Relaxed) {
        turn += 1;
        match turn % 7 {
            0 => {
                let some: Vec<_> = (0..6).filter_map(|_| pool.try_get().ok()).collect();
                pool.put_all(some);
            }
            1 => drop(pool.try_get_array::<5>()),
            2 => drop(pool.get_timeout(Duration::from_micros(50))),
            3 => {
                let mut window = pool.window();
                (0..40).for_each(|_| pool.try_get().into_iter().for_each(|o| window.push(o)));
            }
            4 => drop(pool.try_get_owned()),
            5 => drop((0..50).map(|_| pool.try_get()).collect::<Vec<_>>()),
            _ if thread == 0 => {
                pool.resize(pool.room() - turn % pool.room().min(50));
            }
            _ => drop(pool.try_get()),
        }
    }
}

/// All that a child may want of its copy. `held` are the objects that the forking thread holds.
fn use_everything(pool: Waiting, held: usize) {
    let first = take_all(&pool);
    let free = first.len();
    assert!(free + held <= pool.capacity());
    assert_eq!(
        pool.get_timeout(Duration::from_millis(1)).unwrap_err(),
        Exhausted {
            capacity: pool.capacity()
        }
    );
    drop(first);
    let statistics = pool.statistics();
    assert_eq!(
        statistics.free(),
        free,
        "what is counted is what there is: {statistics:?}"
    );
    assert_eq!(statistics.waiting, 0);
    if free == 0 {
        return; // the vanished threads held all there were: only the pool's end is left to see
    }
    // Threads of the child's own.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers = [1, 2].map(|thread| {
            let (pool, stop) = (&pool, &stop);
            scope.spawn(move || hammer(pool, thread, stop))
        });
        (0..200).for_each(|_| drop(pool.get_timeout(Duration::from_secs(1))));
        stop.store(true, Relaxed);
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
    let mut all = take_all(&pool);
    assert_eq!(all.len(), free, "the child lost or gained objects");
    let one = all.pop();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| drop(pool.get()));
        while pool.statistics().waiting == 0 {
            std::thread::yield_now();
        }
        drop(one);
        waiting.join().unwrap();
    });
    drop(all);
    drop(pool.try_get_owned());
    drop(pool);
}

/// A copy of the pool for a child to use up; the parent's stays.
fn inherited(pool: &Waiting) -> Waiting {
    // SAFETY: called in a child that ends by `_exit`, so that the original is never used again.
    unsafe { std::ptr::read(pool) }
}

fn hammered(pool: Waiting, threads: usize, forks: usize) {
    let room = pool.room();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (pool, stop) = (&pool, &stop);
            scope.spawn(move || hammer(pool, thread, stop));
        }
        let watched = catch_unwind(AssertUnwindSafe(|| {
            for turn in 0..forks {
                // Some forks come at once, others at any moment of the threads' rounds.
                (0..turn * 37 % 2000).for_each(|_| std::hint::spin_loop());
                let held = pool.get_timeout(Duration::from_millis(5)).ok();
                in_child(|| {
                    use_everything(inherited(&pool), usize::from(held.is_some()));
                });
            }
        }));
        stop.store(true, Relaxed);
        watched.unwrap();
    });
    pool.resize(room);
    assert_eq!(take_all(&pool).len(), room, "the parent's pool is whole");
    assert_eq!(pool.statistics().in_use, 0);
}

#[test]
fn a_child_forked_amid_gets_puts_steals_and_resizes_goes_on_with_what_is_free() {
    both_paths(|builder| hammered(builder.capacity(600).wait().build().unwrap(), 4, 80));
}

#[test]
fn a_child_forked_while_threads_wait_for_too_few_objects_neither_hangs_nor_serves_them() {
    both_paths(|builder| hammered(builder.capacity(5).wait().build().unwrap(), 5, 80));
}

#[test]
fn a_child_has_all_objects_that_no_other_thread_held() {
    both_paths(|builder| {
        let pool = builder.capacity(400).wait().build().unwrap();
        let (ready, over) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // On some core's magazine, for the child to steal; and thirty in use.
                common::bind(1);
                drop(take_all(&pool));
                let held: Vec<_> = (0..30).map(|_| pool.get()).collect();
                ready.wait();
                over.wait();
                drop(held);
            });
            ready.wait();
            let own = pool.get();
            in_child(|| {
                common::bind(0);
                let all = take_all(&pool);
                assert_eq!(all.len(), 400 - 30 - 1);
                drop(own);
                assert!(pool.try_get().is_ok());
                assert!(pool.try_get().is_ok(), "the guard gave it back");
                drop(all);
                // A child of the child, too.
                in_child(|| use_everything(inherited(&pool), 0));
                use_everything(inherited(&pool), 0);
            });
            over.wait();
        });
        assert_eq!(take_all(&pool).len(), 400);
    });
}

#[test]
fn a_child_never_drops_what_other_threads_held() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }
    let builder = || Pool::builder(|| Counted).keep_as_is().capacity(50);
    for pool in [builder().build(), builder().portable().build()] {
        let pool = pool.unwrap();
        let (ready, over) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let held: Vec<_> = (0..7).map(|_| pool.try_get().unwrap()).collect();
                ready.wait();
                over.wait();
                drop(held);
            });
            ready.wait();
            in_child(|| {
                DROPPED.store(0, Relaxed);
                // SAFETY: the child ends by `_exit`, so that the original is never used again.
                drop(unsafe { std::ptr::read(&raw const pool) });
                assert_eq!(DROPPED.load(Relaxed), 43);
            });
            over.wait();
        });
        let before = DROPPED.load(Relaxed);
        drop(pool);
        assert_eq!(DROPPED.load(Relaxed) - before, 50, "the parent drops all");
    }
}

#[test]
fn a_pool_closed_in_the_child_ends_with_the_childs_own_guards_if_no_others_were_out() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }
    let builder = || Pool::builder(|| Counted).keep_as_is().capacity(9);
    for pool in [builder().build(), builder().portable().build()] {
        let pool = pool.unwrap();
        let owned = [(); 2].map(|()| pool.try_get_owned().unwrap());
        let before = DROPPED.load(Relaxed);
        drop(pool);
        assert_eq!(DROPPED.load(Relaxed), before, "the guards keep it");
        in_child(|| {
            drop(owned);
            assert_eq!(DROPPED.load(Relaxed) - before, 9);
        });
    }
}

/// A maker that waits for a lock when it is told to.
fn stubborn_pool(
    portable: bool,
    gate: Arc<Mutex<()>>,
    stubborn: Arc<AtomicBool>,
) -> Pool<u64, AsIs, tailcut_pool::Grow> {
    let builder = Pool::builder(move || {
        if stubborn.load(Relaxed) {
            drop(gate.lock().unwrap());
        }
        7_u64
    });
    let builder = builder.keep_as_is().capacity(3).grow_to(100);
    let builder = if portable {
        builder.portable()
    } else {
        builder
    };
    builder.build().unwrap()
}

#[test]
fn a_maker_that_waits_for_the_forking_thread_delays_the_fork_but_does_not_stop_it() {
    for portable in [false, true] {
        let (gate, stubborn) = (Arc::new(Mutex::new(())), Arc::new(AtomicBool::new(false)));
        let pool = stubborn_pool(portable, Arc::clone(&gate), Arc::clone(&stubborn));
        let held: Vec<_> = (0..3).map(|_| pool.get().unwrap()).collect();
        let lock = gate.lock().unwrap();
        stubborn.store(true, Relaxed);
        std::thread::scope(|scope| {
            let grower = scope.spawn(|| drop(pool.get().unwrap()));
            std::thread::sleep(Duration::from_millis(30));
            in_child(|| {
                assert!(pool.get().is_err(), "the maker stopped in the middle");
                assert_eq!(pool.resize(50), 3);
                drop(held);
                let again: Vec<_> = (0..3).map(|_| pool.get().unwrap()).collect();
                assert!(pool.get().is_err());
                drop(again);
                assert_eq!(pool.resize(1), 1, "dropping needs no maker");
                // SAFETY: the child ends by `_exit`, so that the original is never used again.
                drop(unsafe { std::ptr::read(&raw const pool) });
            });
            drop(lock);
            grower.join().unwrap();
        });
        assert_eq!(pool.resize(50), 50, "the parent's maker goes on");
    }
}

#[test]
fn a_process_may_fork_in_a_maker_and_both_go_on() {
    let children = Arc::new(Mutex::new(Vec::new()));
    let forks = Arc::clone(&children);
    let mut made = 0_u64;
    let pool = Pool::builder(move || {
        made += 1;
        if made == 4 {
            // SAFETY: the child goes on below, and ends there by `_exit`.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: kills this child if it hangs.
                unsafe { libc::alarm(10) };
            }
            forks.lock().unwrap().push(child);
        }
        made
    })
    .keep_as_is()
    .capacity(3)
    .grow_to(40)
    .build()
    .unwrap();
    let all: Vec<_> = std::iter::from_fn(|| pool.get().ok()).collect();
    let whole = all.len() == 40;
    let child = children.lock().unwrap().pop().unwrap();
    if child == 0 {
        // SAFETY: ends the child without the parent's business at exit.
        unsafe { libc::_exit(i32::from(!whole)) };
    }
    assert!(whole);
    finished(child);
}

#[test]
fn a_process_may_fork_while_an_owned_object_is_cleaned_and_both_close_the_pool() {
    for portable in [false, true] {
        let children = Arc::new(Mutex::new(Vec::new()));
        let forks = Arc::clone(&children);
        let builder =
            Pool::builder(|| 0_u64)
                .keep_as_is()
                .capacity(4)
                .on_return(move |_: &mut u64| {
                    // SAFETY: the child goes on below, and ends there by `_exit`.
                    let child = unsafe { libc::fork() };
                    if child == 0 {
                        // SAFETY: kills this child if it hangs.
                        unsafe { libc::alarm(10) };
                    }
                    forks.lock().unwrap().push(child);
                });
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        drop(pool.try_get_owned().unwrap());
        let mut free = 0;
        while let Ok(guard) = pool.try_get() {
            std::mem::forget(guard); // to give it back is to fork
            free += 1;
        }
        let whole = free == 4;
        drop(pool);
        let child = children.lock().unwrap().pop().unwrap();
        if child == 0 {
            // SAFETY: ends the child without the parent's business at exit.
            unsafe { libc::_exit(i32::from(!whole)) };
        }
        assert!(whole);
        finished(child);
    }
}

#[test]
fn a_checked_pool_is_usable_in_a_child_whoever_was_looking_at_its_records() {
    let pool = Pool::builder(|| 0_u64)
        .keep_as_is()
        .capacity(40)
        .checked(Checks::new().on_leak(|_| ()))
        .wait()
        .build()
        .unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                assert!(pool.in_use().is_some());
            }
        });
        scope.spawn(|| hammer(&pool, 1, &stop));
        let watched = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..80 {
                let held = pool.get();
                in_child(|| {
                    drop(held);
                    assert!(pool.in_use().is_some(), "no record is locked");
                    let all = take_all(&pool);
                    assert!(!all.is_empty());
                    drop(all);
                    drop(inherited(&pool));
                });
            }
        }));
        stop.store(true, Relaxed);
        watched.unwrap();
    });
}

/// Forks while two threads do `work` over and over.
fn fork_amid(forks: usize, work: impl Fn() + Sync, child: impl Fn()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    work();
                }
            });
        }
        let watched = catch_unwind(AssertUnwindSafe(|| {
            (0..forks).for_each(|_| in_child(&child));
        }));
        stop.store(true, Relaxed);
        watched.unwrap();
    });
}

#[test]
fn a_child_can_resize_a_pool_that_other_threads_were_resizing() {
    both_paths(|builder| {
        let pool = builder.capacity(500).wait().build().unwrap();
        fork_amid(
            100,
            || {
                pool.resize(0);
                pool.resize(500);
            },
            || {
                // What was being dropped counts as in use; two slots, at most, had just been filled.
                let left = pool.resize(0);
                let now = pool.resize(500);
                assert!((498..=500).contains(&now), "{now}");
                assert_eq!(take_all(&pool).len(), now - left);
                assert_eq!(pool.statistics().free(), now - left);
                drop(inherited(&pool));
            },
        );
        assert_eq!(pool.resize(500), 500);
        assert_eq!(take_all(&pool).len(), 500);
    });
}

#[test]
fn a_child_can_close_a_pool_to_which_other_threads_were_giving_owned_objects_back() {
    both_paths(|builder| {
        let slowly = |_: &mut u64| (0..100).for_each(|_| std::hint::spin_loop());
        let pool = builder
            .capacity(9)
            .on_return(slowly)
            .wait()
            .build()
            .unwrap();
        fork_amid(
            100,
            || drop(pool.try_get_owned()),
            || {
                let owned = pool.try_get_owned();
                drop(inherited(&pool));
                drop(owned);
            },
        );
        assert_eq!(take_all(&pool).len(), 9);
    });
}

struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_task_that_waited_is_not_woken_in_the_child_but_waits_anew_when_polled() {
    both_paths(|builder| {
        let pool = builder.capacity(1).wait().build().unwrap();
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let held = pool.get();
        let mut other = Box::pin(pool.get_async());
        let mut task = pin!(pool.get_async());
        assert!(other.as_mut().poll(&mut context).is_pending());
        assert!(task.as_mut().poll(&mut context).is_pending());
        in_child(|| {
            assert_eq!(pool.statistics().waiting, 0);
            assert!(task.as_mut().poll(&mut context).is_pending());
            assert_eq!(pool.statistics().waiting, 1);
            drop(other);
            drop(held);
            assert_eq!(woken.0.load(Relaxed), 1);
            assert!(matches!(task.as_mut().poll(&mut context), Poll::Ready(_)));
        });
        // The parent's copy of that closure has given the object back, and dropped the other one.
        assert!(matches!(task.as_mut().poll(&mut context), Poll::Ready(_)));
    });
}

#[test]
fn a_handle_of_the_parents_decay_thread_is_dropped_in_the_child_without_waiting() {
    let builder = Pool::builder(|| 0_u64).keep_as_is().capacity(4).grow_to(20);
    let pool = Arc::new(builder.build().unwrap());
    let handle = decay::every(Duration::from_millis(1), &pool).unwrap();
    for _ in 0..50 {
        let all: Vec<_> = std::iter::from_fn(|| pool.get().ok()).collect();
        drop(all);
        in_child(|| {
            // SAFETY: the child ends by `_exit`, so that the original is never used again.
            drop(unsafe { std::ptr::read(&raw const handle) });
            let again = decay::every(Duration::from_millis(1), &pool).unwrap();
            assert!(pool.get().is_ok());
            drop(again);
        });
    }
    drop(handle);
}

#[test]
fn pools_that_begin_and_end_in_other_threads_do_not_disturb_a_fork() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    both_paths(|builder| {
                        let pool = builder.capacity(8).wait().build().unwrap();
                        let owned = pool.try_get_owned().unwrap();
                        drop(pool);
                        drop(owned);
                    });
                }
            });
        }
        let watched = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..80 {
                in_child(|| {
                    both_paths(|builder| {
                        use_everything(builder.capacity(30).wait().build().unwrap(), 0);
                    });
                });
            }
        }));
        stop.store(true, Relaxed);
        watched.unwrap();
    });
}

#[cfg(feature = "swap")]
#[test]
#[ignore = "its child hung once in some forty runs; the cause is not found yet"]
fn a_child_can_use_and_replace_a_pool_that_other_threads_were_replacing() {
    use tailcut_pool::Swap;
    use tailcut_pool::export::Snapshot;

    both_paths(|builder| {
        let pool = || builder.clone().capacity(8).build().unwrap();
        let swap = Swap::new(pool());
        let observed = || Snapshot::of("", &swap).statistics.capacity;
        fork_amid(
            150,
            || {
                drop(swap.replace(pool()));
                for _ in 0..100 {
                    assert_eq!(observed(), 8);
                    drop(swap.try_get());
                }
            },
            || {
                let mut reader = swap.reader();
                drop(swap.try_get());
                drop(swap.replace(builder.clone().capacity(30).build().unwrap()));
                assert_eq!(observed(), 30);
                let all: Vec<_> = std::iter::from_fn(|| swap.try_get().ok()).collect();
                assert_eq!(all.len(), 30, "nobody else ever used this pool");
                assert!(reader.try_get().is_err());
                std::thread::scope(|scope| {
                    scope.spawn(|| drop(swap.replace(pool())));
                });
                assert!(reader.try_get().is_ok());
                drop(all);
                // SAFETY: the child ends by `_exit`, so that the original is never used again.
                drop(unsafe { std::ptr::read(&raw const swap) });
            },
        );
        assert_eq!(observed(), 8);
        assert!(swap.try_get().is_ok());
    });
}
