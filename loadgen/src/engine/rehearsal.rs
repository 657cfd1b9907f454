//! A fixed number of orders before the schedule begins, unpaced and unrecorded.
//!
//! It has two uses. It warms up memory, caches and allocator with full windows. And it gives the
//! checksum by which forms are compared: a saturated run serves fewer requests than one that keeps
//! up, so a checksum at its end would differ though every result was right; the rehearsal is the
//! same for all.

use super::pacer::POLL_EVERY;
use crate::order::generate::Corpus;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many requests one service rehearses: two windows are settled (unless a hundredth of the
/// orders and more are refused) and a third has begun.
pub(crate) fn requests(window: u64) -> u64 {
    const BEYOND: u64 = 1000;
    window
        .saturating_mul(2)
        .saturating_add(window / 100)
        .saturating_add(BEYOND)
}

/// Hands `handle` the rehearsal's requests of service `service` of `services`. Returns whether all
/// of them were handled: not when `halt` was set.
pub(crate) fn rehearse(
    corpus: &Corpus,
    count: u64,
    (service, services): (u32, u32),
    halt: &AtomicBool,
    mut handle: impl FnMut(&[u8]),
) -> bool {
    for n in 0..count {
        if n % u64::from(POLL_EVERY) == 0 && halt.load(Ordering::Relaxed) {
            return false;
        }
        handle(corpus.request(n * u64::from(services) + u64::from(service)));
    }
    true
}
