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

    /// Step 3: whether all `in_use` objects have come back meanwhile, so that the closer frees the
    /// pool.
    pub(crate) fn expect(&self, in_use: u64) -> bool {
        let before = self.outstanding.fetch_add(in_use, Ordering::AcqRel);
        before.wrapping_add(in_use) == 0
    }
}
