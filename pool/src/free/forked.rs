//! What a fork does to the free slots: see [`crate::fork`].

use std::ptr::NonNull;

use super::FreeSlots;
use super::closing::Visit;

impl FreeSlots {
    /// Before a fork: nobody changes the queue until [`release`](Self::release) or
    /// [`clear_away`](Self::clear_away).
    ///
    /// # Safety
    /// The caller forks, no other thread does, and the free slots do not end before it has called
    /// one of those.
    pub(crate) unsafe fn hold(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.waiters.hold() }
    }

    /// After a fork, in the parent.
    ///
    /// # Safety
    /// As for [`hold`](Self::hold).
    pub(crate) unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.waiters.release() }
    }

    /// After a fork, in the child: nothing that other threads had begun is under way any more. What
    /// they had in their hands is in use for ever.
    ///
    /// # Safety
    /// As for [`hold`](Self::hold), and the caller is the process's only thread.
    pub(crate) unsafe fn clear_away(&self) {
        self.transits.none_is_left();
        self.servings.none_is_left();
        let own = Visit::count(NonNull::from(self)) as u64;
        let closed = self.closing.only_own_visits_are_left(own);
        self.magazines.nobody_is_at_work(closed);
        self.depot.count_anew();
        self.loose.count_anew();
        if let Some(ledger) = self.attendant().and_then(|attendant| attendant.ledger()) {
            // SAFETY: the caller's promise.
            unsafe { ledger.clear_away() }
        }
        // SAFETY: the caller's promise.
        unsafe { self.waiters.dismiss_all() }
    }
}
