//! The process's allocator, chosen when the process starts: for rows whose objects are a graph of
//! boxes, vectors, maps and strings, all of which must come from the allocator that the row names.
//!
//! All allocators are linked into one program, and a process uses one for its whole life, so such
//! a row runs in a [process of its own](crate::alone). Rows that name an allocator elsewhere call
//! it directly and do not come by here.
//!
//! **Cost**: one relaxed load and predicted branches per call, which a program of one allocator
//! does not pay: some 0.4 ns per alloc and free on the machine of `BENCHMARKS.md`, less than 3 percent
//! of an order on the heap. `cargo bench -p tailcut-benches -- dispatch` shows it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, Ordering};

/// Names the allocator of a process, as [`Allocator::name`] does; unset: the C library's.
pub const VARIABLE: &str = "TAILCUT_BENCH_ALLOCATOR";

/// An allocator that a process can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Allocator {
    /// The C library's.
    Glibc = 1,
    /// jemalloc at its default settings.
    Jemalloc = 2,
    /// mimalloc at its default settings.
    Mimalloc = 3,
    /// snmalloc at its default settings.
    #[cfg(feature = "snmalloc")]
    Snmalloc = 4,
}

impl Allocator {
    /// All that this build has.
    pub const ALL: &[Allocator] = &[
        Allocator::Glibc,
        Allocator::Jemalloc,
        Allocator::Mimalloc,
        #[cfg(feature = "snmalloc")]
        Allocator::Snmalloc,
    ];

    /// The value of [`VARIABLE`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Allocator::Glibc => "glibc",
            Allocator::Jemalloc => "jemalloc",
            Allocator::Mimalloc => "mimalloc",
            #[cfg(feature = "snmalloc")]
            Allocator::Snmalloc => "snmalloc",
        }
    }
}

const UNDECIDED: u8 = 0;
const JEMALLOC: u8 = Allocator::Jemalloc as u8;
const MIMALLOC: u8 = Allocator::Mimalloc as u8;
#[cfg(feature = "snmalloc")]
const SNMALLOC: u8 = Allocator::Snmalloc as u8;

static CHOSEN: AtomicU8 = AtomicU8::new(UNDECIDED);

#[inline]
fn chosen() -> u8 {
    match CHOSEN.load(Ordering::Relaxed) {
        UNDECIDED => decide(),
        chosen => chosen,
    }
}

/// Runs once, on the main thread, at the process's first allocation. Must not allocate.
#[cold]
fn decide() -> u8 {
    // SAFETY: a null-terminated name; nobody changes the environment before the first allocation
    // of a Rust program, and the value is read at once.
    let name = unsafe {
        let name = libc::getenv(c"TAILCUT_BENCH_ALLOCATOR".as_ptr());
        if name.is_null() {
            c""
        } else {
            std::ffi::CStr::from_ptr(name)
        }
    };
    let mut chosen = Allocator::Glibc;
    for &allocator in Allocator::ALL {
        if name.to_bytes() == allocator.name().as_bytes() {
            chosen = allocator;
        }
    }
    CHOSEN.store(chosen as u8, Ordering::Relaxed);
    chosen as u8
}

/// Passes each call on to the chosen allocator. A program makes it its global allocator.
#[derive(Debug)]
pub struct Chosen;

macro_rules! dispatch {
    ($($call:tt)*) => {
        // SAFETY: the caller's promise is passed on. The choice never changes after the first
        // allocation, so that memory always returns to the allocator that it came from.
        unsafe {
            match chosen() {
                JEMALLOC => tikv_jemallocator::Jemalloc.$($call)*,
                MIMALLOC => mimalloc::MiMalloc.$($call)*,
                #[cfg(feature = "snmalloc")]
                SNMALLOC => snmalloc_rs::SnMalloc.$($call)*,
                _ => System.$($call)*,
            }
        }
    };
}

// SAFETY: each call goes unchanged to one allocator, the same for the process's whole life.
unsafe impl GlobalAlloc for Chosen {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        dispatch!(alloc(layout))
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        dispatch!(alloc_zeroed(layout))
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        dispatch!(dealloc(ptr, layout));
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        dispatch!(realloc(ptr, layout, new_size))
    }
}

/// By how many bytes what the C library's allocator has handed out grows while `make`'s result
/// lives: nothing, if the process runs on another one.
pub fn glibc_growth<R>(make: impl FnOnce() -> R) -> usize {
    // SAFETY: it only reads the allocator's counters.
    let in_use = || unsafe { libc::mallinfo2() }.uordblks;
    let before = in_use();
    let made = make();
    let after = in_use();
    drop(made);
    after.saturating_sub(before)
}
