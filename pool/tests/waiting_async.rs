//! Waiting in tasks, and in tasks and threads mixed: in order, without loss, without allocation.
#![cfg(not(loom))]

use std::alloc::System;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use tailcut_pool::meter::{self, Metered};
use tailcut_pool::{AsIs, GetAsync, Guard, Pool, Wait};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

type Waited = Pool<u64, AsIs, Wait>;

fn pool(portable: bool, capacity: usize) -> Waited {
    let builder = Pool::builder(|| 0_u64)
        .capacity(capacity)
        .keep_as_is()
        .wait();
    let builder = if portable {
        builder.portable()
    } else {
        builder
    };
    builder.build().unwrap()
}

fn both_paths(capacity: usize, test: impl Fn(&'static Waited)) {
    for portable in [false, true] {
        // Leaked, as a service's pool is, so that tasks can be spawned.
        test(Box::leak(Box::new(pool(portable, capacity))));
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll<'p>(
    future: &mut Pin<Box<GetAsync<'p, u64, AsIs>>>,
    bell: &Arc<Bell>,
) -> Poll<Guard<'p, u64>> {
    let waker = Waker::from(Arc::clone(bell));
    future.as_mut().poll(&mut Context::from_waker(&waker))
}

fn until_waiting(pool: &Waited, count: usize) {
    while pool.statistics().waiting != count {
        thread::yield_now();
    }
}

/// Every object is there, none is there twice, and the books agree.
fn assert_whole(pool: &Waited, capacity: usize) {
    let statistics = pool.statistics();
    assert_eq!(statistics.waiting, 0);
    assert_eq!(statistics.in_use, 0, "{statistics:?}");
    let total = statistics.total();
    assert_eq!(total.gets, total.puts, "{statistics:?}");
    let all: Vec<_> = std::iter::from_fn(|| pool.try_get().ok()).collect();
    assert_eq!(all.len(), capacity);
}

#[test]
fn tasks_and_threads_are_served_in_the_order_of_their_arrival() {
    both_paths(1, |pool| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let held = pool.get();
        let mut threads = Vec::new();
        let mut tasks = Vec::new();
        for number in 0..30 {
            let served = Arc::clone(&served);
            if number % 3 == 0 {
                threads.push(thread::spawn(move || {
                    let guard = pool.get();
                    served.lock().unwrap().push(number);
                    drop(guard);
                }));
            } else {
                tasks.push(runtime.spawn(async move {
                    let guard = pool.get_async().await;
                    served.lock().unwrap().push(number);
                    drop(guard);
                }));
            }
            until_waiting(pool, number + 1);
        }
        drop(held);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(*served.lock().unwrap(), (0..30).collect::<Vec<_>>());
        assert_eq!(pool.statistics().total().waits, 30);
        assert_whole(pool, 1);
    });
}

#[test]
fn a_get_that_need_not_wait_is_ready_at_once() {
    both_paths(2, |pool| {
        let bell = Arc::new(Bell::default());
        let mut future = Box::pin(pool.get_async());
        assert!(poll(&mut future, &bell).is_ready());
        assert_eq!(pool.statistics().total().waits, 0);
        assert_eq!(bell.rung(), 0);
    });
}

#[test]
fn a_future_that_is_never_polled_takes_nothing() {
    both_paths(1, |pool| {
        drop(pool.get_async());
        assert_whole(pool, 1);
    });
}

#[test]
fn one_wake_up_comes_with_one_object() {
    both_paths(2, |pool| {
        let mut held = vec![pool.get(), pool.get()];
        let bells: [_; 3] = std::array::from_fn(|_| Arc::new(Bell::default()));
        let mut futures: [_; 3] = std::array::from_fn(|_| Box::pin(pool.get_async()));
        for (future, bell) in futures.iter_mut().zip(&bells) {
            assert!(poll(future, bell).is_pending());
        }
        drop(held.pop());
        assert_eq!(bells.each_ref().map(|bell| bell.rung()), [1, 0, 0]);
        assert!(
            poll(&mut futures[1], &bells[1]).is_pending(),
            "not its turn"
        );
        let Poll::Ready(first) = poll(&mut futures[0], &bells[0]) else {
            panic!("it was given an object");
        };
        drop(first);
        drop(held);
        assert_eq!(bells.each_ref().map(|bell| bell.rung()), [1, 1, 1]);
        drop(futures);
        assert_whole(pool, 2);
    });
}

#[test]
fn the_waker_of_the_last_poll_is_the_one_that_is_woken() {
    both_paths(1, |pool| {
        let held = pool.get();
        let bells: [_; 2] = std::array::from_fn(|_| Arc::new(Bell::default()));
        let mut future = Box::pin(pool.get_async());
        assert!(poll(&mut future, &bells[0]).is_pending());
        assert!(poll(&mut future, &bells[1]).is_pending());
        assert_eq!(
            Arc::strong_count(&bells[0]),
            1,
            "the former waker is let go"
        );
        drop(held);
        assert_eq!(bells.each_ref().map(|bell| bell.rung()), [0, 1]);
    });
}

#[test]
fn a_future_dropped_while_it_waits_leaves_the_queue() {
    both_paths(1, |pool| {
        let held = pool.get();
        let bells: [_; 3] = std::array::from_fn(|_| Arc::new(Bell::default()));
        for gone in 0..3 {
            let mut futures: Vec<_> = (0..3).map(|_| Some(Box::pin(pool.get_async()))).collect();
            for (future, bell) in futures.iter_mut().zip(&bells) {
                assert!(poll(future.as_mut().unwrap(), bell).is_pending());
            }
            futures[gone] = None;
            assert_eq!(pool.statistics().waiting, 2);
        }
        assert_eq!(pool.statistics().waiting, 0);
        drop(held);
        assert_eq!(bells.iter().map(|bell| bell.rung()).sum::<usize>(), 0);
        assert_whole(pool, 1);
    });
}

#[test]
fn a_future_dropped_after_it_was_given_an_object_hands_it_on() {
    both_paths(1, |pool| {
        let held = pool.get();
        let bells: [_; 2] = std::array::from_fn(|_| Arc::new(Bell::default()));
        let mut first = Box::pin(pool.get_async());
        let mut second = Box::pin(pool.get_async());
        assert!(poll(&mut first, &bells[0]).is_pending());
        assert!(poll(&mut second, &bells[1]).is_pending());
        drop(held);
        assert_eq!(bells[0].rung(), 1);
        drop(first);
        assert_eq!(bells[1].rung(), 1);
        assert!(poll(&mut second, &bells[1]).is_ready());
        assert_whole(pool, 1);
    });
}

#[test]
fn an_object_given_to_a_dropped_future_is_free_again_and_counted_rightly() {
    both_paths(1, |pool| {
        for _ in 0..5 {
            let bell = Arc::new(Bell::default());
            let held = pool.get();
            let mut future = Box::pin(pool.get_async());
            assert!(poll(&mut future, &bell).is_pending());
            drop(held);
            drop(future);
            assert_whole(pool, 1);
        }
    });
}

#[test]
fn a_timeout_ends_the_wait_and_nothing_else() {
    both_paths(1, |pool| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let held = pool.get_async().await;
            let patience = Duration::from_millis(5);
            for _ in 0..3 {
                assert!(
                    tokio::time::timeout(patience, pool.get_async())
                        .await
                        .is_err()
                );
            }
            assert_eq!(pool.statistics().waiting, 0);
            drop(held);
            assert!(
                tokio::time::timeout(patience, pool.get_async())
                    .await
                    .is_ok()
            );
        });
        assert_whole(pool, 1);
    });
}

#[test]
fn hundreds_of_tasks_and_some_threads_share_few_objects() {
    both_paths(3, |pool| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let before: u64 = sum(pool);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                thread::spawn(|| {
                    for _ in 0..500 {
                        *pool.get() += 1;
                    }
                })
            })
            .collect();
        let served: u64 = runtime.block_on(async {
            let tasks: Vec<_> = (0..200)
                .map(|number| {
                    tokio::spawn(async move {
                        let mut served = 0;
                        for turn in 0..50_u64 {
                            if (number + turn) % 7 == 0 {
                                let patience = Duration::from_micros(turn);
                                let given = tokio::time::timeout(patience, pool.get_async()).await;
                                if let Ok(mut guard) = given {
                                    *guard += 1;
                                    served += 1;
                                }
                                continue;
                            }
                            let mut guard = pool.get_async().await;
                            if turn % 3 == 0 {
                                tokio::task::yield_now().await;
                            }
                            *guard += 1;
                            served += 1;
                        }
                        served
                    })
                })
                .collect();
            let mut served = 0;
            for task in tasks {
                served += task.await.unwrap();
            }
            served
        });
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(sum(pool) - before, served + 1_000, "no two had one object");
        assert_whole(pool, 3);
    });
}

fn sum(pool: &Waited) -> u64 {
    pool.try_get_array::<3>()
        .unwrap()
        .iter()
        .map(|guard| **guard)
        .sum()
}

/// Futures dropped at just the moment when they are given an object, from another thread.
#[test]
fn cancelling_while_objects_come_back_loses_none() {
    both_paths(1, |pool| {
        let (give, take) = mpsc::sync_channel::<Guard<'static, u64>>(0);
        let giver = thread::spawn(move || take.into_iter().for_each(drop));
        let bell = Arc::new(Bell::default());
        for turn in 0..3_000 {
            let held = pool.get();
            let mut future = Box::pin(pool.get_async());
            assert!(poll(&mut future, &bell).is_pending());
            give.send(held).unwrap();
            (0..turn % 200).for_each(|_| std::hint::spin_loop());
            drop(future);
        }
        drop(give);
        giver.join().unwrap();
        assert_whole(pool, 1);
    });
}

#[test]
fn waiting_allocates_nothing() {
    both_paths(1, |pool| {
        let mut context = Context::from_waker(Waker::noop());
        let mut futures = [(); 2].map(|()| Box::pin(pool.get_async()));
        let held = pool.get();
        let before = meter::counts();
        for future in &mut futures {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        drop(held);
        for future in &mut futures {
            assert!(future.as_mut().poll(&mut context).is_ready());
        }
        assert!(pool.get_timeout(Duration::from_millis(1)).is_ok());
        assert_eq!(meter::counts() - before, meter::Counts::default());

        let held = pool.get();
        let elsewhere = thread::spawn(|| {
            let before = meter::counts();
            drop(pool.get());
            meter::counts() - before
        });
        until_waiting(pool, 1);
        drop(held);
        assert_eq!(elsewhere.join().unwrap(), meter::Counts::default());
    });
}

/// A waker that owns a task that waits in the same pool, as an executor's reference does.
struct Task {
    _waits: Mutex<Pin<Box<GetAsync<'static, u64, AsIs>>>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_drop_another_task_that_waits_in_the_same_pool() {
    both_paths(1, |pool| {
        let (done, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            let held = pool.get();
            let mut other = Box::pin(pool.get_async());
            let bell = Arc::new(Bell::default());
            assert!(poll(&mut other, &bell).is_pending());
            let last_reference = Waker::from(Arc::new(Task {
                _waits: Mutex::new(other),
            }));
            let mut future = Box::pin(pool.get_async());
            let mut context = Context::from_waker(&last_reference);
            assert!(future.as_mut().poll(&mut context).is_pending());
            drop(last_reference);
            // Another waker takes its place, and with it goes the other task.
            assert!(poll(&mut future, &bell).is_pending());
            assert_eq!(pool.statistics().waiting, 1);
            drop(held);
            assert!(poll(&mut future, &bell).is_ready());
            done.send(()).unwrap();
        });
        assert!(
            wait.recv_timeout(Duration::from_secs(30)) != Err(mpsc::RecvTimeoutError::Timeout),
            "the pool hangs"
        );
        thread.join().unwrap();
        assert_whole(pool, 1);
    });
}

#[test]
fn a_recycler_that_panics_reaches_the_task_and_loses_no_object() {
    for portable in [false, true] {
        let builder = Pool::builder(|| 0_u64)
            .capacity(1)
            .recycle_with(|object: &mut u64| assert_ne!(*object, 7, "spoilt"))
            .wait();
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut held = pool.get();
        *held = 7;
        let mut future = Box::pin(pool.get_async());
        assert!(future.as_mut().poll(&mut context).is_pending());
        drop(held);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = future.as_mut().poll(&mut context);
        }));
        assert!(panicked.is_err());
        drop(future);
        assert_eq!(*pool.get(), 0);
        assert_eq!(pool.statistics().discarded, 1);
    }
}
