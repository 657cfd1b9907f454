//! Which slots are free, and how one gets from core to core.
//!
//! Places, looked at in this order: the core's own magazine (or shard), the loose slots, the
//! depot's full batches, the other cores' magazines. A slot is in one of them, or in use, or **in transit**
//! between two of them in the hands of a thread; transits are counted, so that "nothing is free"
//! can be told from "something is on its way".
//!
//! **Sizes.** A magazine holds up to two batches and moves one at a time, so it comes out of
//! every exchange about half full: a core that hovers at either edge does not exchange at each
//! step (DPDK's mempool flushed to empty and refilled to full, and thrashed). Together the
//! magazines hold at most half of the pool, so that small pools leave something to share.
//!
//! **Progress.** A get or put that its own magazine serves is a few instructions, restarted only
//! by the kernel's preemption. The depot is lock-free. A put never waits: if its magazine cannot
//! take the slot (a thief has it, or the thread is not registered for rseq), the slot goes to the
//! loose ones. A thief has one core's magazine to itself
//! for the length of a fence; a thread that finds nothing at all, while a thief or an exchange is
//! under way, waits for it, because only then can it refuse truthfully.

pub(crate) mod depot;
pub(crate) mod tagged_stack;
mod waiting;

use std::time::Instant;

use crossbeam_utils::CachePadded;

use self::depot::{Chain, Depot, MAX_BATCH};
use self::waiting::Waiters;
use crate::percpu::portable::Shards;
use crate::percpu::rseq::Magazines;
use crate::percpu::{Fallback, FenceRefused, Path};
use crate::slab::{SlotId, Spacing};
use crate::sync::{self, AtomicU64, Ordering};

/// The free slots of one pool.
#[derive(Debug)]
pub(crate) struct FreeSlots {
    cores: Cores,
    depot: Depot,
    transits: CachePadded<Transits>,
    waiters: CachePadded<Waiters>,
}

/// The per-core part, in the form chosen at build.
#[derive(Debug)]
enum Cores {
    Rseq {
        magazines: Magazines,
        /// Single slots that no magazine could take: one shard, seldom used.
        loose: Shards,
    },
    Portable(Shards, Fallback),
}

impl FreeSlots {
    /// The free slots of a slab: all of it.
    pub(crate) fn new(capacity: usize, spacing: Spacing, portable: bool) -> Self {
        let cpus = cpus();
        let batch = (capacity / (4 * cpus)).clamp(1, MAX_BATCH);
        let magazines = if portable {
            Err(Fallback::Requested)
        } else {
            Magazines::new(2 * batch)
        };
        let cores = match magazines {
            Ok(magazines) => Cores::Rseq {
                magazines,
                loose: Shards::new(1, capacity, spacing),
            },
            Err(why) => Cores::Portable(
                Shards::new(cpus.next_power_of_two(), capacity, spacing),
                why,
            ),
        };
        let free = FreeSlots {
            cores,
            depot: Depot::new(capacity, batch),
            transits: CachePadded::default(),
            waiters: CachePadded::new(Waiters::new()),
        };
        free.fill(capacity, spacing);
        free
    }

    /// Puts every slot in, so that the first ones taken are the slab's first.
    fn fill(&self, capacity: usize, spacing: Spacing) {
        let batch = self.depot.batch();
        let mut all = (0..capacity as u32).rev().map(|index| spacing.slot(index));
        let mut slots = [SlotId(0); MAX_BATCH];
        for _ in 0..capacity / batch {
            for (slot, next) in slots[..batch].iter_mut().zip(&mut all) {
                *slot = next;
            }
            self.depot.deposit(&slots[..batch]);
        }
        all.for_each(|slot| self.put(slot));
    }

    /// Takes a free slot; `None` when no slot was free anywhere at some moment during the call.
    ///
    /// Only the sequence is inlined: with the portable path beside it, callers grew beyond what
    /// the compiler inlines in turn, and a pair took 5.4 ns instead of 2.5.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<SlotId> {
        match &self.cores {
            Cores::Rseq { magazines, .. } => match magazines.pop() {
                Some(slot) => Some(slot),
                None => self.take_slow(),
            },
            Cores::Portable(shards, _) => self.take_portable(shards),
        }
    }

    #[inline(never)]
    fn take_portable(&self, shards: &Shards) -> Option<SlotId> {
        match shards.pop(shards.here()) {
            Some(slot) => Some(slot),
            None => self.take_slow(),
        }
    }

    /// Gives a slot back.
    #[inline(always)]
    pub(crate) fn put(&self, slot: SlotId) {
        match &self.cores {
            Cores::Rseq { magazines, loose } => {
                if !magazines.push(slot) {
                    self.put_slow(magazines, loose, slot);
                }
            }
            Cores::Portable(shards, _) => self.put_portable(shards, slot),
        }
    }

    #[inline(never)]
    fn put_portable(&self, shards: &Shards, slot: SlotId) {
        shards.push(shards.here(), slot);
        self.waiters.left_one();
    }

    /// The core's own place is empty: refill from the depot, or steal, or refuse.
    #[cold]
    #[inline(never)]
    fn take_slow(&self) -> Option<SlotId> {
        let mut batch = [SlotId(0); MAX_BATCH];
        let mut attempt = 0;
        loop {
            if let Cores::Rseq { loose, .. } = &self.cores
                && let Some(slot) = loose.pop(loose.shard(0))
            {
                return Some(slot);
            }
            if !self.depot.is_empty() {
                let _transit = self.transits.begin();
                if self.depot.withdraw(&mut batch) {
                    return Some(self.keep_rest(&batch[..self.depot.batch()]));
                }
            }
            {
                let _transit = self.transits.begin();
                let stolen = match &self.cores {
                    Cores::Rseq { magazines, .. } => {
                        magazines.steal(&mut batch[..self.depot.batch()])
                    }
                    Cores::Portable(shards, _) => {
                        Ok(shards.steal(shards.here(), &mut batch[..self.depot.batch()]))
                    }
                };
                match stolen {
                    Ok(0) => {}
                    Ok(stolen) => return Some(self.keep_rest(&batch[..stolen])),
                    // What other cores hold is out of reach for good: refuse rather than hang.
                    Err(FenceRefused) => return None,
                }
            }
            if self.nothing_is_free() {
                return None;
            }
            sync::relax(&mut attempt);
        }
    }

    /// Leaves all but one of the slots with this core, and returns that one.
    fn keep_rest(&self, slots: &[SlotId]) -> SlotId {
        let (&kept, rest) = slots
            .split_last()
            .expect("an exchange moves at least one slot");
        match &self.cores {
            Cores::Rseq { magazines, .. } => {
                if !magazines.push_batch(rest) {
                    rest.iter().for_each(|&slot| self.put(slot));
                }
            }
            Cores::Portable(shards, _) => {
                shards.push_batch(shards.here(), rest);
                self.waiters.left_many();
            }
        }
        kept
    }

    /// The core's magazine cannot take the slot: if it is full, leave one batch in the depot.
    #[cold]
    #[inline(never)]
    fn put_slow(&self, magazines: &Magazines, loose: &Shards, slot: SlotId) {
        let mut buffer = [SlotId(0); MAX_BATCH];
        let batch = &mut buffer[..self.depot.batch()];
        {
            let _transit = self.transits.begin();
            if magazines.pop_batch(batch) {
                self.depot.deposit(batch);
            }
        }
        if !magazines.push(slot) {
            loose.push(loose.shard(0), slot);
            self.waiters.left_one();
        }
    }

    /// Takes a free slot, waiting for one if need be; `None` when `deadline` passed first.
    pub(crate) fn take_or_wait(&self, deadline: Option<Instant>) -> Option<SlotId> {
        match self.take() {
            Some(slot) => Some(slot),
            None => self.waiters.wait(
                deadline,
                || self.take(),
                || self.shut_for_giving(true),
                || self.shut_for_giving(false),
            ),
        }
    }

    /// Whether every put is to take the slow path, because somebody waits. Opening again brings
    /// what the slow path left to nobody's magazine: the next gets find it among the loose slots.
    fn shut_for_giving(&self, shut: bool) {
        if let Cores::Rseq { magazines, .. } = &self.cores {
            magazines.shut_for_giving(shut);
        }
    }

    /// Whether at one moment no slot lay in any place and none was in transit: two equal
    /// readings of all places, with no transit under way at the first or begun by the second.
    fn nothing_is_free(&self) -> bool {
        let Some(quiet) = self.transits.none_under_way() else {
            return false;
        };
        let Some(first) = self.empty_census() else {
            return false;
        };
        self.empty_census() == Some(first) && self.transits.begun() == quiet
    }

    /// The version of all places if each was empty when it was read.
    fn empty_census(&self) -> Option<(u64, u64)> {
        let (any, changes) = match &self.cores {
            Cores::Rseq { magazines, loose } => {
                let (slots, changes) = magazines.census();
                let (any, versions) = loose.census();
                (slots > 0 || any, changes.wrapping_add(versions))
            }
            Cores::Portable(shards, _) => shards.census(),
        };
        let depot = self.depot.version();
        (!any && self.depot.is_empty()).then_some((changes, depot))
    }

    /// Adds one full batch, in use until now, to a private chain.
    pub(crate) fn append(&self, chain: &mut Chain, slots: &[SlotId]) {
        self.depot.append(chain, slots);
    }

    /// Gives back a whole chain in O(1).
    pub(crate) fn splice(&self, chain: &mut Chain) {
        if chain.nodes() > 0 {
            self.depot.splice(chain);
            self.waiters.left_many();
        }
    }

    /// Shows every slot of a chain.
    pub(crate) fn visit(&self, chain: &Chain, visit: impl FnMut(SlotId)) {
        self.depot.visit(chain, visit);
    }

    /// How many slots make a batch, 1 to [`MAX_BATCH`].
    #[inline]
    pub(crate) fn batch(&self) -> usize {
        self.depot.batch()
    }

    pub(crate) fn path(&self) -> Path {
        match &self.cores {
            Cores::Rseq { .. } => Path::Rseq,
            Cores::Portable(_, why) => Path::Portable(*why),
        }
    }

    pub(crate) fn restarts(&self) -> u64 {
        match &self.cores {
            Cores::Rseq { magazines, .. } => magazines.aborts(),
            Cores::Portable(..) => 0,
        }
    }
}

/// How many cores to size for. Read once per pool: it decides sizes, never correctness.
#[cfg(not(loom))]
fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(loom)]
fn cpus() -> usize {
    2
}

/// Counts moves of slots between places: begun and ended.
#[derive(Debug)]
struct Transits {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Default for Transits {
    fn default() -> Self {
        Transits {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }
}

impl Transits {
    /// Must be called before a slot is taken out of its place; the guard ends the transit, after
    /// the slot was put in its new place.
    fn begin(&self) -> Transit<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Transit(self)
    }

    /// How many transits have begun, if all of them had ended at that moment.
    fn none_under_way(&self) -> Option<u64> {
        // `ended` first: it never overtakes `begun`, so equality shows a moment with none open.
        let ended = self.ended.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        (ended == begun).then_some(begun)
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }
}

/// A transit under way.
struct Transit<'t>(&'t Transits);

impl Drop for Transit<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    fn free(capacity: usize) -> FreeSlots {
        FreeSlots::new(capacity, Spacing::new(1), true)
    }

    /// Two slots, two threads that each want one: neither may be refused, wherever the slots lie
    /// and whatever is in transit.
    #[test]
    fn nobody_is_refused_while_a_slot_is_free() {
        let mut bounded = loom::model::Builder::new();
        bounded.preemption_bound = Some(3);
        bounded.check(|| {
            let free = Arc::new(free(2));
            let other = Arc::clone(&free);
            let thread = loom::thread::spawn(move || {
                let slot = other.take().expect("one slot each");
                other.put(slot);
            });
            let slot = free.take().expect("one slot each");
            free.put(slot);
            thread.join().unwrap();
            let (a, b) = (free.take().unwrap(), free.take().unwrap());
            assert_ne!(a, b);
            assert_eq!(free.take(), None);
        });
    }

    /// A bulk return races with a get: the get is served or refused, and afterwards all is there.
    #[test]
    fn a_bulk_return_loses_nothing() {
        let mut bounded = loom::model::Builder::new();
        bounded.preemption_bound = Some(3);
        bounded.check(|| {
            let free = Arc::new(free(2));
            let slots = [free.take().unwrap(), free.take().unwrap()];
            let other = Arc::clone(&free);
            let thread = loom::thread::spawn(move || {
                let mut chain = Chain::default();
                for slot in slots {
                    other.append(&mut chain, &[slot]);
                }
                other.splice(&mut chain);
            });
            if let Some(slot) = free.take() {
                free.put(slot);
            }
            thread.join().unwrap();
            let (a, b) = (free.take().unwrap(), free.take().unwrap());
            assert_ne!(a, b);
            assert_eq!(free.take(), None);
        });
    }
}
