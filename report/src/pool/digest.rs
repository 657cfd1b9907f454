//! One run's samples of pools, by measured second.
//!
//! A sample speaks for the time since the one before it, and so belongs to the second in which the middle of that
//! time lies. Counters that go back, as when a pool was replaced by another of its name, begin anew.

use crate::digest::Second;
use crate::recording::{PoolSample, PoolSizing};
use crate::text;

/// Pools of a run at most; samples of others are counted.
const MOST_POOLS: usize = 8;

/// What a report knows of the pools of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PoolDigest {
    /// In the order of their first sample.
    pub(crate) pools: Vec<OnePool>,
    /// Samples of pools beyond those.
    pub(crate) left_out: u64,
    /// What the recorder recommends; it knows one pool only.
    pub(crate) sizing: Option<PoolSizing>,
}

/// One pool in one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OnePool {
    pub(crate) name: String,
    /// One for each measured second; `None` where there was no sample.
    pub(crate) seconds: Vec<Option<PoolSecond>>,
    /// Over all samples.
    pub(crate) whole: PoolSecond,
    /// Time between samples, in nanoseconds.
    pub(crate) span_ns: u64,
    pub(crate) capacity: u64,
    pub(crate) high_water: u64,
    pub(crate) waiting_max: u64,
    last: PoolSample,
}

/// What a pool did in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PoolSecond {
    /// Sum over the looks, for the mean.
    in_use_sum: f64,
    looks: u64,
    pub(crate) in_use_max: u64,
    pub(crate) gets: u64,
    pub(crate) puts: u64,
    pub(crate) refills: u64,
    pub(crate) spills: u64,
    pub(crate) steals: u64,
    pub(crate) misses: u64,
    pub(crate) waits: u64,
    pub(crate) grown: u64,
    pub(crate) shrunk: u64,
    pub(crate) discarded: u64,
}

impl PoolSecond {
    /// Mean number in use.
    pub(crate) fn in_use_mean(&self) -> f64 {
        self.in_use_sum / self.looks.max(1) as f64
    }

    fn between(before: &PoolSample, after: &PoolSample) -> PoolSecond {
        let difference = |of: fn(&PoolSample) -> u64| of(after).saturating_sub(of(before));
        let mean = if after.in_use_mean.is_finite() {
            after.in_use_mean.max(0.0)
        } else {
            after.in_use as f64
        };
        PoolSecond {
            in_use_sum: mean * after.looks.max(1) as f64,
            looks: after.looks.max(1),
            in_use_max: after.in_use_max.max(after.in_use),
            gets: difference(|sample| sample.gets),
            puts: difference(|sample| sample.puts),
            refills: difference(|sample| sample.refills),
            spills: difference(|sample| sample.spills),
            steals: difference(|sample| sample.steals),
            misses: difference(|sample| sample.misses),
            waits: difference(|sample| sample.waits),
            grown: difference(|sample| sample.grown),
            shrunk: difference(|sample| sample.shrunk),
            discarded: difference(|sample| sample.discarded),
        }
    }

    /// Adds what it did in another time.
    pub(crate) fn add(&mut self, more: &PoolSecond) {
        self.in_use_sum += more.in_use_sum;
        self.looks = self.looks.saturating_add(more.looks);
        self.in_use_max = self.in_use_max.max(more.in_use_max);
        let sums = [
            (&mut self.gets, more.gets),
            (&mut self.puts, more.puts),
            (&mut self.refills, more.refills),
            (&mut self.spills, more.spills),
            (&mut self.steals, more.steals),
            (&mut self.misses, more.misses),
            (&mut self.waits, more.waits),
            (&mut self.grown, more.grown),
            (&mut self.shrunk, more.shrunk),
            (&mut self.discarded, more.discarded),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }
}

impl PoolDigest {
    /// Takes all samples of a run in the order of time; `None` when there was none.
    pub(crate) fn of<E>(
        samples: impl Iterator<Item = Result<PoolSample, E>>,
        seconds: &[Second],
        sizing: Option<PoolSizing>,
    ) -> Result<Option<PoolDigest>, E> {
        let mut digest = PoolDigest {
            sizing,
            ..PoolDigest::default()
        };
        for sample in samples {
            digest.sample(sample?, seconds);
        }
        Ok((!digest.pools.is_empty()).then_some(digest))
    }

    fn sample(&mut self, sample: PoolSample, seconds: &[Second]) {
        let name = text::name(&sample.pool);
        let known = self.pools.iter().position(|pool| pool.name == name);
        let Some(place) = known else {
            if self.pools.len() == MOST_POOLS {
                self.left_out += 1;
                return;
            }
            self.pools.push(OnePool {
                name,
                seconds: vec![None; seconds.len()],
                capacity: sample.capacity,
                high_water: sample.high_water,
                waiting_max: sample.waiting,
                last: sample,
                ..OnePool::default()
            });
            return;
        };
        let pool = &mut self.pools[place];
        pool.capacity = sample.capacity;
        pool.high_water = pool.high_water.max(sample.high_water);
        pool.waiting_max = pool.waiting_max.max(sample.waiting);
        let before = std::mem::replace(&mut pool.last, sample);
        let after = &pool.last;
        if before.at_ns >= after.at_ns || after.gets < before.gets {
            return;
        }
        let done = PoolSecond::between(&before, after);
        pool.whole.add(&done);
        pool.span_ns = pool.span_ns.saturating_add(after.at_ns - before.at_ns);
        let middle = before.at_ns + (after.at_ns - before.at_ns) / 2;
        let place = seconds.partition_point(|second| second.start_ns <= middle);
        let Some(place) = place.checked_sub(1) else {
            return;
        };
        let second = &seconds[place];
        if middle - second.start_ns < second.length_ns {
            pool.seconds[place].get_or_insert_default().add(&done);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn seconds(number: u64) -> Vec<Second> {
        (0..number)
            .map(|index| Second {
                start_ns: (10 + index) * SECOND,
                length_ns: SECOND,
                requests: 1,
                p50_ns: 1,
                p99_ns: 1,
                p999_ns: 1,
                max_ns: 1,
                heat: Vec::new(),
            })
            .collect()
    }

    fn at(millis: u64, gets: u64, in_use: u64) -> PoolSample {
        PoolSample {
            at_ns: 10 * SECOND + millis * 1_000_000,
            capacity: 100,
            gets,
            in_use,
            in_use_mean: in_use as f64 / 2.0,
            in_use_max: in_use,
            looks: 200,
            ..PoolSample::default()
        }
    }

    fn digest(samples: Vec<PoolSample>) -> Option<PoolDigest> {
        let samples = samples.into_iter().map(Ok::<_, Infallible>);
        let Ok(digest) = PoolDigest::of(samples, &seconds(3), None);
        digest
    }

    #[test]
    fn what_lies_between_two_samples_is_of_the_second_in_which_most_of_it_lies() {
        let found = digest(vec![at(0, 5, 1), at(1_003, 105, 40), at(2_006, 305, 60)])
            .expect("there are samples");
        let pool = &found.pools[0];
        let gets: Vec<_> = pool
            .seconds
            .iter()
            .map(|second| second.map(|second| second.gets))
            .collect();
        assert_eq!(gets, [Some(100), Some(200), None]);
        assert_eq!((pool.whole.gets, pool.whole.in_use_max), (300, 60));
        assert!((pool.whole.in_use_mean() - 25.0).abs() < 1e-9);
        assert_eq!(pool.span_ns, 2_006_000_000);
    }

    #[test]
    fn a_pool_that_was_replaced_begins_anew_and_a_clock_that_goes_back_counts_nothing() {
        let found = digest(vec![at(0, 900, 1), at(1_000, 10, 1), at(500, 90, 1)])
            .expect("there are samples");
        assert_eq!((found.pools[0].whole.gets, found.pools[0].span_ns), (0, 0));
    }

    #[test]
    fn more_pools_than_a_page_shows_are_counted_and_absurd_figures_do_not_overflow() {
        let absurd = |at_ns: u64| PoolSample {
            at_ns,
            gets: at_ns,
            in_use_mean: f64::NAN,
            looks: u64::MAX,
            in_use: u64::MAX,
            ..PoolSample::default()
        };
        let mut samples = vec![absurd(0), absurd(u64::MAX)];
        samples.extend((0..20).map(|number| PoolSample {
            pool: format!("pool {number}"),
            ..PoolSample::default()
        }));
        let found = digest(samples).expect("there are samples");
        assert_eq!((found.pools.len(), found.left_out), (MOST_POOLS, 13));
        assert!(found.pools[0].whole.in_use_mean().is_finite());
        assert_eq!(digest(Vec::new()), None);
    }
}
