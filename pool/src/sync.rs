//! One shim for every atomic: std's, or loom's under `--cfg loom`.
//!
//! No other module of the crate names `std::sync::atomic`, so that what loom checks is what ships.
//! The exceptions are [`crate::percpu::rseq`], whose memory is shared with assembly that loom
//! cannot see (its protocol has a model of its own), and [`crate::meter`], which is per thread.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

/// Orders every access before it against every access after it.
pub(crate) fn full_barrier() {
    #[cfg(not(loom))]
    std::sync::atomic::fence(Ordering::SeqCst);
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// A [`full_barrier`] directly after an atomic read-modify-write. On x86 that instruction is one
/// already (Intel SDM vol. 3A, 9.2.5), so that only the compiler must be told.
#[inline(always)]
pub(crate) fn full_barrier_after_rmw() {
    #[cfg(all(not(loom), target_arch = "x86_64"))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(not(loom), target_arch = "x86_64")))]
    full_barrier();
}

/// Locks. A holder that panicked has left nothing half-done: what our locks guard is one number.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A mutex that is never loom's, for what is done rarely and never while others race: models stay
/// small. Its holder leaves nothing half-done when it panics.
#[derive(Debug)]
pub(crate) struct Plain<T>(std::sync::Mutex<T>);

/// Holds a [`Plain`].
pub(crate) type PlainGuard<'m, T> = std::sync::MutexGuard<'m, T>;

impl<T> Plain<T> {
    pub(crate) fn new(value: T) -> Self {
        Plain(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> PlainGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether `deadline` has passed. Under loom there is no time.
pub(crate) fn passed(deadline: Option<std::time::Instant>) -> bool {
    !cfg!(loom) && deadline.is_some_and(|deadline| std::time::Instant::now() >= deadline)
}

/// Waits for a notification, or until `deadline`; whether there is time left.
pub(crate) fn wait<'m, T>(
    condition: &Condvar,
    guard: MutexGuard<'m, T>,
    deadline: Option<std::time::Instant>,
) -> (MutexGuard<'m, T>, bool) {
    #[cfg(not(loom))]
    if let Some(deadline) = deadline {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let (guard, result) = condition
            .wait_timeout(guard, left)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        return (guard, !result.timed_out());
    }
    #[cfg(loom)]
    let _ = deadline; // loom knows no time: every wait is without end
    (
        condition
            .wait(guard)
            .unwrap_or_else(std::sync::PoisonError::into_inner),
        true,
    )
}

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

/// A value that only its present owner touches; loom checks that claim.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct OwnedCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T: Copy> OwnedCell<T> {
    pub(crate) fn new(value: T) -> Self {
        OwnedCell(std::cell::UnsafeCell::new(value))
    }

    /// # Safety
    /// No other thread writes the cell at the same time.
    #[inline(always)]
    pub(crate) unsafe fn get(&self) -> T {
        // SAFETY: the caller owns the cell.
        unsafe { *self.0.get() }
    }

    /// # Safety
    /// No other thread reads or writes the cell at the same time.
    #[inline(always)]
    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: the caller owns the cell.
        unsafe { *self.0.get() = value }
    }
}

#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct OwnedCell<T>(loom::cell::UnsafeCell<T>);

#[cfg(loom)]
impl<T: Copy> OwnedCell<T> {
    pub(crate) fn new(value: T) -> Self {
        OwnedCell(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) unsafe fn get(&self) -> T {
        // SAFETY: the caller owns the cell; loom reports it if not.
        self.0.with(|p| unsafe { *p })
    }

    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: the caller owns the cell; loom reports it if not.
        self.0.with_mut(|p| unsafe { *p = value })
    }
}

// SAFETY: the owner of the cell changes from thread to thread, by way of an acquire/release pair
// on whatever hands the cell over; access without ownership is ruled out by `get` and `set` being
// unsafe. What is stored are numbers and addresses, which have no thread affinity.
unsafe impl<T: Copy> Sync for OwnedCell<T> {}
// SAFETY: as above.
unsafe impl<T: Copy> Send for OwnedCell<T> {}

/// A number that is counted for people to read. No decision about an object rests on it, so it is
/// never loom's: models stay small.
#[derive(Debug, Default)]
pub(crate) struct Counter(std::sync::atomic::AtomicU64);

impl Counter {
    pub(crate) fn starting_at(value: u64) -> Self {
        Counter(std::sync::atomic::AtomicU64::new(value))
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    /// Returns what is left.

    #[inline]
    pub(crate) fn subtract(&self, n: u64) -> u64 {
        let before = self.0.fetch_sub(n, std::sync::atomic::Ordering::Relaxed);
        before.wrapping_sub(n)
    }

    /// Lowers the number to `value` if it is above.
    #[inline]
    pub(crate) fn at_most(&self, value: u64) {
        if self.read() > value {
            self.0.fetch_min(value, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Sets the number and returns the one before.
    pub(crate) fn replace(&self, value: u64) -> u64 {
        self.0.swap(value, std::sync::atomic::Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn read(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}
