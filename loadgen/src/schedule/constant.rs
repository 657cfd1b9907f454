//! Evenly spaced requests, exact for ever.
//!
//! Request `n` is due at `start + floor(n / rate)`: the rate is a rational number, and a lane steps
//! through it with an integer remainder, so the ten-thousand-millionth request is as punctual as the first. A float step would have gone wrong by microseconds within
//! the hour. Stepping costs an addition and a compare.

use super::Lane;
use crate::clock::Nanos;
use crate::quantity::Rate;

/// Nanoseconds in a million seconds: the denominator that a [`Rate`] is exact in.
pub(super) const MILLION_SECONDS: u128 = 1_000_000_000_000_000;

/// A constant-rate schedule without an end.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    start: Nanos,
    rate: Rate,
}

impl Constant {
    /// A schedule whose request 0 is due at `start`.
    #[must_use]
    pub const fn new(start: Nanos, rate: Rate) -> Constant {
        Constant { start, rate }
    }

    /// When request `n` is due. One division; the run itself steps a [`Lane`].
    #[must_use]
    pub fn intended(&self, n: u64) -> Nanos {
        let offset = u128::from(n) * MILLION_SECONDS / u128::from(self.rate.per_million_seconds());
        Nanos(
            self.start
                .0
                .saturating_add(u64::try_from(offset).unwrap_or(u64::MAX)),
        )
    }

    /// How many requests are due before `instant`: those with `intended(n) < instant`.
    #[must_use]
    pub fn due_before(&self, instant: Nanos) -> u64 {
        let elapsed = u128::from(instant.saturating_sub(self.start).0);
        let product = elapsed * u128::from(self.rate.per_million_seconds());
        u64::try_from(product.div_ceil(MILLION_SECONDS)).unwrap_or(u64::MAX)
    }

    /// The requests of worker `worker` of `workers`, from its first.
    ///
    /// # Panics
    /// If `worker` is not below `workers`: a mistake of the engine's.
    #[must_use]
    pub fn lane(&self, worker: u32, workers: u32) -> ConstantLane {
        assert!(worker < workers, "worker {worker} of {workers}");
        let micro = u128::from(self.rate.per_million_seconds());
        let step = u128::from(workers) * MILLION_SECONDS;
        let first = u128::from(worker) * MILLION_SECONDS;
        #[allow(clippy::cast_possible_truncation)]
        // micro is a u64; both quotients are far below 2^64
        ConstantLane {
            schedule: *self,
            next: u64::from(worker),
            stride: u64::from(workers),
            due: self.intended(u64::from(worker)),
            remainder: (first % micro) as u64,
            step: Nanos((step / micro) as u64),
            step_remainder: (step % micro) as u64,
            modulus: micro as u64,
        }
    }
}

/// One worker's part of a constant-rate schedule.
#[derive(Debug, Clone)]
pub struct ConstantLane {
    schedule: Constant,
    next: u64,
    stride: u64,
    due: Nanos,
    /// `due` is the exact time rounded down; this over `modulus` is what was cut off. Always below
    /// `modulus`.
    remainder: u64,
    step: Nanos,
    step_remainder: u64,
    modulus: u64,
}

impl Lane for ConstantLane {
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
        self.due += self.step;
        // Both terms are below the modulus, which is at most 10^15: no overflow, and one carry at
        // most.
        self.remainder += self.step_remainder;
        if self.remainder >= self.modulus {
            self.remainder -= self.modulus;
            self.due.0 += 1;
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
        let exact = u128::from(self.next) * MILLION_SECONDS;
        self.due = self.schedule.intended(self.next);
        #[allow(clippy::cast_possible_truncation)] // a remainder by a u64
        {
            self.remainder = (exact % u128::from(self.modulus)) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_rate() -> impl Strategy<Value = Rate> {
        prop_oneof![
            1_u64..1_000_000_000,
            Just(2_400_000),
            Just(1_000_000_000),
            Just(3)
        ]
        .prop_map(|requests| Rate::per_second(requests).unwrap())
    }

    proptest! {
        #[test]
        fn stepping_never_drifts_from_the_exact_time(rate in any_rate(), workers in 1_u32..9, jump in 0_u64..10_000_000_000, steps in 1_u64..2000) {
            let schedule = Constant::new(Nanos(77), rate);
            let mut lane = schedule.lane(workers - 1, workers);
            lane.skip(jump / u64::from(workers));
            for _ in 0..steps {
                prop_assert_eq!(lane.intended(), schedule.intended(lane.request()));
                lane.advance();
            }
        }

        #[test]
        fn the_ten_thousand_millionth_request_is_due_within_a_nanosecond_of_the_exact_time(rate in any_rate(), n in 0_u64..=10_000_000_000) {
            let due = u128::from(Constant::new(Nanos(0), rate).intended(n).0);
            // due <= n / rate < due + 1, in units of 10^-15 of a request.
            let exact = u128::from(n) * MILLION_SECONDS;
            let micro = u128::from(rate.per_million_seconds());
            prop_assert!(due * micro <= exact && exact < (due + 1) * micro);
        }

        #[test]
        fn the_lanes_share_out_every_request_once(rate in any_rate(), workers in 1_u32..6, span in 0_u64..1_000_000) {
            let schedule = Constant::new(Nanos(5), rate);
            let end = Nanos(5 + span);
            let per_lane: Vec<u64> = (0..workers).map(|w| schedule.lane(w, workers).left_before(end)).collect();
            prop_assert_eq!(per_lane.iter().sum::<u64>(), schedule.due_before(end));
            prop_assert!(per_lane.iter().max().unwrap() - per_lane.iter().min().unwrap() <= 1);
        }

        #[test]
        fn what_is_due_before_an_instant_is_what_is_intended_before_it(rate in any_rate(), span in 1_u64..10_000_000_000) {
            let schedule = Constant::new(Nanos(9), rate);
            let end = Nanos(9 + span);
            let count = schedule.due_before(end);
            prop_assert!(schedule.intended(count) >= end);
            prop_assert!(count == 0 || schedule.intended(count - 1) < end);
        }
    }

    #[test]
    fn a_walk_of_ten_million_steps_ends_where_the_formula_says() {
        let schedule = Constant::new(Nanos(0), "2.4M".parse().unwrap());
        let mut lane = schedule.lane(1, 3);
        for _ in 0..10_000_000 {
            lane.advance();
        }
        assert_eq!(lane.request(), 30_000_001);
        assert_eq!(lane.intended(), schedule.intended(30_000_001));
    }
}
