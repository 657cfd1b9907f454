//! Counts what the calling thread allocates: a wrapper for any global allocator.
//!
//! One answer to every "how many allocations is that?": in tests of an allocation-free path, in a
//! counting run of a load generator, in a service of your own. Counting is per thread, so that a
//! figure is not blurred by what other threads do meanwhile.
//!
//! ```
//! use std::alloc::System;
//! use tailcut_pool::meter::{self, Metered};
//!
//! #[global_allocator]
//! static ALLOCATOR: Metered<System> = Metered::new(System);
//!
//! let before = meter::counts();
//! let boxed = std::hint::black_box(Box::new([0_u8; 100]));
//! let spent = meter::counts() - before;
//! assert_eq!((spent.allocations, spent.bytes), (1, 100));
//! # drop(boxed);
//! ```
//!
//! - [`no_alloc`] and [`assert_no_alloc`] run a piece of code that must not allocate, and name
//!   the place that did (given the feature `call-sites`).
//! - [`Metered::sampling`] shows a sample of all allocations to a profiler outside the process.
//! - [`Timed`], around the same allocator, times one call in N, for a tracer outside the process.
//!
//! What tracers see is fired as static probes:
//!
//! | probe | by | tells |
//! |---|---|---|
//! | `otel_memory:alloc`, `otel_memory:free` | [`ByteSampled`] | who allocates how much, and frees it |
//! | `tailcut_alloc:malloc`, `tailcut_alloc:free` | [`Timed`] | how long a call took |
//! | `tailcut_alloc:floor` | [`Timed`] | how much of that is the clock's own reading |
//!
//! **Cost**: three thread-local additions and a test per call; 0.6 ns on glibc's 7.9 for an alloc
//! and a free of 64 bytes. Still, a timed run should use the bare allocator, and count in a run
//! of its own.

mod live;
mod random;
mod sampling;
mod scope;
mod site;
mod timing;

pub use sampling::{ByteSampled, DEFAULT_MEAN_BYTES, Sampling, Unsampled, samples_dropped};
pub use scope::{Allocated, Denied, Forbid, assert_no_alloc, check, no_alloc};
pub use site::Site;
pub use timing::{DEFAULT_ONE_IN, Timed};

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ops::Sub;

/// What one thread has asked of its allocator so far.
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{self, Counts, Metered};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System> = Metered::new(System);
///
/// let before = meter::counts();
/// drop(std::hint::black_box(Vec::<u8>::with_capacity(100)));
/// let spent = meter::counts() - before;
/// assert_eq!(spent, Counts { allocations: 1, frees: 1, bytes: 100 });
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that returned memory: alloc, alloc_zeroed, and each realloc (which may move).
    pub allocations: u64,
    /// Calls that gave memory back: dealloc only. A realloc counts as an allocation.
    pub frees: u64,
    /// Bytes asked for; of a realloc, the new size.
    pub bytes: u64,
}

impl Counts {
    const NONE: Counts = Counts {
        allocations: 0,
        frees: 0,
        bytes: 0,
    };
}

impl Sub for Counts {
    type Output = Counts;

    /// What came between two readings of the same thread, the later one first.
    fn sub(self, earlier: Counts) -> Counts {
        Counts {
            allocations: self.allocations.wrapping_sub(earlier.allocations),
            frees: self.frees.wrapping_sub(earlier.frees),
            bytes: self.bytes.wrapping_sub(earlier.bytes),
        }
    }
}

thread_local! {
    // Const-initialised and without a destructor: touching it never allocates, at any time in a
    // thread's life.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts::NONE) };
}

/// The calling thread's counts: zero unless the global allocator is a [`Metered`] one.
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{self, Metered};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System> = Metered::new(System);
///
/// let before = meter::counts();
/// let text = std::hint::black_box("a request".to_owned());
/// assert_eq!((meter::counts() - before).allocations, 1);
/// # drop(text);
/// ```
#[must_use]
pub fn counts() -> Counts {
    COUNTS.get()
}

#[inline]
fn allocated(bytes: usize) {
    let mut counts = COUNTS.get();
    counts.allocations += 1;
    counts.bytes += bytes as u64;
    COUNTS.set(counts);
    scope::allocated(bytes);
}

#[inline]
fn freed() {
    let mut counts = COUNTS.get();
    counts.frees += 1;
    COUNTS.set(counts);
    scope::freed();
}

/// Wraps an allocator and counts what each thread asks of it.
///
/// ```
/// use std::alloc::System; // or jemalloc, mimalloc: any `GlobalAlloc`
/// use tailcut_pool::meter::Metered;
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System> = Metered::new(System);
/// ```
#[derive(Debug, Default)]
pub struct Metered<A, S = Unsampled> {
    allocator: A,
    sampling: S,
}

impl<A> Metered<A> {
    /// Wraps `allocator`: counts, and shows nothing to profilers.
    ///
    /// ```
    /// use std::alloc::System;
    /// use tailcut_pool::meter::Metered;
    ///
    /// #[global_allocator]
    /// static ALLOCATOR: Metered<System> = Metered::new(System);
    /// ```
    pub const fn new(allocator: A) -> Self {
        Metered {
            allocator,
            sampling: Unsampled,
        }
    }
}

impl<A> Metered<A, ByteSampled> {
    /// Wraps `allocator`: counts, and shows one allocation in about `mean_bytes` bytes to
    /// profilers outside the process ([`DEFAULT_MEAN_BYTES`] is usual). See [`ByteSampled`] for
    /// what they see and what it costs.
    ///
    /// ```
    /// use std::alloc::System;
    /// use tailcut_pool::meter::{ByteSampled, DEFAULT_MEAN_BYTES, Metered};
    ///
    /// #[global_allocator]
    /// static ALLOCATOR: Metered<System, ByteSampled> =
    ///     Metered::sampling(System, DEFAULT_MEAN_BYTES);
    /// ```
    ///
    /// # Panics
    /// If `mean_bytes` is zero; in a static, that fails to compile.
    pub const fn sampling(allocator: A, mean_bytes: u64) -> Self {
        Metered {
            allocator,
            sampling: ByteSampled::every(mean_bytes),
        }
    }
}

// SAFETY: every call goes to the wrapped allocator unchanged, whose contract therefore holds;
// counting and sampling neither allocate nor unwind, and touch no memory of the caller's.
unsafe impl<A: GlobalAlloc, S: Sampling> GlobalAlloc for Metered<A, S> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.allocator.alloc(layout) };
        self.sampling.allocated(block, layout.size());
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.allocator.alloc_zeroed(layout) };
        self.sampling.allocated(block, layout.size());
        block
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        allocated(new_size);
        // Before the call: after it, the old address may be another thread's new block. Should
        // the call fail, the old block lives on unseen.
        self.sampling.freed(ptr);
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.allocator.realloc(ptr, layout, new_size) };
        self.sampling.allocated(block, new_size);
        block
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        freed();
        self.sampling.freed(ptr);
        // SAFETY: the caller's promise is passed on.
        unsafe { self.allocator.dealloc(ptr, layout) }
    }
}
