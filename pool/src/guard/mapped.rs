//! A view of an object in use: a part of it, or it as a trait object.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::Guard;
use crate::free::FreeSlots;

/// A guard of some view of an object, from [`Guard::map`]. It does not know its pool's type of
/// object, so that `MappedGuard<dyn Trait>`s of several pools can lie in one collection.
///
/// ```
/// # use std::fmt::Display;
/// # use tailcut_pool::{Guard, MappedGuard, Pool};
/// let numbers = Pool::builder(|| 7_u64).keep_as_is().capacity(1).build()?;
/// let words = Pool::builder(|| "seven".to_owned()).keep_as_is().capacity(1).build()?;
/// let shown: [MappedGuard<'_, dyn Display>; 2] = [
///     Guard::map(numbers.try_get()?, |number| number as &mut dyn Display),
///     Guard::map(words.try_get()?, |word| word as &mut dyn Display),
/// ];
/// assert_eq!(shown.map(|one| one.to_string()), ["7", "seven"]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the object goes back to the pool at once if the guard is not kept"]
pub struct MappedGuard<'p, U: ?Sized> {
    view: NonNull<U>,
    held: Held<'p>,
    /// The guard may use the view mutably, and drops nothing of its own.
    _view: PhantomData<&'p mut U>,
}

/// An object that is given back on drop, its type forgotten.
pub(super) struct Held<'p> {
    pub(super) object: NonNull<u8>,
    pub(super) free: &'p FreeSlots,
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.free.put(self.object);
    }
}

impl<'p, U: ?Sized> MappedGuard<'p, U> {
    pub(super) fn new<T>(guard: Guard<'p, T>, view: impl FnOnce(&mut T) -> &mut U) -> Self {
        let free = guard.free();
        let mut object = guard.into_object();
        let held = Held {
            object: object.cast(),
            free,
        };
        // SAFETY: the guard owned the object, and `held` does now; if `view` panics it goes back.
        let view = NonNull::from(view(unsafe { object.as_mut() }));
        MappedGuard {
            view,
            held,
            _view: PhantomData,
        }
    }

    /// A guard of a part of the view, or of another view of it.
    ///
    /// ```
    /// # use tailcut_pool::{Guard, MappedGuard, Pool};
    /// struct Order { items: Vec<u64> }
    /// let pool = Pool::builder(|| Order { items: vec![1, 2, 3] }).keep_as_is().capacity(1).build()?;
    /// let items = Guard::map(pool.try_get()?, |order| &mut order.items);
    /// let mut first = MappedGuard::map(items, |items| &mut items[0]);
    /// *first = 10;
    /// drop(first);
    /// assert_eq!(pool.try_get()?.items, [10, 2, 3]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<V: ?Sized>(
        mut guard: Self,
        view: impl FnOnce(&mut U) -> &mut V,
    ) -> MappedGuard<'p, V> {
        let view = NonNull::from(view(&mut guard));
        MappedGuard {
            view,
            held: guard.held,
            _view: PhantomData,
        }
    }
}

impl<U: ?Sized> Deref for MappedGuard<'_, U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the view lies in the object that `held` owns, and was made from the only
        // reference to it.
        unsafe { self.view.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for MappedGuard<'_, U> {
    #[inline]
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as in `deref`; `&mut self` makes the access the only one.
        unsafe { self.view.as_mut() }
    }
}

// SAFETY: the view is all that can be reached (hence `U: Send`); giving back may touch the whole
// object (`Builder::on_return`), whose type was `Send` when the guard was mapped.
unsafe impl<U: ?Sized + Send> Send for MappedGuard<'_, U> {}
// SAFETY: `&MappedGuard` gives `&U`.
unsafe impl<U: ?Sized + Sync> Sync for MappedGuard<'_, U> {}
