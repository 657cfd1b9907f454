//! An object in use that does not borrow its pool.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::free::FreeSlots;

/// An object taken from a [`Pool`](crate::Pool) that may outlive the pool: for a task, a channel, a
/// struct without lifetimes. `'static` if the object is.
///
/// Taking and dropping one costs what a [`Guard`](crate::Guard) does: there is no reference count.
/// When the pool is dropped first, its memory (all objects) stays until the last owned guard is
/// dropped, and closing costs a fence on every CPU (some microseconds).
///
/// An owned guard that is forgotten (`std::mem::forget`) keeps a dropped pool's memory for ever,
/// and so does a forgotten [`Guard`](crate::Guard) of a pool that also made owned ones.
///
/// ```
/// # use tailcut_pool::{OwnedGuard, Pool};
/// struct Session { buffer: OwnedGuard<Vec<u8>> } // no lifetime
///
/// let pool = Pool::builder(Vec::<u8>::new).capacity(4).build()?;
/// let mut session = Session { buffer: pool.try_get_owned()? };
/// drop(pool);
/// session.buffer.extend_from_slice(b"still there");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Invariant in `T`, for the same reason as the [pool](crate::Pool):
///
/// ```compile_fail
/// # use tailcut_pool::{OwnedGuard, Pool};
/// fn plant<'a>(mut guard: OwnedGuard<&'a str>, text: &'a str) {
///     *guard = text;
/// }
/// let pool = Pool::builder(|| "kept").keep_as_is().capacity(1).build().unwrap();
/// {
///     let gone = String::from("gone");
///     plant(pool.try_get_owned().unwrap(), &gone); // refused: `gone` does not live long enough
/// }
/// let kept: OwnedGuard<&'static str> = pool.try_get_owned().unwrap();
/// ```
#[must_use = "the object goes back to the pool at once if the guard is not kept"]
pub struct OwnedGuard<T> {
    object: NonNull<T>,
    held: HeldForGood,
    /// The last owned guard of a dropped pool drops all its objects. Invariant in `T`, as an
    /// `UnsafeCell` is: what is written by way of this guard is read by way of others.
    _objects: PhantomData<UnsafeCell<T>>,
}

/// An object that is given back on drop, its type forgotten, its pool perhaps gone.
struct HeldForGood {
    object: NonNull<u8>,
    free: NonNull<FreeSlots>,
}

impl Drop for HeldForGood {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the object was taken from there and is ours.
        unsafe { FreeSlots::put_owned(self.free, self.object) }
    }
}

impl<T> OwnedGuard<T> {
    /// # Safety
    /// `object` is the caller's, taken from the free slots at `free`, whose pool knows that it has
    /// lent an object for good.
    #[inline(always)]
    pub(crate) unsafe fn new(object: NonNull<T>, free: NonNull<FreeSlots>) -> Self {
        OwnedGuard {
            object,
            held: HeldForGood {
                object: object.cast(),
                free,
            },
            _objects: PhantomData,
        }
    }

    /// A guard of a part of the object, or of another view of it: of a trait object, say.
    ///
    /// ```
    /// # use std::fmt::Display;
    /// # use tailcut_pool::{OwnedGuard, OwnedMappedGuard, Pool};
    /// let numbers = Pool::builder(|| 7_u64).keep_as_is().capacity(1).build()?;
    /// let words = Pool::builder(|| "seven".to_owned()).keep_as_is().capacity(1).build()?;
    /// let shown: Vec<OwnedMappedGuard<dyn Display + Send>> = vec![
    ///     OwnedGuard::map(numbers.try_get_owned()?, |number| number as &mut (dyn Display + Send)),
    ///     OwnedGuard::map(words.try_get_owned()?, |word| word as &mut (dyn Display + Send)),
    /// ];
    /// drop((numbers, words));
    /// assert_eq!(shown.iter().map(ToString::to_string).collect::<Vec<_>>(), ["7", "seven"]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<U: ?Sized>(guard: Self, view: impl FnOnce(&mut T) -> &mut U) -> OwnedMappedGuard<U>
    where
        T: Send + 'static,
    {
        let OwnedGuard {
            mut object, held, ..
        } = guard;
        // SAFETY: `held` owns the object; if `view` panics it goes back.
        let view = NonNull::from(view(unsafe { object.as_mut() }));
        OwnedMappedGuard {
            view,
            _view: PhantomData,
            held,
        }
    }

    /// Takes the guard apart: see [`Guard::into_raw`](crate::Guard::into_raw). Only the pool can make
    /// a guard of the address again; once the pool is gone, the object and with it the memory of all
    /// its objects stay for ever.
    ///
    /// ```
    /// # use tailcut_pool::{OwnedGuard, Pool};
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(1).build()?;
    /// let address = OwnedGuard::into_raw(pool.try_get_owned()?);
    /// // SAFETY: the address comes from this pool's guard, and becomes one guard again.
    /// let guard = unsafe { pool.from_raw(address) };
    /// drop(pool.own(guard)); // an owned one again
    /// assert!(pool.try_get().is_ok());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the object stays out of use unless the address is kept"]
    pub fn into_raw(guard: Self) -> NonNull<T> {
        ManuallyDrop::new(guard).object
    }
}

impl<T> Deref for OwnedGuard<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard owns the object, which lives until it is given back and longer.
        unsafe { self.object.as_ref() }
    }
}

impl<T> DerefMut for OwnedGuard<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; `&mut self` makes the access the only one.
        unsafe { self.object.as_mut() }
    }
}

// SAFETY: sending the guard sends the `T`, and may drop the pool's other `T`s there: `T: Send`.
unsafe impl<T: Send> Send for OwnedGuard<T> {}
// SAFETY: `&OwnedGuard` gives `&T`.
unsafe impl<T: Sync> Sync for OwnedGuard<T> {}

/// An [`OwnedGuard`] of some view of its object, from [`OwnedGuard::map`].
///
/// ```
/// # use tailcut_pool::{OwnedGuard, OwnedMappedGuard, Pool};
/// let pool = Pool::builder(|| [0_u8; 64]).keep_as_is().capacity(1).build()?;
/// let head: OwnedMappedGuard<[u8]> = OwnedGuard::map(pool.try_get_owned()?, |all| &mut all[..8]);
/// let thread = std::thread::spawn(move || head.len());
/// assert_eq!(thread.join().unwrap(), 8);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the object goes back to the pool at once if the guard is not kept"]
pub struct OwnedMappedGuard<U: ?Sized> {
    view: NonNull<U>,
    /// Invariant in `U`, as an owned guard is in its object.
    _view: PhantomData<*mut U>,
    /// Gives the object back; the last one of a dropped pool drops objects whose type was
    /// `Send + 'static` when the guard was mapped.
    held: HeldForGood,
}

impl<U: ?Sized> OwnedMappedGuard<U> {
    /// A guard of a part of the view, or of another view of it.
    ///
    /// ```
    /// # use tailcut_pool::{OwnedGuard, OwnedMappedGuard, Pool};
    /// let pool = Pool::builder(|| (String::from("name"), 7)).keep_as_is().capacity(1).build()?;
    /// let name = OwnedGuard::map(pool.try_get_owned()?, |pair| &mut pair.0);
    /// let text: OwnedMappedGuard<str> = OwnedMappedGuard::map(name, |name| name.as_mut_str());
    /// assert_eq!(&*text, "name");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<V: ?Sized>(
        mut guard: Self,
        view: impl FnOnce(&mut U) -> &mut V,
    ) -> OwnedMappedGuard<V> {
        let view = NonNull::from(view(&mut guard));
        OwnedMappedGuard {
            view,
            _view: PhantomData,
            held: guard.held,
        }
    }
}

impl<U: ?Sized> Deref for OwnedMappedGuard<U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the view lies in the object that `held` owns, and was made from the only
        // reference to it.
        unsafe { self.view.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for OwnedMappedGuard<U> {
    #[inline]
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as in `deref`; `&mut self` makes the access the only one.
        unsafe { self.view.as_mut() }
    }
}

// SAFETY: the view is all that can be reached (`U: Send`); the object's own type is `Send`.
unsafe impl<U: ?Sized + Send> Send for OwnedMappedGuard<U> {}
// SAFETY: `&OwnedMappedGuard` gives `&U`.
unsafe impl<U: ?Sized + Sync> Sync for OwnedMappedGuard<U> {}
