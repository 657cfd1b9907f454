//! When objects are recycled, by what, what it asks of the allocator, and what a panic there does.
#![cfg(not(loom))]

use proptest::prelude::*;
use std::alloc::System;
use std::cell::Cell;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tailcut_pool::meter::{self, Metered};
use tailcut_pool::{KeepVec, Pool, Recycle, Recycler, Within, recycle_fields};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

/// What `work` asks of the allocator.
fn spent(work: impl FnOnce()) -> meter::Counts {
    let before = meter::counts();
    work();
    meter::counts() - before
}

#[test]
fn an_object_is_recycled_when_it_is_next_taken_not_before() {
    let recycled = Cell::new(0);
    let pool = Pool::builder(|| 0_u64)
        .capacity(1)
        .recycle_with(|_| recycled.set(recycled.get() + 1))
        .build()
        .unwrap();
    let guard = pool.try_get().unwrap();
    assert_eq!(recycled.get(), 1);
    drop(guard);
    assert_eq!(recycled.get(), 1);
    drop(pool.try_get().unwrap());
    assert_eq!(recycled.get(), 2);
}

#[test]
fn collections_come_back_empty_with_their_capacity() {
    struct Order {
        items: Vec<u64>,
        notes: HashMap<String, String>,
    }
    impl Recycle for Order {
        fn reset(&mut self) {
            self.items.reset();
            self.notes.reset();
        }
    }
    let pool = Pool::builder(|| Order {
        items: Vec::new(),
        notes: HashMap::new(),
    })
    .capacity(1)
    .build()
    .unwrap();
    let mut order = pool.try_get().unwrap();
    order.items.extend(0..100);
    order.notes.insert("k".into(), "v".into());
    drop(order);
    let order = pool.try_get().unwrap();
    assert!(order.items.is_empty() && order.notes.is_empty());
    assert!(order.items.capacity() >= 100);
}

#[test]
fn a_recycler_that_panics_loses_no_object() {
    let fail = Cell::new(true);
    let pool = Pool::builder(|| 7_u64)
        .capacity(2)
        .recycle_with(|_| assert!(!fail.get(), "as planned"))
        .build()
        .unwrap();
    for _ in 0..10 {
        assert!(catch_unwind(AssertUnwindSafe(|| drop(pool.try_get()))).is_err());
    }
    fail.set(false);
    let (a, b) = (pool.try_get().unwrap(), pool.try_get().unwrap());
    assert_eq!((*a, *b), (7, 7));
}

#[test]
fn every_object_is_dropped_once_with_the_pool_even_if_its_guard_was_forgotten() {
    let counted = std::sync::Arc::new(());
    let object = counted.clone();
    let pool = Pool::builder(move || object.clone())
        .keep_as_is()
        .capacity(100)
        .build()
        .unwrap();
    assert_eq!(std::sync::Arc::strong_count(&counted), 102);
    std::mem::forget(pool.try_get().unwrap());
    let mut window = pool.window();
    window.push(pool.try_get().unwrap());
    std::mem::forget(window);
    drop(pool);
    assert_eq!(std::sync::Arc::strong_count(&counted), 1);
}

#[test]
fn a_guard_can_end_its_life_on_another_thread() {
    let pool = Pool::builder(String::new).capacity(1).build().unwrap();
    let mut guard = pool.try_get().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            guard.push('x');
            assert_eq!(format!("{guard} {guard:?}"), "x \"x\"");
        });
    });
    assert!(pool.try_get().unwrap().is_empty());
}

/// A request's scratch space, as a service would have it.
struct Scratch {
    account: u64,
    items: Vec<u64>,
    notes: HashMap<u64, u64>,
    words: KeepVec<String>,
    log: Cursor<Vec<u8>>,
}

recycle_fields! { Scratch { account, items, notes, words, log } }

impl Scratch {
    fn preshaped() -> Self {
        Scratch {
            account: 0,
            items: Vec::with_capacity(8),
            notes: HashMap::with_capacity(4),
            words: KeepVec::preshaped(3, || String::with_capacity(32)),
            log: Cursor::new(Vec::with_capacity(64)),
        }
    }

    fn is_clean(&self) -> bool {
        self.account == 0
            && self.items.is_empty()
            && self.notes.is_empty()
            && self.words.is_empty()
            && self.log.get_ref().is_empty()
    }

    fn serve(&mut self) {
        self.account = 7;
        self.items.extend(0..8);
        self.notes.extend((0..4).map(|key| (key, key)));
        for word in ["three", "short", "words"] {
            self.words.push().push_str(word);
        }
        std::io::Write::write_all(&mut self.log, b"served").unwrap();
    }
}

#[test]
fn a_preshaped_object_is_used_again_and_again_without_the_allocator() {
    let pool = Pool::builder(Scratch::preshaped)
        .recycler(Within::bytes(16 << 10))
        .capacity(2)
        .build()
        .unwrap();
    let spent = spent(|| {
        for _ in 0..10 {
            let mut held = [pool.try_get().unwrap(), pool.try_get().unwrap()];
            held.iter_mut().for_each(|scratch| {
                assert!(scratch.is_clean());
                scratch.serve();
            });
        }
    });
    assert_eq!(spent, meter::Counts::default());
}

#[test]
fn strings_in_a_vector_are_freed_by_a_reset_and_in_a_keep_vec_they_are_not() {
    let mut freed = vec![String::from("text"); 10];
    assert_eq!(spent(|| freed.reset()).frees, 10);
    let mut kept = KeepVec::<String>::new();
    for _ in 0..10 {
        kept.push().push_str("text");
    }
    let again = spent(|| {
        kept.reset();
        for _ in 0..10 {
            kept.push().push_str("text");
        }
    });
    assert_eq!(again, meter::Counts::default());
}

#[test]
fn one_huge_request_is_paid_for_once_and_its_memory_comes_back() {
    let pool = Pool::builder(Scratch::preshaped)
        .recycler(Within::bytes(16 << 10))
        .capacity(1)
        .build()
        .unwrap();
    let mut huge = pool.try_get().unwrap();
    huge.items.extend(0..100_000);
    huge.notes.extend((0..100_000).map(|key| (key, key)));
    (0..1_000).for_each(|_| huge.words.push().push_str("a rather long word"));
    drop(huge);
    let mut scratch = pool.try_get().unwrap();
    assert!(scratch.is_clean());
    assert!(scratch.retained_bytes() <= 16 << 10);
    scratch.serve(); // what was cut may be grown again, once
    drop(scratch);
    let spent = spent(|| pool.try_get().unwrap().serve());
    assert_eq!(spent, meter::Counts::default());
}

#[test]
fn what_a_hash_table_is_said_to_retain_is_what_the_allocator_gave_it() {
    for entries in [1, 3, 4, 7, 8, 14, 15, 100, 1_000, 10_000] {
        let before = meter::counts();
        let map = HashMap::<u64, [u64; 2]>::with_capacity(entries);
        let set = HashSet::<u32>::with_capacity(entries);
        let given = (meter::counts() - before).bytes as usize;
        let said = map.retained_bytes() + set.retained_bytes();
        assert!(
            (said..said + 64).contains(&given),
            "{entries} entries: {said} said, {given} given"
        );
    }
}

#[test]
fn a_reset_frees_no_buffer_and_a_shrink_to_nothing_frees_all() {
    let mut all = (
        Vec::<u64>::with_capacity(9),
        String::with_capacity(9),
        VecDeque::<u64>::with_capacity(9),
        BinaryHeap::<u64>::with_capacity(9),
        HashMap::<u64, u64>::with_capacity(9),
        HashSet::<u64>::with_capacity(9),
        OsString::with_capacity(9),
        PathBuf::with_capacity(9),
        KeepVec::preshaped(1, || 0_u64),
    );
    assert_eq!(spent(|| all.reset()), meter::Counts::default());
    assert_eq!(spent(|| all.shrink_to_bytes(0)).frees, 9);
    assert_eq!(all.retained_bytes(), 0);
}

#[test]
fn a_tree_keeps_no_nodes() {
    let mut tree = BTreeMap::from([(1, 2)]);
    assert!(spent(|| tree.reset()).frees > 0);
}

/// After a reset a collection is empty and has kept its memory; after [`Within`] it has kept no
/// more than the limit.
fn comes_back_empty_and_bounded<T: Recycle>(mut used: T, len: fn(&T) -> usize, limit: usize) {
    let before = used.retained_bytes();
    assert_eq!(spent(|| used.reset()), meter::Counts::default());
    assert_eq!(len(&used), 0);
    assert_eq!(used.retained_bytes(), before);
    Within::bytes(limit).recycle(&mut used);
    let after = used.retained_bytes();
    assert!(after <= limit, "{after} bytes kept of {limit}");
    if before <= limit {
        assert_eq!(after, before);
    }
}

proptest! {
    #[test]
    fn every_collection_comes_back_empty_and_within_its_limit(
        numbers in prop::collection::vec(any::<u32>(), 0..300),
        text in ".{0,200}",
        limit in 0_usize..3000,
    ) {
        let vec = numbers.clone();
        comes_back_empty_and_bounded(vec, Vec::len, limit);
        comes_back_empty_and_bounded(VecDeque::from(numbers.clone()), VecDeque::len, limit);
        comes_back_empty_and_bounded(BinaryHeap::from(numbers.clone()), BinaryHeap::len, limit);
        let set: HashSet<u32> = numbers.iter().copied().collect();
        comes_back_empty_and_bounded(set, HashSet::len, limit);
        let map: HashMap<u32, u64> = numbers.iter().map(|key| (*key, 0)).collect();
        comes_back_empty_and_bounded(map, HashMap::len, limit);
        comes_back_empty_and_bounded(text.clone(), String::len, limit);
        comes_back_empty_and_bounded(OsString::from(&text), |text| text.len(), limit);
        comes_back_empty_and_bounded(PathBuf::from(&text), |path| path.as_os_str().len(), limit);
        comes_back_empty_and_bounded(
            (numbers.clone(), [text.clone(), text]),
            |(numbers, texts)| numbers.len() + texts[0].len() + texts[1].len(),
            limit,
        );
        let mut kept = KeepVec::<String>::new();
        for number in &numbers {
            kept.push().push_str(&"x".repeat(*number as usize % 50));
        }
        comes_back_empty_and_bounded(kept, |kept| kept.len(), limit);
    }

    /// A `KeepVec` is to its users a `Vec` of the live elements, whatever was kept before.
    #[test]
    fn a_keep_vec_shows_what_a_vec_would(
        steps in prop::collection::vec((0_u8..6, 0_usize..20), 0..100),
    ) {
        let (mut kept, mut plain) = (KeepVec::<String>::new(), Vec::<String>::new());
        for (step, number) in steps {
            match step {
                0 => {
                    kept.clear();
                    plain.clear();
                }
                1 => {
                    kept.truncate(number);
                    plain.truncate(number);
                }
                2 => kept.shrink_to_bytes(number * 20),
                _ => {
                    kept.push().push_str(&"y".repeat(number));
                    plain.push("y".repeat(number));
                }
            }
            prop_assert_eq!(&kept[..], &plain[..]);
        }
    }
}

#[test]
fn an_object_that_is_not_reusable_is_replaced_by_a_new_one() {
    let mut made = 0;
    let make = move || {
        made += 1;
        made
    };
    let pool = Pool::builder(make)
        .keep_as_is()
        .reusable_if(|object: &i32| *object != 13)
        .capacity(1)
        .build()
        .unwrap();
    assert_eq!(*pool.try_get().unwrap(), 1);
    *pool.try_get().unwrap() = 13;
    assert_eq!(*pool.try_get().unwrap(), 2);
    assert_eq!(*pool.try_get().unwrap(), 2);
    assert_eq!(pool.statistics().discarded, 1);
}

#[test]
fn an_object_with_a_poisoned_lock_is_replaced_by_a_new_one() {
    let pool = Pool::builder(|| std::sync::Mutex::new(String::with_capacity(10)))
        .capacity(1)
        .build()
        .unwrap();
    let fail = || {
        let object = pool.try_get().unwrap();
        let mut text = object.lock().unwrap();
        text.reserve(1000);
        panic!("as planned");
    };
    assert!(catch_unwind(AssertUnwindSafe(fail)).is_err());
    let object = pool.try_get().unwrap();
    assert_eq!(object.lock().unwrap().capacity(), 10);
}

#[test]
fn an_object_whose_recycling_panicked_is_replaced_by_a_new_one() {
    let (mut made, fail) = (0, Cell::new(false));
    let make = move || {
        made += 1;
        made
    };
    let pool = Pool::builder(make)
        .recycle_with(|_| assert!(!fail.take(), "as planned"))
        .capacity(1)
        .build()
        .unwrap();
    assert_eq!(*pool.try_get().unwrap(), 1);
    fail.set(true);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool.try_get()))).is_err());
    assert_eq!(*pool.try_get().unwrap(), 2);
}

#[cfg(feature = "zeroize")]
#[test]
fn a_wiped_object_keeps_its_capacity_and_nothing_else() {
    let pool = Pool::builder(|| (0_u64, Vec::<u8>::with_capacity(64)))
        .recycler(tailcut_pool::Wiped)
        .capacity(1)
        .build()
        .unwrap();
    let mut session = pool.try_get().unwrap();
    session.0 = 7;
    session.1.resize(64, 0xAA);
    drop(session);
    let spent = spent(|| {
        let mut session = pool.try_get().unwrap();
        assert_eq!(
            (session.0, session.1.len(), session.1.capacity()),
            (0, 0, 64)
        );
        // SAFETY: the whole capacity was written above.
        unsafe { session.1.set_len(64) };
        assert_eq!(session.1[..], [0; 64]);
    });
    assert_eq!(spent, meter::Counts::default());
}
