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
//! magazines of the CPUs that the building thread may use hold at most half of the pool (one
//! object each at the least), so that small pools leave something to share.
//!
//! **Progress.** A get or put that its own magazine serves is a few instructions, restarted only
//! by the kernel's preemption. The depot is lock-free. A put whose magazine cannot take the slot (a
//! thief has it, or the thread is not registered for rseq) leaves it with the loose ones and goes
//! on; it takes a lock only to wake somebody who waits. A thief has one core's magazine to itself
//! for the length of a fence; a thread that finds nothing at all, while a thief or an exchange is
//! under way, waits for it, because only then can it refuse truthfully.

pub(crate) mod depot;
pub(crate) mod tagged_stack;
mod waiting;

use std::ptr::NonNull;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use self::depot::{Chain, Depot, MAX_BATCH};
use self::waiting::Waiters;
use crate::percpu::portable::Shards;
use crate::percpu::rseq::Magazines;
use crate::percpu::{Fallback, FenceRefused, Path};
use crate::slab::{Place, SlotId};
use crate::sync::{self, AtomicU64, Ordering};

/// The free slots of one pool.
#[derive(Debug)]
pub(crate) struct FreeSlots {
    cores: Cores,
    place: Place,
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
    pub(crate) fn new(capacity: usize, place: Place, portable: bool) -> Self {
        let spacing = place.spacing();
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
            place,
            depot: Depot::new(capacity, batch),
            transits: CachePadded::default(),
            waiters: CachePadded::new(Waiters::new()),
        };
        free.fill(capacity);
        free
    }

    /// Puts every slot in, so that the first ones taken are the slab's first.
    fn fill(&self, capacity: usize) {
        let spacing = self.place.spacing();
        let batch = self.depot.batch();
        let mut all = (0..capacity as u32).rev().map(|index| spacing.slot(index));
        let mut slots = [SlotId(0); MAX_BATCH];
        for _ in 0..capacity / batch {
            for (slot, next) in slots[..batch].iter_mut().zip(&mut all) {
                *slot = next;
            }
            self.depot.deposit(&slots[..batch]);
        }
        all.for_each(|slot| self.put(self.place.object(slot)));
    }

    /// Takes a free slot; `None` when no slot was free anywhere at some moment during the call.
    ///
    /// Only the sequence is inlined: with the portable path beside it, callers grew beyond what
    /// the compiler inlines in turn, and a pair took 5.4 ns instead of 2.5.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<NonNull<u8>> {
        match &self.cores {
            Cores::Rseq { magazines, .. } => match magazines.pop() {
                Some(object) => Some(object),
                None => self.take_slow(),
            },
            Cores::Portable(shards, _) => self.take_portable(shards),
        }
    }

    #[inline(never)]
    fn take_portable(&self, shards: &Shards) -> Option<NonNull<u8>> {
        match shards.pop(shards.here()) {
            Some(slot) => Some(self.place.object(slot)),
            None => self.take_slow(),
        }
    }

    /// Gives an object back.
    #[inline(always)]
    pub(crate) fn put(&self, object: NonNull<u8>) {
        match &self.cores {
            Cores::Rseq { magazines, loose } => {
                if !magazines.push(object) {
                    self.put_slow(magazines, loose, object);
                }
            }
            Cores::Portable(shards, _) => self.put_portable(shards, object),
        }
    }

    #[inline(never)]
    fn put_portable(&self, shards: &Shards, object: NonNull<u8>) {
        shards.push(shards.here(), self.place.slot(object));
        self.waiters.left_one();
    }

    /// The core's own place is empty: look everywhere else, or refuse.
    #[cold]
    #[inline(never)]
    fn take_slow(&self) -> Option<NonNull<u8>> {
        let mut attempt = 0;
        loop {
            let found = match &self.cores {
                Cores::Rseq { magazines, loose } => self.take_elsewhere(magazines, loose),
                Cores::Portable(shards, _) => Ok(self.take_from_others(shards)),
            };
            match found {
                Ok(Some(object)) => return Some(object),
                Ok(None) if self.nothing_is_free() => return None,
                Ok(None) => sync::relax(&mut attempt),
                // What other cores hold is out of reach for good: refuse rather than hang.
                Err(FenceRefused) => return None,
            }
        }
    }

    /// Loose slots, the depot, the other magazines.
    fn take_elsewhere(
        &self,
        magazines: &Magazines,
        loose: &Shards,
    ) -> Result<Option<NonNull<u8>>, FenceRefused> {
        if let Some(slot) = loose.pop(loose.shard(0)) {
            return Ok(Some(self.place.object(slot)));
        }
        // Only if there may be something to move: a transit spoils other threads' proof that
        // nothing is free, and of an exhausted pool many threads may want that proof at once.
        if self.depot.is_empty() && !magazines.census().0 {
            return Ok(None);
        }
        let mut buffer = [NonNull::dangling(); MAX_BATCH];
        let batch = &mut buffer[..self.depot.batch()];
        let _transit = self.transits.begin();
        let mut slots = [SlotId(0); MAX_BATCH];
        let found = if self.depot.withdraw(&mut slots) {
            for (object, slot) in batch.iter_mut().zip(slots) {
                *object = self.place.object(slot);
            }
            batch.len()
        } else {
            magazines.steal(batch)?
        };
        let Some((&kept, rest)) = batch[..found].split_last() else {
            return Ok(None);
        };
        if !magazines.push_batch(rest) {
            rest.iter().for_each(|&object| self.put(object));
        }
        Ok(Some(kept))
    }

    /// The depot, the other shards.
    fn take_from_others(&self, shards: &Shards) -> Option<NonNull<u8>> {
        if self.depot.is_empty() && !shards.census().0 {
            return None; // as in `take_elsewhere`
        }
        let mut buffer = [SlotId(0); MAX_BATCH];
        let here = shards.here();
        let _transit = self.transits.begin();
        let found = if self.depot.withdraw(&mut buffer) {
            self.depot.batch()
        } else {
            shards.steal(here, &mut buffer[..self.depot.batch()])
        };
        let (&kept, rest) = buffer[..found].split_last()?;
        shards.push_batch(here, rest);
        self.waiters.left_many();
        Some(self.place.object(kept))
    }

    /// The core's magazine cannot take the object: if it is full, leave one batch in the depot.
    #[cold]
    #[inline(never)]
    fn put_slow(&self, magazines: &Magazines, loose: &Shards, object: NonNull<u8>) {
        let mut buffer = [NonNull::dangling(); MAX_BATCH];
        let batch = &mut buffer[..self.depot.batch()];
        {
            let _transit = self.transits.begin();
            if magazines.pop_batch(batch) {
                let mut slots = [SlotId(0); MAX_BATCH];
                for (slot, &mut object) in slots.iter_mut().zip(&mut *batch) {
                    *slot = self.place.slot(object);
                }
                self.depot.deposit(&slots[..batch.len()]);
            }
        }
        if !magazines.push(object) {
            loose.push(loose.shard(0), self.place.slot(object));
            self.waiters.left_one();
        }
    }

    /// Takes a free slot, waiting for one if need be; `None` when `deadline` passed first.
    pub(crate) fn take_or_wait(&self, deadline: Option<Instant>) -> Option<NonNull<u8>> {
        match self.take() {
            Some(object) => Some(object),
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
                let (any, changes) = magazines.census();
                let (any_loose, versions) = loose.census();
                (any || any_loose, changes.wrapping_add(versions))
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
        FreeSlots::new(capacity, Place::nowhere(), true)
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

    /// As above with a batch of two: one thread has both slots in transit while the other looks.
    #[test]
    fn nobody_is_refused_while_a_batch_is_in_transit() {
        let mut bounded = loom::model::Builder::new();
        bounded.preemption_bound = Some(2);
        bounded.check(|| {
            let free = Arc::new(free(16));
            assert_eq!(free.batch(), 2);
            let held: Vec<_> = (0..14).map(|_| free.take().unwrap()).collect();
            let other = Arc::clone(&free);
            let thread = loom::thread::spawn(move || other.take().expect("one slot each").addr());
            let mine = free.take().expect("one slot each").addr();
            assert_ne!(thread.join().unwrap(), mine);
            assert_eq!(free.take(), None);
            drop(held);
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
                    other.append(&mut chain, &[other.place.slot(slot)]);
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
