//! Arenas keep their memory from use to use, never more than their bound.
#![cfg(all(feature = "bumpalo", not(loom)))]

use std::alloc::{Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use tailcut_pool::bumpalo::collections::Vec as ArenaVec;
use tailcut_pool::meter::{self, Counts, Metered};
use tailcut_pool::{Arena, Pool, Recycle};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn fill(arena: &Arena, bytes: usize) {
    for _ in 0..bytes / KIB {
        arena.alloc_layout(Layout::new::<[u8; KIB]>());
    }
}

/// What `work` asks of the global allocator.
fn spent(work: impl FnOnce()) -> Counts {
    let before = meter::counts();
    work();
    meter::counts() - before
}

#[test]
fn after_one_use_that_spilled_the_same_use_needs_no_allocator() {
    let arenas = Pool::builder(|| Arena::with_capacity(64 * KIB).at_most(MIB))
        .capacity(1)
        .build()
        .unwrap();
    fill(&arenas.try_get().unwrap(), 300 * KIB);
    assert_eq!(arenas.try_get().unwrap().consolidations(), 1);
    let steady = spent(|| {
        for _ in 0..100 {
            fill(&arenas.try_get().unwrap(), 300 * KIB);
        }
    });
    assert_eq!(steady, Counts::default());
    let arena = arenas.try_get().unwrap();
    assert_eq!((arena.spills(), arena.consolidations()), (1, 1));
    assert_eq!(arena.high_water(), 300 * KIB);
}

#[test]
fn a_use_within_the_first_capacity_never_needs_the_allocator() {
    let arenas = Pool::builder(|| Arena::with_capacity(64 * KIB))
        .capacity(4)
        .build()
        .unwrap();
    let steady = spent(|| {
        for _ in 0..100 {
            let arena = arenas.try_get().unwrap();
            let mut vec = ArenaVec::new_in(&arena);
            vec.extend(0..1000_u32);
            assert_eq!(*arena.alloc_str("hello"), *"hello");
            fill(&arena, 32 * KIB);
        }
    });
    assert_eq!(steady, Counts::default());
}

#[test]
fn one_huge_request_does_not_pin_its_memory() {
    let mut arena = Arena::with_capacity(64 * KIB).at_most(MIB);
    fill(&arena, 20 * MIB);
    assert!(arena.retained_bytes() >= 20 * MIB);
    arena.reset();
    assert!(arena.retained_bytes() <= MIB);
    assert_eq!(arena.high_water(), 20 * MIB);
    // What fits the bound needs no allocator from here on.
    let steady = spent(|| {
        for _ in 0..10 {
            fill(&arena, 1000 * KIB);
            arena.reset();
        }
    });
    assert_eq!(steady, Counts::default());
    assert_eq!(arena.spills(), 1);
}

#[test]
fn without_a_bound_an_arena_keeps_what_it_began_with() {
    let mut arena = Arena::with_capacity(64 * KIB);
    let first = arena.retained_bytes();
    assert!((64 * KIB..68 * KIB).contains(&first));
    for _ in 0..5 {
        fill(&arena, 500 * KIB);
        arena.reset();
        assert_eq!(arena.retained_bytes(), first);
        assert!(arena.chunk_capacity() >= 64 * KIB);
    }
    let mut bounded_lower = Arena::with_capacity(64 * KIB).at_most(KIB);
    fill(&bounded_lower, 500 * KIB);
    bounded_lower.reset();
    assert_eq!(bounded_lower.retained_bytes(), first);
}

#[test]
fn growth_up_to_the_bound_takes_few_resets() {
    let mut arena = Arena::with_capacity(KIB).at_most(MIB);
    for uses in 1..1000 {
        fill(&arena, uses * KIB);
        arena.reset();
        assert!(arena.retained_bytes() <= MIB);
    }
    // From one KiB to 1024: at most ten doublings.
    assert!(arena.spills() <= 10, "{arena:?}");
}

#[test]
fn what_was_freed_within_the_use_counts_as_well() {
    for (bound, size) in [(MIB, 200 * KIB), (100 * KIB, 80 * KIB)] {
        let mut arena = Arena::with_capacity(64 * KIB).at_most(bound);
        let spill_and_rewind = |arena: &Arena| {
            // Last in its chunk, so its room is free again at once.
            drop(ArenaVec::<u8>::with_capacity_in(size, arena));
        };
        for _ in 0..4 {
            spill_and_rewind(&arena);
            arena.reset();
        }
        assert_eq!(spent(|| spill_and_rewind(&arena)), Counts::default());
    }
}

#[test]
fn padding_that_only_one_chunk_would_need_is_provided_for() {
    let layouts = [(8, 3), (944, 4), (8, 3)]; // in two chunks without padding, in one with 8 bytes
    let mut arena = Arena::with_capacity(1).at_most(MIB);
    check_use(&arena, &layouts).unwrap();
    arena.reset();
    assert_eq!((arena.spills(), arena.high_water()), (1, 960));
    check_use(&arena, &layouts).unwrap();
    arena.reset();
    assert_eq!(arena.spills(), 1);
}

#[test]
fn an_allocation_beyond_the_limit_is_refused() {
    let mut arena = Arena::with_capacity(64 * KIB)
        .at_most(10 * MIB)
        .refuse_above(MIB);
    for _ in 0..5 {
        let mut taken = 0;
        while arena.try_alloc_slice_fill_copy(KIB, 0_u8).is_ok() {
            taken += KIB;
        }
        assert!(taken <= MIB && arena.allocated_bytes() <= MIB);
        arena.reset();
        assert!(arena.retained_bytes() <= MIB);
    }
    // Settled on the limit: one chunk holds all that is ever allowed.
    assert_eq!(
        spent(|| while arena.try_alloc_slice_fill_copy(KIB, 0_u8).is_ok() {}),
        Counts::default()
    );
}

#[test]
fn a_limit_below_the_first_chunk_still_refuses() {
    let mut arena = Arena::with_capacity(64 * KIB).refuse_above(64 * KIB);
    for _ in 0..3 {
        fill(&arena, 64 * KIB);
        assert!(arena.try_alloc_slice_fill_copy(8 * KIB, 0_u8).is_err());
        arena.reset();
    }
}

#[test]
fn a_limit_that_a_user_changed_is_restored_at_reset() {
    let mut arena = Arena::with_capacity(KIB).refuse_above(64 * KIB);
    arena.set_allocation_limit(None);
    assert!(arena.try_alloc_slice_fill_copy(MIB, 0_u8).is_ok());
    arena.reset();
    assert!(arena.try_alloc_slice_fill_copy(MIB, 0_u8).is_err());
}

#[test]
fn an_arena_can_be_shrunk_and_grows_again() {
    let mut arena = Arena::with_capacity(64 * KIB).at_most(MIB);
    fill(&arena, 900 * KIB);
    arena.shrink(100 * KIB);
    assert!((50 * KIB..=100 * KIB).contains(&arena.retained_bytes()));
    arena.shrink(0);
    assert_eq!(arena.retained_bytes(), 0);
    fill(&arena, 900 * KIB);
    arena.reset();
    assert!((900 * KIB..=MIB).contains(&arena.retained_bytes()));
}

#[test]
fn a_capacity_that_cannot_be_had_is_reported() {
    for bytes in [usize::MAX, isize::MAX as usize, 1 << 60] {
        assert!(Arena::try_with_capacity(bytes).is_err());
    }
}

#[test]
fn values_without_size_take_no_room() {
    let mut arena = Arena::with_capacity(0);
    for _ in 0..1000 {
        arena.alloc(());
        arena.alloc([0_u64; 0]);
        arena.alloc_slice_copy::<u32>(&[]);
    }
    arena.reset();
    assert_eq!(arena.high_water(), 0);
    assert_eq!(arena.retained_bytes(), 0);
}

#[test]
fn a_reset_forgets_values_without_dropping_them() {
    struct Counted<'a>(&'a Cell<u32>);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Cell::new(0);
    let mut arena = Arena::with_capacity(KIB);
    arena.alloc(Counted(&drops));
    Recycle::reset(&mut arena);
    drop(arena);
    assert_eq!(drops.get(), 0);
}

#[test]
fn arenas_serve_many_threads_through_one_pool() {
    let arenas = Pool::builder(|| Arena::with_capacity(KIB).at_most(64 * KIB))
        .capacity(3)
        .wait()
        .build()
        .unwrap();
    let work = |thread: u64| {
        for round in 0..300 {
            let arena = arenas.get();
            let values: Vec<&mut u64> = (0..round).map(|n| arena.alloc(thread ^ n)).collect();
            // Nobody else wrote into what this use allocated.
            assert!(
                (0..round)
                    .zip(values)
                    .all(|(n, value)| *value == thread ^ n)
            );
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|thread| drop(scope.spawn(move || work(thread << 32))));
    });
    for arena in [arenas.get(), arenas.get(), arenas.get()] {
        assert!(arena.retained_bytes() <= 64 * KIB);
    }
}

/// Allocates `layouts` in turn; each block must be aligned, and keep what was written to it.
fn check_use(arena: &Arena, layouts: &[(usize, u32)]) -> Result<(), TestCaseError> {
    let mut blocks = Vec::with_capacity(layouts.len());
    for (n, &(size, align)) in layouts.iter().enumerate() {
        let layout = Layout::from_size_align(size, 1 << align).unwrap();
        let block = arena.alloc_layout(layout);
        prop_assert!(block.as_ptr().addr().is_multiple_of(layout.align()));
        // SAFETY: the block was just allocated with this size, and nothing else refers to it.
        unsafe { block.as_ptr().write_bytes(n as u8, size) };
        blocks.push(block);
    }
    for (n, (block, &(size, _))) in blocks.into_iter().zip(layouts).enumerate() {
        // SAFETY: written above in full; the arena lives and was not reset.
        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), size) };
        prop_assert!(bytes.iter().all(|&byte| byte == n as u8));
    }
    Ok(())
}

fn uses(align: u32) -> impl Strategy<Value = Vec<Vec<(usize, u32)>>> {
    let size = prop_oneof![8 => 0_usize..200, 2 => 0_usize..5000, 1 => 0_usize..100_000];
    prop::collection::vec(prop::collection::vec((size, 0..=align), 0..60), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_uses_leave_one_chunk_within_the_bound(
        first in 0_usize..100_000,
        bound in 0_usize..400_000,
        uses in uses(13),
    ) {
        let mut arena = Arena::with_capacity(first).at_most(bound);
        let bound = bound.max(arena.retained_bytes());
        for layouts in &uses {
            check_use(&arena, layouts)?;
            arena.reset();
            prop_assert!(arena.retained_bytes() <= bound);
            prop_assert_eq!(arena.allocated_bytes(), arena.chunk_capacity());
            prop_assert!(arena.chunk_capacity() >= first);
        }
        prop_assert!(arena.consolidations() <= arena.spills());
    }

    #[test]
    fn a_repeated_use_within_the_bound_settles_after_the_first(
        first in 0_usize..10_000,
        layouts in uses(4).prop_map(|mut uses| uses.swap_remove(0)),
    ) {
        let mut arena = Arena::with_capacity(first).at_most(16 * MIB);
        check_use(&arena, &layouts)?;
        arena.reset();
        let spills = arena.spills();
        for _ in 0..3 {
            check_use(&arena, &layouts)?;
            arena.reset();
        }
        prop_assert_eq!(arena.spills(), spills);
    }
}
