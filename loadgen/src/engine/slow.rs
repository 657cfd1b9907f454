//! The slowest requests of a second, in constant memory.
//!
//! A min-heap on a fixed array: a request that is not among the [`SlowSet::KEPT`] slowest costs one
//! compare. In a saturated run every request is slower than the last and goes through the heap;
//! there the heap moves keys only (eight bytes each, the slot in the low bits), five levels deep.

use crate::clock::Nanos;
use tailcut_report::recording::SlowRequest;

/// The slowest requests seen since the last [`SlowSet::clear`].
#[derive(Debug, Clone)]
pub(crate) struct SlowSet {
    /// A min-heap of `response << SLOT_BITS | slot`; the root is the next to go.
    /// Behind them stands a sentinel, so that every parent has two children.
    keys: [u64; SlowSet::KEPT + 1],
    entries: [SlowRequest; SlowSet::KEPT],
    len: usize,
    /// Entries that gave way to slower ones.
    displaced: u64,
}

impl SlowSet {
    pub(crate) const KEPT: usize = 32;
    const SLOT_BITS: u32 = 5;
    const NO_KEYS: [u64; Self::KEPT + 1] = {
        let mut keys = [0; Self::KEPT + 1];
        keys[Self::KEPT] = u64::MAX;
        keys
    };

    pub(crate) fn new() -> SlowSet {
        let blank = SlowRequest {
            intended_ns: 0,
            start_ns: 0,
            end_ns: 0,
            thread: 0,
            request: 0,
        };
        SlowSet {
            keys: Self::NO_KEYS,
            entries: [blank; Self::KEPT],
            len: 0,
            displaced: 0,
        }
    }

    /// Offers a request; `entry` is asked for only if it is kept.
    #[inline(always)]
    pub(crate) fn offer(&mut self, response: Nanos, entry: impl FnOnce() -> SlowRequest) {
        // While there is room the root is zero: everything is let in.
        if response.0 > self.keys[0] >> Self::SLOT_BITS || self.len < Self::KEPT {
            self.keep(response, entry());
        }
    }

    #[inline(never)]
    fn keep(&mut self, response: Nanos, entry: SlowRequest) {
        let response = response.0.min(u64::MAX >> Self::SLOT_BITS) << Self::SLOT_BITS;
        if self.len < Self::KEPT {
            let slot = self.len;
            self.entries[slot] = entry;
            self.keys[slot] = response | slot as u64;
            self.len += 1;
            if self.len == Self::KEPT {
                // A sorted array is a min-heap. Until now the root may not have been the least,
                // which did not matter: everything was let in.
                self.keys[..Self::KEPT].sort_unstable();
            }
            return;
        }
        let slot = self.keys[0] % Self::KEPT as u64;
        #[allow(clippy::cast_possible_truncation)] // below 32
        {
            self.entries[slot as usize] = entry;
        }
        self.displaced += 1;
        self.sink(response | slot);
    }

    /// Puts `key` in the root's place and restores the heap.
    ///
    /// Which child is less cannot be predicted, so it is computed: a replacement costs 9 ns,
    /// and 27 when this was a branch.
    #[inline(always)]
    fn sink(&mut self, key: u64) {
        let mut hole = 0;
        loop {
            let left = 2 * hole + 1;
            if left >= Self::KEPT {
                break;
            }
            // The last left child has no brother but the sentinel, which is never less.
            let least = left + usize::from(self.keys[left + 1] < self.keys[left]);
            if key <= self.keys[least] {
                break;
            }
            self.keys[hole] = self.keys[least];
            hole = least;
        }
        self.keys[hole] = key;
    }

    /// What is kept, in no order.
    pub(crate) fn requests(&self) -> &[SlowRequest] {
        &self.entries[..self.len]
    }

    pub(crate) fn displaced(&self) -> u64 {
        self.displaced
    }

    pub(crate) fn clear(&mut self) {
        self.keys = Self::NO_KEYS;
        self.len = 0;
        self.displaced = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offered(responses: &[u64]) -> SlowSet {
        let mut set = SlowSet::new();
        for (request, &response) in (0..).zip(responses) {
            let entry = || SlowRequest {
                intended_ns: 0,
                start_ns: 0,
                end_ns: response,
                thread: 1,
                request,
            };
            set.offer(Nanos(response), entry);
        }
        set
    }

    proptest! {
        #[test]
        fn the_slowest_are_kept_whatever_their_order(responses in proptest::collection::vec(0_u64..1000, 0..300)) {
            let set = offered(&responses);
            let mut kept: Vec<u64> = set.requests().iter().map(|request| request.end_ns).collect();
            kept.sort_unstable();
            let mut expected = responses.clone();
            expected.sort_unstable();
            let expected = &expected[expected.len().saturating_sub(SlowSet::KEPT)..];
            prop_assert_eq!(kept, expected);
        }
    }

    #[test]
    fn a_cleared_set_takes_anything_again() {
        let mut set = offered(&(0..100).collect::<Vec<_>>());
        assert_eq!(set.displaced(), 68);
        set.clear();
        assert_eq!((set.requests().len(), set.displaced()), (0, 0));
        let one = SlowRequest {
            intended_ns: 0,
            start_ns: 0,
            end_ns: 1,
            thread: 1,
            request: 9,
        };
        set.offer(Nanos(1), || one);
        assert_eq!(set.requests().len(), 1);
    }
}
