//! Values behind a run-time check of exclusive access: `RefCell`, `Mutex`, `RwLock`.
//!
//! A guard of such a value that was forgotten, not dropped, leaves it locked for ever; a panic
//! under a lock leaves it poisoned. Either is a reason to replace the object. Asking costs a
//! lock's uncontended acquisition and release: some nanoseconds a get, for `RefCell` less.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError, RwLock, TryLockError};

use crate::recycle::Recycle;

impl<T: Recycle> Recycle for RefCell<T> {
    #[inline]
    fn reset(&mut self) {
        self.get_mut().reset();
    }

    #[inline]
    fn is_reusable(&self) -> bool {
        self.try_borrow_mut().is_ok_and(|value| value.is_reusable())
    }

    #[inline]
    fn retained_bytes(&self) -> usize {
        self.try_borrow().map_or(0, |value| value.retained_bytes())
    }

    #[inline]
    fn shrink_to_bytes(&mut self, bytes: usize) {
        self.get_mut().shrink_to_bytes(bytes);
    }
}

macro_rules! lock {
    ($($type:ident by $try:ident;)+) => {
        $(impl<T: Recycle> Recycle for $type<T> {
            /// Resets the value and clears the poison: see [`Recycle`] for why.
            #[inline]
            fn reset(&mut self) {
                self.get_mut().unwrap_or_else(PoisonError::into_inner).reset();
                self.clear_poison();
            }

            #[inline]
            fn is_reusable(&self) -> bool {
                self.$try().is_ok_and(|value| value.is_reusable())
            }

            #[inline]
            fn retained_bytes(&self) -> usize {
                match self.$try() {
                    Ok(value) => value.retained_bytes(),
                    Err(TryLockError::Poisoned(value)) => value.get_ref().retained_bytes(),
                    Err(TryLockError::WouldBlock) => 0,
                }
            }

            #[inline]
            fn shrink_to_bytes(&mut self, bytes: usize) {
                let value = self.get_mut().unwrap_or_else(PoisonError::into_inner);
                value.shrink_to_bytes(bytes);
            }
        })+
    };
}

lock! {
    Mutex by try_lock;
    RwLock by try_write; // a reader that was forgotten keeps writers out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::forget;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn panic_with<G>(lock: impl FnOnce() -> G) {
        let held = || {
            let _guard = lock();
            panic!("as planned");
        };
        assert!(catch_unwind(AssertUnwindSafe(held)).is_err());
    }

    #[test]
    fn values_behind_locks_are_reset_with_their_capacity() {
        let text = || String::from("text");
        let mut all = (
            RefCell::new(text()),
            Mutex::new(text()),
            RwLock::new(text()),
        );
        assert!(all.is_reusable());
        all.reset();
        assert!(all.0.borrow().is_empty());
        assert!(all.1.lock().unwrap().is_empty());
        assert!(all.2.read().unwrap().is_empty());
        assert_eq!(all.retained_bytes(), 12);
        all.shrink_to_bytes(0);
        assert_eq!(all.retained_bytes(), 0);
    }

    #[test]
    fn a_poisoned_lock_is_not_reusable_until_it_is_reset() {
        let (mut mutex, mut rwlock) = (Mutex::new(7), RwLock::new(7));
        panic_with(|| mutex.lock());
        panic_with(|| rwlock.write());
        assert!(!mutex.is_reusable() && !rwlock.is_reusable());
        mutex.reset();
        rwlock.reset();
        assert!(mutex.is_reusable() && rwlock.is_reusable());
        assert_eq!((*mutex.lock().unwrap(), *rwlock.read().unwrap()), (0, 0));
    }

    #[test]
    fn a_lock_whose_guard_was_forgotten_is_not_reusable() {
        let (cell, mutex) = (RefCell::new(0), Mutex::new(0));
        let (read, written) = (RwLock::new(0), RwLock::new(0));
        forget(cell.borrow());
        forget(mutex.lock());
        forget(read.read());
        forget(written.write());
        assert!(!cell.is_reusable() && !mutex.is_reusable());
        assert!(!read.is_reusable() && !written.is_reusable());
    }

    #[test]
    fn a_value_that_is_not_reusable_is_not_so_behind_a_lock() {
        let spoilt = RefCell::new(0);
        forget(spoilt.borrow_mut());
        assert!(!Mutex::new(spoilt).is_reusable());
    }
}
