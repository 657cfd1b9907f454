//! Requests that come independently of each other, as those of many users do: a Poisson process.
//!
//! Each lane draws exponential gaps of its own, at its share of the rate; independent Poisson processes
//! laid over each other are one of their summed rate, so the lanes need not know of each other. A lane's generator
//! (xoshiro256++) is seeded from seed and lane number.
//!
//! A gap is `-ln(u) * lanes / rate` with `u` of 53 random bits in (0, 1]. The logarithm is that of the
//! crate `libm`, which is made of additions, multiplications and divisions: a platform's own differs
//! in the last digit from one C library to the next, and schedules with it. A ziggurat would be
//! faster by some nanoseconds, and needs tables that a logarithm made.
//!
//! The sum of gaps is kept to a 2^32nd of a nanosecond: what is rounded off adds up to less than 3 ns in ten
//! thousand million requests.

use super::Lane;
use super::constant::MILLION_SECONDS;
use crate::clock::Nanos;
use crate::quantity::Rate;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};

/// A Poisson process without an end.
#[derive(Debug, Clone, Copy)]
pub struct Poisson {
    start: Nanos,
    rate: Rate,
    seed: u64,
}

impl Poisson {
    /// One that begins at `start`; its first request comes a gap later.
    #[must_use]
    pub const fn new(start: Nanos, rate: Rate, seed: u64) -> Poisson {
        Poisson { start, rate, seed }
    }

    /// The requests of worker `worker` of `workers`, from its first.
    #[must_use]
    pub fn lane(&self, worker: u32, workers: u32) -> PoissonLane {
        // Mixed first, so that lane 1 of seed 1 is not lane 0 of seed 2.
        let mixed = SplitMix64::seed_from_u64(self.seed).next_u64();
        #[allow(clippy::cast_precision_loss)] // 2^-53 of it
        let mean = MILLION_SECONDS as f64 / self.rate.per_million_seconds() as f64;
        let mut lane = PoissonLane {
            next: u64::from(worker),
            stride: u64::from(workers),
            due: self.start,
            fraction: 0,
            mean: mean * f64::from(workers),
            random: Xoshiro256PlusPlus::seed_from_u64(mixed.wrapping_add(u64::from(worker))),
        };
        lane.draw();
        lane
    }
}

/// One worker's part of a Poisson process.
#[derive(Debug, Clone)]
pub struct PoissonLane {
    next: u64,
    stride: u64,
    due: Nanos,
    /// What is behind `due`, in 2^-32 ns; always below one.
    fraction: u64,
    /// The mean gap, in nanoseconds.
    mean: f64,
    random: Xoshiro256PlusPlus,
}

impl PoissonLane {
    /// Moves `due` on by a gap.
    #[inline(always)]
    fn draw(&mut self) {
        const UNIT: f64 = 4_294_967_296.0;
        const SCALE: f64 = 1.0 / 9_007_199_254_740_992.0;
        #[allow(clippy::cast_precision_loss)] // 53 bits, and 2^53: both exact
        let uniform = ((self.random.next_u64() >> 11) + 1) as f64 * SCALE;
        let gap = -libm::log(uniform) * self.mean;
        // Below zero only as -0.0; casts saturate, so that a rate of one in a year is late, not wrong.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let (whole, fraction) = {
            let whole = gap as u64;
            (whole, ((gap - whole as f64) * UNIT) as u64)
        };
        let fraction = self.fraction + fraction.min(u64::from(u32::MAX));
        self.fraction = fraction & u64::from(u32::MAX);
        self.due.0 = self
            .due
            .0
            .saturating_add(whole)
            .saturating_add(fraction >> 32);
    }
}

impl Lane for PoissonLane {
    #[inline(always)]
    fn request(&self) -> u64 {
        self.next
    }

    #[inline(always)]
    fn intended(&self) -> Nanos {
        self.due
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.next += self.stride;
        self.draw();
    }

    /// Steps through a copy: as many steps as requests.
    fn left_before(&self, instant: Nanos) -> u64 {
        self.clone().skip_before(instant)
    }

    fn skip(&mut self, count: u64) {
        for _ in 0..count {
            self.advance();
        }
    }

    fn skip_before(&mut self, instant: Nanos) -> u64 {
        let mut count = 0;
        while self.due < instant {
            self.advance();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests;
