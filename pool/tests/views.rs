//! Guards of parts and of other views of an object.
#![cfg(not(loom))]

mod common;

use common::both_paths;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tailcut_pool::{AsIs, Guard, MappedGuard, Pool, SplitGuard};

type Pair = (u64, String);

fn pairs(portable: bool, capacity: usize) -> Pool<Pair, AsIs> {
    let builder = Pool::builder(|| (0, String::new()))
        .keep_as_is()
        .capacity(capacity);
    let builder = if portable {
        builder.portable()
    } else {
        builder
    };
    builder.build().unwrap()
}

#[test]
fn a_view_writes_to_the_object_itself() {
    for portable in [false, true] {
        let pool = pairs(portable, 1);
        let mut word = Guard::map(pool.try_get().unwrap(), |pair| &mut pair.1);
        word.push_str("written");
        let mut bytes = MappedGuard::map(word, |word| word.as_mut_str());
        bytes.make_ascii_uppercase();
        assert!(pool.try_get().is_err(), "in use as long as the last view");
        drop(bytes);
        assert_eq!(pool.try_get().unwrap().1, "WRITTEN");
    }
}

#[test]
fn views_of_several_pools_lie_in_one_collection() {
    both_paths(|builder| {
        let numbers = builder.capacity(2).build().unwrap();
        let pairs = pairs(false, 2);
        let mut views: Vec<MappedGuard<'_, dyn Debug + Send>> = vec![
            Guard::map(numbers.try_get().unwrap(), |n| n as &mut (dyn Debug + Send)),
            Guard::map(pairs.try_get().unwrap(), |p| p as &mut (dyn Debug + Send)),
        ];
        views.swap(0, 1);
        assert_eq!(format!("{views:?}"), r#"[(0, ""), 0]"#);
        drop(views);
        assert_eq!(numbers.try_get_array::<2>().unwrap().len(), 2);
        assert_eq!(pairs.try_get_array::<2>().unwrap().len(), 2);
    });
}

#[test]
fn a_view_that_panics_gives_the_object_back() {
    for portable in [false, true] {
        let pool = pairs(portable, 1);
        for _ in 0..3 {
            let first = catch_unwind(AssertUnwindSafe(|| {
                let _ = Guard::map(pool.try_get().unwrap(), |_| -> &mut u64 { panic!("first") });
            }));
            let second = catch_unwind(AssertUnwindSafe(|| {
                let whole = Guard::map(pool.try_get().unwrap(), |pair| pair);
                let _ = MappedGuard::map(whole, |_| -> &mut u64 { panic!("second") });
            }));
            let split = catch_unwind(AssertUnwindSafe(|| {
                let _ = Guard::split(pool.try_get().unwrap(), |_| -> (&mut u64, &mut String) {
                    panic!("split")
                });
            }));
            assert!(first.is_err() && second.is_err() && split.is_err());
        }
        let statistics = pool.statistics();
        assert_eq!(statistics.in_use, 0);
        assert!(pool.try_get().is_ok());
    }
}

#[test]
fn two_threads_change_two_parts_of_one_object() {
    for portable in [false, true] {
        let pool = pairs(portable, 1);
        for round in 0..200_u64 {
            let (mut number, mut word) =
                Guard::split(pool.try_get().unwrap(), |pair| (&mut pair.0, &mut pair.1));
            thread::scope(|scope| {
                scope.spawn(move || *number = round);
                scope.spawn(move || {
                    word.clear();
                    word.push_str(&round.to_string());
                });
            });
            let pair = pool.try_get().expect("both parts came back");
            assert_eq!(*pair, (round, round.to_string()));
        }
    }
}

#[test]
fn the_object_goes_back_with_the_second_part_whichever_that_is() {
    for portable in [false, true] {
        let pool = pairs(portable, 1);
        let split = || Guard::split(pool.try_get().unwrap(), |pair| (&mut pair.0, &mut pair.1));
        let (left, right) = split();
        drop(left);
        assert!(pool.try_get().is_err());
        drop(right);
        let (left, right) = split();
        drop(right);
        assert!(pool.try_get().is_err());
        drop(left);
        assert!(pool.try_get().is_ok());
    }
}

#[test]
fn a_forgotten_part_keeps_the_object_out_of_use() {
    for portable in [false, true] {
        let pool = pairs(portable, 2);
        let (left, right) =
            Guard::split(pool.try_get().unwrap(), |pair| (&mut pair.0, &mut pair.1));
        std::mem::forget(left);
        drop(right);
        assert_eq!(pool.statistics().in_use, 1);
        assert!(pool.try_get_array::<2>().is_err());
        assert!(pool.try_get().is_ok());
    }
}

/// The count of parts lies among the links of loose objects, so both are kept busy: three objects
/// for eight threads leave many of them loose.
#[test]
fn parts_dropped_at_once_give_their_object_back_once() {
    for portable in [false, true] {
        let pool = pairs(portable, 3);
        let (give, take) = std::sync::mpsc::sync_channel::<SplitGuard<'_, String>>(64);
        let taken = std::sync::Mutex::new(take);
        thread::scope(|scope| {
            for _ in 0..4 {
                let give = give.clone();
                let pool = &pool;
                scope.spawn(move || {
                    for turn in 0..5_000 {
                        let Ok(guard) = pool.try_get() else {
                            thread::yield_now();
                            continue;
                        };
                        if turn % 3 == 0 {
                            continue;
                        }
                        let (mut left, right) =
                            Guard::split(guard, |pair| (&mut pair.0, &mut pair.1));
                        *left += 1;
                        give.send(right).unwrap();
                    }
                });
            }
            drop(give);
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let next = taken.lock().unwrap().recv();
                        match next {
                            Ok(mut right) => right.push('x'),
                            Err(_) => return,
                        }
                    }
                });
            }
        });
        let all = pool.try_get_array::<3>().expect("nothing was lost");
        assert!(pool.try_get().is_err(), "nothing was doubled");
        let parts: usize = all.iter().map(|pair| pair.0 as usize).sum();
        let other: usize = all.iter().map(|pair| pair.1.len()).sum();
        assert_eq!(parts, other);
        assert!(parts > 0);
    }
}

#[test]
fn a_split_object_is_cleaned_once_after_both_parts() {
    for portable in [false, true] {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&cleaned);
        let builder = Pool::builder(|| (1_u64, 2_u64))
            .keep_as_is()
            .capacity(1)
            .on_return(move |pair: &mut (u64, u64)| {
                *pair = (0, 0);
                count.fetch_add(1, Ordering::Relaxed);
            });
        let builder = if portable {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().unwrap();
        let (left, right) =
            Guard::split(pool.try_get().unwrap(), |pair| (&mut pair.0, &mut pair.1));
        drop(left);
        assert_eq!((cleaned.load(Ordering::Relaxed), *right), (0, 2));
        drop(right);
        assert_eq!(cleaned.load(Ordering::Relaxed), 1);
        assert_eq!(*pool.try_get().unwrap(), (0, 0));
    }
}

#[test]
fn a_view_that_is_dropped_in_another_thread_gives_back_there() {
    for portable in [false, true] {
        let pool = pairs(portable, 1);
        for _ in 0..100 {
            let view = Guard::map(pool.try_get().unwrap(), |pair| &mut pair.0);
            thread::scope(|scope| {
                scope.spawn(move || drop(view));
            });
            assert!(pool.try_get().is_ok());
        }
    }
}

#[test]
fn every_guard_shows_its_object() {
    let pool = pairs(false, 3);
    let mut guard = pool.try_get().unwrap();
    guard.1.push_str("text");
    assert_eq!(format!("{guard:?}"), r#"(0, "text")"#);
    let (number, word) = Guard::split(guard, |pair| (&mut pair.0, pair.1.as_mut_str()));
    assert_eq!(format!("{number} {word} {word:?}"), r#"0 text "text""#);
    let mut owned = pool.try_get_owned().unwrap();
    owned.as_mut().0 = 3;
    assert_eq!(owned.as_ref().0, 3);
    let mapped = Guard::map(pool.try_get().unwrap(), |pair| &mut pair.0);
    assert_eq!(mapped.to_string(), "0");
}
