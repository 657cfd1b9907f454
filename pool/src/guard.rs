//! An object in use.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::stock::Stock;

/// An object taken from a [`Pool`](crate::Pool); goes back when dropped, on any thread.
///
/// Two words: the object's address and its pool's. A guard that is forgotten
/// (`std::mem::forget`) keeps its object out of use until the pool is dropped, which drops it.
#[must_use = "the object goes back to the pool at once if the guard is not kept"]
pub struct Guard<'p, T> {
    object: NonNull<T>,
    stock: &'p Stock<T>,
    /// The guard may use the object mutably, and drops nothing of its own.
    _object: PhantomData<&'p mut T>,
}

impl<'p, T> Guard<'p, T> {
    /// `object` must be a slot's that the caller has taken from `stock`.
    #[inline(always)]
    pub(crate) fn new(object: NonNull<T>, stock: &'p Stock<T>) -> Self {
        Guard {
            object,
            stock,
            _object: PhantomData,
        }
    }

    /// Where the object belongs.
    #[inline]
    pub(crate) fn stock(&self) -> &'p Stock<T> {
        self.stock
    }

    /// The object's address, without giving the object back.
    #[inline]
    pub(crate) fn into_object(self) -> NonNull<T> {
        ManuallyDrop::new(self).object
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard owns the slot (it was taken, and is given back on drop only), which
        // holds an object for as long as the pool lives, and the guard borrows the pool.
        unsafe { self.object.as_ref() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; `&mut self` makes the access the only one.
        unsafe { self.object.as_mut() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.stock.put(self.object);
    }
}

// SAFETY: sending the guard sends the `T` (hence `T: Send`), and a reference to the stock, which is
// `Sync` if `T: Send`.
unsafe impl<T: Send> Send for Guard<'_, T> {}
// SAFETY: `&Guard` gives `&T` (hence `T: Sync`), and to this crate `&Stock`, with which nothing but
// giving back could be done, and that needs the guard itself.
unsafe impl<T: Sync> Sync for Guard<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
