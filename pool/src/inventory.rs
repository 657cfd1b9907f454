//! Which slots of a slab hold an object: making, discarding and replacing, growing and shrinking.
//!
//! Objects are made at build and live until the pool ends, whether they are in use or free:
//! recycling is lazy and happens in place. What changes the stock afterwards is rare (an object
//! that its recycler rejects, a pool that grows or shrinks), and is done here, under locks.
//!
//! **Foreign code** (the maker, destructors) never runs under the lock of the slots. The maker runs
//! under a lock of its own, since it is an `FnMut`: one that calls for another object of its own
//! pool is told so by a panic instead of a deadlock.
//!
//! **A maker that panics** leaves everything as it was before that object: at build, the objects
//! made so far are dropped and the memory is freed; later, the slot stays vacant.
//!
//! **In a child made by `fork`** objects that vanished threads held may be half-changed: they are
//! never dropped. If the maker was at work in one of those threads, nothing is made any more (see
//! [`Turn`]).

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::counter::Counter;
#[cfg(all(unix, not(any(loom, shuttle))))]
use crate::fork::Kept;
use crate::fork::Turn;
use crate::maker::sealed::Sealed;
use crate::memory::Pages;
use crate::panics::keep_first;
use crate::plain::Plain;
use crate::slab::Slab;

/// What makes the objects, once the type of the maker is forgotten.
type Make<T> = Box<dyn Sealed<T> + Send>;

/// See the module's head.
pub(crate) struct Inventory<T> {
    slab: Slab<T>,
    /// Used by whoever has the turn, and not dropped if that is broken.
    make: ManuallyDrop<Plain<Make<T>>>,
    shelf: Shelf,
    /// The objects are not to be dropped at the end.
    abandoned: bool,
    /// How many objects there are.
    objects: Counter,
    grown: Counter,
    shrunk: Counter,
    discarded: Counter,
}

/// What of an inventory has no type: who may make objects, and where.
pub(crate) struct Shelf {
    turn: Turn,
    slots: Plain<Slots>,
    /// The lock of the slots, while this thread forks.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    kept: Kept<Slots>,
    /// One who changes the size at a time.
    resizing: Plain<()>,
    inherited: AtomicBool,
}

struct Slots {
    /// Slots below `next` that hold no object.
    vacant: Vec<u32>,
    /// The first slot that never held an object.
    next: u32,
    /// How many slots there can be.
    count: u32,
}

impl<T> Inventory<T> {
    /// Makes `count` objects.
    ///
    /// # Panics
    /// If the maker does; nothing leaks.
    pub(crate) fn new(slab: Slab<T>, slots: usize, count: usize, make: Make<T>) -> Self {
        let inventory = Inventory {
            slab,
            make: ManuallyDrop::new(Plain::new(make)),
            shelf: Shelf {
                turn: Turn::new(),
                slots: Plain::new(Slots {
                    vacant: Vec::new(),
                    next: 0,
                    count: slots as u32,
                }),
                #[cfg(all(unix, not(any(loom, shuttle))))]
                kept: Kept::new(),
                resizing: Plain::new(()),
                inherited: AtomicBool::new(false),
            },
            abandoned: false,
            objects: Counter::default(),
            grown: Counter::default(),
            shrunk: Counter::default(),
            discarded: Counter::default(),
        };
        for _ in 0..count {
            let made = inventory.make_one();
            debug_assert!(made.is_some(), "the slab was made for so many");
        }
        inventory
    }

    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Makes an object in a vacant slot; `None` if there is no slot, no memory, or no maker any more.
    fn make_one(&self) -> Option<u32> {
        if self.shelf.turn.is_broken() {
            return None;
        }
        let ordinal = self.take_vacant()?;
        let made = catch_unwind(AssertUnwindSafe(|| {
            self.make_at(self.slab.object(ordinal).cast());
        }));
        if let Err(panic) = made {
            self.shelf.slots.lock().vacant.push(ordinal);
            resume_unwind(panic);
        }
        self.objects.add_one();
        Some(ordinal)
    }

    fn take_vacant(&self) -> Option<u32> {
        let mut slots = self.shelf.slots.lock();
        if let Some(ordinal) = slots.vacant.pop() {
            return Some(ordinal);
        }
        let ordinal = slots.next;
        if ordinal >= slots.count || !self.slab.commit(ordinal as usize + 1) {
            return None;
        }
        slots.next += 1;
        Some(ordinal)
    }

    /// Makes an object at an address that the caller owns, and where there is none.
    fn make_at(&self, object: NonNull<T>) {
        assert!(
            !self.shelf.turn.is_own(),
            "the maker of a pool asked that pool for an object, which would have to be made"
        );
        let turn = self.shelf.turn.take();
        assert!(
            turn.is_some(),
            "a pool's maker was at work in another thread when this process was forked"
        );
        let mut make = self.make.lock();
        // SAFETY: a slot of the slab, in bounds, aligned and accessible, the caller's alone, and it
        // holds no object.
        unsafe { make.make_at(object.cast()) };
    }

    /// Makes up to `count` more objects and hands each to `admit`; returns how many.
    ///
    /// # Panics
    /// If the maker does; the objects made before were handed over.
    pub(crate) fn make_more(&self, count: usize, mut admit: impl FnMut(u32)) -> usize {
        for made in 0..count {
            match self.make_one() {
                Some(ordinal) => {
                    self.grown.add_one();
                    admit(ordinal);
                }
                None => return made,
            }
        }
        count
    }

    /// Brings the number of objects to `target`, as far as free objects (`take`) and memory allow;
    /// returns how many were dropped.
    pub(crate) fn resize(
        &self,
        target: usize,
        take: impl FnMut() -> Option<NonNull<T>>,
        admit: impl FnMut(u32),
    ) -> usize {
        let _resizing = self.shelf.resizing.lock();
        let now = self.objects();
        if target > now {
            self.make_more(target - now, admit);
            return 0;
        }
        self.retire(std::iter::from_fn(take).take(now - target))
    }

    /// Drops objects that the caller takes for good, and gives their pages back; returns how many.
    fn retire(&self, objects: impl Iterator<Item = NonNull<T>>) -> usize {
        let mut first_panic = None;
        let mut count = 0;
        for object in objects {
            // SAFETY: the caller took the object, and its slot is used again only when it is
            // vacant.
            keep_first(&mut first_panic, || unsafe { object.drop_in_place() });
            self.shrunk.add_one();
            // At once, for a pool that would grow meanwhile.
            let mut slots = self.shelf.slots.lock();
            self.objects.subtract(1);
            slots.vacant.push(self.ordinal(object));
            count += 1;
        }
        if count > 0 {
            let mut slots = self.shelf.slots.lock();
            // Descending, so that the lowest are used first again.
            slots.vacant.sort_unstable_by(|a, b| b.cmp(a));
            for run in runs(&slots.vacant) {
                // SAFETY: vacant slots, and the lock keeps anybody from taking one.
                unsafe { self.slab.give_back(run) };
            }
        }
        if let Some(panic) = first_panic {
            resume_unwind(panic);
        }
        count
    }

    /// Drops an object that its user or recycler has spoilt, and makes a new one in its place. The
    /// caller owns the object before and after.
    ///
    /// # Panics
    /// If the maker or the object's destructor does, or if there is no maker any more. The slot is
    /// vacant then: there is no object, and the pool holds one less. `vacated` is told so before
    /// anybody can use the slot again.
    pub(crate) fn replace(&self, object: NonNull<T>, vacated: impl FnOnce()) {
        self.discarded.add_one();
        let made = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the caller owns the object.
            unsafe { object.drop_in_place() };
            self.make_at(object);
        }));
        if let Err(panic) = made {
            vacated();
            let mut slots = self.shelf.slots.lock();
            self.objects.subtract(1);
            slots.vacant.push(self.ordinal(object));
            drop(slots);
            resume_unwind(panic);
        }
    }

    /// Whether each slot holds an object or is vacant: not so if a thread that vanished in a fork was
    /// just making or dropping one.
    pub(crate) fn is_whole(&self) -> bool {
        let slots = self.shelf.slots.lock();
        slots.next as usize - slots.vacant.len() == self.objects()
    }

    /// In a child of a fork, before the inventory ends: drops the free objects only, since others
    /// may be half-changed by threads that are no more.
    ///
    /// # Safety
    /// The caller owns the objects that `free` yields, and none is used any more.
    pub(crate) unsafe fn end_inherited(&mut self, free: impl Iterator<Item = NonNull<T>>) {
        self.abandoned = true;
        let mut first_panic = None;
        for object in free {
            // SAFETY: the caller's promise.
            keep_first(&mut first_panic, || unsafe { object.drop_in_place() });
        }
        resume_unless_panicking(first_panic);
    }

    fn ordinal(&self, object: NonNull<T>) -> u32 {
        let place = self.slab.place();
        place.spacing().index(place.slot(object.cast()))
    }

    /// How many objects there are, free and in use.
    pub(crate) fn objects(&self) -> usize {
        self.objects.read() as usize
    }

    /// Objects made since the build, dropped by shrinking, discarded.
    pub(crate) fn changes(&self) -> [u64; 3] {
        [&self.grown, &self.shrunk, &self.discarded].map(Counter::read)
    }

    pub(crate) fn pages(&self) -> Pages {
        self.slab.pages()
    }
}

impl<T> Drop for Inventory<T> {
    fn drop(&mut self) {
        if !self.shelf.turn.is_broken() {
            // SAFETY: dropped here only, and not used any more.
            unsafe { ManuallyDrop::drop(&mut self.make) };
        }
        if self.abandoned {
            return;
        }
        let mut first_panic = None;
        let slots = self.shelf.slots.lock();
        let mut vacant = vec![false; slots.next as usize];
        slots
            .vacant
            .iter()
            .for_each(|&ordinal| vacant[ordinal as usize] = true);
        drop(slots);
        for (ordinal, _) in (0..).zip(vacant).filter(|&(_, vacant)| !vacant) {
            let object = self.slab.object(ordinal).cast::<T>();
            // SAFETY: the slot holds an object, and nobody uses it: the pool has ended.
            keep_first(&mut first_panic, || unsafe { object.drop_in_place() });
        }
        resume_unless_panicking(first_panic);
    }
}

fn resume_unless_panicking(panic: Option<Box<dyn Any + Send>>) {
    if let Some(panic) = panic
        && !std::thread::panicking()
    {
        resume_unwind(panic);
    }
}

impl Shelf {
    /// Whether this is a child's copy, so that vanished threads may hold objects.
    pub(crate) fn is_inherited(&self) -> bool {
        self.inherited.load(Ordering::Relaxed)
    }
}

/// What a fork does: see [`crate::fork`].
#[cfg(all(unix, not(any(loom, shuttle))))]
impl Shelf {
    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Keeps the slots as they are.
    ///
    /// # Safety
    /// The caller forks, no other thread does, and the shelf does not end before it has called
    /// [`release`](Self::release) or [`clear_away`](Self::clear_away).
    pub(crate) unsafe fn hold(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.kept.keep(self.slots.lock()) }
    }

    /// Lets them change again.
    ///
    /// # Safety
    /// As for [`hold`](Self::hold).
    pub(crate) unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        drop(unsafe { self.kept.take() });
    }

    /// As `release`, in the child.
    ///
    /// # Safety
    /// As for [`hold`](Self::hold), and the caller is the process's only thread.
    pub(crate) unsafe fn clear_away(&self) {
        self.inherited.store(true, Ordering::Relaxed);
        // SAFETY: the caller's promise. It may itself be resizing, and fork in a destructor: what it
        // then gives back is a lock that guards nothing.
        unsafe {
            self.release();
            self.resizing.renew_if_held(());
        }
    }
}

impl<T> std::fmt::Debug for Inventory<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inventory")
            .field("objects", &self.objects())
            .finish_non_exhaustive()
    }
}

/// The runs of neighbouring numbers in a descending list.
fn runs(descending: &[u32]) -> impl Iterator<Item = std::ops::Range<u32>> + '_ {
    descending
        .chunk_by(|above, below| *above == *below + 1)
        .filter_map(|run| Some(*run.last()?..*run.first()? + 1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::runs;

    #[test]
    fn neighbours_make_a_run() {
        let found: Vec<_> = runs(&[9, 8, 7, 3, 1, 0]).collect();
        assert_eq!(found, [7..10, 3..4, 0..2]);
        assert_eq!(runs(&[]).count(), 0);
    }
}
