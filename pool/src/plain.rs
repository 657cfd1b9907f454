//! A mutex that is never loom's, for what is done rarely and is no part of any lock-free protocol:
//! models stay small. It is shuttle's, because a thread may be interrupted while it holds one.

use std::cell::UnsafeCell;
use std::sync::PoisonError;
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};

#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};

/// A value under a lock. Its holder leaves nothing half-done when it panics.
#[derive(Debug)]
pub(crate) struct Plain<T>(UnsafeCell<Mutex<T>>);

// SAFETY: all but `renew_if_held` goes by a shared reference to the mutex, which allows that; nobody
// else is there when that one runs.
unsafe impl<T: Send> Sync for Plain<T> {}

/// Holds a [`Plain`].
pub(crate) type PlainGuard<'m, T> = MutexGuard<'m, T>;

impl<T> Plain<T> {
    pub(crate) fn new(value: T) -> Self {
        Plain(UnsafeCell::new(Mutex::new(value)))
    }

    pub(crate) fn lock(&self) -> PlainGuard<'_, T> {
        self.mutex().lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mutex(&self) -> &Mutex<T> {
        // SAFETY: only `renew_if_held` writes here, and nobody else is there then.
        unsafe { &*self.0.get() }
    }

    /// After a fork, in the child: if another thread was at work with the value, a new one takes its
    /// place. The old one is not dropped, for it may be half-changed.
    ///
    /// # Safety
    /// The caller is the process's only thread, and does not hold this lock.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(crate) unsafe fn renew_if_held(&self, value: T) {
        use std::sync::TryLockError::WouldBlock;
        let is_held = matches!(self.mutex().try_lock(), Err(WouldBlock));
        if is_held {
            // SAFETY: nobody else is there, and no reference into the mutex is left.
            unsafe { self.0.get().write(Mutex::new(value)) }
        }
    }
}
