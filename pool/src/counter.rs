//! Numbers that are counted for people to read.
//!
//! No decision about a free object rests on them, so they are never loom's: models stay small.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn starting_at(value: u64) -> Self {
        Counter(AtomicU64::new(value))
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    #[inline]
    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    /// Adds one, and returns what was there before.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    /// Returns what is left.
    #[inline]
    pub(crate) fn subtract(&self, n: u64) -> u64 {
        let before = self.0.fetch_sub(n, Relaxed);
        before.wrapping_sub(n)
    }

    /// Lowers the number to `value` if it is above.
    #[inline]
    pub(crate) fn at_most(&self, value: u64) {
        if self.read() > value {
            self.0.fetch_min(value, Relaxed);
        }
    }

    /// Raises the number to `value` if it is below.
    #[inline]
    pub(crate) fn at_least(&self, value: u64) {
        if self.read() < value {
            self.0.fetch_max(value, Relaxed);
        }
    }

    /// Sets the number and returns the one before.
    pub(crate) fn replace(&self, value: u64) -> u64 {
        self.0.swap(value, Relaxed)
    }

    #[inline]
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
