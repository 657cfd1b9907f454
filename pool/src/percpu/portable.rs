//! Magazines by plain atomics: the per-core path where restartable sequences do not exist.
//!
//! As the magazines of [`rseq`](super::rseq), but by thread instead of by CPU: a thread has a
//! [number](super::thread_number), the smallest that no living thread has, and the first few numbers
//! have a magazine of their own. All other threads share some.
//!
//! # Protocol
//!
//! **The owner** of a magazine raises its `busy` flag by a plain store, then reads `thief`. If that is
//! down, the magazine is the owner's until it lowers `busy`. **A thief** raises `thief` (one thief at
//! a time), makes every running thread pass a full barrier (`membarrier(PRIVATE_EXPEDITED)`, Linux
//! 4.14), then reads `busy`. If that is down, the magazine is the thief's until it lowers `thief`. This
//! is Dekker's exclusion with the owner's half of the barrier moved to the thief, who comes rarely
//! ("asymmetric fence"; P. Liden in OpenJDK, `folly/synchronization/AsymmetricThreadFence`).
//!
//! **A shared magazine**, and every magazine where there is no `membarrier`, is had by `busy` alone,
//! raised by a compare-and-exchange.
//!
//! **Nobody waits for a flag** on a get or put. Who finds it raised goes on to the places between the
//! cores, which are lock-free. (A signal handler that interrupts a get or put of its own thread finds
//! `busy` raised, too.) Only a thread that finds nothing anywhere else waits for the holder of a
//! magazine that has something (see `free`).
//!
//! **Cost**: no locked instruction; 3.7 ns a pair where `rseq` takes 2.1 and jemalloc 4.0. Rejected:
//! - a lock-free stack per group of threads, 9.2 ns a pair (besides the compare-and-exchange a link
//!   in memory, and a conversion between address and number on each side);
//! - the `busy` flag by compare-and-exchange for all, no better (1.45 times what lockfree-object-pool's
//!   linear pool took in the same run; 0.59 times now);
//! - shared magazines in the same function as owned ones, 5.7 ns: it then saves five registers.

use std::ptr::NonNull;

use super::thread_number::{known_thread_number, thread_number};
use super::{FenceRefused, MagazineCounts};
use crate::counter::Counter;
use crate::sync::{self, AtomicBool, AtomicU32, AtomicU64, Ordering, OwnedCell, barrier};

/// The most objects that one magazine can hold.
pub(crate) const MAX_CEILING: usize = 64;

const LENGTH_BITS: u32 = 16;
const LENGTH_MASK: u64 = (1 << LENGTH_BITS) - 1;

/// One magazine.
#[repr(C, align(128))]
#[derive(Debug)]
struct Area {
    /// Raised while the owner, or one of those who share it, works here.
    busy: AtomicBool,
    /// Raised while a thief works here. Of a shared magazine: never.
    thief: AtomicBool,
    /// Giving is allowed while the length is below this: 0 when shut. Changed by the holder.
    ceiling: AtomicU32,
    /// Length and count of single gets and puts, as in `rseq`. Stored by the holder, read by all.
    word: AtomicU64,
    /// The holder's, and below the length only.
    objects: [OwnedCell<NonNull<u8>>; MAX_CEILING],
    batched_in: Counter,
    batched_out: Counter,
}

/// What get and put need, by value: see `rseq`'s `Access`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    areas: NonNull<Area>,
    /// How many threads have a magazine of their own: the areas from 0 on.
    owned: u32,
    /// How many areas the other threads share, behind those.
    shared: u32,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Magazines {
    access: Access,
    ceiling: u32,
}

// SAFETY: the areas are shared by all threads: atomics, and cells that the holder of the flag owns.
unsafe impl Send for Access {}
// SAFETY: as above.
unsafe impl Sync for Access {}

impl Area {
    fn new(ceiling: u32) -> Self {
        Area {
            busy: AtomicBool::new(false),
            thief: AtomicBool::new(false),
            ceiling: AtomicU32::new(ceiling),
            word: AtomicU64::new(0),
            objects: std::array::from_fn(|_| OwnedCell::new(NonNull::dangling())),
            batched_in: Counter::default(),
            batched_out: Counter::default(),
        }
    }

    /// The owner's way in.
    #[inline(always)]
    fn enter_as_owner(&self) -> bool {
        if self.busy.load(Ordering::Relaxed) {
            return false; // a signal handler, in the middle of its own thread's get or put
        }
        self.busy.store(true, Ordering::Relaxed);
        sync::light_barrier();
        if self.thief.load(Ordering::Acquire) {
            self.leave();
            return false;
        }
        true
    }

    /// The way into a shared magazine. A failed attempt writes nothing.
    #[inline(always)]
    fn enter_shared(&self) -> bool {
        self.busy
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// The way out for both: the last access of a get or put to the pool.
    #[inline(always)]
    fn leave(&self) {
        self.busy.store(false, Ordering::Release);
    }

    /// Length and count.
    fn word(&self) -> (usize, u64) {
        let word = self.word.load(Ordering::Acquire);
        ((word & LENGTH_MASK) as usize, word >> LENGTH_BITS)
    }

    /// Takes the objects given last, all that fit into `into`; the caller has it.
    fn pop_many(&self, into: &mut [NonNull<u8>], most: usize) -> usize {
        let word = self.word.load(Ordering::Relaxed);
        let length = (word & LENGTH_MASK) as usize;
        let taken = most.min(into.len()).min(length);
        for (object, cell) in into.iter_mut().zip(&self.objects[length - taken..length]) {
            // SAFETY: the holder owns the cells, and those below the length hold objects.
            *object = unsafe { cell.get() };
        }
        self.word.store(word - taken as u64, Ordering::Release);
        self.batched_out.add(taken as u64);
        taken
    }
}

impl Access {
    #[inline(always)]
    fn area(&self, index: u32) -> &Area {
        debug_assert!(index < self.owned + self.shared);
        // SAFETY: `index` is below the number of areas, which live as long as an object is in use or
        // the pool is borrowed; one of both is so while a get or put runs.
        unsafe { self.areas.add(index as usize).as_ref() }
    }

    /// Which magazine a thread of that number uses.
    #[inline(always)]
    fn index_of(&self, number: u32) -> u32 {
        if number < self.owned {
            number
        } else {
            self.owned + number % self.shared
        }
    }

    /// This thread's magazine, unless somebody is at work there. End with [`Area::leave`].
    #[inline(always)]
    fn enter(&self) -> Option<&Area> {
        let number = thread_number();
        let area = self.area(self.index_of(number));
        let entered = if number < self.owned {
            area.enter_as_owner()
        } else {
            area.enter_shared()
        };
        entered.then_some(area)
    }

    /// This thread's own magazine, unless it has none or a thief is at work there.
    #[inline(always)]
    fn enter_own(&self) -> Option<&Area> {
        let number = known_thread_number();
        if number >= self.owned {
            return None;
        }
        let area = self.area(number);
        area.enter_as_owner().then_some(area)
    }

    /// As [`pop`](Self::pop), of this thread's own magazine only: nothing in it calls or locks.
    #[inline(always)]
    pub(crate) fn pop_own(self) -> Option<NonNull<u8>> {
        self.enter_own()?.pop()
    }

    /// As [`push`](Self::push), to this thread's own magazine only.
    #[inline(always)]
    pub(crate) fn push_own(self, object: NonNull<u8>) -> bool {
        self.enter_own().is_some_and(|area| area.push(object))
    }

    /// Takes the object that this thread's magazine was given last.
    pub(crate) fn pop(self) -> Option<NonNull<u8>> {
        self.enter()?.pop()
    }

    /// Leaves an object with this thread's magazine; `false` when it is full, shut or busy.
    pub(crate) fn push(self, object: NonNull<u8>) -> bool {
        self.enter().is_some_and(|area| area.push(object))
    }
}

impl Area {
    /// Takes the object given last, and leaves; the caller has the self.
    #[inline(always)]
    fn pop(&self) -> Option<NonNull<u8>> {
        let word = self.word.load(Ordering::Relaxed);
        let length = (word & LENGTH_MASK) as usize;
        let object = if length == 0 || length > MAX_CEILING {
            None
        } else {
            self.word
                .store(word.wrapping_add(0xffff), Ordering::Release);
            // SAFETY: the holder owns the cells, and those below the length hold objects.
            Some(unsafe { self.objects[length - 1].get() })
        };
        self.leave();
        object
    }

    /// Leaves an object if there is room and the area is not shut, and leaves; the caller has the
    /// self.
    #[inline(always)]
    fn push(&self, object: NonNull<u8>) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        let length = (word & LENGTH_MASK) as usize;
        // The ceiling is at most MAX_CEILING: the second comparison spares the check of the bounds.
        let room = length < self.ceiling.load(Ordering::Relaxed) as usize;
        if room && length < MAX_CEILING {
            // SAFETY: the holder owns the cells.
            unsafe { self.objects[length].set(object) };
            self.word
                .store(word.wrapping_add(0x10001), Ordering::Release);
        }
        self.leave();
        room
    }
}

impl Magazines {
    /// Magazines for a machine of `cpus` processors, of at most `ceiling` objects each (clamped to
    /// 1..=[`MAX_CEILING`]), all empty.
    pub(crate) fn new(cpus: usize, ceiling: usize) -> Self {
        let ceiling = ceiling.clamp(1, MAX_CEILING) as u32;
        let (owned, shared) = Self::layout(cpus, barrier::register());
        let areas: Box<[Area]> = (0..owned + shared).map(|_| Area::new(ceiling)).collect();
        Magazines {
            access: Access {
                areas: NonNull::from(Box::leak(areas)).cast(),
                owned: owned as u32,
                shared: shared as u32,
            },
            ceiling,
        }
    }

    /// How many magazines there are on a machine of so many processors, about.
    pub(crate) fn count_for(cpus: usize) -> usize {
        let (owned, shared) = Self::layout(cpus, true);
        owned + shared
    }

    /// Owned and shared ones: twice as many threads as processors have their own, so that a pool of
    /// threads and some more do; memory stays bounded by the processors. Four shared ones for each
    /// processor, so that two running threads seldom meet: with 64 threads on 2 cores a pair takes
    /// 21 ns, and 51 ns with one for each.
    fn layout(cpus: usize, barrier: bool) -> (usize, usize) {
        if cfg!(loom) {
            (1, 1) // the models' two threads go by one way each
        } else if barrier {
            (2 * cpus, 4 * cpus)
        } else {
            (0, 4 * cpus)
        }
    }

    /// What get and put need.
    #[inline(always)]
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// How many magazines there are.
    pub(crate) fn count(&self) -> usize {
        (self.access.owned + self.access.shared) as usize
    }

    /// This thread's magazine.
    pub(crate) fn here(&self) -> usize {
        self.access.index_of(thread_number()) as usize
    }

    fn areas(&self) -> impl Iterator<Item = &Area> {
        (0..self.count()).map(|index| self.access.area(index as u32))
    }

    /// Makes any magazine this thread's, unless somebody is at work there.
    ///
    /// # Errors
    /// The kernel refuses the barrier.
    fn enter_from_outside(&self, index: usize) -> Result<Option<&Area>, FenceRefused> {
        let area = self.access.area(index as u32);
        if index >= self.access.owned as usize {
            return Ok(area.enter_shared().then_some(area));
        }
        let raised = area
            .thief
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        if raised.is_err() {
            return Ok(None);
        }
        let barrier = sync::heavy_barrier();
        if barrier.is_ok() && !area.busy.load(Ordering::Acquire) {
            return Ok(Some(area));
        }
        area.thief.store(false, Ordering::Release);
        barrier.map(|()| None).map_err(|_| FenceRefused)
    }

    /// Gives back what `enter_from_outside` gave.
    fn leave_from_outside(&self, index: usize, area: &Area) {
        if index >= self.access.owned as usize {
            area.leave();
        } else {
            area.thief.store(false, Ordering::Release);
        }
    }

    /// Takes the `into.len()` objects that this thread's magazine was given last: all or none.
    pub(crate) fn pop_batch(&self, into: &mut [NonNull<u8>]) -> bool {
        let Some(area) = self.access.enter() else {
            return false;
        };
        let enough = area.word().0 >= into.len();
        if enough {
            area.pop_many(into, into.len());
        }
        area.leave();
        enough
    }

    /// Leaves all of `objects` with this thread's magazine, or none and `false`.
    pub(crate) fn push_batch(&self, objects: &[NonNull<u8>]) -> bool {
        let Some(area) = self.access.enter() else {
            return false;
        };
        let word = area.word.load(Ordering::Relaxed);
        let length = (word & LENGTH_MASK) as usize;
        let room = length + objects.len() <= area.ceiling.load(Ordering::Relaxed) as usize;
        if room {
            for (cell, &object) in area.objects[length..].iter().zip(objects) {
                // SAFETY: the holder owns the cells.
                unsafe { cell.set(object) };
            }
            area.word
                .store(word + objects.len() as u64, Ordering::Release);
            area.batched_in.add(objects.len() as u64);
        }
        area.leave();
        room
    }

    /// Takes up to half of some magazine's objects (at least one, at most `into.len()`); returns how
    /// many and whose, or `None` when each was empty or busy.
    ///
    /// # Errors
    /// The kernel refuses the barrier (a sandbox forbade it after the pool was made).
    pub(crate) fn steal(
        &self,
        into: &mut [NonNull<u8>],
    ) -> Result<Option<(usize, usize)>, FenceRefused> {
        let here = self.here();
        for offset in 1..=self.count() {
            let victim = (here + offset) % self.count();
            if self.access.area(victim as u32).word().0 == 0 {
                continue;
            }
            let Some(area) = self.enter_from_outside(victim)? else {
                continue;
            };
            let taken = area.pop_many(into, area.word().0.div_ceil(2));
            self.leave_from_outside(victim, area);
            if taken > 0 {
                return Ok(Some((taken, victim)));
            }
        }
        Ok(None)
    }

    /// Shuts every magazine for giving, or opens it again. When it returns from shutting, every
    /// later push is refused. The caller sees to it that only one thread does this at a time.
    ///
    /// # Errors
    /// The kernel refuses the barrier: some magazines may be as they were.
    pub(crate) fn shut_for_giving(&self, shut: bool) -> Result<(), FenceRefused> {
        let ceiling = if shut { 0 } else { self.ceiling };
        for index in 0..self.count() {
            let mut attempt = 0;
            let area = loop {
                match self.enter_from_outside(index)? {
                    Some(area) => break area,
                    None => sync::relax(&mut attempt),
                }
            };
            area.ceiling.store(ceiling, Ordering::Relaxed);
            self.leave_from_outside(index, area);
        }
        Ok(())
    }

    /// After a fork, in the child: nobody is at work anywhere, and the magazines are open unless the
    /// pool is closed.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(crate) fn nobody_is_at_work(&self, closed: bool) {
        let ceiling = if closed { 0 } else { self.ceiling };
        for area in self.areas() {
            // Written only if need be: each page that is written is copied then.
            for flag in [&area.busy, &area.thief] {
                if flag.load(Ordering::Relaxed) {
                    flag.store(false, Ordering::Relaxed);
                }
            }
            if area.ceiling.load(Ordering::Relaxed) != ceiling {
                area.ceiling.store(ceiling, Ordering::Relaxed);
            }
        }
    }

    /// As `rseq`'s: whether any object lies here, and a number that differs after any get or put.
    pub(crate) fn census(&self) -> (bool, u64) {
        let words = self.areas().map(Area::word);
        words.fold((false, 0_u64), |(any, changes), (length, count)| {
            (any || length > 0, changes.wrapping_add(count))
        })
    }

    /// As `rseq`'s: what one magazine holds and has served.
    pub(crate) fn counts(&self, index: usize) -> MagazineCounts {
        let area = self.access.area(index as u32);
        let (came, went) = (area.batched_in.read(), area.batched_out.read());
        let (length, count) = area.word();
        MagazineCounts::derived(length, count, came, went)
    }
}

impl Drop for Magazines {
    fn drop(&mut self) {
        let areas = std::ptr::slice_from_raw_parts_mut(self.access.areas.as_ptr(), self.count());
        // SAFETY: leaked from such a box in `new`; nobody uses the pool any more.
        drop(unsafe { Box::from_raw(areas) });
    }
}
