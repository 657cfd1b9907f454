//! Moves of slots between places, counted when they begin and when they end, so that "nothing is
//! free" can be told from "something is on its way".

use crate::sync::{AtomicU64, Ordering};

/// Counts moves of slots between places: begun and ended.
#[derive(Debug)]
pub(super) struct Transits {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Default for Transits {
    fn default() -> Self {
        Transits {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }
}

impl Transits {
    /// Must be called before a slot is taken out of its place; the guard ends the transit, after
    /// the slot was put in its new place.
    pub(super) fn begin(&self) -> Transit<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Transit(self)
    }

    /// How many transits have begun, if all of them had ended at that moment.
    pub(super) fn none_under_way(&self) -> Option<u64> {
        // `ended` first: it never overtakes `begun`, so equality shows a moment with none open.
        let ended = self.ended.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        (ended == begun).then_some(begun)
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// After a fork, in the child: those who had begun any are gone.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(super) fn none_is_left(&self) {
        self.ended.store(self.begun(), Ordering::SeqCst);
    }
}

/// A transit under way.
pub(super) struct Transit<'t>(&'t Transits);

impl Drop for Transit<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}
