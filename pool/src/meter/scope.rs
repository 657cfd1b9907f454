//! Scopes that forbid allocation, and tell where it happened all the same.
//!
//! The innermost open scope of a thread is a record on the stack of the function that opened it,
//! known to the allocator by a thread-local pointer. An allocation adds to the records of all
//! open scopes; the first one in a scope also keeps its call stack, as bare addresses, which
//! takes no memory from the heap. Names are looked up when the scope ends, with the meter set
//! aside. (Keeping a `std::backtrace::Backtrace` would not do: it allocates under a lock of the
//! standard library that the allocating code may itself be holding.)
//!
//! **Cost**: opening and closing a scope, some nanoseconds. In a scope that nothing breaks,
//! nothing more than the meter anyway takes. An allocation that is the first in its scope takes
//! some microseconds for its call stack, and naming it at the end takes milliseconds, the first
//! time far more.

use super::site::{Site, Trace};
use super::{COUNTS, Counts};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a scope forbids.
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{self, Forbid, Metered};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System> = Metered::new(System);
///
/// let text = String::from("made before");
/// let broken = meter::check(Forbid::AllocationsAndFrees, || drop(text));
/// assert!(broken.is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forbid {
    /// Taking memory: alloc, alloc_zeroed and realloc.
    Allocations,
    /// Taking memory and giving it back: dealloc too, which may be the slower of the two.
    AllocationsAndFrees,
}

/// Why a scope failed.
///
/// ```
/// use tailcut_pool::meter::{self, Denied};
///
/// // This program's allocator is not a `Metered` one.
/// assert_eq!(meter::no_alloc(|| 2 + 2), Err(Denied::Unmetered));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The code ran, and did what its scope forbids.
    #[error(transparent)]
    Allocated(Allocated),
    /// The code did not run, since nobody could have told whether it allocates.
    #[error(
        "the meter sees no allocations: the program's `#[global_allocator]` is not a `Metered` one"
    )]
    Unmetered,
}

/// What was done against a scope.
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{self, Denied, Metered};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System> = Metered::new(System);
///
/// let broken = meter::no_alloc(|| format!("{}", 42));
/// if let Err(Denied::Allocated(allocated)) = &broken {
///     println!("{} allocations, the first {}", allocated.counts.allocations, allocated.first);
/// }
/// # assert!(matches!(broken, Err(Denied::Allocated(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; the first {first}", described(counts))]
#[non_exhaustive]
pub struct Allocated {
    /// How often, and how much. Frees count here only where they were forbidden.
    pub counts: Counts,
    /// Where the first of it happened.
    pub first: Site,
}

fn described(counts: &Counts) -> String {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let mut text = String::new();
    if counts.allocations > 0 {
        let (count, bytes) = (counts.allocations, counts.bytes);
        text = format!("{count} allocation{}, {bytes} bytes", plural(count));
    }
    if counts.frees > 0 {
        let separator = if text.is_empty() { "" } else { ", and " };
        text += &format!("{separator}{} free{}", counts.frees, plural(counts.frees));
    }
    text
}

/// Runs `body`, in which the calling thread must not allocate, and tells if it did.
///
/// Nothing is stopped: an allocation succeeds, and is reported when `body` has returned. Other
/// threads may allocate as they like. Scopes nest: what happens in the inner one happens in the
/// outer one too. While the thread panics nothing counts, since a panic itself allocates.
///
/// # Errors
/// [`Denied::Allocated`] with the count and the first place, if `body` allocated; its result is
/// dropped. [`Denied::Unmetered`], without running `body`, if the global allocator is no
/// [`Metered`](super::Metered) one.
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{self, Denied, Metered};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System> = Metered::new(System);
///
/// assert_eq!(meter::no_alloc(|| 2 + 2), Ok(4));
///
/// let Err(Denied::Allocated(broken)) = meter::no_alloc(|| vec![0_u8; 100]) else {
///     panic!("a vector allocates")
/// };
/// assert_eq!((broken.counts.allocations, broken.counts.bytes), (1, 100));
/// ```
pub fn no_alloc<R>(body: impl FnOnce() -> R) -> Result<R, Denied> {
    check(Forbid::Allocations, body)
}

/// Runs `body`, in which the calling thread must not allocate: [`no_alloc`] for tests.
///
/// # Panics
/// If `body` allocated, or if the global allocator is no [`Metered`](super::Metered) one. The
/// message names the place that allocated (given the feature `call-sites`); its location is this
/// call.
///
/// ```should_panic
/// # use std::alloc::System;
/// # use tailcut_pool::meter::{self, Metered};
/// # #[global_allocator]
/// # static ALLOCATOR: Metered<System> = Metered::new(System);
/// meter::assert_no_alloc(|| String::from("a text of its own"));
/// ```
#[track_caller]
pub fn assert_no_alloc<R>(body: impl FnOnce() -> R) -> R {
    match check(Forbid::Allocations, body) {
        Ok(result) => result,
        Err(denied) => panic!("this scope must not allocate: {denied}"),
    }
}

/// Runs `body` and tells if the calling thread did what is forbidden; see [`no_alloc`], which is
/// this with [`Forbid::Allocations`].
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{self, Forbid, Metered};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System> = Metered::new(System);
///
/// let mut list = Vec::with_capacity(10);
/// let pushed = meter::check(Forbid::Allocations, || list.push(1));
/// assert_eq!(pushed, Ok(()));
/// assert!(meter::check(Forbid::Allocations, || list.reserve(100)).is_err());
/// ```
///
/// # Errors
/// As for [`no_alloc`].
pub fn check<R>(forbid: Forbid, body: impl FnOnce() -> R) -> Result<R, Denied> {
    if !metered() {
        return Err(Denied::Unmetered);
    }
    let record = Record {
        outer: INNERMOST.get(),
        forbid,
        counts: Cell::new(Counts::NONE),
        first: Cell::new(None),
    };
    let result = {
        let _open = Swapped::new(&INNERMOST, &raw const record);
        body()
    };
    match record.first.get() {
        None => Ok(result),
        Some(trace) => Err(Denied::Allocated(set_aside(|| Allocated {
            counts: record.counts.get(),
            first: trace.site(),
        }))),
    }
}

/// An open scope.
struct Record {
    /// The scope around it, or null.
    outer: *const Record,
    forbid: Forbid,
    /// What was done of what is forbidden.
    counts: Cell<Counts>,
    /// The call stack of the first of it.
    first: Cell<Option<Trace>>,
}

thread_local! {
    /// Null, or a record in a frame of `check` on this thread's stack, which that frame takes
    /// back out before it ends, by return or by panic. No destructor: see `COUNTS`.
    static INNERMOST: Cell<*const Record> = const { Cell::new(ptr::null()) };
}

/// Called by the allocator for each allocation.
#[inline]
pub(super) fn allocated(bytes: usize) {
    if !INNERMOST.get().is_null() {
        broken(Counts {
            allocations: 1,
            frees: 0,
            bytes: bytes as u64,
        });
    }
}

/// Called by the allocator for each free.
#[inline]
pub(super) fn freed() {
    if !INNERMOST.get().is_null() {
        broken(Counts {
            allocations: 0,
            frees: 1,
            bytes: 0,
        });
    }
}

#[cold]
#[inline(never)]
fn broken(by: Counts) {
    if std::thread::panicking() {
        return;
    }
    let mut next = INNERMOST.get();
    // SAFETY: a pointer in the list is null or to a live record (see `INNERMOST`), and `outer`
    // was the innermost then, whose frame is below and lives longer.
    while let Some(record) = unsafe { next.as_ref() } {
        if by.allocations > 0 || record.forbid == Forbid::AllocationsAndFrees {
            let so_far = record.counts.get();
            record.counts.set(Counts {
                allocations: so_far.allocations + by.allocations,
                frees: so_far.frees + by.frees,
                bytes: so_far.bytes + by.bytes,
            });
            if so_far == Counts::NONE {
                record.first.set(Some(Trace::capture()));
            }
        }
        next = record.outer;
    }
}

/// Whether the global allocator is metered, found out by one allocation and then remembered.
fn metered() -> bool {
    const YES: u8 = 1;
    const NO: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(0);
    match ANSWER.load(Ordering::Relaxed) {
        YES => true,
        NO => false,
        _ => {
            let seen = set_aside(|| {
                let before = COUNTS.get();
                drop(std::hint::black_box(Box::new(0_u8)));
                COUNTS.get() != before
            });
            ANSWER.store(if seen { YES } else { NO }, Ordering::Relaxed);
            seen
        }
    }
}

/// Runs the meter's own work, which neither counts nor breaks a scope.
fn set_aside<R>(work: impl FnOnce() -> R) -> R {
    let _closed = Swapped::new(&INNERMOST, ptr::null());
    let _counts = Swapped::new(&COUNTS, COUNTS.get());
    work()
}

/// Puts a value into a thread-local cell until dropped.
struct Swapped<T: Copy + 'static> {
    cell: &'static std::thread::LocalKey<Cell<T>>,
    before: T,
}

impl<T: Copy> Swapped<T> {
    fn new(cell: &'static std::thread::LocalKey<Cell<T>>, value: T) -> Self {
        Swapped {
            cell,
            before: cell.replace(value),
        }
    }
}

impl<T: Copy> Drop for Swapped<T> {
    fn drop(&mut self) {
        self.cell.set(self.before);
    }
}
