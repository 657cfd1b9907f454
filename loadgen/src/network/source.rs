//! Which request is next: of the schedule, or of a closed loop.

use crate::clock::Nanos;
use crate::schedule::{AnyLane, Lane as _};

/// A worker's requests.
pub(super) enum Source {
    /// By the schedule, however late.
    Open(AnyLane),
    /// As soon as there is a place.
    Closed {
        /// The next number.
        next: u64,
        /// From one number to the next.
        stride: u64,
        /// Not before this instant.
        begin: Nanos,
    },
}

impl Source {
    /// When the next request is due; a closed loop's is always.
    #[inline(always)]
    pub(super) fn intended(&self, now: Nanos) -> Nanos {
        match self {
            Source::Open(lane) => lane.intended(),
            Source::Closed { begin, .. } => now.max(*begin),
        }
    }

    /// The next request, which must be due: its number.
    #[inline(always)]
    pub(super) fn take(&mut self) -> u64 {
        match self {
            Source::Open(lane) => {
                let number = lane.request();
                lane.advance();
                number
            }
            Source::Closed { next, stride, .. } => {
                let number = *next;
                *next += *stride;
                number
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Source::Closed { .. })
    }
}
