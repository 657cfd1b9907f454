//! The end of a pool some of whose objects are still in use, by guards that own their share.
//!
//! An owned guard may outlive its pool, so somebody must free the pool's memory after the last of
//! them. A reference count would cost each get and put an atomic addition on a line that all
//! cores share. Here the cost falls on closing:
//!
//! 1. The closer says so (`closed`), then shuts every magazine for giving and fences, so that from
//!    then on each put takes the slow path.
//! 2. A slow put of an owned guard announces itself (`entered`), then reads `closed`. If it is not
//!    set, the put leaves its object as ever and says that it is done (`left`). The closer waits
//!    until all who entered have left; whoever enters later finds `closed` set.
//! 3. Now nothing moves any more. The closer counts the free objects: the others are in use, and
//!    each will be given back by a **late put**, which leaves its object where it is and only takes
//!    one off `outstanding`. The closer adds the number in use. Whoever brings the sum to zero, the
//!    closer or the last late put, frees the pool.
//!
//! So a put on the fast path touches nothing of the pool after its commit, and a put on the slow
//! path nothing after `left`: either may be followed at once by the end of the pool. Between "enter,
//! then look at `closed`" and "set `closed`, then look at `entered`" stands a full barrier on both
//! sides, so that at least one sees the other. The loom model is in `free/loom_tests.rs`.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use super::FreeSlots;
use crate::sync::{self, AtomicBool, AtomicU64, Ordering};

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Closing {
    closed: AtomicBool,
    entered: AtomicU64,
    left: AtomicU64,
    /// Objects in use at the close, less those given back since: a two's complement number, since
    /// late puts may come before the closer has counted.
    outstanding: AtomicU64,
}

impl Closing {
    pub(crate) fn new() -> Self {
        Closing {
            closed: AtomicBool::new(false),
            entered: AtomicU64::new(0),
            left: AtomicU64::new(0),
            outstanding: AtomicU64::new(0),
        }
    }

    /// A slow put begins: whether the pool is still open. Then it must end with
    /// [`leave`](Self::leave), otherwise with [`late_put`](Self::late_put).
    pub(crate) fn enter(&self) -> bool {
        self.entered.fetch_add(1, Ordering::AcqRel);
        sync::full_barrier_after_rmw();
        if self.closed.load(Ordering::Acquire) {
            self.leave();
            return false;
        }
        true
    }

    /// The last access of a slow put to an open pool.
    pub(crate) fn leave(&self) {
        self.left.fetch_add(1, Ordering::Release);
    }

    /// One object comes back after the close: whether it was the last, so that the caller must
    /// free the pool. If not, this was the caller's last access.
    pub(crate) fn late_put(&self) -> bool {
        self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Step 1, before the magazines are shut.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        sync::full_barrier();
    }

    /// Step 2, after the magazines are shut: returns when nothing moves any more.
    pub(crate) fn wait_for_those_inside(&self) {
        let mut attempt = 0;
        loop {
            // `left` first: it never overtakes `entered`.
            let left = self.left.load(Ordering::Acquire);
            if self.entered.load(Ordering::Acquire) == left {
                return;
            }
            sync::relax(&mut attempt);
        }
    }

    /// After a fork, in the child: those who had entered are gone, but for `own` visits of the
    /// thread that forked. Whether the pool is closed.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(super) fn only_own_visits_are_left(&self, own: u64) -> bool {
        let entered = self.entered.load(Ordering::Relaxed);
        self.left.store(entered - own, Ordering::Relaxed);
        self.is_closed()
    }

    /// Step 3: whether all `in_use` objects have come back meanwhile, so that the closer frees the
    /// pool.
    pub(crate) fn expect(&self, in_use: u64) -> bool {
        let before = self.outstanding.fetch_add(in_use, Ordering::AcqRel);
        before.wrapping_add(in_use) == 0
    }
}

/// A slow put of an owned guard, from entering to leaving.
///
/// In between it may wake a task, and a task may run at once, on this thread, and drop the pool. The
/// close would then wait for its own thread; so the outermost visit to that pool closes it instead,
/// when it is over.
pub(super) struct Visit {
    free: NonNull<FreeSlots>,
    /// How many objects there are, once the pool was to be closed.
    close: Cell<Option<usize>>,
    /// The visit, to this pool or another one, during which this one was begun.
    outer: *const Visit,
}

impl Visit {
    /// Runs `put`, and leaves however that ends.
    ///
    /// # Safety
    /// The pool was entered just now, and nothing of the caller's touches it after this.
    pub(super) unsafe fn run(free: NonNull<FreeSlots>, put: impl FnOnce()) {
        /// Ends the visit.
        struct Over<'v>(&'v Visit);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                let Visit { free, close, outer } = self.0;
                innermost::set(*outer);
                // SAFETY: the pool is not closed before this visit has left, or it is this visit
                // that closes it.
                unsafe { free.as_ref() }.closing.leave();
                if let Some(objects) = close.get() {
                    // SAFETY: the owner is gone and left the close, with its promises, to this visit.
                    unsafe { FreeSlots::close(*free, objects) }
                }
            }
        }
        let visit = Visit {
            free,
            close: Cell::new(None),
            outer: innermost::get(),
        };
        innermost::set(&raw const visit);
        let _over = Over(&visit);
        put();
    }

    /// If this thread is on a visit to the pool, leaves it to that to close the pool, and says so.
    pub(super) fn close_at_the_end(free: NonNull<FreeSlots>, objects: usize) -> bool {
        // SAFETY: the visits are looked at before any of them ends.
        let outermost = unsafe { Self::to(free) }.last();
        if let Some(visit) = outermost {
            visit.close.set(Some(objects));
        }
        outermost.is_some()
    }

    /// On how many visits to the pool this thread is.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(super) fn count(free: NonNull<FreeSlots>) -> usize {
        // SAFETY: as above.
        unsafe { Self::to(free) }.count()
    }

    /// This thread's visits to the pool, the innermost first.
    ///
    /// # Safety
    /// None of them ends while the caller looks at it.
    unsafe fn to<'v>(free: NonNull<FreeSlots>) -> impl Iterator<Item = &'v Visit> {
        // SAFETY: visits stand on this thread's stack, and each takes itself off the list before it
        // ends.
        let innermost = unsafe { innermost::get().as_ref() };
        // SAFETY: as above.
        std::iter::successors(innermost, |visit| unsafe { visit.outer.as_ref() })
            .filter(move |visit| visit.free == free)
    }
}

/// This thread's innermost visit.
#[cfg(not(loom))]
mod innermost {
    use super::{Cell, Visit, ptr};

    #[cfg(shuttle)]
    use shuttle::thread_local;

    thread_local! {
        // Const-initialised and without a destructor: usable at any time in a thread's life.
        static INNERMOST: Cell<*const Visit> = const { Cell::new(ptr::null()) };
    }

    pub(super) fn get() -> *const Visit {
        INNERMOST.with(Cell::get)
    }

    pub(super) fn set(visit: *const Visit) {
        INNERMOST.with(|innermost| innermost.set(visit));
    }
}

/// A model's threads are one thread to std, and no task runs in a model.
#[cfg(loom)]
mod innermost {
    use super::{Visit, ptr};

    pub(super) fn get() -> *const Visit {
        ptr::null()
    }

    pub(super) fn set(_visit: *const Visit) {}
}

/// A late put, which counts however it ends.
pub(super) struct LatePut(pub(super) NonNull<FreeSlots>);

impl Drop for LatePut {
    fn drop(&mut self) {
        // SAFETY: the object that is being given back keeps the pool until it is counted here.
        let free = unsafe { &*self.0.as_ptr() };
        let end = free.end;
        if free.closing.late_put() {
            // SAFETY: every object has come back and the pool was closed, so nobody else has the
            // pool's address.
            unsafe { end(self.0) }
        }
    }
}
