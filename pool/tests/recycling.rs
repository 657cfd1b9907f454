//! When objects are recycled, by what, and what a panic there does.
#![cfg(not(loom))]

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tailcut_pool::{Pool, Recycle};

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
    let pool = Pool::builder(|| counted.clone())
        .keep_as_is()
        .capacity(100)
        .build()
        .unwrap();
    assert_eq!(std::sync::Arc::strong_count(&counted), 101);
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
