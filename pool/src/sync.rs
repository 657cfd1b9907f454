//! One shim for every atomic: std's, or loom's under `--cfg loom`.
//!
//! No other module of the crate names `std::sync::atomic`, so that what loom checks is what ships.
//! The exceptions are [`crate::percpu::rseq`], whose memory is shared with assembly that loom
//! cannot see (its protocol has a model of its own), and [`crate::meter`], which is per thread.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Lets another thread run: spins first, then yields, so that a waiter on an oversubscribed
/// machine does not keep the core from the thread it waits for.
pub(crate) fn relax(attempt: &mut u32) {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    if *attempt < 64 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
    *attempt = attempt.saturating_add(1);
}

/// A `u32` that only its present owner touches; loom checks that claim.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct OwnedCell(std::cell::UnsafeCell<u32>);

#[cfg(not(loom))]
impl OwnedCell {
    pub(crate) fn new(value: u32) -> Self {
        OwnedCell(std::cell::UnsafeCell::new(value))
    }

    /// # Safety
    /// No other thread reads or writes the cell at the same time.
    #[inline]
    pub(crate) unsafe fn get(&self) -> u32 {
        // SAFETY: the caller owns the cell.
        unsafe { *self.0.get() }
    }

    /// # Safety
    /// No other thread reads or writes the cell at the same time.
    #[inline]
    pub(crate) unsafe fn set(&self, value: u32) {
        // SAFETY: the caller owns the cell.
        unsafe { *self.0.get() = value }
    }
}

#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct OwnedCell(loom::cell::UnsafeCell<u32>);

#[cfg(loom)]
impl OwnedCell {
    pub(crate) fn new(value: u32) -> Self {
        OwnedCell(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) unsafe fn get(&self) -> u32 {
        // SAFETY: the caller owns the cell; loom reports it if not.
        self.0.with(|p| unsafe { *p })
    }

    pub(crate) unsafe fn set(&self, value: u32) {
        // SAFETY: the caller owns the cell; loom reports it if not.
        self.0.with_mut(|p| unsafe { *p = value })
    }
}

// SAFETY: the owner of the cell changes from thread to thread, by way of an acquire/release pair
// on the stack that hands the cell over; access without ownership is ruled out by `get` and
// `set` being unsafe. A `u32` has no thread affinity.
unsafe impl Sync for OwnedCell {}
// SAFETY: as above.
unsafe impl Send for OwnedCell {}
