//! Random numbers for samplers that run inside an allocator: SplitMix64 (Steele, Lea and Flood,
//! 2014), eight bytes of state per thread and purpose, seeded without asking the system.
//!
//! Samples must not keep step with a program's own rhythm. That takes numbers that are spread
//! evenly, not numbers that nobody can guess.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// 2^64 over the golden ratio: the generator's step.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One thread's generator for one purpose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Random(u64);

impl Random {
    /// One that has yet to be seeded, so that it can stand in a thread-local constant.
    pub(super) const UNSEEDED: Random = Random(0);

    pub(super) fn is_seeded(self) -> bool {
        self.0 != 0
    }

    /// Differs between threads and purposes, and between runs as far as addresses do.
    pub(super) fn seeded() -> Self {
        thread_local! {
            // No destructor: see `COUNTS`.
            static ADDRESS: Cell<u8> = const { Cell::new(0) };
        }
        static SEEDS: AtomicU64 = AtomicU64::new(0);
        let seed = SEEDS.fetch_add(GOLDEN, Ordering::Relaxed);
        let address = ADDRESS.with(|place| (&raw const *place).addr() as u64);
        Random(mix(seed ^ address) | 1)
    }

    /// The same numbers each time.
    #[cfg(test)]
    pub(super) const fn fixed() -> Self {
        Random(1)
    }

    /// From above 0 to 1, in steps of 2^-53.
    pub(super) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        ((mix(self.0) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

/// The finaliser of SplitMix64.
const fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
