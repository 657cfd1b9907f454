//! Whose turn it is to call a pool's maker, and what becomes of that in a child.
//!
//! In the child of a fork the turn is free, or the forking thread's own (it forked in a maker, and
//! goes on in both processes). If another thread had it, the maker stopped in the middle and can
//! never be called again: the turn is **broken**, and nobody gets it.
//!
//! It is a `Mutex<()>` beside the maker, because a guard can be put aside for the length of a fork
//! only if its type knows nothing of the maker's.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};

#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};

#[cfg(all(unix, not(any(loom, shuttle))))]
use super::Kept;
use super::this_thread;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Turn {
    lock: Mutex<()>,
    /// The thread that has it, or 0.
    holder: AtomicUsize,
    /// While this thread forks.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    kept: Kept<()>,
    broken: AtomicBool,
}

/// Has the [`Turn`], until dropped.
#[must_use]
pub(crate) struct TurnGuard<'t> {
    turn: &'t Turn,
    _lock: MutexGuard<'t, ()>,
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        self.turn.holder.store(0, Ordering::Relaxed);
    }
}

impl Turn {
    pub(crate) fn new() -> Self {
        Turn {
            lock: Mutex::new(()),
            holder: AtomicUsize::new(0),
            #[cfg(all(unix, not(any(loom, shuttle))))]
            kept: Kept::new(),
            broken: AtomicBool::new(false),
        }
    }

    /// Waits for the turn; `None` if it is broken.
    pub(crate) fn take(&self) -> Option<TurnGuard<'_>> {
        if self.is_broken() {
            return None;
        }
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.holder.store(this_thread(), Ordering::Relaxed);
        Some(TurnGuard {
            turn: self,
            _lock: lock,
        })
    }

    /// Whether a vanished thread had it at the fork.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Whether this thread has it.
    pub(crate) fn is_own(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == this_thread()
    }
}

/// What handlers of a fork do.
#[cfg(all(unix, not(any(loom, shuttle))))]
impl Turn {
    fn try_lock(&self) -> Option<MutexGuard<'_, ()>> {
        use std::sync::TryLockError::{Poisoned, WouldBlock};
        match self.lock.try_lock() {
            Ok(guard) => Some(guard),
            Err(Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(WouldBlock) => None,
        }
    }

    /// Keeps other threads from having the turn over the fork; `false` if one has it now.
    ///
    /// # Safety
    /// The caller forks, no other thread does, and it calls [`release`](Self::release) or
    /// [`clear_away`](Self::clear_away) before the turn ends.
    pub(super) unsafe fn hold(&self) -> bool {
        if self.is_own() || self.is_broken() {
            return true;
        }
        let Some(guard) = self.try_lock() else {
            return false;
        };
        // SAFETY: the caller's promise.
        unsafe { self.kept.keep(guard) };
        true
    }

    /// Gives back what `hold` took.
    ///
    /// # Safety
    /// As for [`hold`](Self::hold).
    pub(super) unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        drop(unsafe { self.kept.take() });
    }

    /// As `release`, in the child.
    ///
    /// # Safety
    /// As for [`hold`](Self::hold), and the caller is the process's only thread.
    pub(super) unsafe fn clear_away(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.release() };
        if !self.is_own() && self.try_lock().is_none() {
            self.broken.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, unix, not(any(loom, shuttle))))]
mod tests {
    use super::Turn;

    #[test]
    fn a_thread_that_holds_a_turn_over_a_fork_keeps_others_out_until_it_gives_it_back() {
        let turn = Turn::new();
        // SAFETY: as if this thread forked; it gives the turn back.
        unsafe {
            assert!(turn.hold());
            assert!(std::thread::scope(|scope| {
                scope.spawn(|| turn.try_lock().is_none()).join().unwrap()
            }));
            turn.release();
        }
        let own = turn.take();
        // SAFETY: as above.
        unsafe {
            assert!(turn.hold(), "the turn is this thread's own");
            assert!(!std::thread::scope(|scope| {
                scope.spawn(|| turn.hold()).join().unwrap()
            }));
            turn.release();
            turn.clear_away();
        }
        assert!(!turn.is_broken());
        drop(own);
        assert!(turn.take().is_some());
    }
}
