//! The addresses of sampled blocks that are not freed yet.
//!
//! Asked at every free, and almost always in vain. So a byte per hash value says how many
//! addresses with that hash there are, and only if that is not zero are the eight places of the
//! address's bucket looked at: one cache line. Nothing is ever locked, since the allocator must
//! work in a child after `fork` whatever other threads were doing.
//!
//! Rejected: a mark in front of the block itself (OpenTelemetry's reference sampler on x86-64).
//! It needs no table, but each free then reads what stands before its block, which belongs to a
//! neighbour: a data race, and a neighbour could forge the mark.
//!
//! **Who may touch what.** The owner of a block inserts and removes its address, so no address is
//! handled twice at a time. Whoever frees the block got its address from the one who allocated
//! it, or from someone in between, and so sees the insertion: relaxed accesses do. A removal is
//! over before the memory goes back to the allocator, which orders it before the next owner.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};

const BUCKET_BITS: u32 = 13;
const HASH_BITS: u32 = 16;
const PLACES: usize = 8;

/// A set of addresses: at most eight in each of 8192 buckets.
pub(super) struct Live {
    /// Whether anything was ever inserted: keeps the table out of the cache until then.
    used: AtomicBool,
    /// How many addresses have a hash. Places are eight for eight hash values: it cannot overflow.
    count: [AtomicU8; 1 << HASH_BITS],
    buckets: [Bucket; 1 << BUCKET_BITS],
}

#[repr(align(64))]
struct Bucket([AtomicUsize; PLACES]);

impl Live {
    pub(super) const fn new() -> Self {
        Live {
            used: AtomicBool::new(false),
            count: [const { AtomicU8::new(0) }; 1 << HASH_BITS],
            buckets: [const { Bucket([const { AtomicUsize::new(0) }; PLACES]) }; 1 << BUCKET_BITS],
        }
    }

    /// Inserts an address, which is not zero nor in the set; whether there was a place for it.
    pub(super) fn insert(&self, address: usize) -> bool {
        let hash = hash(address);
        let placed = self.bucket(hash).iter().any(|place| {
            place.load(Relaxed) == 0 && place.compare_exchange(0, address, Relaxed, Relaxed).is_ok()
        });
        if placed {
            self.count[hash].fetch_add(1, Relaxed);
            self.used.store(true, Relaxed);
        }
        placed
    }

    /// Removes an address; whether it was there. Zero never is.
    #[inline]
    pub(super) fn remove(&self, address: usize) -> bool {
        self.used.load(Relaxed)
            && self.count[hash(address)].load(Relaxed) != 0
            && self.remove_from_bucket(address)
    }

    #[cold]
    #[inline(never)]
    fn remove_from_bucket(&self, address: usize) -> bool {
        let hash = hash(address);
        let place = self
            .bucket(hash)
            .iter()
            .find(|place| address != 0 && place.load(Relaxed) == address);
        if let Some(place) = place {
            place.store(0, Relaxed);
            self.count[hash].fetch_sub(1, Relaxed);
        }
        place.is_some()
    }

    fn bucket(&self, hash: usize) -> &[AtomicUsize; PLACES] {
        &self.buckets[hash >> (HASH_BITS - BUCKET_BITS)].0
    }
}

/// The upper bits of a product (Fibonacci hashing): as a multiplier, 2^64 over the golden ratio.
#[inline]
fn hash(address: usize) -> usize {
    ((address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::{Live, PLACES, hash};

    static LIVE: Live = Live::new();

    #[test]
    fn threads_remove_exactly_what_was_inserted() {
        std::thread::scope(|scope| {
            for thread in 1..=4_usize {
                scope.spawn(move || {
                    let addresses = || (0..2_000).map(move |block| (thread << 40) | (block * 4080));
                    for _ in 0..5 {
                        let (inside, outside): (Vec<_>, Vec<_>) =
                            addresses().partition(|&address| LIVE.insert(address));
                        assert!(inside.len() > outside.len());
                        assert!(outside.iter().all(|&address| !LIVE.remove(address)));
                        assert!(inside.iter().all(|&address| LIVE.remove(address)));
                        assert!(inside.iter().all(|&address| !LIVE.remove(address)));
                    }
                });
            }
        });
    }

    #[test]
    fn a_full_bucket_refuses_and_recovers() {
        static FULL: Live = Live::new();
        let mut same = (1..).map(|n| n * 16).filter(|&address| hash(address) == 7);
        let first = same.next().unwrap();
        assert!(FULL.insert(first));
        assert!(
            same.by_ref()
                .take(PLACES - 1)
                .all(|address| FULL.insert(address))
        );
        let refused = same.next().unwrap();
        assert!(!FULL.insert(refused));
        assert!(!FULL.remove(refused));
        assert!(FULL.remove(first));
        assert!(FULL.insert(refused));
    }
}
