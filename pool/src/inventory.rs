//! Which slots of a slab hold an object: making, discarding and replacing, growing and shrinking.
//!
//! Objects are made at build and live until the pool ends, whether they are in use or free:
//! recycling is lazy and happens in place. What changes the stock afterwards is rare (an object
//! that its recycler rejects, a pool that grows or shrinks), and is done here, under a lock.
//!
//! **A maker that panics** leaves everything as it was before that object: at build, the objects
//! made so far are dropped and the memory is freed; later, the slot stays vacant.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use crate::counter::Counter;
use crate::maker::sealed::Sealed;
use crate::memory::Pages;
use crate::plain::{Plain, PlainGuard};
use crate::slab::Slab;

/// What makes the objects, once the type of the maker is forgotten.
type Make<T> = Box<dyn Sealed<T> + Send>;

/// See the module's head.
pub(crate) struct Inventory<T> {
    slab: Slab<T>,
    state: Plain<State<T>>,
    /// How many objects there are. Changed under the lock.
    objects: Counter,
    grown: Counter,
    shrunk: Counter,
    discarded: Counter,
}

struct State<T> {
    make: Make<T>,
    /// Slots below `next` that hold no object.
    vacant: Vec<u32>,
    /// The first slot that never held an object.
    next: u32,
    /// How many slots there can be.
    slots: u32,
}

impl<T> Inventory<T> {
    /// Makes `count` objects.
    ///
    /// # Panics
    /// If the maker does; nothing leaks.
    pub(crate) fn new(slab: Slab<T>, slots: usize, count: usize, make: Make<T>) -> Self {
        let inventory = Inventory {
            slab,
            state: Plain::new(State {
                make,
                vacant: Vec::new(),
                next: 0,
                slots: slots as u32,
            }),
            objects: Counter::default(),
            grown: Counter::default(),
            shrunk: Counter::default(),
            discarded: Counter::default(),
        };
        let mut state = inventory.state.lock();
        for _ in 0..count {
            let made = inventory.make_one(&mut state);
            debug_assert!(made.is_some(), "the slab was made for so many");
        }
        drop(state);
        inventory
    }

    /// Makes one object in a vacant slot; `None` if there is no slot or no memory.
    fn make_one(&self, state: &mut State<T>) -> Option<u32> {
        let reused = state.vacant.last().copied();
        let ordinal = match reused {
            Some(ordinal) => ordinal,
            None if state.next < state.slots && self.slab.commit(state.next as usize + 1) => {
                state.next
            }
            None => return None,
        };
        // SAFETY: the slot is in bounds, aligned and accessible, and holds no object: only the
        // holder of the lock makes one.
        unsafe { state.make.make_at(self.slab.object(ordinal)) };
        match reused {
            Some(_) => drop(state.vacant.pop()),
            None => state.next += 1,
        }
        self.objects.add(1);
        Some(ordinal)
    }

    /// Makes up to `count` more objects and hands each to `admit` with the lock still held; returns
    /// how many.
    ///
    /// # Panics
    /// If the maker does; the objects made before were handed over.
    pub(crate) fn make_more(&self, count: usize, mut admit: impl FnMut(u32)) -> usize {
        let mut state = self.state.lock();
        self.make_more_locked(&mut state, count, &mut admit)
    }

    fn make_more_locked(
        &self,
        state: &mut State<T>,
        count: usize,
        admit: &mut impl FnMut(u32),
    ) -> usize {
        for made in 0..count {
            match self.make_one(state) {
                Some(ordinal) => {
                    self.grown.add(1);
                    admit(ordinal);
                }
                None => return made,
            }
        }
        count
    }

    /// Brings the number of objects to `target`, as far as free objects (`take`) and memory allow.
    pub(crate) fn resize(
        &self,
        target: usize,
        mut take: impl FnMut() -> Option<NonNull<T>>,
        mut admit: impl FnMut(u32),
    ) {
        let mut state = self.state.lock();
        let now = self.objects();
        if target > now {
            self.make_more_locked(&mut state, target - now, &mut admit);
            return;
        }
        let taken: Vec<NonNull<T>> = std::iter::from_fn(&mut take).take(now - target).collect();
        self.retire(state, &taken);
    }

    /// Drops objects that the caller has taken for good, and gives their pages back.
    fn retire(&self, mut state: PlainGuard<'_, State<T>>, objects: &[NonNull<T>]) {
        if objects.is_empty() {
            return;
        }
        let mut panicked = None;
        for &object in objects {
            // SAFETY: the caller took the object, and its slot is not used again before it is
            // vacant.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { object.drop_in_place() }));
            panicked = panicked.or(dropped.err());
            state.vacant.push(self.ordinal(object));
        }
        self.objects.subtract(objects.len() as u64);
        self.shrunk.add(objects.len() as u64);
        // Descending, so that the lowest are used first again.
        state.vacant.sort_unstable_by(|a, b| b.cmp(a));
        for run in runs(&state.vacant) {
            // SAFETY: vacant slots, and the lock keeps anybody from making an object there.
            unsafe { self.slab.give_back(run) };
        }
        drop(state);
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    /// Drops an object that its user or recycler has spoilt, and makes a new one in its place. The
    /// caller owns the object before and after.
    ///
    /// # Panics
    /// If the maker or the object's destructor does. The slot is vacant then: there is no object,
    /// and the pool holds one less.
    pub(crate) fn replace(&self, object: NonNull<T>) {
        self.discarded.add(1);
        // SAFETY: the caller owns the object.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { object.drop_in_place() }));
        let mut state = self.state.lock();
        let made = dropped.and_then(|()| {
            // SAFETY: the slot is the caller's and holds no object any more.
            catch_unwind(AssertUnwindSafe(|| unsafe {
                state.make.make_at(object.cast());
            }))
        });
        if let Err(panic) = made {
            let ordinal = self.ordinal(object);
            state.vacant.push(ordinal);
            self.objects.subtract(1);
            drop(state);
            resume_unwind(panic);
        }
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
        let state = self.state.lock();
        let mut vacant = vec![false; state.next as usize];
        state
            .vacant
            .iter()
            .for_each(|&ordinal| vacant[ordinal as usize] = true);
        let mut panicked = None;
        for ordinal in (0..state.next).filter(|&ordinal| !vacant[ordinal as usize]) {
            let object = self.slab.object(ordinal).cast::<T>();
            // SAFETY: the slot holds an object, and nobody uses it: the pool has ended.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { object.drop_in_place() }));
            panicked = panicked.or(dropped.err());
        }
        drop(state);
        if let Some(panic) = panicked
            && !std::thread::panicking()
        {
            resume_unwind(panic);
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
