//! A pool's objects, and which of them are free: what guards and windows hold on to.
//!
//! The stock knows nothing of recycling, so that a [`Guard`] is the same type however its pool
//! recycles.

use std::ptr::NonNull;
use std::time::Instant;

use crate::builder::BuildError;
use crate::free::FreeSlots;
use crate::guard::Guard;
use crate::slab::{Slab, SlotId};

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Stock<T> {
    free: FreeSlots,
    slab: Slab<T>,
}

impl<T> Stock<T> {
    pub(crate) fn new(
        capacity: usize,
        make: impl FnMut() -> T,
        portable: bool,
    ) -> Result<Self, BuildError> {
        let slab = Slab::new(capacity, make)?;
        let free = FreeSlots::new(capacity, slab.place(), portable);
        Ok(Stock { free, slab })
    }

    /// Takes a free object as its last user left it.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Guard<'_, T>> {
        Some(Guard::new(self.free.take()?.cast(), self))
    }

    /// Takes an object, waiting for one if need be; `None` when `deadline` passed first.
    pub(crate) fn take_or_wait(&self, deadline: Option<Instant>) -> Option<Guard<'_, T>> {
        Some(Guard::new(self.free.take_or_wait(deadline)?.cast(), self))
    }

    /// Gives back an object that a guard owned.
    #[inline(always)]
    pub(crate) fn put(&self, object: NonNull<T>) {
        self.free.put(object.cast());
    }

    /// How many objects there are, free and in use.
    pub(crate) fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    pub(crate) fn slot(&self, object: NonNull<T>) -> SlotId {
        self.slab.place().slot(object.cast())
    }

    pub(crate) fn object(&self, slot: SlotId) -> NonNull<T> {
        self.slab.object(slot)
    }

    pub(crate) fn free(&self) -> &FreeSlots {
        &self.free
    }
}
