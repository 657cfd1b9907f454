//! A pool's objects and free slots as one piece of memory with an address of its own: what owned
//! guards hold on to when their pool is gone.

use std::ptr::NonNull;

use crate::attendant::Attendant;
use crate::builder::{BuildError, Plan};
use crate::free::depot::MAX_BATCH;
use crate::free::{Arrangement, FreeSlots};
use crate::inventory::Inventory;
use crate::maker::sealed::Sealed;
use crate::slab::{Layout, Slab};
use crate::sync::{AtomicBool, Ordering};
use crate::{checks, fork, probes};

/// See the module's head.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Stock<T> {
    /// First, so that its address is the stock's.
    free: FreeSlots,
    inventory: Inventory<T>,
    /// Whether an owned guard was ever made: if not, nothing can be in use after the pool.
    lent: AtomicBool,
}

impl<T> Stock<T> {
    fn new(plan: Plan, make: Box<dyn Sealed<T> + Send>) -> Result<Box<Self>, BuildError> {
        let Plan {
            capacity,
            limit,
            portable,
            align,
            wishes,
            duties,
        } = plan;
        let slots = limit.max(capacity);
        let slab = Slab::new(Layout {
            slots,
            expected: capacity,
            align,
            margin: duties.checks.as_ref().map_or(0, |_| checks::MARGIN),
            wishes,
        })?;
        let place = slab.place();
        let attendant = Attendant::new(duties, place, slots, size_of::<T>());
        let free = FreeSlots::new(
            Arrangement {
                slots,
                expected: capacity,
                portable,
                attendant,
            },
            place,
            Self::end,
        )
        .map_err(|_| BuildError::OutOfMemory { bytes: 8 * slots })?;
        let stock = Box::new(Stock {
            free,
            inventory: Inventory::new(slab, slots, capacity, make),
            lent: AtomicBool::new(false),
        });
        stock.admit(0..capacity as u32);
        Ok(stock)
    }

    /// Lets new objects in.
    fn admit(&self, ordinals: impl DoubleEndedIterator<Item = u32> + Clone) {
        if let Some(attendant) = self.free.attendant() {
            let place = self.free.place();
            let spacing = place.spacing();
            ordinals
                .clone()
                .for_each(|ordinal| attendant.made(place.object(spacing.slot(ordinal))));
        }
        self.free.admit(ordinals);
    }

    pub(crate) fn free(&self) -> &FreeSlots {
        &self.free
    }

    /// The objects themselves.
    pub(crate) fn inventory(&self) -> &Inventory<T> {
        &self.inventory
    }

    /// Makes up to `count` more objects; returns how many.
    ///
    /// # Panics
    /// If the maker does.
    pub(crate) fn grow(&self, count: usize) -> usize {
        let mut admission = Admission::new(self);
        let made = self
            .inventory
            .make_more(count, |ordinal| admission.add(ordinal));
        drop(admission);
        if made > 0 {
            let total = self.inventory.objects() as u64;
            probes::grow(self.free.address(), made as u64, total);
        }
        made
    }

    /// Drops a spoilt object, which the caller owns, and makes a new one in its place.
    ///
    /// # Panics
    /// As [`Inventory::replace`]; there is no object then.
    pub(crate) fn replace(&self, object: NonNull<T>) {
        self.inventory
            .replace(object, || self.free.vacated(object.cast()));
    }

    /// Brings the number of objects to `target`, as far as can be done now; returns how many were
    /// dropped.
    pub(crate) fn resize(&self, target: usize) -> usize {
        let before = self.inventory.objects();
        let mut admission = Admission::new(self);
        let dropped = self.inventory.resize(
            target,
            || self.free.take_to_retire().map(NonNull::cast),
            |ordinal| admission.add(ordinal),
        );
        drop(admission);
        let after = self.inventory.objects();
        let address = self.free.address();
        if after > before {
            probes::grow(address, (after - before) as u64, after as u64);
        } else if after < before {
            probes::shrink(address, (before - after) as u64, after as u64);
        }
        dropped
    }

    /// Frees the stock.
    ///
    /// # Safety
    /// `free` is the address of a `Stock<T>` that [`Owner::new`] made, and nobody else has it.
    unsafe fn end(free: NonNull<FreeSlots>) {
        fork::forget(free);
        // SAFETY: the caller's promise; the free slots are the first field of a `repr(C)` struct,
        // so they share its address, and the pointer came from the whole box.
        let mut stock = unsafe { Box::from_raw(free.cast::<Stock<T>>().as_ptr()) };
        if let Some(ledger) = stock.free.attendant().and_then(Attendant::ledger) {
            ledger.report_leaks();
        }
        probes::closed(stock.free.address());
        let Stock {
            free, inventory, ..
        } = &mut *stock;
        // A closed pool ends when all objects have come back.
        let all_are_back = free.is_closed() && inventory.is_whole();
        if inventory.shelf().is_inherited() && !all_are_back {
            let free = || free.take_to_retire().map(NonNull::cast);
            // SAFETY: free objects, taken for good.
            unsafe { inventory.end_inherited(std::iter::from_fn(free)) }
        }
    }
}

/// New objects that are let in a batch at a time; the rest on drop, also when the maker panics.
struct Admission<'s, T> {
    stock: &'s Stock<T>,
    ordinals: [u32; MAX_BATCH],
    filled: usize,
}

impl<'s, T> Admission<'s, T> {
    fn new(stock: &'s Stock<T>) -> Self {
        Admission {
            stock,
            ordinals: [0; MAX_BATCH],
            filled: 0,
        }
    }

    fn add(&mut self, ordinal: u32) {
        self.ordinals[self.filled] = ordinal;
        self.filled += 1;
        if self.filled == self.stock.free.batch() {
            self.let_in();
        }
    }

    fn let_in(&mut self) {
        let filled = std::mem::take(&mut self.filled);
        self.stock.admit(self.ordinals[..filled].iter().copied());
    }
}

impl<T> Drop for Admission<'_, T> {
    fn drop(&mut self) {
        self.let_in();
    }
}

/// The pool's own hold on its stock. Dropping it ends the stock, or closes it and leaves the end
/// to the last owned guard.
#[derive(Debug)]
pub(crate) struct Owner<T>(NonNull<Stock<T>>);

impl<T> Owner<T> {
    pub(crate) fn new(plan: Plan, make: Box<dyn Sealed<T> + Send>) -> Result<Self, BuildError> {
        let stock = Stock::new(plan, make)?;
        let owner = Owner(NonNull::from(Box::leak(stock)));
        let stock = owner.get();
        // SAFETY: parts of the stock, which stays where it is and forgets them when it ends.
        unsafe { fork::watch(owner.0.cast(), NonNull::from(stock.inventory.shelf())) };
        Ok(owner)
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &Stock<T> {
        // SAFETY: the owner keeps the stock alive.
        unsafe { self.0.as_ref() }
    }

    /// The free slots' address, for a guard that may outlive the pool.
    #[inline(always)]
    pub(crate) fn lend(&self) -> NonNull<FreeSlots> {
        let lent = &self.get().lent;
        if !lent.load(Ordering::Relaxed) {
            lent.store(true, Ordering::Relaxed);
        }
        self.0.cast()
    }
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        let free = self.0.cast::<FreeSlots>();
        let (lent, objects) = {
            let stock = self.get();
            // Relaxed: whoever made an owned guard had a reference to the pool, which came back
            // before this.
            let lent = stock.lent.load(Ordering::Relaxed);
            (lent, stock.inventory.objects())
        };
        // SAFETY: the pool is going, and nothing that borrowed it is left. If no owned guard was
        // ever made nobody has the address; otherwise closing sees to it.
        unsafe {
            if lent {
                FreeSlots::close(free, objects);
            } else {
                Stock::<T>::end(free);
            }
        }
    }
}

// SAFETY: the stock moves objects from thread to thread (`T: Send`) and shares none of them:
// `&Stock` leads to `&T` by way of a guard only. The maker is `Send` and used under a lock.
unsafe impl<T: Send> Send for Owner<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Owner<T> {}
