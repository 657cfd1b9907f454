//! Shards by plain atomics: the per-core path where restartable sequences do not exist.
//!
//! A shard is a [`TaggedStack`] of slots; a thread keeps to the shard that it was dealt when it
//! first came (threads are dealt round robin, so that as many threads as cores do not meet).
//! Shards are not bounded: an object put back stays where its thread left it, and a thread whose
//! shard is empty takes a batch from the depot or, slot by slot, from another shard.
//!
//! **Cost**: one compare-and-exchange per get and per put. The stacks are lock-free; a get that
//! finds nothing anywhere waits for batches that other threads have in hand (see `free`).

use crossbeam_utils::CachePadded;

use super::super::free::tagged_stack::{self, Links, TaggedStack};
use crate::slab::{SlotId, Spacing};

/// Which shard a thread uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShardId(usize);

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: Box<[CachePadded<TaggedStack>]>,
    /// By object: a slot is in one shard at a time.
    links: Box<Links>,
    spacing: Spacing,
}

impl Shards {
    /// `count` empty shards (a power of two) for the slots of a slab.
    pub(crate) fn new(count: usize, capacity: usize, spacing: Spacing) -> Self {
        debug_assert!(count.is_power_of_two());
        Shards {
            shards: (0..count)
                .map(|_| CachePadded::new(TaggedStack::new(capacity)))
                .collect(),
            links: tagged_stack::links(capacity),
            spacing,
        }
    }

    /// The shard of the calling thread.
    #[inline]
    pub(crate) fn here(&self) -> ShardId {
        self.shard(thread_ordinal())
    }

    /// The shard of the thread that came as the `ordinal`-th.
    #[inline]
    pub(crate) fn shard(&self, ordinal: usize) -> ShardId {
        ShardId(ordinal & (self.shards.len() - 1))
    }

    /// Takes the slot that the shard was given last.
    #[inline]
    pub(crate) fn pop(&self, shard: ShardId) -> Option<SlotId> {
        let index = self.shards[shard.0].pop(&self.links)?;
        Some(self.spacing.slot(index))
    }

    /// Leaves a slot in the shard.
    #[inline]
    pub(crate) fn push(&self, shard: ShardId, slot: SlotId) {
        self.shards[shard.0].push(&self.links, self.spacing.index(slot));
    }

    /// Leaves many slots in the shard with one exchange.
    pub(crate) fn push_batch(&self, shard: ShardId, slots: &[SlotId]) {
        let Some((&first, rest)) = slots.split_first() else {
            return;
        };
        let (first, mut last) = (self.spacing.index(first), self.spacing.index(first));
        for &slot in rest {
            let next = self.spacing.index(slot);
            tagged_stack::link(&self.links, last, next);
            last = next;
        }
        self.shards[shard.0].push_chain(&self.links, first, last);
    }

    /// Takes up to `into.len()` slots of some other shard; returns how many.
    pub(crate) fn steal(&self, shard: ShardId, into: &mut [SlotId]) -> usize {
        for offset in 1..=self.shards.len() {
            let victim = ShardId((shard.0 + offset) & (self.shards.len() - 1));
            let mut taken = 0;
            while taken < into.len() {
                let Some(slot) = self.pop(victim) else { break };
                into[taken] = slot;
                taken += 1;
            }
            if taken > 0 {
                return taken;
            }
        }
        0
    }

    /// Whether any shard held a slot, and a number that differs after any change.
    pub(crate) fn census(&self) -> (bool, u64) {
        self.shards
            .iter()
            .fold((false, 0), |(any, changes), shard| {
                (
                    any || !shard.is_empty(),
                    changes.wrapping_add(shard.version()),
                )
            })
    }
}

/// A small number for the calling thread, dealt when it first asks.
#[cfg(not(loom))]
#[inline]
fn thread_ordinal() -> usize {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static ORDINAL: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // A thread that is being torn down has no locals left: any shard is right for it.
    ORDINAL
        .try_with(|ordinal| {
            if ordinal.get() == usize::MAX {
                ordinal.set(NEXT.fetch_add(1, Ordering::Relaxed));
            }
            ordinal.get()
        })
        .unwrap_or(0)
}

/// Under loom the two threads of a model are told apart by their identity.
#[cfg(loom)]
fn thread_ordinal() -> usize {
    loom::thread_local! {
        static ORDINAL: usize = {
            let shown = format!("{:?}", loom::thread::current().id());
            shown.bytes().filter(u8::is_ascii_digit).fold(0, |n, d| n * 10 + usize::from(d - b'0'))
        };
    }
    ORDINAL.with(|ordinal| *ordinal)
}
