//! Two parts of one object, held apart.
//!
//! The object goes back when both parts are dropped. The count of those left lies in the object's
//! own place among the links of loose slots, which no free slot needs while its object is in use:
//! splitting allocates nothing.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::Guard;
use super::mapped::Held;

/// A guard of one of two parts of an object, from [`Guard::split`].
///
/// ```
/// # use tailcut_pool::{Guard, Pool, SplitGuard};
/// let pool = Pool::builder(|| [0_u8; 64]).keep_as_is().capacity(1).build()?;
/// let halves: (SplitGuard<'_, [u8]>, SplitGuard<'_, [u8]>) =
///     Guard::split(pool.try_get()?, |all| all.split_at_mut(32));
/// std::thread::scope(|scope| {
///     for (mut half, value) in [(halves.0, 1), (halves.1, 2)] {
///         scope.spawn(move || half.fill(value));
///     }
/// });
/// assert_eq!(pool.try_get()?[31..33], [1, 2]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the object goes back to the pool when both parts are dropped"]
pub struct SplitGuard<'p, U: ?Sized> {
    part: NonNull<U>,
    /// Dropped by whoever is last.
    held: ManuallyDrop<Held<'p>>,
    /// The guard may use the part mutably, and drops nothing of its own.
    _part: PhantomData<&'p mut U>,
}

pub(super) fn split<'p, T, A: ?Sized, B: ?Sized>(
    guard: Guard<'p, T>,
    parts: impl FnOnce(&mut T) -> (&mut A, &mut B),
) -> (SplitGuard<'p, A>, SplitGuard<'p, B>) {
    let free = guard.free();
    let mut object = guard.into_object();
    let held = Held {
        object: object.cast(),
        free,
    };
    // SAFETY: the guard owned the object, and `held` does now; if `parts` panics it goes back.
    let (first, second) = parts(unsafe { object.as_mut() });
    let (first, second) = (NonNull::from(first), NonNull::from(second));
    free.share(object.cast());
    let other = Held {
        object: object.cast(),
        free,
    };
    (
        SplitGuard {
            part: first,
            held: ManuallyDrop::new(held),
            _part: PhantomData,
        },
        SplitGuard {
            part: second,
            held: ManuallyDrop::new(other),
            _part: PhantomData,
        },
    )
}

impl<U: ?Sized> Drop for SplitGuard<'_, U> {
    fn drop(&mut self) {
        if self.held.free.unshare(self.held.object) {
            // SAFETY: dropped once, here, and by the last part only: the other one forgot its own.
            unsafe { ManuallyDrop::drop(&mut self.held) }
        }
    }
}

impl<U: ?Sized> Deref for SplitGuard<'_, U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the part lies in an object that is in use until both parts are dropped, and was
        // made from the only reference to it, apart from the other part.
        unsafe { self.part.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for SplitGuard<'_, U> {
    #[inline]
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as in `deref`; `&mut self` makes the access the only one.
        unsafe { self.part.as_mut() }
    }
}

// SAFETY: as for a mapped guard; the count of parts is atomic.
unsafe impl<U: ?Sized + Send> Send for SplitGuard<'_, U> {}
// SAFETY: `&SplitGuard` gives `&U`.
unsafe impl<U: ?Sized + Sync> Sync for SplitGuard<'_, U> {}
