//! The per-core part of the free slots: one of two forms, with the same duties.

use std::ptr::NonNull;

use crate::percpu::{Fallback, FenceRefused, MagazineCounts, portable, rseq};

/// The per-core part, in the form chosen at build.
#[derive(Debug)]
pub(super) enum Magazines {
    Rseq(rseq::Magazines),
    Portable(portable::Magazines, Fallback),
}

impl Magazines {
    pub(super) fn count(&self) -> usize {
        match self {
            Magazines::Rseq(magazines) => magazines.cpus(),
            Magazines::Portable(magazines, _) => magazines.count(),
        }
    }

    /// The calling thread's; the first for a thread that is not registered.
    pub(super) fn here(&self) -> usize {
        match self {
            Magazines::Rseq(magazines) => magazines.here().unwrap_or(0),
            Magazines::Portable(magazines, _) => magazines.here(),
        }
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Option<NonNull<u8>> {
        match self {
            Magazines::Rseq(magazines) => magazines.access().pop(),
            Magazines::Portable(magazines, _) => magazines.access().pop(),
        }
    }

    #[inline(always)]
    pub(super) fn push(&self, object: NonNull<u8>) -> bool {
        match self {
            Magazines::Rseq(magazines) => magazines.access().push(object),
            Magazines::Portable(magazines, _) => magazines.access().push(object),
        }
    }

    pub(super) fn pop_batch(&self, into: &mut [NonNull<u8>]) -> bool {
        match self {
            Magazines::Rseq(magazines) => magazines.pop_batch(into),
            Magazines::Portable(magazines, _) => magazines.pop_batch(into),
        }
    }

    pub(super) fn push_batch(&self, objects: &[NonNull<u8>]) -> bool {
        match self {
            Magazines::Rseq(magazines) => magazines.push_batch(objects),
            Magazines::Portable(magazines, _) => magazines.push_batch(objects),
        }
    }

    /// How many were taken, and from which core.
    pub(super) fn steal(
        &self,
        into: &mut [NonNull<u8>],
    ) -> Result<Option<(usize, usize)>, FenceRefused> {
        match self {
            Magazines::Rseq(magazines) => magazines.steal(into),
            Magazines::Portable(magazines, _) => magazines.steal(into),
        }
    }

    pub(super) fn census(&self) -> (bool, u64) {
        match self {
            Magazines::Rseq(magazines) => magazines.census(),
            Magazines::Portable(magazines, _) => magazines.census(),
        }
    }

    /// After a fork, in the child.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(super) fn nobody_is_at_work(&self, closed: bool) {
        match self {
            Magazines::Rseq(magazines) => magazines.nobody_is_at_work(closed),
            Magazines::Portable(magazines, _) => magazines.nobody_is_at_work(closed),
        }
    }

    pub(super) fn counts(&self, core: usize) -> MagazineCounts {
        match self {
            Magazines::Rseq(magazines) => magazines.counts(core),
            Magazines::Portable(magazines, _) => magazines.counts(core),
        }
    }
}
