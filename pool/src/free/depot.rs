//! The depot: where free slots wait in full batches, between the cores.
//!
//! A core whose magazine runs empty takes a whole batch; one whose magazine runs over leaves a
//! whole batch (Bonwick & Adams, "Magazines and Vmem", USENIX 2001). A batch lies in a **node**:
//! two cache lines of slot numbers, so that a batch crosses to another core in two line
//! transfers, where a chain through the objects would cost one dependent miss per object.
//!
//! Nodes move between two lock-free stacks, `full` and `empty`. There are exactly
//! `capacity / batch` of them, and that is always enough: a node in use holds `batch` distinct
//! slots, and whoever asks for an empty one holds `batch` further slots in hand.
//!
//! A [`Chain`] is a private list of full nodes, which its owner splices in with one exchange
//! however long it is: that is the O(1) bulk return.
//!
//! **Cost**: two compare-and-exchanges per batch moved.

use std::collections::TryReserveError;

use crossbeam_utils::CachePadded;

use super::tagged_stack::{self, Links, TaggedStack};
use crate::counter::Counter;
use crate::slab::SlotId;
use crate::sync::OwnedCell;

/// The most slots that one batch can hold.
pub(crate) const MAX_BATCH: usize = 32;

/// The slots of one batch. Owned by whoever popped it from a stack.
#[repr(align(128))]
#[derive(Debug)]
struct Node {
    slots: [OwnedCell<u32>; MAX_BATCH],
}

/// Full nodes that one owner has linked up and not yet spliced in: first, last, and how many.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Chain {
    ends: Option<(u32, u32)>,
    nodes: usize,
}

impl Chain {
    /// How many full nodes the chain holds.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }
}

/// The stack of full nodes, and how many they are: the same cache lines, which whoever moves a
/// batch has to have anyway.
#[derive(Debug)]
struct Full {
    stack: TaggedStack,
    count: Counter,
    /// The fewest there were since somebody last asked.
    fewest: Counter,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Depot {
    full: CachePadded<Full>,
    empty: CachePadded<TaggedStack>,
    /// The links of both stacks and of all chains: a node is in one of them at a time.
    links: Box<Links>,
    nodes: Box<[Node]>,
    batch: usize,
}

impl Depot {
    /// A depot for `capacity` slots in batches of `batch` (1 to [`MAX_BATCH`]), all nodes empty.
    ///
    /// # Errors
    /// There is no memory for the nodes.
    pub(crate) fn new(capacity: usize, batch: usize) -> Result<Self, TryReserveError> {
        debug_assert!((1..=MAX_BATCH).contains(&batch));
        let count = capacity / batch;
        let mut nodes = Vec::new();
        nodes.try_reserve_exact(count)?;
        nodes.extend((0..count).map(|_| Node {
            slots: std::array::from_fn(|_| OwnedCell::new(0)),
        }));
        let depot = Depot {
            full: CachePadded::new(Full {
                stack: TaggedStack::new(count),
                count: Counter::default(),
                fewest: Counter::starting_at(u64::MAX),
            }),
            empty: CachePadded::new(TaggedStack::new(count)),
            links: tagged_stack::links(count)?,
            nodes: nodes.into_boxed_slice(),
            batch,
        };
        for node in (0..count as u32).rev() {
            depot.empty.push(&depot.links, node);
        }
        Ok(depot)
    }

    /// How many slots make a batch.
    #[inline]
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// Leaves one batch. `slots` must be exactly one batch that the caller owns.
    pub(crate) fn deposit(&self, slots: &[SlotId]) {
        let node = self.fill(slots);
        self.full.count.add(1);
        self.full.stack.push(&self.links, node);
    }

    /// Takes one batch into `slots`, or says that there is none.
    pub(crate) fn withdraw(&self, slots: &mut [SlotId; MAX_BATCH]) -> bool {
        let Some(node) = self.full.stack.pop(&self.links) else {
            self.full.fewest.at_most(0);
            return false;
        };
        self.full.fewest.at_most(self.full.count.subtract(1));
        for (slot, cell) in slots.iter_mut().zip(self.cells(node)) {
            // SAFETY: `node` was popped, so this thread owns its cells until it pushes it again;
            // the stack's acquire makes the depositor's writes visible.
            *slot = SlotId(unsafe { cell.get() });
        }
        self.empty.push(&self.links, node);
        true
    }

    /// Adds one batch to a private chain, behind what it holds already.
    pub(crate) fn append(&self, chain: &mut Chain, slots: &[SlotId]) {
        let node = self.fill(slots);
        match &mut chain.ends {
            None => chain.ends = Some((node, node)),
            Some((_, last)) => {
                tagged_stack::link(&self.links, *last, node);
                *last = node;
            }
        }
        chain.nodes += 1;
    }

    /// Gives every batch of the chain to the depot: one exchange, however long the chain.
    pub(crate) fn splice(&self, chain: &mut Chain) {
        if let Some((first, last)) = chain.ends.take() {
            self.full.count.add(chain.nodes as u64);
            self.full.stack.push_chain(&self.links, first, last);
        }
        chain.nodes = 0;
    }

    /// Takes a chain apart: hands every slot over to `receive`, in the order of appending, once its
    /// node is empty.
    pub(crate) fn dissolve(&self, chain: &mut Chain, mut receive: impl FnMut(SlotId)) {
        let ends = chain.ends.take();
        chain.nodes = 0;
        let Some((mut node, last)) = ends else {
            return;
        };
        loop {
            let next = tagged_stack::below(&self.links, node);
            let mut slots = [SlotId(0); MAX_BATCH];
            for (slot, cell) in slots.iter_mut().zip(self.cells(node)) {
                // SAFETY: the chain's owner owns its nodes, and this one until it is pushed.
                *slot = SlotId(unsafe { cell.get() });
            }
            self.empty.push(&self.links, node);
            slots[..self.batch].iter().for_each(|&slot| receive(slot));
            match next {
                Some(next) if node != last => node = next,
                _ => return,
            }
        }
    }

    /// Shows every slot of a chain to `visit`, batch by batch in the order of appending.
    pub(crate) fn visit(&self, chain: &Chain, mut visit: impl FnMut(SlotId)) {
        let Some((first, last)) = chain.ends else {
            return;
        };
        let mut node = first;
        loop {
            for cell in self.cells(node) {
                // SAFETY: the chain's owner owns its nodes.
                visit(SlotId(unsafe { cell.get() }));
            }
            // The last node's link is whatever an earlier stack left there.
            if node == last {
                return;
            }
            match tagged_stack::below(&self.links, node) {
                Some(next) => node = next,
                None => return,
            }
        }
    }

    /// Whether there was no full batch at some moment during the call.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.full.stack.is_empty()
    }

    /// A number that differs after any deposit, splice or withdrawal.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.full.stack.version()
    }

    /// How many full batches there are, about.
    pub(crate) fn batches(&self) -> usize {
        self.full.count.read() as usize
    }

    /// The fewest full batches that any withdrawal has left since this was last asked.
    pub(crate) fn take_fewest_batches(&self) -> usize {
        let now = self.batches() as u64;
        self.full.fewest.replace(now).min(now) as usize
    }

    /// After a fork, in the child: another thread may have been between the stack and its count.
    /// (A node that it held is gone with the batch that it held, so that nodes never run short.)
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(crate) fn count_anew(&self) {
        self.full.count.replace(self.full.stack.count(&self.links));
    }

    fn cells(&self, node: u32) -> &[OwnedCell<u32>] {
        &self.nodes[node as usize].slots[..self.batch]
    }

    /// Writes one batch into an empty node, which the caller owns then.
    fn fill(&self, slots: &[SlotId]) -> u32 {
        assert_eq!(slots.len(), self.batch, "a node holds exactly one batch");
        let node = self
            .empty
            .pop(&self.links)
            .expect("an empty node exists while a batch is in hand (see the module's head)");
        for (cell, slot) in self.cells(node).iter().zip(slots) {
            // SAFETY: `node` was popped, so this thread owns its cells.
            unsafe { cell.set(slot.0) }
        }
        node
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn slots(from: u32, batch: usize) -> Vec<SlotId> {
        (from..from + batch as u32).map(SlotId).collect()
    }

    fn drain(depot: &Depot) -> Vec<u32> {
        let mut out = Vec::new();
        let mut buffer = [SlotId(0); MAX_BATCH];
        while depot.withdraw(&mut buffer) {
            out.extend(buffer[..depot.batch()].iter().map(|slot| slot.0));
        }
        out
    }

    #[test]
    fn every_slot_of_the_capacity_fits_whatever_the_batch() {
        for batch in 1..=MAX_BATCH {
            let depot = Depot::new(100, batch).unwrap();
            let whole = 100 / batch;
            for i in 0..whole {
                depot.deposit(&slots((i * batch) as u32, batch));
            }
            let mut all = drain(&depot);
            all.sort_unstable();
            assert_eq!(all, (0..(whole * batch) as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_chain_is_visited_in_order_and_spliced_whole() {
        let depot = Depot::new(64, 4).unwrap();
        // Leave old links behind, which a visit must not follow.
        (0..16).for_each(|i| depot.deposit(&slots(i * 4, 4)));
        drain(&depot);
        let mut chain = Chain::default();
        (0..5).for_each(|i| depot.append(&mut chain, &slots(i * 4, 4)));
        let mut seen = Vec::new();
        depot.visit(&chain, |slot| seen.push(slot.0));
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        assert_eq!(chain.nodes(), 5);
        depot.splice(&mut chain);
        assert_eq!(chain.nodes(), 0);
        let mut all = drain(&depot);
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// One core splices a chain of two batches while another withdraws: the withdrawer reads the
    /// slots that were written, and nothing is lost.
    #[test]
    fn a_spliced_chain_reaches_another_core_whole() {
        loom::model(|| {
            let depot = Arc::new(Depot::new(4, 2).unwrap());
            let giver = Arc::clone(&depot);
            let thread = loom::thread::spawn(move || {
                let mut chain = Chain::default();
                giver.append(&mut chain, &[SlotId(0), SlotId(1)]);
                giver.append(&mut chain, &[SlotId(2), SlotId(3)]);
                giver.splice(&mut chain);
            });
            let mut seen = Vec::new();
            let mut buffer = [SlotId(9); MAX_BATCH];
            if depot.withdraw(&mut buffer) {
                seen.extend([buffer[0].0, buffer[1].0]);
            }
            thread.join().unwrap();
            while depot.withdraw(&mut buffer) {
                seen.extend([buffer[0].0, buffer[1].0]);
            }
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3]);
        });
    }

    /// Two cores withdraw a batch and leave it again: no node and no slot is lost or doubled.
    #[test]
    fn exchanging_batches_conserves_slots() {
        loom::model(|| {
            let depot = Arc::new(Depot::new(2, 1).unwrap());
            depot.deposit(&[SlotId(0)]);
            depot.deposit(&[SlotId(1)]);
            let exchange = |depot: &Depot| {
                let mut buffer = [SlotId(9); MAX_BATCH];
                if depot.withdraw(&mut buffer) {
                    depot.deposit(&buffer[..1]);
                }
            };
            let other = Arc::clone(&depot);
            let thread = loom::thread::spawn(move || exchange(&other));
            exchange(&depot);
            thread.join().unwrap();
            let mut seen = Vec::new();
            let mut buffer = [SlotId(9); MAX_BATCH];
            while depot.withdraw(&mut buffer) {
                seen.push(buffer[0].0);
            }
            seen.sort_unstable();
            assert_eq!(seen, [0, 1]);
        });
    }
}
