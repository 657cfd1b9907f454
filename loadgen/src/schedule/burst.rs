//! Bursts: so many requests at the same instant, then nothing until the next burst.
//!
//! Bursts are as evenly and exactly spaced as single requests are by [`super::constant`]: burst `k`
//! is due at `start + floor(k * size / rate)`. The requests of a burst are dealt out to the lanes like all
//! others, so that each worker gets its share of each burst.

use super::Lane;
use super::constant::MILLION_SECONDS;
use crate::clock::Nanos;
use crate::quantity::Rate;

/// Bursts without an end.
#[derive(Debug, Clone, Copy)]
pub struct Burst {
    start: Nanos,
    rate: Rate,
    size: u64,
}

impl Burst {
    /// Bursts of `size` requests (at least one); the first is due at `start`.
    #[must_use]
    pub fn new(start: Nanos, rate: Rate, size: u32) -> Burst {
        let size = u64::from(size.max(1));
        Burst { start, rate, size }
    }

    /// When request `n` is due. One division.
    #[must_use]
    pub fn intended(&self, n: u64) -> Nanos {
        self.due(n / self.size)
    }

    /// When burst `burst` is.
    fn due(&self, burst: u64) -> Nanos {
        // The number of the burst's first request: below 2^64, and 10^15 is below 2^50.
        let first = u128::from(burst) * u128::from(self.size);
        let offset = first * MILLION_SECONDS / u128::from(self.rate.per_million_seconds());
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        Nanos(self.start.0.saturating_add(offset))
    }

    /// How many requests are due before `instant`.
    #[must_use]
    pub fn due_before(&self, instant: Nanos) -> u64 {
        let elapsed = u128::from(instant.saturating_sub(self.start).0);
        let product = elapsed * u128::from(self.rate.per_million_seconds());
        let bursts = product.div_ceil(MILLION_SECONDS * u128::from(self.size));
        u64::try_from(bursts.saturating_mul(u128::from(self.size))).unwrap_or(u64::MAX)
    }

    /// The requests of worker `worker` of `workers`, from its first.
    #[must_use]
    pub fn lane(&self, worker: u32, workers: u32) -> BurstLane {
        let next = u64::from(worker);
        BurstLane {
            schedule: *self,
            next,
            stride: u64::from(workers),
            burst: next / self.size,
            within: next % self.size,
            due: self.intended(next),
        }
    }
}

/// One worker's part of the bursts.
#[derive(Debug, Clone)]
pub struct BurstLane {
    schedule: Burst,
    next: u64,
    stride: u64,
    burst: u64,
    /// Place in the burst. Always below its size.
    within: u64,
    due: Nanos,
}

impl Lane for BurstLane {
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
        self.within += self.stride;
        if self.within >= self.schedule.size {
            self.burst += self.within / self.schedule.size;
            self.within %= self.schedule.size;
            self.due = self.schedule.due(self.burst);
        }
    }

    fn left_before(&self, instant: Nanos) -> u64 {
        self.schedule
            .due_before(instant)
            .saturating_sub(self.next)
            .div_ceil(self.stride)
    }

    fn skip(&mut self, count: u64) {
        self.next += count * self.stride;
        self.burst = self.next / self.schedule.size;
        self.within = self.next % self.schedule.size;
        self.due = self.schedule.due(self.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_due_at_one_instant_and_the_next_when_the_rate_allows_it() {
        let bursts = Burst::new(Nanos(100), Rate::per_second(1_000).unwrap(), 4);
        let mut lane = bursts.lane(0, 1);
        let mut due = Vec::new();
        for _ in 0..9 {
            due.push(lane.intended().0 - 100);
            lane.advance();
        }
        assert_eq!(
            due,
            [
                0, 0, 0, 0, 4_000_000, 4_000_000, 4_000_000, 4_000_000, 8_000_000
            ]
        );
    }

    #[test]
    fn every_worker_has_its_share_of_a_burst() {
        let bursts = Burst::new(Nanos(0), Rate::per_second(1_000).unwrap(), 10);
        let shares = (0..3).map(|worker| bursts.lane(worker, 3).left_before(Nanos(1)));
        assert_eq!(shares.collect::<Vec<_>>(), [4, 3, 3]);
    }

    #[test]
    fn the_largest_bursts_at_the_slowest_rate_do_not_overflow() {
        let bursts = Burst::new(Nanos(9), "0.000001".parse().unwrap(), u32::MAX);
        let mut lane = bursts.lane(0, 1);
        lane.skip(u64::MAX / 2);
        assert_eq!(lane.intended(), Nanos(u64::MAX));
        assert_eq!(bursts.due_before(Nanos(u64::MAX)), u64::from(u32::MAX));
    }
}
