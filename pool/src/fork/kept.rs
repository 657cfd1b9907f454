//! A lock's guard, put aside by the thread that forks from before the fork until after it.

use std::cell::UnsafeCell;
use std::fmt;
use std::sync::MutexGuard;

/// See the module's head.
pub(crate) struct Kept<T: 'static>(UnsafeCell<Option<MutexGuard<'static, T>>>);

// SAFETY: used by the thread that forks only, which is also the child's only thread (the promise
// of both methods); all others just own it.
unsafe impl<T> Sync for Kept<T> {}
// SAFETY: as above.
unsafe impl<T> Send for Kept<T> {}

impl<T> Kept<T> {
    pub(crate) const fn new() -> Self {
        Kept(UnsafeCell::new(None))
    }

    /// Puts a guard aside.
    ///
    /// # Safety
    /// The caller is the one thread that forks now, and [takes](Self::take) the guard again before
    /// its lock ends.
    pub(crate) unsafe fn keep<'l>(&self, guard: MutexGuard<'l, T>) {
        // SAFETY: the lifetime alone changes, and the lock outlives the guard; nobody else is here.
        unsafe {
            let guard = std::mem::transmute::<MutexGuard<'l, T>, MutexGuard<'static, T>>(guard);
            *self.0.get() = Some(guard);
        }
    }

    /// The guard that was put aside, if any.
    ///
    /// # Safety
    /// The caller is the one thread that forks now, or its copy in the child.
    pub(crate) unsafe fn take(&self) -> Option<MutexGuard<'static, T>> {
        // SAFETY: the caller's promise: nobody else is here.
        unsafe { (*self.0.get()).take() }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
