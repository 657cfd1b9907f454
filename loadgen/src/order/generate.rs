//! The requests of a run: a fixed set of distinct orders, made from a seed before the run starts.
//!
//! [`Corpus::ORDERS`] orders lie encoded one behind the other in one block (about 0.7 MiB), and the
//! n-th request of the schedule is order `n mod ORDERS`: nothing is made, copied or freed for a
//! request, so what a run measures is the service.

use super::rules::{ACCOUNTS, SKUS};
use super::wire::{Entry, Item, encode};

/// Encoded orders, equal for equal seeds on every machine.
#[derive(Debug, Clone)]
pub struct Corpus {
    bytes: Vec<u8>,
    /// Where each order starts, and one more: where the last ends.
    starts: Vec<u32>,
}

impl Corpus {
    /// How many distinct orders there are; a power of two.
    pub const ORDERS: usize = 8192;

    /// Makes the orders: 1 to 8 items (3.5 on average) and 0 to 4 metadata entries (1.1 on average).
    ///
    /// Metadata decides how hard the heap form has it: each entry is two strings. This much lets
    /// jemalloc and mimalloc keep a schedule of 2.4 million orders a second on one core (they can do
    /// 2.8 and 3.1 million, glibc 1.0, the pool 5.6), so that their tails can be compared at all.
    /// With 2 entries on average none of them could (1.7, 2.2 and 0.7 million).
    #[must_use]
    pub fn generate(seed: u64) -> Corpus {
        let mut random = SplitMix(seed);
        let mut bytes = Vec::with_capacity(Self::ORDERS * 96);
        let mut starts = Vec::with_capacity(Self::ORDERS + 1);
        starts.push(0);
        while starts.len() <= Self::ORDERS {
            let (items, item_count) = items(&mut random);
            let values: [String; KEYS.len()] = std::array::from_fn(|_| text(&mut random));
            // Consecutive keys from a random first one: distinct by construction.
            let first = random.below(KEYS.len());
            let entry_count = [0, 0, 0, 1, 1, 1, 2, 4][random.below(8)];
            let metadata: Vec<Entry<'_>> = (0..entry_count)
                .map(|entry| (KEYS[(first + entry) % KEYS.len()], values[entry].as_str()))
                .collect();
            let account = random.below_u32(ACCOUNTS);
            let id = random.next();
            // An order of these shapes always encodes; the loop would simply draw again if not.
            if encode(&mut bytes, id, account, &items[..item_count], &metadata).is_ok() {
                starts.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            }
        }
        Corpus { bytes, starts }
    }

    /// The bytes of the n-th request.
    #[inline(always)]
    #[must_use]
    pub fn request(&self, n: u64) -> &[u8] {
        #[allow(clippy::cast_possible_truncation)] // only the low bits are wanted
        let index = n as usize % Self::ORDERS;
        &self.bytes[self.starts[index] as usize..self.starts[index + 1] as usize]
    }
}

const KEYS: [&str; 8] = [
    "channel",
    "campaign",
    "device",
    "region",
    "promo_code",
    "session",
    "gift_note",
    "referrer",
];

fn items(random: &mut SplitMix) -> ([Item; 8], usize) {
    let count = [1, 2, 2, 3, 3, 4, 5, 8][random.below(8)];
    let items = std::array::from_fn(|_| Item {
        sku: random.below_u32(SKUS),
        quantity: 1 + random.below_u32(12),
        price_cents: 99 + random.below_u32(20_000),
    });
    (items, count)
}

/// 4 to 27 characters, of the length that session names and notes have.
fn text(random: &mut SplitMix) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-_";
    let length = 4 + random.below(24);
    (0..length)
        .map(|_| char::from(LETTERS[random.below(LETTERS.len())]))
        .collect()
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, well mixed, and the same everywhere, which is
/// all that a corpus asks of randomness.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; the bias of a multiplication by a small bound is 2^-32 at most.
    fn below_u32(&mut self, bound: u32) -> u32 {
        #[allow(clippy::cast_possible_truncation)] // the product of two u32, shifted by 32
        {
            (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.below_u32(u32::try_from(bound).unwrap_or(u32::MAX)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::wire::OrderView;
    use std::collections::HashSet;

    #[test]
    fn a_seed_gives_the_same_orders_each_time_and_another_seed_gives_others() {
        let (first, again, other) = (
            Corpus::generate(7),
            Corpus::generate(7),
            Corpus::generate(8),
        );
        assert_eq!(first.bytes, again.bytes);
        assert_ne!(first.bytes, other.bytes);
    }

    #[test]
    fn every_order_of_the_corpus_is_valid_and_distinct() {
        let corpus = Corpus::generate(1);
        let mut seen = HashSet::new();
        let mut entries = 0;
        for n in 0..Corpus::ORDERS as u64 {
            let view = OrderView::decode(corpus.request(n)).unwrap();
            assert!(seen.insert(view.id()));
            entries += view.metadata().len();
        }
        assert!(
            entries > Corpus::ORDERS && entries < Corpus::ORDERS * 5 / 4,
            "{entries}"
        );
        assert_eq!(corpus.request(3), corpus.request(3 + Corpus::ORDERS as u64));
    }
}
