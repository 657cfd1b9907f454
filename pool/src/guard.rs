//! An object in use.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::pool::Pool;
use crate::recycle::{ByTrait, Recycler};

/// An object taken from a [`Pool`]; goes back when dropped, on any thread.
///
/// Two words: the object's address and the pool's. A guard that is forgotten
/// (`std::mem::forget`) keeps its object out of use until the pool is dropped, which drops it.
#[must_use = "the object goes back to the pool at once if the guard is not kept"]
pub struct Guard<'p, T, R: Recycler<T> = ByTrait> {
    object: NonNull<T>,
    pool: &'p Pool<T, R>,
    /// The guard may use the object mutably, and drops nothing of its own.
    _object: PhantomData<&'p mut T>,
}

impl<'p, T, R: Recycler<T>> Guard<'p, T, R> {
    /// `object` must be a slot's that the caller has taken from `pool`.
    #[inline(always)]
    pub(crate) fn new(object: NonNull<T>, pool: &'p Pool<T, R>) -> Self {
        Guard {
            object,
            pool,
            _object: PhantomData,
        }
    }

    /// The pool that the object belongs to.
    #[inline]
    #[must_use]
    pub fn pool(guard: &Self) -> &'p Pool<T, R> {
        guard.pool
    }

    /// The object's address, without giving the object back.
    #[inline]
    pub(crate) fn into_object(self) -> NonNull<T> {
        ManuallyDrop::new(self).object
    }
}

impl<T, R: Recycler<T>> Deref for Guard<'_, T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard owns the slot (it was taken, and is given back on drop only), which
        // holds an object for as long as the pool lives, and the guard borrows the pool.
        unsafe { self.object.as_ref() }
    }
}

impl<T, R: Recycler<T>> DerefMut for Guard<'_, T, R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; `&mut self` makes the access the only one.
        unsafe { self.object.as_mut() }
    }
}

impl<T, R: Recycler<T>> Drop for Guard<'_, T, R> {
    #[inline(always)]
    fn drop(&mut self) {
        self.pool.put(self.object);
    }
}

// SAFETY: sending the guard sends the `T` (hence `T: Send`) and a reference to the pool, which is
// then used from two threads (hence `Pool: Sync`).
unsafe impl<T: Send, R: Recycler<T>> Send for Guard<'_, T, R> where Pool<T, R>: Sync {}
// SAFETY: `&Guard` gives `&T` (hence `T: Sync`) and `&Pool`.
unsafe impl<T: Sync, R: Recycler<T>> Sync for Guard<'_, T, R> where Pool<T, R>: Sync {}

impl<T: fmt::Debug, R: Recycler<T>> fmt::Debug for Guard<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display, R: Recycler<T>> fmt::Display for Guard<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
