//! How objects come to be: by value, or in place.
//!
//! A maker that returns its object may move it from the stack to its slot. For a tensor of 600 KB
//! that is a copy, and a stack that must hold it; such an object is made in place.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Makes objects: a function that returns one, or [`InPlace`].
///
/// Implemented for every `FnMut() -> T`. Sealed: it cannot be implemented elsewhere.
///
/// ```
/// use tailcut_pool::{AsIs, BuildError, Maker, Pool};
///
/// /// A pool of whatever `make` makes, as this service wants its pools.
/// fn pool_of<T, M>(make: M) -> Result<Pool<T, AsIs>, BuildError>
/// where
///     M: Maker<T> + FnMut() -> T + Send + 'static,
/// {
///     Pool::builder(make).keep_as_is().capacity(16).build()
/// }
/// assert_eq!(*pool_of(|| 7)?.try_get()?, 7);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub trait Maker<T>: sealed::Sealed<T> {}

pub(crate) mod sealed {
    use super::{MaybeUninit, NonNull};

    /// Makes one object where it is to stay.
    pub trait Sealed<T> {
        /// Fills `slot` or panics.
        ///
        /// # Safety
        /// The slot is valid for writes, aligned for `T`, and the caller's alone.
        unsafe fn make_at(&mut self, slot: NonNull<MaybeUninit<T>>);
    }
}

impl<T, F: FnMut() -> T> Maker<T> for F {}

impl<T, F: FnMut() -> T> sealed::Sealed<T> for F {
    #[inline]
    unsafe fn make_at(&mut self, mut slot: NonNull<MaybeUninit<T>>) {
        let object = self();
        // SAFETY: the caller's promise.
        unsafe { slot.as_mut() }.write(object);
    }
}

/// A maker that fills its slot in place: see [`Pool::builder_in_place`](crate::Pool::builder_in_place).
///
/// ```
/// # use tailcut_pool::{Builder, InPlace, Pool};
/// // What a builder of large objects is, should a signature want to name it.
/// fn named<F>(builder: Builder<InPlace<F, [u8; 4096]>>) -> Builder<InPlace<F, [u8; 4096]>> {
///     builder.capacity(8).align(4096)
/// }
/// let builder = named(Pool::builder_in_place(|slot| slot.fill_with(|_| 0)));
/// assert_eq!(builder.keep_as_is().build()?.try_get()?.len(), 4096);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct InPlace<F, T> {
    fill: F,
    object: PhantomData<fn() -> T>,
}

impl<F: Clone, T> Clone for InPlace<F, T> {
    fn clone(&self) -> Self {
        InPlace::new(self.fill.clone())
    }
}

impl<F, T> std::fmt::Debug for InPlace<F, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InPlace").finish_non_exhaustive()
    }
}

impl<F, T> InPlace<F, T> {
    pub(crate) fn new(fill: F) -> Self {
        InPlace {
            fill,
            object: PhantomData,
        }
    }
}

impl<F, T> Maker<T> for InPlace<F, T> where F: for<'s> FnMut(Slot<'s, T>) -> Filled<'s, T> {}

impl<F, T> sealed::Sealed<T> for InPlace<F, T>
where
    F: for<'s> FnMut(Slot<'s, T>) -> Filled<'s, T>,
{
    unsafe fn make_at(&mut self, mut slot: NonNull<MaybeUninit<T>>) {
        // SAFETY: the caller's promise.
        let memory = unsafe { slot.as_mut() };
        let slot = Slot {
            memory,
            only: PhantomData,
        };
        // What comes back can only be this slot, filled: `'s` is any lifetime, and invariant.
        let Filled { .. } = (self.fill)(slot);
    }
}

/// Where an object is to be made.
///
/// ```
/// use tailcut_pool::{Filled, Pool, Slot};
///
/// fn table(slot: Slot<'_, [u32; 1000]>) -> Filled<'_, [u32; 1000]> {
///     slot.fill_with(|index| index as u32)
/// }
/// let pool = Pool::builder_in_place(table).keep_as_is().capacity(4).build()?;
/// assert_eq!(pool.try_get()?[999], 999);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Slot<'s, T> {
    memory: &'s mut MaybeUninit<T>,
    only: Only<'s>,
}

/// Proof that a [`Slot`] holds an object now.
///
/// ```
/// # use tailcut_pool::{Filled, Pool, Slot};
/// // Only a filled slot leads here, so that no pool holds a half-made object.
/// fn fill(slot: Slot<'_, String>) -> Filled<'_, String> {
///     slot.write(String::with_capacity(100))
/// }
/// let pool = Pool::builder_in_place(fill).capacity(4).build()?;
/// assert!(pool.try_get()?.capacity() >= 100);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use = "return it: it is the proof that the slot was filled"]
pub struct Filled<'s, T> {
    only: Only<'s>,
    object: PhantomData<fn() -> T>,
}

/// Ties a proof to its slot: invariant in the lifetime, so that no other slot's proof fits.
type Only<'s> = PhantomData<fn(&'s ()) -> &'s ()>;

impl<T> std::fmt::Debug for Slot<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for Filled<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filled").finish_non_exhaustive()
    }
}

impl<'s, T> Slot<'s, T> {
    /// Moves `object` here.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let mut made = 0_u64;
    /// let pool = Pool::builder_in_place(move |slot| {
    ///     made += 1;
    ///     slot.write(made)
    /// });
    /// let pool = pool.keep_as_is().capacity(3).build()?;
    /// let numbers = pool.try_get_array::<3>()?;
    /// assert_eq!(numbers.iter().map(|number| **number).sum::<u64>(), 1 + 2 + 3);
    /// # drop(numbers);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(self, object: T) -> Filled<'s, T> {
        self.memory.write(object);
        Filled {
            only: self.only,
            object: PhantomData,
        }
    }

    /// The memory, to be filled piece by piece; end with [`assume_filled`](Self::assume_filled).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// #[repr(C)]
    /// struct Header { kind: u32, length: u32 }
    /// let pool = Pool::<Header>::builder_in_place(|mut slot| {
    ///     let header = slot.as_mut_ptr();
    ///     // SAFETY: the pointer is valid for one header, both of whose fields are written.
    ///     unsafe {
    ///         (&raw mut (*header).kind).write(7);
    ///         (&raw mut (*header).length).write(0);
    ///         slot.assume_filled()
    ///     }
    /// });
    /// let pool = pool.keep_as_is().capacity(2).build()?;
    /// assert_eq!(pool.try_get()?.kind, 7);
    /// # assert_eq!(pool.try_get()?.length, 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.memory.as_mut_ptr()
    }

    /// Says that the memory was filled by way of [`as_mut_ptr`](Self::as_mut_ptr).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pages = Pool::<[u8; 1 << 20]>::builder_in_place(|mut slot| {
    ///     // SAFETY: the pointer is valid for one array, and zeros are a valid one.
    ///     unsafe {
    ///         slot.as_mut_ptr().write_bytes(0, 1);
    ///         slot.assume_filled()
    ///     }
    /// });
    /// let pages = pages.keep_as_is().capacity(2).build()?;
    /// assert_eq!(pages.try_get()?[7], 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// The memory holds a valid `T`.
    pub unsafe fn assume_filled(self) -> Filled<'s, T> {
        Filled {
            only: self.only,
            object: PhantomData,
        }
    }
}

impl<'s, T, const N: usize> Slot<'s, [T; N]> {
    /// Makes the array's elements one by one, where they are to stay.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let lists = Pool::<[Vec<u8>; 1000]>::builder_in_place(|slot| {
    ///     slot.fill_with(|index| Vec::with_capacity(index))
    /// });
    /// let lists = lists.capacity(2).build()?;
    /// assert!(lists.try_get()?[999].capacity() >= 999);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If `element` does; the elements made until then are dropped.
    pub fn fill_with(self, mut element: impl FnMut(usize) -> T) -> Filled<'s, [T; N]> {
        struct Made<T> {
            start: *mut T,
            count: usize,
        }
        impl<T> Drop for Made<T> {
            fn drop(&mut self) {
                let made = std::ptr::slice_from_raw_parts_mut(self.start, self.count);
                // SAFETY: the first `count` elements were made, and nobody else has them yet.
                unsafe { made.drop_in_place() };
            }
        }
        let mut made = Made {
            start: self.memory.as_mut_ptr().cast::<T>(),
            count: 0,
        };
        for index in 0..N {
            let object = element(index);
            // SAFETY: `index < N`, so this is within the array's memory.
            unsafe { made.start.add(index).write(object) };
            made.count += 1;
        }
        std::mem::forget(made);
        Filled {
            only: self.only,
            object: PhantomData,
        }
    }
}
