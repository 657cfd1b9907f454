//! An object in use.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::free::FreeSlots;

mod mapped;
mod owned;
mod split;

pub use mapped::MappedGuard;
pub use owned::{OwnedGuard, OwnedMappedGuard};
pub use split::SplitGuard;

/// An object taken from a [`Pool`](crate::Pool); goes back when dropped, on any thread.
///
/// Two words: the object's address and its pool's. A guard that is forgotten
/// (`std::mem::forget`) keeps its object out of use until the pool is dropped, which drops it.
///
/// ```
/// # use tailcut_pool::Pool;
/// let pool = Pool::builder(Vec::<u64>::new).capacity(1).build()?;
/// let mut list = pool.try_get()?;
/// list.push(7); // as if it were the object
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(list)); // back, from another thread
/// });
/// assert!(pool.try_get()?.is_empty());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the object goes back to the pool at once if the guard is not kept"]
pub struct Guard<'p, T> {
    object: NonNull<T>,
    free: &'p FreeSlots,
    /// The guard may use the object mutably, and drops nothing of its own.
    _object: PhantomData<&'p mut T>,
}

impl<'p, T> Guard<'p, T> {
    /// `object` must be a slot's that the caller has taken from `free`.
    #[inline(always)]
    pub(crate) fn new(object: NonNull<T>, free: &'p FreeSlots) -> Self {
        Guard {
            object,
            free,
            _object: PhantomData,
        }
    }

    /// Where the object belongs.
    #[inline]
    pub(crate) fn free(&self) -> &'p FreeSlots {
        self.free
    }

    /// The object's address, without giving the object back.
    #[inline(always)]
    pub(crate) fn into_object(self) -> NonNull<T> {
        ManuallyDrop::new(self).object
    }

    /// Takes the guard apart: the object stays in use until [`Pool::from_raw`](crate::Pool::from_raw)
    /// makes a guard of the address again. For an object whose way leads through foreign code: a
    /// C callback's context, a completion queue's user data.
    ///
    /// ```
    /// # use tailcut_pool::{Guard, Pool};
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(1).build()?;
    /// let address = Guard::into_raw(pool.try_get()?);
    /// // SAFETY: the address comes from this pool's guard, and becomes one guard again.
    /// let guard = unsafe { pool.from_raw(address) };
    /// drop(guard);
    /// assert!(pool.try_get().is_ok());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the object stays out of use unless the address is kept"]
    pub fn into_raw(guard: Self) -> NonNull<T> {
        guard.into_object()
    }

    /// A guard of a part of the object, or of another view of it.
    ///
    /// ```
    /// # use tailcut_pool::{Guard, MappedGuard, Pool};
    /// trait Shape { fn area(&self) -> f64; }
    /// struct Square(f64);
    /// impl Shape for Square { fn area(&self) -> f64 { self.0 * self.0 } }
    ///
    /// let squares = Pool::builder(|| Square(2.0)).keep_as_is().capacity(4).build()?;
    /// let shape: MappedGuard<'_, dyn Shape> =
    ///     Guard::map(squares.try_get()?, |square| square as &mut dyn Shape);
    /// assert_eq!(shape.area(), 4.0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<U: ?Sized>(guard: Self, view: impl FnOnce(&mut T) -> &mut U) -> MappedGuard<'p, U>
    where
        T: Send,
    {
        MappedGuard::new(guard, view)
    }

    /// Two guards of two parts of the object, which may go to two threads; it goes back when both
    /// are dropped.
    ///
    /// ```
    /// # use tailcut_pool::{Guard, Pool};
    /// let pool = Pool::builder(|| (1, 2)).keep_as_is().capacity(1).build()?;
    /// let (mut left, right) = Guard::split(pool.try_get()?, |pair| (&mut pair.0, &mut pair.1));
    /// *left += *right;
    /// drop(left);
    /// assert!(pool.try_get().is_err());
    /// drop(right);
    /// assert_eq!(*pool.try_get()?, (3, 2));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn split<A: ?Sized, B: ?Sized>(
        guard: Self,
        parts: impl FnOnce(&mut T) -> (&mut A, &mut B),
    ) -> (SplitGuard<'p, A>, SplitGuard<'p, B>)
    where
        T: Send,
    {
        split::split(guard, parts)
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
        self.free.put(self.object.cast());
    }
}

// SAFETY: sending the guard sends the `T` (hence `T: Send`), and a reference to the free slots,
// which are `Sync`.
unsafe impl<T: Send> Send for Guard<'_, T> {}
// SAFETY: `&Guard` gives `&T` (hence `T: Sync`), and to this crate `&FreeSlots`, with which nothing
// but giving back could be done, and that needs the guard itself.
unsafe impl<T: Sync> Sync for Guard<'_, T> {}

/// What every kind of guard shows of its object.
macro_rules! shown_as_its_object {
    ($([$($generics:tt)*] $guard:ty),+ $(,)?) => {
        $(
            impl<$($generics)*> std::fmt::Debug for $guard where T: std::fmt::Debug {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    (**self).fmt(f)
                }
            }

            impl<$($generics)*> std::fmt::Display for $guard where T: std::fmt::Display {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    (**self).fmt(f)
                }
            }

            impl<$($generics)*> AsRef<T> for $guard {
                fn as_ref(&self) -> &T {
                    self
                }
            }

            impl<$($generics)*> AsMut<T> for $guard {
                fn as_mut(&mut self) -> &mut T {
                    self
                }
            }
        )+
    };
}

shown_as_its_object! {
    [T] Guard<'_, T>,
    [T: ?Sized] MappedGuard<'_, T>,
    [T: ?Sized] SplitGuard<'_, T>,
    [T] OwnedGuard<T>,
    [T: ?Sized] OwnedMappedGuard<T>,
}
