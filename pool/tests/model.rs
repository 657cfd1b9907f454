//! Any sequence of operations behaves as the plainest pool there could be: a set of numbers.
#![cfg(not(loom))]

use std::collections::HashSet;

use proptest::prelude::*;
use tailcut_pool::{AsIs, Guard, Pool};

#[derive(Debug, Clone)]
enum Step {
    Get,
    /// Takes five objects at once.
    GetArray,
    /// Gives back the n-th held object (modulo how many there are).
    Put(usize),
    /// Gives back the last n held objects together.
    PutAll(usize),
    /// Moves the n-th held object into the window.
    Keep(usize),
    Release,
    /// Makes the n-th held object's guard own its share.
    Own(usize),
    /// Gives back the n-th owned object.
    PutOwned(usize),
    /// Splits the n-th held object and gives both parts back.
    Split(usize),
    /// Takes the n-th held object's guard apart, and makes it anew.
    Raw(usize),
    /// Makes the pool larger or smaller, then counts what is free.
    Resize(usize),
    Decay,
    /// Takes whatever is left, then gives it all back.
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Get),
        3 => Just(Step::GetArray),
        4 => any::<usize>().prop_map(Step::Put),
        2 => (0_usize..100).prop_map(Step::PutAll),
        4 => any::<usize>().prop_map(Step::Keep),
        1 => Just(Step::Release),
        3 => any::<usize>().prop_map(Step::Own),
        2 => any::<usize>().prop_map(Step::PutOwned),
        1 => any::<usize>().prop_map(Step::Split),
        1 => any::<usize>().prop_map(Step::Raw),
        1 => (0_usize..250).prop_map(Step::Resize),
        1 => Just(Step::Decay),
        1 => Just(Step::Drain),
    ];
    prop::collection::vec(step, 0..400)
}

/// How many objects there may be at most.
const ROOM: usize = 220;

/// Objects are pairs of their number, so that they can be split.
type Object = (usize, usize);

fn drain(pool: &Pool<Object, AsIs>) -> HashSet<usize> {
    let rest: Vec<_> = std::iter::from_fn(|| pool.try_get().ok()).collect();
    let numbers: HashSet<usize> = rest.iter().map(|guard| guard.0).collect();
    assert_eq!(numbers.len(), rest.len(), "no object is handed out twice");
    numbers
}

/// Removes the n-th element, modulo how many there are.
fn nth<T>(all: &mut Vec<T>, n: usize) -> Option<T> {
    (!all.is_empty()).then(|| all.swap_remove(n % all.len()))
}

proptest! {
    #[test]
    fn the_pool_behaves_as_a_set(
        capacity in 1_usize..200,
        portable: bool,
        steps in steps(),
    ) {
        let mut next = 0_usize;
        let builder = Pool::builder(move || {
            next += 1;
            (next - 1, next - 1)
        });
        let builder = builder.capacity(capacity).room_for(ROOM).keep_as_is();
        let pool = if portable { builder.portable() } else { builder }.build().unwrap();

        let mut free: HashSet<usize> = (0..capacity).collect();
        let mut capacity = capacity;
        let (mut made, mut gets) = (capacity, 0);
        let mut held = Vec::new();
        let mut owned = Vec::new();
        let mut window = pool.window();
        let mut kept = Vec::new();
        for step in steps {
            match step {
                Step::Get => match pool.try_get() {
                    Ok(guard) => {
                        prop_assert!(free.remove(&guard.0), "object {} was not free", guard.0);
                        gets += 1;
                        held.push(guard);
                    }
                    Err(_) => prop_assert!(free.is_empty(), "refused with {} free", free.len()),
                },
                Step::GetArray => match pool.try_get_array::<5>() {
                    Ok(guards) => for guard in guards {
                        prop_assert!(free.remove(&guard.0), "object {} was not free", guard.0);
                        gets += 1;
                        held.push(guard);
                    },
                    Err(_) => {
                        prop_assert!(free.len() < 5, "refused with {} free", free.len());
                        gets += free.len() as u64;
                    }
                },
                Step::Put(n) => free.extend(nth(&mut held, n).map(|guard| guard.0)),
                Step::PutAll(count) => {
                    let some = held.split_off(held.len() - count.min(held.len()));
                    free.extend(some.iter().map(|guard| guard.0));
                    pool.put_all(some);
                }
                Step::Keep(n) => if let Some(guard) = nth(&mut held, n) {
                    kept.push(guard.0);
                    window.push(guard);
                },
                Step::Release => {
                    let mut seen = Vec::new();
                    window.for_each(|&(object, _)| seen.push(object));
                    prop_assert_eq!(&seen, &kept);
                    window.release();
                    free.extend(kept.drain(..));
                }
                Step::Own(n) => owned.extend(nth(&mut held, n).map(|guard| pool.own(guard))),
                Step::PutOwned(n) => free.extend(nth(&mut owned, n).map(|guard| guard.0)),
                Step::Split(n) => if let Some(guard) = nth(&mut held, n) {
                    let (left, right) = Guard::split(guard, |pair| (&mut pair.0, &mut pair.1));
                    prop_assert_eq!(*left, *right);
                    free.insert(*left);
                },
                Step::Raw(n) => if let Some(guard) = nth(&mut held, n) {
                    let object = Guard::into_raw(guard);
                    // SAFETY: the address comes from this pool's guard, once.
                    held.push(unsafe { pool.from_raw(object) });
                },
                Step::Resize(_) | Step::Decay => {
                    let in_use = capacity - free.len();
                    let now = if let Step::Resize(target) = step {
                        let now = pool.resize(target);
                        prop_assert_eq!(now, target.min(ROOM).max(in_use));
                        now
                    } else {
                        let dropped = pool.decay();
                        prop_assert_eq!(capacity - dropped, pool.capacity());
                        capacity - dropped
                    };
                    let oldest_new = made;
                    made += now.saturating_sub(capacity);
                    capacity = now;
                    // Which of the free ones went is the pool's business.
                    let left = drain(&pool);
                    gets += left.len() as u64;
                    prop_assert_eq!(left.len(), capacity - in_use);
                    let known = |object| free.contains(object) || (oldest_new..made).contains(object);
                    prop_assert!(left.iter().all(known), "a used object came as a free one");
                    free = left;
                }
                Step::Drain => {
                    gets += free.len() as u64;
                    prop_assert_eq!(&drain(&pool), &free);
                }
            }
            let in_use = held.len() + owned.len() + kept.len();
            prop_assert_eq!(window.len(), kept.len());
            prop_assert_eq!(free.len() + in_use, capacity);
            let statistics = pool.statistics();
            prop_assert_eq!((statistics.capacity, statistics.in_use), (capacity, in_use));
            let total = statistics.total();
            prop_assert_eq!((total.gets, total.puts), (gets, gets - in_use as u64));
            prop_assert!(statistics.high_water >= in_use);
        }
        // The pool may go before what it lent.
        drop((window, held));
        drop(pool);
        prop_assert!(owned.iter().all(|guard| guard.0 == guard.1));
    }
}
