//! Requests as they were recorded, stretched to a rate and repeated.
//!
//! Only the distances between the recorded instants count: the first request is due when the schedule
//! begins, and a trace of `N` requests takes `N / rate`, so that its last request is followed by a
//! gap as long as its mean one before it begins again. Pass `p` begins at `floor(p * N / rate)`
//! exactly; within a pass an offset is multiplied by a 64-bit fixed-point factor, which is exact to a
//! nanosecond in a pass of centuries.

use std::sync::Arc;

use super::Lane;
use super::constant::Constant;
use crate::clock::Nanos;
use crate::quantity::Rate;

/// A trace, repeated without an end.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Its requests if they were evenly spaced: where passes begin.
    even: Constant,
    offsets: Arc<[Nanos]>,
    stretch: Stretch,
}

impl Trace {
    /// `offsets`, which must ascend, from `start` on. Nothing if there are none.
    #[must_use]
    pub fn new(start: Nanos, rate: Rate, offsets: &Arc<[Nanos]>) -> Option<Trace> {
        let (first, last) = (offsets.first()?, offsets.last()?);
        Some(Trace {
            even: Constant::new(start, rate),
            offsets: Arc::clone(offsets),
            stretch: Stretch::new(last.saturating_sub(*first), offsets.len() as u64 - 1, rate),
        })
    }

    /// When request `n` is due.
    #[must_use]
    pub fn intended(&self, n: u64) -> Nanos {
        let length = self.offsets.len() as u64;
        let begin = self.even.intended(n - n % length);
        #[allow(clippy::cast_possible_truncation)] // below a slice's length
        let offset = self.stretched((n % length) as usize);
        Nanos(begin.0.saturating_add(offset.0))
    }

    /// How far into a pass its request `index` is due.
    #[inline(always)]
    fn stretched(&self, index: usize) -> Nanos {
        self.stretch
            .apply(self.offsets[index].saturating_sub(self.offsets[0]))
    }

    /// How many requests are due before `instant`. A binary search in the trace.
    #[must_use]
    pub fn due_before(&self, instant: Nanos) -> u64 {
        let length = self.offsets.len() as u64;
        // Of evenly spaced requests as many are due as have begun; the latest pass is that of the last of them.
        let Some(last) = self.even.due_before(instant).checked_sub(1) else {
            return 0;
        };
        let first = last - last % length;
        let begin = self.even.intended(first);
        let (mut due, mut not_due) = (0, self.offsets.len());
        while due < not_due {
            let middle = due.midpoint(not_due);
            if begin.0.saturating_add(self.stretched(middle).0) < instant.0 {
                due = middle + 1;
            } else {
                not_due = middle;
            }
        }
        first.saturating_add(due as u64)
    }

    /// The requests of worker `worker` of `workers`, from its first.
    #[must_use]
    pub fn lane(&self, worker: u32, workers: u32) -> TraceLane {
        let mut lane = TraceLane {
            trace: self.clone(),
            next: u64::from(worker),
            stride: u64::from(workers),
            index: 0,
            begin: Nanos(0),
            due: Nanos(0),
        };
        lane.find();
        lane
    }
}

/// A factor that times are multiplied by: `factor / 2^shift`.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    factor: u128,
    shift: u32,
}

impl Stretch {
    /// What makes `span` as long as `gaps` gaps of `rate`; zero if there is no span. Rounded up in its last place, so
    /// that a product that should be whole is not a nanosecond short.
    fn new(span: Nanos, gaps: u64, rate: Rate) -> Stretch {
        // Offsets are a slice in memory: their number leaves more room than 2^50 needs.
        let numerator = u128::from(gaps) * super::constant::MILLION_SECONDS;
        let denominator = u128::from(span.0) * u128::from(rate.per_million_seconds());
        if denominator == 0 {
            return Stretch {
                factor: 0,
                shift: 0,
            };
        }
        let (mut factor, mut rest) = (numerator / denominator, numerator % denominator);
        let mut shift = 0;
        // Long division, a binary digit at a time, while a product with 64 bits still fits.
        while factor < 1 << 63 && shift < 120 {
            rest <<= 1; // below 2^115
            factor <<= 1;
            if rest >= denominator {
                rest -= denominator;
                factor |= 1;
            }
            shift += 1;
        }
        if rest > 0 {
            factor += 1;
        }
        Stretch { factor, shift }
    }

    /// `time` is at most the span that this was made for: so the product fits even where the factor has more than 64
    /// bits.
    #[inline(always)]
    fn apply(self, time: Nanos) -> Nanos {
        let stretched = u128::from(time.0).saturating_mul(self.factor) >> self.shift;
        Nanos(u64::try_from(stretched).unwrap_or(u64::MAX))
    }
}

/// One worker's part of a repeated trace.
#[derive(Debug, Clone)]
pub struct TraceLane {
    trace: Trace,
    next: u64,
    stride: u64,
    /// Of the next request in the trace. Always below its length.
    index: usize,
    /// When this pass began.
    begin: Nanos,
    due: Nanos,
}

impl TraceLane {
    /// Sets everything by the next request's number.
    fn find(&mut self) {
        let length = self.trace.offsets.len() as u64;
        #[allow(clippy::cast_possible_truncation)] // below a slice's length
        let index = (self.next % length) as usize;
        self.index = index;
        self.begin = self.trace.even.intended(self.next - index as u64);
        self.land();
    }

    #[inline(always)]
    fn land(&mut self) {
        let offset = self.trace.stretched(self.index);
        self.due = Nanos(self.begin.0.saturating_add(offset.0));
    }
}

impl Lane for TraceLane {
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
        #[allow(clippy::cast_possible_truncation)] // lanes are counted by a u32
        let index = self.index + self.stride as usize;
        if index < self.trace.offsets.len() {
            self.index = index;
            self.land();
        } else {
            self.find();
        }
    }

    fn left_before(&self, instant: Nanos) -> u64 {
        self.trace
            .due_before(instant)
            .saturating_sub(self.next)
            .div_ceil(self.stride)
    }

    fn skip(&mut self, count: u64) {
        self.next += count * self.stride;
        self.find();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(offsets: &[u64], rate: u64) -> Trace {
        let offsets: Arc<[Nanos]> = offsets.iter().map(|&offset| Nanos(offset)).collect();
        Trace::new(Nanos(1_000), Rate::per_second(rate).unwrap(), &offsets).unwrap()
    }

    fn due(trace: &Trace, count: usize) -> Vec<u64> {
        let mut lane = trace.lane(0, 1);
        let due = std::iter::from_fn(|| {
            let due = lane.intended().0 - 1_000;
            lane.advance();
            Some(due)
        });
        due.take(count).collect()
    }

    #[test]
    fn a_trace_is_stretched_to_the_rate_and_repeated() {
        // Gaps of 1 and 3: at 1,000 a second 1 ms each on average, and 1 ms until it begins again.
        let second = 1_000_000_000;
        let trace = trace(&[0, second, 4 * second], 1_000);
        assert_eq!(
            due(&trace, 7),
            [
                0, 500_000, 2_000_000, 3_000_000, 3_500_000, 5_000_000, 6_000_000
            ]
        );
    }

    #[test]
    fn only_distances_count_so_times_of_day_will_do() {
        let at = 1_700_000_000_000_000_000;
        assert_eq!(
            due(&trace(&[at, at + 10, at + 40], 1_000), 9),
            due(&trace(&[0, 10, 40], 1_000), 9)
        );
    }

    #[test]
    fn a_trace_of_one_request_or_of_one_instant_is_repeated_evenly() {
        assert_eq!(due(&trace(&[77], 1_000), 3), [0, 1_000_000, 2_000_000]);
        assert_eq!(
            due(&trace(&[77, 77], 1_000), 4),
            [0, 0, 2_000_000, 2_000_000]
        );
    }

    #[test]
    fn nothing_is_no_trace() {
        let nothing: Arc<[Nanos]> = Arc::new([]);
        assert!(Trace::new(Nanos(0), Rate::per_second(1).unwrap(), &nothing).is_none());
    }

    #[test]
    fn extremes_do_not_overflow() {
        let rates = ["0.000001", "1G"];
        for rate in rates.map(|rate| rate.parse().unwrap()) {
            for offsets in [[0, 1], [0, u64::MAX], [u64::MAX - 1, u64::MAX]] {
                let offsets: Arc<[Nanos]> = offsets.into_iter().map(Nanos).collect();
                let trace = Trace::new(Nanos(0), rate, &offsets).unwrap();
                let mut lane = trace.lane(1, 2);
                lane.skip(1 << 40);
                assert!(lane.intended() >= trace.intended(1));
                let _ = trace.due_before(Nanos(u64::MAX));
            }
        }
    }
}
