//! Any sequence of operations behaves as the plainest pool there could be: a set of numbers.
#![cfg(not(loom))]

use std::collections::HashSet;

use proptest::prelude::*;
use tailcut_pool::Pool;

#[derive(Debug, Clone)]
enum Step {
    Get,
    /// Gives back the n-th held object (modulo how many there are).
    Put(usize),
    /// Moves the n-th held object into the window.
    Keep(usize),
    Release,
    /// Takes whatever is left, then gives it all back.
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Get),
        4 => any::<usize>().prop_map(Step::Put),
        4 => any::<usize>().prop_map(Step::Keep),
        1 => Just(Step::Release),
        1 => Just(Step::Drain),
    ];
    prop::collection::vec(step, 0..600)
}

proptest! {
    #[test]
    fn the_pool_behaves_as_a_set(capacity in 1_usize..200, portable: bool, steps in steps()) {
        let mut next = 0_usize;
        let builder = Pool::builder(move || {
            next += 1;
            next - 1
        });
        let builder = builder.capacity(capacity).keep_as_is();
        let pool = if portable { builder.portable() } else { builder }.build().unwrap();

        let mut free: HashSet<usize> = (0..capacity).collect();
        let mut held = Vec::new();
        let mut window = pool.window();
        let mut kept = Vec::new();
        for step in steps {
            match step {
                Step::Get => match pool.try_get() {
                    Ok(guard) => {
                        prop_assert!(free.remove(&guard), "object {} was not free", *guard);
                        held.push(guard);
                    }
                    Err(_) => prop_assert!(free.is_empty(), "refused with {} free", free.len()),
                },
                Step::Put(n) if !held.is_empty() => {
                    let guard = held.swap_remove(n % held.len());
                    free.insert(*guard);
                }
                Step::Keep(n) if !held.is_empty() => {
                    let guard = held.swap_remove(n % held.len());
                    kept.push(*guard);
                    window.push(guard);
                }
                Step::Put(_) | Step::Keep(_) => {}
                Step::Release => {
                    let mut seen = Vec::new();
                    window.for_each(|&object| seen.push(object));
                    prop_assert_eq!(&seen, &kept);
                    window.release();
                    free.extend(kept.drain(..));
                }
                Step::Drain => {
                    let rest: Vec<_> = std::iter::from_fn(|| pool.try_get().ok()).collect();
                    prop_assert_eq!(rest.iter().map(|guard| **guard).collect::<HashSet<_>>(), free.clone());
                }
            }
            prop_assert_eq!(window.len(), kept.len());
            prop_assert_eq!(free.len() + held.len() + kept.len(), capacity);
        }
    }
}
