//! Wakers that only take notes: who is to be polled again.
//!
//! `h2` wakes from within its own calls, on the thread of the event loop; nothing needs to be scheduled. A
//! waker must be usable from any thread all the same, hence an atomic and a mutex that nobody ever contends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Whether the connection is to be polled again.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    /// Whether it was woken since the last time.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Which places of a table are to be polled again.
///
/// A place may be listed more than once, and after what was in it has gone: polling once too often is
/// harmless. `h2` forgets a waker when it has used it, so the list is no longer than the table.
#[derive(Debug, Default)]
pub(super) struct WokenList(Mutex<Vec<usize>>);

impl WokenList {
    /// The waker of one place.
    pub(super) fn waker(self: &Arc<Self>, place: usize) -> Waker {
        Waker::from(Arc::new(PlaceWaker {
            place,
            list: Arc::clone(self),
        }))
    }

    /// Exchanges the list for `empty`.
    pub(super) fn take(&self, empty: &mut Vec<usize>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *list, empty);
    }
}

struct PlaceWaker {
    place: usize,
    list: Arc<WokenList>,
}

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut list = self.list.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(self.place);
    }
}
