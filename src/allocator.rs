//! The process's allocator, chosen when the process starts.
//!
//! A fair comparison runs the same code on each allocator at its default settings, so all of them
//! are linked into this one program, and a process uses exactly one for its whole life: the first
//! allocation, before `main`, reads [`ALLOCATOR_VARIABLE`]. `tailcut demo` therefore runs every
//! variant in a process of its own, which also keeps one variant's fragmentation from the next.
//!
//! **Cost**: one relaxed load and a predicted branch per call, the same for every allocator.
//! Counting ([`COUNT_VARIABLE`]) is a further choice of the same branch, so a timed run carries no
//! counter.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, Ordering};

use mimalloc::MiMalloc;
use tailcut_pool::meter::Metered;
use tikv_jemallocator::Jemalloc;

/// Names the allocator of a process: `system` (default), `jemalloc` or `mimalloc`.
pub const ALLOCATOR_VARIABLE: &str = "TAILCUT_ALLOCATOR";
/// If set, the process counts what each thread allocates.
pub const COUNT_VARIABLE: &str = "TAILCUT_COUNT_ALLOCATIONS";

/// An allocator that a process can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Allocator {
    /// The C library's: glibc's ptmalloc on most Linux systems.
    System = 1,
    /// jemalloc 5, its default settings.
    Jemalloc = 2,
    /// mimalloc 2, its default settings.
    Mimalloc = 3,
}

impl Allocator {
    /// All of them, in the order in which tables show them.
    pub const ALL: [Allocator; 3] = [Allocator::System, Allocator::Jemalloc, Allocator::Mimalloc];

    /// The value that [`ALLOCATOR_VARIABLE`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Allocator::System => "system",
            Allocator::Jemalloc => "jemalloc",
            Allocator::Mimalloc => "mimalloc",
        }
    }

    /// What a recording says of it.
    pub fn description(self) -> &'static str {
        match self {
            Allocator::System => "system",
            Allocator::Jemalloc => "jemalloc 5 (tikv-jemallocator), default settings",
            Allocator::Mimalloc => "mimalloc 2 (mimalloc crate), default settings",
        }
    }

    /// The allocator of this process.
    pub fn current() -> Allocator {
        match chosen() & !COUNTED {
            JEMALLOC => Allocator::Jemalloc,
            MIMALLOC => Allocator::Mimalloc,
            _ => Allocator::System,
        }
    }
}

const UNDECIDED: u8 = 0;
const SYSTEM: u8 = Allocator::System as u8;
const JEMALLOC: u8 = Allocator::Jemalloc as u8;
const MIMALLOC: u8 = Allocator::Mimalloc as u8;
/// Added to an allocator's number when its calls are counted.
const COUNTED: u8 = 1 << 7;

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
    // SAFETY: null-terminated names; the environment is not changed before the first allocation
    // of a Rust program, and the value is read at once.
    let (name, counted) = unsafe {
        let name = libc::getenv(c"TAILCUT_ALLOCATOR".as_ptr());
        let counted = !libc::getenv(c"TAILCUT_COUNT_ALLOCATIONS".as_ptr()).is_null();
        (
            if name.is_null() {
                c""
            } else {
                std::ffi::CStr::from_ptr(name)
            },
            counted,
        )
    };
    let allocator = match name.to_bytes() {
        b"jemalloc" => JEMALLOC,
        b"mimalloc" => MIMALLOC,
        _ => SYSTEM,
    };
    let chosen = allocator | if counted { COUNTED } else { 0 };
    CHOSEN.store(chosen, Ordering::Relaxed);
    chosen
}

struct Chosen;

#[global_allocator]
static GLOBAL: Chosen = Chosen;

static COUNTED_SYSTEM: Metered<System> = Metered::new(System);
static COUNTED_JEMALLOC: Metered<Jemalloc> = Metered::new(Jemalloc);
static COUNTED_MIMALLOC: Metered<MiMalloc> = Metered::new(MiMalloc);

const COUNTED_JEMALLOC_NUMBER: u8 = JEMALLOC | COUNTED;
const COUNTED_MIMALLOC_NUMBER: u8 = MIMALLOC | COUNTED;
const COUNTED_SYSTEM_NUMBER: u8 = SYSTEM | COUNTED;

/// Passes a call on to the chosen allocator.
macro_rules! dispatch {
    ($($call:tt)*) => {
        // SAFETY: the caller's promise is passed on. The choice never changes after the first
        // allocation, so that memory always returns to the allocator that it came from.
        unsafe {
            match chosen() {
                JEMALLOC => Jemalloc.$($call)*,
                MIMALLOC => MiMalloc.$($call)*,
                COUNTED_SYSTEM_NUMBER => COUNTED_SYSTEM.$($call)*,
                COUNTED_JEMALLOC_NUMBER => COUNTED_JEMALLOC.$($call)*,
                COUNTED_MIMALLOC_NUMBER => COUNTED_MIMALLOC.$($call)*,
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
