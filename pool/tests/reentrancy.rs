//! Foreign code in the middle of a pool's work: wakers, makers, destructors and cleaners that panic,
//! or that use the very pool that calls them. Nothing hangs, nothing is handed out twice, and at most
//! the object concerned is lost.
#![cfg(not(loom))]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tailcut_pool::{AsIs, Checks, Grow, Guard, Pool, ReusableIf, Wait};

/// Fails if `work` does not end.
fn ends(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(work));
        let _ = done.send(outcome.is_ok());
    });
    let ended = is_done.recv_timeout(Duration::from_secs(20));
    assert_eq!(ended, Ok(true), "it hangs, or it panicked");
}

fn panics(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

/// A waker that panics.
struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("as planned")
    }
}

/// An executor that polls its one task at once, inside the wake.
struct Inline(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Inline {
    fn start(task: impl Future<Output = ()> + Send + 'static) {
        Arc::new(Inline(Mutex::new(Some(Box::pin(task))))).wake();
    }
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut task = self.0.lock().unwrap();
        if let Some(running) = task.as_mut()
            && running
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        {
            *task = None;
        }
    }
}

fn leaked(capacity: usize) -> &'static Pool<u64, AsIs, Wait> {
    let builder = Pool::builder(|| 0_u64).keep_as_is().capacity(capacity);
    Box::leak(Box::new(builder.wait().build().unwrap()))
}

#[test]
fn a_window_whose_release_panics_half_way_gives_no_object_twice() {
    let armed = AtomicBool::new(true);
    let pool = Pool::builder(|| 0_u64)
        .keep_as_is()
        .capacity(512)
        .on_return(move |n| assert!(*n != 7 || !armed.swap(false, SeqCst), "as planned"))
        .build()
        .unwrap();
    let mut window = pool.window();
    for n in [0, 7, 0] {
        let mut guard = pool.try_get().unwrap();
        *guard = n;
        window.push(guard);
    }
    assert!(panics(|| window.release()));
    drop(window);
    let held: Vec<_> = std::iter::from_fn(|| pool.try_get().ok()).collect();
    let mut addresses: Vec<_> = held.iter().map(|guard| &raw const **guard).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!((held.len(), addresses.len()), (511, 511));
}

#[test]
fn a_large_window_loses_only_the_object_whose_cleaning_panicked() {
    let pool = Pool::builder(|| 0_u64)
        .keep_as_is()
        .capacity(1000)
        .on_return(|n| assert_ne!(*n, 7, "as planned"))
        .build()
        .unwrap();
    let mut window = pool.window();
    for n in 0..1000 {
        let mut guard = pool.try_get().unwrap();
        *guard = if n == 500 { 7 } else { 0 };
        window.push(guard);
    }
    assert!(panics(|| drop(window)));
    assert_eq!(pool.statistics().in_use, 1);
}

#[test]
fn guards_given_to_the_wrong_pool_all_go_home() {
    let make = || {
        Pool::builder(|| 0_u64)
            .keep_as_is()
            .capacity(4)
            .build()
            .unwrap()
    };
    let (ours, others) = (make(), make());
    let mut guards: Vec<_> = (0..3).map(|_| ours.try_get().unwrap()).collect();
    guards.insert(2, others.try_get().unwrap());
    assert!(panics(|| ours.put_all(guards)));
    assert_eq!(ours.statistics().in_use, 0);
    assert_eq!(others.statistics().in_use, 0);
}

#[test]
fn destructors_that_panic_while_a_pool_shrinks_run_once_each() {
    static DROPPED: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    static ARMED: AtomicBool = AtomicBool::new(true);
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(
                !ARMED.load(SeqCst),
                "a panic's payload that panics, as planned"
            );
        }
    }
    struct Object(u32);
    impl Drop for Object {
        fn drop(&mut self) {
            DROPPED.lock().unwrap().push(self.0);
            if ARMED.load(SeqCst) {
                panic_any(Bomb);
            }
        }
    }
    let mut made = 0;
    let pool = Pool::builder(move || {
        made += 1;
        Object(made)
    });
    let pool = pool.keep_as_is().capacity(4).build().unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| pool.resize(0)));
    ARMED.store(false, SeqCst);
    assert!(outcome.is_err());
    assert_eq!(pool.capacity(), 0);
    drop(pool);
    let mut dropped = DROPPED.lock().unwrap().clone();
    dropped.sort_unstable();
    assert_eq!(dropped, [1, 2, 3, 4]);
}

#[test]
fn a_pool_ends_although_cleaning_an_owned_object_panicked() {
    for portable in [false, true] {
        ends(move || {
            let builder = Pool::builder(|| 0_u64)
                .keep_as_is()
                .capacity(2)
                .on_return(|_: &mut u64| panic!("as planned"));
            let builder = if portable {
                builder.portable()
            } else {
                builder
            };
            let pool = builder.build().unwrap();
            let (early, late) = (pool.try_get_owned().unwrap(), pool.try_get_owned().unwrap());
            assert!(panics(|| drop(early)));
            drop(pool);
            assert!(panics(|| drop(late)));
        });
    }
}

#[test]
fn a_wakers_panic_keeps_nobody_else_from_being_served() {
    let pool = leaked(2);
    let mut window = pool.window();
    window.push(pool.get());
    window.push(pool.get());
    let mut first = Box::pin(pool.get_async());
    let panicking = Waker::from(Arc::new(Panicking));
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(&panicking))
            .is_pending()
    );
    ends(move || {
        let waiting = std::thread::spawn(|| drop(pool.get()));
        while pool.statistics().waiting < 2 {
            std::thread::yield_now();
        }
        window.release();
        waiting.join().unwrap();
    });
    let served = first.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(served, Poll::Ready(_)));
    assert_eq!(pool.statistics().waiting, 0);
}

#[test]
fn a_waker_that_holds_an_object_can_be_replaced() {
    ends(|| {
        struct Task(
            #[expect(dead_code, reason = "dropped with the task")] Mutex<Guard<'static, u64>>,
        );
        impl Wake for Task {
            fn wake(self: Arc<Self>) {}
        }
        let pool = leaked(1);
        let first = Waker::from(Arc::new(Task(Mutex::new(pool.get()))));
        let mut waiting = Box::pin(pool.get_async());
        assert!(
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(&first))
                .is_pending()
        );
        drop(first); // the future's copy is the last
        let _ = waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        let served = waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(served.is_ready(), "the object came back with the task");
    });
}

#[test]
fn a_maker_that_needs_an_object_of_its_own_pool_is_told_so() {
    static POOL: OnceLock<Pool<u64, AsIs, Grow>> = OnceLock::new();
    ends(|| {
        let make = || {
            if let Some(pool) = POOL.get() {
                drop(pool.get());
            }
            0
        };
        let pool = Pool::builder(make).keep_as_is().capacity(1).grow_to(9);
        assert!(POOL.set(pool.build().unwrap()).is_ok());
        let pool = POOL.get().unwrap();
        let held = pool.get().unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| drop(pool.get()))).unwrap_err();
        let message = panic.downcast_ref::<&str>().unwrap();
        assert!(
            message.contains("maker of a pool asked that pool"),
            "{message}"
        );
        drop(held);
        drop(pool.get().unwrap());
        assert_eq!(pool.capacity(), 1);
    });
}

#[test]
fn a_task_that_runs_inside_a_resize_can_have_its_object_replaced() {
    type Picky = Pool<u64, ReusableIf<AsIs, fn(&u64) -> bool>, Wait>;
    static POOL: OnceLock<Picky> = OnceLock::new();
    ends(|| {
        let never: fn(&u64) -> bool = |_| false;
        let builder = Pool::builder(|| 0).keep_as_is().reusable_if(never);
        let builder = builder.capacity(1).room_for(4).wait();
        assert!(POOL.set(builder.build().unwrap()).is_ok());
        let pool = POOL.get().unwrap();
        let held = pool.get();
        Inline::start(async { drop(POOL.get().unwrap().get_async().await) });
        assert_eq!(pool.resize(2), 2);
        drop(held);
        assert_eq!(pool.statistics().in_use, 0);
    });
}

#[test]
fn a_task_that_runs_inside_an_owned_put_can_drop_the_pool() {
    for portable in [false, true] {
        ends(move || {
            let counted = Arc::new(());
            let object = Arc::clone(&counted);
            let builder = Pool::builder(move || Arc::clone(&object))
                .keep_as_is()
                .capacity(1);
            let builder = if portable {
                builder.portable()
            } else {
                builder
            };
            let pool = Arc::new(builder.wait().build().unwrap());
            let held = pool.try_get_owned().unwrap();
            Inline::start(async move { drop(pool.get_async().await) });
            drop(held);
            assert_eq!(Arc::strong_count(&counted), 1, "the pool has ended");
        });
    }
}

#[test]
fn a_checked_pool_forgets_an_object_that_could_not_be_replaced() {
    let fail = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fail);
    let make = move || {
        assert!(!failing.load(SeqCst), "as planned");
        0_u64
    };
    let pool = Pool::builder(make)
        .recycle_with(|n| assert_ne!(*n, 7, "as planned"))
        .capacity(1)
        .checked(Checks::new())
        .build()
        .unwrap();
    *pool.try_get().unwrap() = 7;
    fail.store(true, SeqCst);
    assert!(panics(|| drop(pool.try_get())));
    fail.store(false, SeqCst);
    assert_eq!((pool.capacity(), pool.in_use().unwrap().len()), (0, 0));
    assert_eq!(pool.resize(1), 1);
    drop(pool.try_get().unwrap());
}
