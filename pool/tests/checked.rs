//! Checked pools find what went wrong, and say where.
#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use tailcut_pool::{AsIs, Builder, Checks, Guard, InUse, OwnedGuard, Pool};

type Bytes = [u8; 100];

fn builder(portable: bool, checks: Checks) -> Builder<fn() -> Bytes, AsIs> {
    let builder = Pool::builder((|| [0; 100]) as fn() -> Bytes)
        .keep_as_is()
        .capacity(4)
        .checked(checks);
    if portable {
        builder.portable()
    } else {
        builder
    }
}

fn both_paths(test: impl Fn(Pool<Bytes, AsIs>)) {
    for portable in [false, true] {
        test(builder(portable, Checks::new()).build().unwrap());
    }
}

/// The message of a panic that must come.
fn panic_of(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it must panic");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_checked_pool_serves_as_any_other() {
    both_paths(|pool| {
        for _ in 0..3 {
            let all = pool.try_get_array::<4>().unwrap();
            assert!(pool.try_get().is_err());
            assert_eq!(pool.in_use().unwrap().len(), 4);
            pool.put_all(all);
            let mut window = pool.window();
            while let Ok(guard) = pool.try_get() {
                window.push(guard);
            }
            assert_eq!(pool.in_use().unwrap().len(), 4);
            window.release();
            drop(pool.own(pool.try_get().unwrap()));
            assert!(pool.in_use().unwrap().is_empty());
        }
    });
}

#[test]
fn an_unchecked_pool_knows_of_nobody() {
    let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(1).build();
    assert!(pool.unwrap().in_use().is_none());
}

#[test]
fn an_object_given_back_twice_is_found_with_its_last_user() {
    both_paths(|pool| {
        let line = line!() + 1;
        let address = Guard::into_raw(pool.try_get().unwrap());
        // SAFETY: the first guard is the only one; the second is the mistake that is to be found.
        let (first, second) = unsafe { (pool.from_raw(address), pool.from_raw(address)) };
        drop(first);
        let message = panic_of(|| drop(second));
        assert!(message.contains("given back twice"), "{message}");
        assert!(
            message.contains(&format!("{}:{line}", file!())),
            "{message}"
        );
        assert_eq!(pool.try_get_array::<4>().unwrap().len(), 4);
        assert!(pool.try_get_array::<5>().is_err());
    });
}

#[test]
fn an_address_that_is_not_the_pools_is_found() {
    both_paths(|pool| {
        let mut elsewhere: Bytes = [0; 100];
        // SAFETY: not sound in an unchecked pool; this one finds out.
        let foreign = unsafe { pool.from_raw(NonNull::from(&mut elsewhere)) };
        let message = panic_of(|| drop(foreign));
        assert!(
            message.contains("not the address of an object of this pool"),
            "{message}"
        );
        let address = Guard::into_raw(pool.try_get().unwrap());
        // SAFETY: as above; the address is within the slab but no object begins there.
        let inside = unsafe { pool.from_raw(address.byte_add(1)) };
        let message = panic_of(|| drop(inside));
        assert!(message.contains("not the address"), "{message}");
        assert_eq!(pool.statistics().in_use, 1);
    });
}

#[test]
fn an_object_that_was_never_taken_cannot_be_given_back() {
    both_paths(|pool| {
        let address = Guard::into_raw(pool.try_get().unwrap());
        let stride = 128;
        // SAFETY: not sound in an unchecked pool; this one finds out. The neighbour is in the slab.
        let neighbour = unsafe { pool.from_raw(address.byte_add(stride)) };
        let message = panic_of(|| drop(neighbour));
        assert!(message.contains("has never been taken"), "{message}");
    });
}

/// Writes one byte behind the object, as unsafe code might by mistake.
fn overrun(guard: &mut Guard<'_, Bytes>) {
    // SAFETY: behind the object lies the slot's padding, which belongs to nobody but the canary.
    unsafe { (&raw mut **guard).cast::<u8>().add(100).write(1) };
}

#[test]
fn a_write_beyond_the_end_is_found_when_the_object_comes_back() {
    both_paths(|pool| {
        let line = line!() + 1;
        let mut guard = pool.try_get().unwrap();
        overrun(&mut guard);
        let message = panic_of(|| drop(guard));
        assert!(message.contains("1 bytes beyond the end"), "{message}");
        assert!(
            message.contains(&format!("{}:{line}", file!())),
            "{message}"
        );
        assert_eq!(pool.try_get_array::<3>().unwrap().len(), 3);
    });
}

#[test]
fn a_write_after_the_return_is_found_when_the_object_is_next_taken() {
    both_paths(|pool| {
        let mut guard = pool.try_get().unwrap();
        let behind = (&raw mut *guard).cast::<u8>().wrapping_add(127);
        drop(guard);
        // SAFETY: the slot's last byte, which belongs to nobody but the canary.
        unsafe { behind.write(0) };
        let message = panic_of(|| {
            let _ = pool.try_get_array::<4>();
        });
        assert!(message.contains("28 bytes beyond the end"), "{message}");
        assert!(message.contains(file!()), "{message}");
    });
}

/// Spoils the canary of one object of a full pool, which lies at `victim` among those taken.
fn spoil_one(pool: &Pool<Bytes, AsIs>, victim: usize) {
    let mut all = pool.try_get_array::<4>().unwrap();
    let behind = (&raw mut *all[victim]).cast::<u8>().wrapping_add(127);
    drop(all);
    // SAFETY: the slot's last byte, which belongs to nobody but the canary.
    unsafe { behind.write(0) };
}

#[test]
fn a_spoilt_object_among_many_is_the_only_one_that_stays_out_of_use() {
    for (portable, victim) in (0..8).map(|case| (case % 2 == 1, case / 2)) {
        let (pool, reports) = reporting(portable);
        // A pool that never made an owned guard ends however many objects it misses.
        drop(pool.try_get_owned().unwrap());
        spoil_one(&pool, victim);
        let message = panic_of(|| drop(pool.try_get_array::<4>()));
        assert!(message.contains("28 bytes beyond the end"), "{message}");
        assert!(pool.in_use().unwrap().is_empty(), "nobody holds one");
        assert_eq!(pool.statistics().in_use, 1);
        assert!(pool.try_get_array::<4>().is_err());
        assert_eq!(pool.try_get_array::<3>().unwrap().len(), 3);
        drop(pool);
        assert_eq!(Arc::strong_count(&reports), 1, "the pool has ended");
        assert!(reports.lock().unwrap().is_empty());
    }
}

#[test]
fn a_task_that_is_handed_a_spoilt_object_is_told_and_the_pool_ends() {
    for portable in [false, true] {
        let reports = Reported::default();
        let mine = Arc::clone(&reports);
        let checks = Checks::new().on_leak(move |left| mine.lock().unwrap().push(left.to_vec()));
        let pool = builder(portable, checks)
            .capacity(1)
            .wait()
            .build()
            .unwrap();
        let mut held = pool.own(pool.get());
        let behind = (&raw mut *held).cast::<u8>().wrapping_add(127);
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        let mut wait = Box::pin(pool.get_async());
        assert!(wait.as_mut().poll(&mut task).is_pending());
        drop(held);
        // SAFETY: the slot's last byte, which belongs to nobody but the canary.
        unsafe { behind.write(0) };
        let message = panic_of(|| drop(wait.as_mut().poll(&mut task)));
        assert!(message.contains("28 bytes beyond the end"), "{message}");
        drop(wait);
        assert!(pool.in_use().unwrap().is_empty());
        drop(pool);
        assert_eq!(Arc::strong_count(&reports), 1, "the pool has ended");
    }
}

#[test]
fn objects_in_use_are_listed_with_the_place_and_thread_that_took_them() {
    both_paths(|pool| {
        let first = line!() + 1;
        let here = pool.try_get().unwrap();
        let (there, second) = thread::scope(|scope| {
            thread::Builder::new()
                .name("settlement".to_owned())
                .spawn_scoped(scope, || (pool.try_get_owned().unwrap(), line!()))
                .unwrap()
                .join()
                .unwrap()
        });
        let third = line!() + 1;
        let [array] = pool.try_get_array::<1>().unwrap();
        let all = pool.in_use().unwrap();
        let lines: Vec<_> = all.iter().map(|object| object.site.line()).collect();
        assert_eq!(
            lines,
            [first, second, third],
            "the one taken first comes first"
        );
        assert!(all.iter().all(|object| object.site.file() == file!()));
        assert!(all[0].held_for >= all[2].held_for);
        assert_eq!(all[0].thread, thread::current().id());
        assert_eq!(all[1].thread_name.as_deref(), Some("settlement"));
        let shown = all[1].to_string();
        for part in [&format!("{}:{second}", file!()), "settlement", "in use for"] {
            assert!(shown.contains(part), "{shown}");
        }
        drop(here);
        assert_eq!(pool.in_use().unwrap().len(), 2);
        drop((there, array));
        assert!(pool.in_use().unwrap().is_empty());
    });
}

#[test]
fn waiting_gets_are_listed_by_their_own_place() {
    for portable in [false, true] {
        let pool = builder(portable, Checks::new())
            .capacity(1)
            .wait()
            .build()
            .unwrap();
        let held = pool.get();
        thread::scope(|scope| {
            let waits = scope.spawn(|| (pool.get(), line!()));
            while pool.statistics().waiting == 0 {
                thread::yield_now();
            }
            drop(held);
            let (guard, line) = waits.join().unwrap();
            let all = pool.in_use().unwrap();
            assert_eq!(all.len(), 1);
            assert_eq!(all[0].site.line(), line);
            drop(guard);
        });
        assert!(pool.in_use().unwrap().is_empty());
    }
}

type Reported = Arc<Mutex<Vec<Vec<InUse>>>>;

fn reporting(portable: bool) -> (Pool<Bytes, AsIs>, Reported) {
    let reports = Reported::default();
    let mine = Arc::clone(&reports);
    let checks = Checks::new().on_leak(move |left| mine.lock().unwrap().push(left.to_vec()));
    (builder(portable, checks).build().unwrap(), reports)
}

#[test]
fn forgotten_objects_are_reported_once_when_the_pool_ends() {
    for portable in [false, true] {
        let (pool, reports) = reporting(portable);
        let line = line!() + 1;
        std::mem::forget(pool.try_get().unwrap());
        let _address = Guard::into_raw(pool.try_get().unwrap());
        drop(pool.try_get().unwrap());
        assert!(reports.lock().unwrap().is_empty());
        drop(pool);
        let reports = reports.lock().unwrap();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].len(), 2);
        assert_eq!(reports[0][0].site.line(), line);
        assert_eq!(reports[0][0].site.file(), file!());
    }
}

#[test]
fn a_pool_that_got_everything_back_reports_nothing() {
    for portable in [false, true] {
        let (pool, reports) = reporting(portable);
        drop(pool.try_get_array::<4>());
        drop(pool);
        assert!(reports.lock().unwrap().is_empty());
    }
}

#[test]
fn guards_that_outlive_their_pool_and_come_back_are_no_leak() {
    for portable in [false, true] {
        let (pool, reports) = reporting(portable);
        let guards: Vec<OwnedGuard<Bytes>> =
            (0..3).map(|_| pool.try_get_owned().unwrap()).collect();
        drop(pool);
        drop(guards);
        assert!(reports.lock().unwrap().is_empty());
        assert_eq!(Arc::strong_count(&reports), 1, "the pool has ended");
    }
}

#[test]
fn an_object_whose_replacement_failed_is_in_nobodys_hands() {
    for portable in [false, true] {
        let failing = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&failing);
        let reports = Reported::default();
        let mine = Arc::clone(&reports);
        let builder = Pool::builder(move || {
            assert!(!fails.load(Ordering::Relaxed), "nothing can be made now");
            0_u64
        })
        .capacity(2)
        .reusable_if(|object: &u64| *object != 7)
        .checked(Checks::new().on_leak(move |left| mine.lock().unwrap().push(left.to_vec())));
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let mut both = pool.try_get_array::<2>().unwrap();
        (*both[0], *both[1]) = (7, 7);
        drop(both);
        failing.store(true, Ordering::Relaxed);
        for left in [1, 0] {
            panic_of(|| drop(pool.try_get()));
            assert_eq!(pool.capacity(), left);
            assert!(pool.in_use().unwrap().is_empty());
        }
        failing.store(false, Ordering::Relaxed);
        assert_eq!(pool.resize(2), 2);
        let both = pool.try_get_array::<2>().unwrap();
        assert_eq!(pool.in_use().unwrap().len(), 2);
        drop(both);
        drop(pool);
        assert!(reports.lock().unwrap().is_empty());
    }
}

#[test]
fn a_checked_pool_can_be_resized() {
    for portable in [false, true] {
        let pool = builder(portable, Checks::new())
            .room_for(2_000)
            .build()
            .unwrap();
        for size in [2_000, 1, 700, 4] {
            assert_eq!(pool.resize(size), size);
            let all: Vec<_> = std::iter::from_fn(|| pool.try_get().ok()).collect();
            assert_eq!(all.len(), size);
            assert_eq!(pool.in_use().unwrap().len(), size);
        }
    }
}

#[test]
fn a_cancelled_wait_leaves_no_record() {
    for portable in [false, true] {
        let pool = builder(portable, Checks::new())
            .capacity(1)
            .wait()
            .build()
            .unwrap();
        let held = pool.get();
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        let mut wait = Box::pin(pool.get_async());
        assert!(wait.as_mut().poll(&mut task).is_pending());
        drop(held);
        drop(wait);
        assert!(pool.in_use().unwrap().is_empty());
        assert!(pool.try_get().is_ok());
    }
}
