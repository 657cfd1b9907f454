//! Which slots are free, and how one gets from core to core.
//!
//! Places, looked at in this order: the core's own magazine, the loose slots, the depot's full
//! batches, the other cores' magazines. A slot is in one of them, or in use, or **in transit**
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
//! on; it takes a lock only to serve somebody who waits. A thief has one core's magazine to itself
//! for the length of a fence; a thread that finds nothing at all, while a thief or an exchange is
//! under way, waits for it, because only then can it refuse truthfully.
//!
//! **The fast path is one test and one sequence.** Whatever else a pool may need on a get or put (no
//! restartable sequences here, an attendant that checks each object, somebody who waits, a pool that
//! is closing) is reached by that sequence being absent or being refused, so it costs nothing where
//! it is not needed. Everything but the sequence is out of line: with more beside it, callers grew
//! beyond what the compiler inlines in turn, and a pair took 5.4 ns instead of 2.2.

pub(crate) mod closing;
pub(crate) mod depot;
mod events;
#[cfg(all(unix, not(any(loom, shuttle))))]
mod forked;
mod loose;
mod magazines;
mod search;
pub(crate) mod tagged_stack;
mod transits;
pub(crate) mod waiting;

#[cfg(all(test, loom))]
mod loom_tests;

use std::collections::TryReserveError;
use std::panic::{Location, resume_unwind};
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use self::closing::{Closing, LatePut, Visit};
use self::depot::{Chain, Depot, MAX_BATCH};
use self::events::Events;
use self::loose::Loose;
use self::magazines::Magazines;
use self::transits::Transits;
use self::waiting::Waiters;
use crate::attendant::Attendant;
use crate::counter::Counter;
use crate::panics::keep_first;
use crate::percpu::{Fallback, FenceRefused, Path, portable, rseq};
use crate::slab::{Place, SlotId};
use crate::statistics::{CoreStatistics, Statistics};

/// Where a get was called: asked for by an attendant, and carried for nothing otherwise, since the
/// address is a constant that only the slow path uses.
pub(crate) type Site = &'static Location<'static>;

/// How the free slots of a pool are to be kept.
#[derive(Debug)]
pub(crate) struct Arrangement {
    /// How many slots there can ever be.
    pub(crate) slots: usize,
    /// How many there are to begin with: decides the sizes of batches and magazines.
    pub(crate) expected: usize,
    /// The portable path, even where restartable sequences work.
    pub(crate) portable: bool,
    /// Sees every get and put.
    pub(crate) attendant: Option<Box<Attendant>>,
}

/// The free slots of one pool: whatever can be said of them without their type.
#[derive(Debug)]
pub(crate) struct FreeSlots {
    /// What get and put do first, unless it is absent.
    fast: Option<rseq::Access>,
    /// What they do otherwise, unless that is absent, too.
    portable: Option<portable::Access>,
    magazines: Magazines,
    place: Place,
    /// How many there can ever be.
    slots: usize,
    loose: Loose,
    depot: Depot,
    attendant: Option<Box<Attendant>>,
    /// By core, as the magazines are.
    events: Box<[CachePadded<Events>]>,
    /// How many slots were let in, less those that were taken to be retired or hold no object.
    admitted: Counter,
    /// The most of them so far that were in use or at hand in some magazine.
    high_water: Counter,
    transits: CachePadded<Transits>,
    /// Slots on their way to somebody who waits.
    servings: CachePadded<Transits>,
    /// Objects that are out of use for good, because the attendant panicked when it was shown them.
    lost: Counter,
    waiters: CachePadded<Waiters>,
    closing: CachePadded<Closing>,
    /// Frees the pool of which this is a part, once it is closed.
    end: unsafe fn(NonNull<FreeSlots>),
}

impl FreeSlots {
    /// No free slots yet: see [`admit`](Self::admit).
    ///
    /// `end` frees the pool of which these are a part, given their address, when the last owned
    /// guard of a closed pool is dropped.
    ///
    /// # Errors
    /// There is no memory for the slots' links.
    pub(crate) fn new(
        arrangement: Arrangement,
        place: Place,
        end: unsafe fn(NonNull<FreeSlots>),
    ) -> Result<Self, TryReserveError> {
        let Arrangement {
            slots,
            expected,
            portable,
            attendant,
        } = arrangement;
        let cpus = cpus();
        // Of a pool with much room, a share of that: a node of the depot is there for each batch.
        let objects = expected.max(slots / 16);
        let batch_for = |cores: usize| (objects / (4 * cores)).clamp(1, MAX_BATCH);
        let mut batch = batch_for(cpus);
        let magazines = if portable {
            Err(Fallback::Requested)
        } else {
            rseq::Magazines::new(2 * batch)
        };
        let magazines = match magazines {
            Ok(magazines) => Magazines::Rseq(magazines),
            Err(why) => {
                batch = batch_for(portable::Magazines::count_for(cpus));
                Magazines::Portable(portable::Magazines::new(cpus, 2 * batch), why)
            }
        };
        // An attendant must see each object: nothing is fast then.
        let (fast, portable) = match &magazines {
            _ if attendant.is_some() => (None, None),
            Magazines::Rseq(magazines) => (Some(magazines.access()), None),
            Magazines::Portable(magazines, _) => (None, Some(magazines.access())),
        };
        let cores = magazines.count();
        Ok(FreeSlots {
            fast,
            portable,
            magazines,
            place,
            slots,
            loose: Loose::new(slots, place.spacing())?,
            depot: Depot::new(slots, batch)?,
            attendant,
            events: (0..cores).map(|_| CachePadded::default()).collect(),
            admitted: Counter::default(),
            high_water: Counter::default(),
            transits: CachePadded::default(),
            servings: CachePadded::default(),
            lost: Counter::default(),
            waiters: CachePadded::new(Waiters::new()),
            closing: CachePadded::new(Closing::new()),
            end,
        })
    }

    /// Lets in new slots, by ordinal, so that the first ones taken are the first ones given.
    pub(crate) fn admit(&self, ordinals: impl DoubleEndedIterator<Item = u32>) {
        let spacing = self.place.spacing();
        let mut slots = [SlotId(0); MAX_BATCH];
        let (mut filled, mut count) = (0, 0);
        for ordinal in ordinals.rev() {
            count += 1;
            slots[filled] = spacing.slot(ordinal);
            filled += 1;
            if filled == self.batch() {
                self.depot.deposit(&slots[..filled]);
                filled = 0;
            }
        }
        slots[..filled]
            .iter()
            .rev()
            .for_each(|&slot| self.loose.push(slot));
        self.admitted.add(count);
        self.serve_waiters();
    }

    /// Takes a free slot; `None` when no slot was free anywhere at some moment during the call.
    #[inline(always)]
    pub(crate) fn take(&self, site: Site) -> Option<NonNull<u8>> {
        if let Some(access) = self.fast {
            if let Some(object) = access.pop() {
                return Some(object);
            }
            return self.take_slow(site);
        }
        self.take_otherwise(site)
    }

    /// A get without restartable sequences.
    #[inline(never)]
    fn take_otherwise(&self, site: Site) -> Option<NonNull<u8>> {
        if let Some(access) = self.portable
            && let Some(object) = access.pop_own()
        {
            return Some(object);
        }
        self.take_slow(site)
    }

    /// Gives an object back.
    #[inline(always)]
    pub(crate) fn put(&self, object: NonNull<u8>) {
        if let Some(access) = self.fast {
            if !access.push(object) {
                self.put_slow(object);
            }
            return;
        }
        self.put_otherwise(object);
    }

    /// A put without restartable sequences.
    #[inline(never)]
    fn put_otherwise(&self, object: NonNull<u8>) {
        if let Some(access) = self.portable
            && access.push_own(object)
        {
            return;
        }
        self.put_slow(object);
    }

    /// Gives back an object that an owned guard held: the pool may be closed, and may end with
    /// this.
    ///
    /// # Safety
    /// The caller owns the object, which was taken from these free slots.
    #[inline(always)]
    pub(crate) unsafe fn put_owned(this: NonNull<FreeSlots>, object: NonNull<u8>) {
        let (fast, portable) = {
            // SAFETY: an object in use keeps the pool alive, and the reference ends here.
            let free = unsafe { this.as_ref() };
            (free.fast, free.portable)
        };
        let given = match (fast, portable) {
            (Some(access), _) => access.push(object),
            (None, Some(access)) => access.push_own(object),
            (None, None) => false,
        };
        if given {
            return;
        }
        // SAFETY: the caller's promise; the object was not given back yet.
        unsafe { Self::put_owned_slow(this, object) }
    }

    /// # Safety
    /// As [`put_owned`](Self::put_owned).
    #[inline(never)]
    unsafe fn put_owned_slow(this: NonNull<FreeSlots>, object: NonNull<u8>) {
        // SAFETY: an object in use keeps the pool alive, until the visit or the late put ends.
        let free = unsafe { &*this.as_ptr() };
        if free.closing.enter() {
            // SAFETY: entered just now, and `free` is not used afterwards.
            unsafe { Visit::run(this, || free.put_slow(object)) };
        } else {
            let _late = LatePut(this);
            if let Some(attendant) = &free.attendant {
                attendant.given_back(free.address(), object);
            }
        }
    }

    /// Ends the pool, or leaves that to the last owned guard.
    ///
    /// # Safety
    /// Nobody but owned guards has the pool's address, and the caller does not use it any more.
    /// There are `objects` objects in all, free and in use.
    pub(crate) unsafe fn close(this: NonNull<FreeSlots>, objects: usize) {
        // SAFETY: the caller's promise: alive until the objects in use have been given back *and*
        // counted, which is done below.
        let free = unsafe { &*this.as_ptr() };
        if Visit::close_at_the_end(this, objects) {
            return; // this thread is inside, in a waker that dropped the pool
        }
        free.closing.close();
        if free.shut_for_giving(true).is_err() {
            // A put may be under way that nobody can stop: its pool must stay where it is.
            return;
        }
        free.closing.wait_for_those_inside();
        let in_use = objects - free.resident() - free.lost.read() as usize;
        if free.closing.expect(in_use as u64) {
            // SAFETY: every object is free, and nobody has the pool's address.
            unsafe { (free.end)(this) }
        }
    }

    /// Everything that a get does when the fast path is absent or finds nothing.
    #[cold]
    #[inline(never)]
    fn take_slow(&self, site: Site) -> Option<NonNull<u8>> {
        let object = self.take_unattended();
        self.attend_taking(object, site);
        object
    }

    /// Everything that a put does when the fast path is absent or refuses.
    #[cold]
    #[inline(never)]
    fn put_slow(&self, object: NonNull<u8>) {
        self.attend_return(object);
        self.put_unattended(object);
    }

    /// Shows an object to the attendant after it was taken. Should that panic, the object stays out
    /// of use until the pool ends, and is counted.
    fn attend_taking(&self, object: Option<NonNull<u8>>, site: Site) {
        if let (Some(attendant), Some(object)) = (&self.attendant, object) {
            attendant.taken(self.address(), object, site, &self.lost);
        }
    }

    /// Shows an object to the attendant before it is given back. Should that panic, the object is
    /// lost: out of use until the pool ends.
    fn attend_return(&self, object: NonNull<u8>) {
        struct Lost<'f>(&'f Counter);
        impl Drop for Lost<'_> {
            fn drop(&mut self) {
                self.0.add_one();
            }
        }
        if let Some(attendant) = &self.attendant {
            let lost = Lost(&self.lost);
            attendant.given_back(self.address(), object);
            std::mem::forget(lost);
        }
    }

    /// An object in use is no more; its slot is to be let in anew.
    pub(crate) fn vacated(&self, object: NonNull<u8>) {
        if let Some(attendant) = &self.attendant {
            attendant.vacated(object);
        }
        self.admitted.subtract(1);
    }

    /// Gives back objects one by one past the attendant, all of them, even if it panics at some.
    fn put_each(&self, objects: impl Iterator<Item = NonNull<u8>>) {
        let mut first_panic = None;
        for object in objects {
            keep_first(&mut first_panic, || self.put(object));
        }
        if let Some(panic) = first_panic {
            resume_unwind(panic);
        }
    }

    /// Takes up to `into.len()` objects at once; returns how many were to be had.
    pub(crate) fn take_many(&self, into: &mut [NonNull<u8>], site: Site) -> usize {
        if self.attendant.is_some() {
            return self.take_each(into, site); // batches do not pass by it
        }
        let mut taken = 0;
        while taken < into.len() {
            let rest = &mut into[taken..];
            let wanted = rest.len().min(self.batch());
            // A lone object goes the short way.
            if wanted > 1 && self.magazines.pop_batch(&mut rest[..wanted]) {
                self.events().gets.add(wanted as u64);
                taken += wanted;
            } else if let Some(object) = self.take(site) {
                rest[0] = object;
                taken += 1;
            } else {
                break;
            }
        }
        taken
    }

    /// Takes objects one by one past the attendant; returns how many were to be had. Should it panic
    /// at one, those before it are given back.
    #[cold]
    fn take_each(&self, into: &mut [NonNull<u8>], site: Site) -> usize {
        let mut taken = 0;
        let mut first_panic = None;
        keep_first(&mut first_panic, || {
            while taken < into.len()
                && let Some(object) = self.take(site)
            {
                into[taken] = object;
                taken += 1;
            }
        });
        if first_panic.is_some() {
            for &object in &into[..taken] {
                keep_first(&mut first_panic, || self.put(object));
            }
        }
        if let Some(panic) = first_panic {
            resume_unwind(panic);
        }
        taken
    }

    /// Gives many objects back at once.
    pub(crate) fn put_many(&self, mut objects: &[NonNull<u8>]) {
        while self.attendant.is_none() && objects.len() > 1 {
            let (some, rest) = objects.split_at(objects.len().min(self.batch()));
            // In transit, because a batch that comes and goes does not change a magazine's count.
            let transit = self.transits.begin();
            let accepted = self.magazines.push_batch(some);
            drop(transit);
            if !accepted {
                // Makes room by a spill, or takes another way.
                self.put(some[0]);
                objects = &objects[1..];
                continue;
            }
            self.events().puts.add(some.len() as u64);
            objects = rest;
        }
        self.put_each(objects.iter().copied());
    }

    /// Splits the right to give an object back in two.
    pub(crate) fn share(&self, object: NonNull<u8>) {
        self.loose.share(self.place.slot(object));
    }

    /// Gives up one half of that right: whether it was the last, so that the caller has it whole.
    pub(crate) fn unshare(&self, object: NonNull<u8>) -> bool {
        self.loose.unshare(self.place.slot(object))
    }

    /// Whether every put is to take the slow path, because somebody waits or the pool closes.
    fn shut_for_giving(&self, shut: bool) -> Result<(), FenceRefused> {
        match &self.magazines {
            Magazines::Rseq(magazines) => magazines.shut_for_giving(shut),
            Magazines::Portable(magazines, _) => magazines.shut_for_giving(shut),
        }
    }

    /// Whether the pool has closed, or is just closing.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_closed()
    }

    /// Adds one full batch, in use until now, to a private chain.
    pub(crate) fn append(&self, chain: &mut Chain, slots: &[SlotId]) {
        self.depot.append(chain, slots);
    }

    /// Gives back a whole chain in O(1), or in O(n) past an attendant.
    pub(crate) fn splice(&self, chain: &mut Chain) {
        if chain.nodes() == 0 {
            return;
        }
        if self.attendant.is_some() {
            let mut first_panic = None;
            self.depot.dissolve(chain, |slot| {
                keep_first(&mut first_panic, || self.put(self.place.object(slot)));
            });
            if let Some(panic) = first_panic {
                resume_unwind(panic);
            }
            return;
        }
        self.events()
            .puts
            .add((chain.nodes() * self.batch()) as u64);
        self.depot.splice(chain);
        self.serve_waiters();
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

    /// How many slots there can ever be.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// The object at an address that came from outside: the same address, made anew from the slab's,
    /// whatever reference it had gone through. An address that is no object's is left to a checked
    /// pool to complain about.
    pub(crate) fn readdress(&self, object: NonNull<u8>) -> NonNull<u8> {
        match self.place.slot_at(object.as_ptr().addr(), self.slots) {
            Some(slot) => self.place.object(slot),
            None => object,
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn attendant(&self) -> Option<&Attendant> {
        self.attendant.as_deref()
    }

    pub(crate) fn path(&self) -> Path {
        match &self.magazines {
            Magazines::Rseq(_) => Path::Rseq,
            Magazines::Portable(_, why) => Path::Portable(*why),
        }
    }

    pub(crate) fn restarts(&self) -> u64 {
        match &self.magazines {
            Magazines::Rseq(magazines) => magazines.aborts(),
            Magazines::Portable(..) => 0,
        }
    }

    /// How many slots lie in all places together: exact while nothing moves.
    pub(crate) fn resident(&self) -> usize {
        let in_magazines: usize = (0..self.magazines.count())
            .map(|core| self.magazines.counts(core).resident)
            .sum();
        in_magazines + self.loose.len() + self.depot.batches() * self.batch()
    }

    /// The fewest slots that the depot held, at any withdrawal, since this was last asked.
    pub(crate) fn take_fewest_in_depot(&self) -> usize {
        self.depot.take_fewest_batches() * self.batch()
    }

    /// How many slots are in use or at hand in some magazine.
    fn at_hand(&self) -> u64 {
        let elsewhere = self.depot.batches() * self.batch() + self.loose.len();
        self.admitted.read().saturating_sub(elsewhere as u64)
    }

    /// What is to be counted here; the pool adds the rest.
    pub(crate) fn statistics(&self, capacity: usize) -> Statistics {
        let cores: Vec<CoreStatistics> = (0..self.magazines.count())
            .map(|core| {
                let fast = self.magazines.counts(core);
                let events = &self.events[core];
                CoreStatistics {
                    gets: fast.gets + events.gets.read(),
                    puts: fast.puts + events.puts.read(),
                    refills: events.refills.read(),
                    spills: events.spills.read(),
                    steals: events.steals.read(),
                    misses: events.misses.read(),
                    waits: events.waits.read(),
                    resident: fast.resident,
                }
            })
            .collect();
        let in_depot = self.depot.batches() * self.batch();
        let loose = self.loose.len();
        let resident: usize = cores.iter().map(|core| core.resident).sum();
        Statistics {
            path: self.path(),
            capacity,
            in_use: capacity.saturating_sub(resident + in_depot + loose),
            high_water: self.high_water.read().max(self.at_hand()) as usize,
            in_depot,
            loose,
            waiting: self.waiters.len(),
            restarts: self.restarts(),
            grown: 0,
            shrunk: 0,
            discarded: 0,
            cores,
        }
    }

    /// The counters of the core that this thread runs on.
    fn events(&self) -> &Events {
        &self.events[self.magazines.here()]
    }
}

/// How many cores to size for. Read once per pool: it decides sizes, never correctness.
#[cfg(not(any(loom, shuttle)))]
fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(any(loom, shuttle))]
fn cpus() -> usize {
    2
}
