//! A mutex that is never loom's, for what is done rarely and is no part of any lock-free protocol:
//! models stay small. It is shuttle's, because a thread may be interrupted while it holds one.

use std::sync::PoisonError;
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};

#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};

/// A value under a lock. Its holder leaves nothing half-done when it panics.
#[derive(Debug)]
pub(crate) struct Plain<T>(Mutex<T>);

/// Holds a [`Plain`].
pub(crate) type PlainGuard<'m, T> = MutexGuard<'m, T>;

impl<T> Plain<T> {
    pub(crate) fn new(value: T) -> Self {
        Plain(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> PlainGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
