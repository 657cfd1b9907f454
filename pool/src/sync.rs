//! One shim for every atomic: std's, or loom's under `--cfg loom`, or shuttle's under
//! `--cfg shuttle`.
//!
//! Loom tries every interleaving and every reordering of a small model; shuttle tries some thousand
//! random interleavings, without reordering, of a whole pool with many threads.
//!
//! No other module of the crate names `std::sync::atomic`, so that what they check is what ships.
//! The exceptions are [`crate::percpu::rseq`], whose memory is shared with assembly that loom
//! cannot see (its protocol has a model of its own); [`crate::meter`] and [`crate::sdt`], which know
//! nothing of pools; and [`crate::counter`] and [`crate::plain`], on which no decision about a free
//! object rests; and [`crate::fork`], since no model forks.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
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

/// The cheap half of an asymmetric barrier: together with a [`heavy_barrier`] of another thread it
/// orders this thread's accesses before it against those after it.
#[inline(always)]
pub(crate) fn light_barrier() {
    #[cfg(not(loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    full_barrier();
}

/// The dear half: every running thread of this process passes a full barrier.
///
/// # Errors
/// The system refuses.
pub(crate) fn heavy_barrier() -> std::io::Result<()> {
    #[cfg(not(any(loom, shuttle)))]
    return barrier::pass();
    #[cfg(any(loom, shuttle))]
    {
        full_barrier();
        Ok(())
    }
}

/// `membarrier(2)` for all threads of this process.
#[cfg(all(target_os = "linux", not(any(loom, shuttle, miri))))]
pub(crate) mod barrier {
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    fn membarrier(command: libc::c_int) -> std::io::Result<()> {
        // SAFETY: the call takes integers and touches no memory of ours.
        match unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// Whether there are such barriers; announces that this process will use them.
    pub(crate) fn register() -> bool {
        membarrier(REGISTER_PRIVATE_EXPEDITED).is_ok()
    }

    pub(super) fn pass() -> std::io::Result<()> {
        membarrier(PRIVATE_EXPEDITED)
    }
}

/// Elsewhere there are none; a model has its own.
#[cfg(not(all(target_os = "linux", not(any(loom, shuttle, miri)))))]
pub(crate) mod barrier {
    pub(crate) fn register() -> bool {
        cfg!(any(loom, shuttle))
    }

    #[cfg(not(any(loom, shuttle)))]
    pub(super) fn pass() -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Locks. A holder that panicked has left nothing half-done: what our locks guard is one number.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Whether `deadline` has passed. In a model there is no time.
pub(crate) fn passed(deadline: Option<std::time::Instant>) -> bool {
    !cfg!(any(loom, shuttle))
        && deadline.is_some_and(|deadline| std::time::Instant::now() >= deadline)
}

/// Waits for a notification, or until `deadline`; whether there is time left.
pub(crate) fn wait<'m, T>(
    condition: &Condvar,
    guard: MutexGuard<'m, T>,
    deadline: Option<std::time::Instant>,
) -> (MutexGuard<'m, T>, bool) {
    #[cfg(not(any(loom, shuttle)))]
    if let Some(deadline) = deadline {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let (guard, result) = condition
            .wait_timeout(guard, left)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        return (guard, !result.timed_out());
    }
    #[cfg(any(loom, shuttle))]
    let _ = deadline; // a model knows no time: every wait is without end
    (
        condition
            .wait(guard)
            .unwrap_or_else(std::sync::PoisonError::into_inner),
        true,
    )
}

/// Lets another thread run: spins first, then yields, so that a waiter on an oversubscribed
/// machine does not keep the core from the thread it waits for; in the end sleeps, because to a
/// thread of lower real-time priority no yield is of use.
pub(crate) fn relax(attempt: &mut u32) {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
    #[cfg(not(any(loom, shuttle)))]
    if *attempt < 64 {
        std::hint::spin_loop();
    } else if *attempt < 4096 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(std::time::Duration::from_micros(50));
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
