//! Threads that wait for a slot, and who wakes them.
//!
//! A put must not pay for waiters that are not there. On the rseq path it looks at nothing: the
//! first waiter shuts all magazines for giving and fences every CPU, so that from then on each put
//! takes the slow path, leaves its slot where waiters look, and wakes one. On the portable path a
//! put reads one word that is seldom written.
//!
//! **No wake-up is lost.** A waiter announces itself (and shuts the gates), notes `wakes`, looks
//! everywhere, and sleeps only while `wakes` is unchanged. A giver leaves its slot, then looks for
//! waiters. Between "leave, then look" and "announce, then look" stands a full barrier on both
//! sides, so that at least one sees the other; and a giver that sees a waiter changes `wakes`
//! under the lock that the waiter holds until it sleeps.
//!
//! Woken threads compete with those that come running: order of arrival is not kept.

use std::time::Instant;

use crate::sync::{self, AtomicU32, Condvar, Mutex, Ordering};

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Waiters {
    /// Threads between announcing themselves and leaving.
    count: AtomicU32,
    /// Changes whenever something was left for a waiter.
    wakes: Mutex<u64>,
    left: Condvar,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Waiters {
            count: AtomicU32::new(0),
            wakes: Mutex::new(0),
            left: Condvar::new(),
        }
    }

    /// Waits until `look` finds something, or until `deadline`. `first` runs when somebody begins
    /// to wait where nobody waited; `last` when nobody waits any more. Both run under the lock.
    pub(crate) fn wait<R>(
        &self,
        deadline: Option<Instant>,
        look: impl Fn() -> Option<R>,
        first: impl Fn(),
        last: impl Fn(),
    ) -> Option<R> {
        let mut wakes = sync::lock(&self.wakes);
        if self.count.fetch_add(1, Ordering::SeqCst) == 0 {
            first();
        }
        sync::full_barrier();
        let found = loop {
            let seen = *wakes;
            drop(wakes);
            // Without the lock: looking may spin for a thief, and givers must not wait for us.
            let found = look();
            wakes = sync::lock(&self.wakes);
            if found.is_some() {
                break found;
            }
            if sync::passed(deadline) {
                break None;
            }
            let mut in_time = true;
            while *wakes == seen && in_time {
                (wakes, in_time) = sync::wait(&self.left, wakes, deadline);
            }
            if !in_time && *wakes == seen {
                break None;
            }
        };
        if self.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            last();
        }
        drop(wakes);
        found
    }

    /// To be called after leaving one slot, by way of an atomic read-modify-write.
    #[inline(always)]
    pub(crate) fn left_one(&self) {
        sync::full_barrier_after_rmw();
        if self.count.load(Ordering::Relaxed) != 0 {
            self.wake(false);
        }
    }

    /// To be called after leaving many slots, by way of an atomic read-modify-write.
    pub(crate) fn left_many(&self) {
        sync::full_barrier_after_rmw();
        if self.count.load(Ordering::Relaxed) != 0 {
            self.wake(true);
        }
    }

    #[cold]
    #[inline(never)]
    fn wake(&self, all: bool) {
        *sync::lock(&self.wakes) += 1;
        if all {
            self.left.notify_all();
        } else {
            self.left.notify_one();
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use crate::free::FreeSlots;
    use crate::slab::Place;
    use loom::sync::Arc;

    /// One slot, two threads that each wait for it: both are served, nobody sleeps for ever
    /// (loom reports that as a deadlock).
    #[test]
    fn no_wake_up_is_lost() {
        let mut bounded = loom::model::Builder::new();
        bounded.preemption_bound = Some(2);
        bounded.check(|| {
            let free = Arc::new(FreeSlots::new(1, Place::nowhere(), true));
            let other = Arc::clone(&free);
            let thread = loom::thread::spawn(move || {
                let slot = other.take_or_wait(None).unwrap();
                other.put(slot);
            });
            let slot = free.take_or_wait(None).unwrap();
            free.put(slot);
            thread.join().unwrap();
        });
    }
}
