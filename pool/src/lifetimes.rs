//! How long objects are in use: measured on a sample, told by probes and by a histogram.
//!
//! A get takes a nanosecond, so a clock cannot be read in each. A pool that was built for it reads
//! the clock at one get in so many, and at the put of the object that this get took.
//!
//! **Cost**: every get and put of such a pool goes out of line, past this; a sampled one reads the
//! clock. Nothing in any other pool.

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use crate::counter::Counter;
use crate::probes;
use crate::slab::Place;

/// One bucket per power of two of nanoseconds: the last holds all from 2^39 (nine minutes) on.
const BUCKETS: usize = 40;

/// The sample of one pool.
#[derive(Debug)]
pub(crate) struct Sampler {
    one_in: u64,
    gets: Counter,
    start: Instant,
    place: Place,
    /// By object: when it was taken, in nanoseconds since `start` and not 0, if it is sampled.
    taken: Box<[Counter]>,
    buckets: [Counter; BUCKETS],
}

impl Sampler {
    pub(crate) fn new(one_in: u32, place: Place, slots: usize) -> Self {
        Sampler {
            one_in: u64::from(one_in.max(1)),
            gets: Counter::default(),
            start: Instant::now(),
            place,
            taken: (0..slots).map(|_| Counter::default()).collect(),
            buckets: std::array::from_fn(|_| Counter::default()),
        }
    }

    fn taken_at(&self, object: NonNull<u8>) -> &Counter {
        let slot = self.place.slot(object);
        &self.taken[self.place.spacing().index(slot) as usize]
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64 | 1
    }

    /// An object was taken.
    pub(crate) fn taken(&self, pool: usize, object: NonNull<u8>) {
        if self.gets.count().is_multiple_of(self.one_in) {
            self.taken_at(object).replace(self.now());
            probes::get(pool, object.as_ptr().addr());
        }
    }

    /// An object comes back.
    pub(crate) fn given_back(&self, pool: usize, object: NonNull<u8>) {
        let taken_at = self.taken_at(object);
        if taken_at.read() != 0 {
            let nanoseconds = self.now().saturating_sub(taken_at.replace(0));
            self.buckets[bucket(nanoseconds)].add_one();
            probes::put(pool, object.as_ptr().addr(), nanoseconds);
        }
    }

    pub(crate) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            one_in: self.one_in as u32,
            counts: std::array::from_fn(|index| self.buckets[index].read()),
        }
    }
}

fn bucket(nanoseconds: u64) -> usize {
    (nanoseconds.max(1).ilog2() as usize).min(BUCKETS - 1)
}

/// How long sampled objects were in use, from [`Pool::lifetimes`](crate::Pool::lifetimes).
///
/// ```
/// # use std::time::Duration;
/// # use tailcut_pool::Pool;
/// let pool = Pool::builder(|| 0_u64).capacity(16).sample_lifetimes(1).build()?;
/// let held = pool.try_get()?;
/// std::thread::sleep(Duration::from_millis(2));
/// drop(held);
/// let lifetimes = pool.lifetimes().unwrap();
/// assert_eq!(lifetimes.counts[20..].iter().sum::<u64>(), 1); // one of 2^20 ns or more
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifetimes {
    /// One get in so many was sampled.
    pub one_in: u32,
    /// How many sampled objects were in use for at least 2^i and less than 2^(i+1) nanoseconds;
    /// the last one counts all longer ones, too.
    pub counts: [u64; BUCKETS],
}

impl Lifetimes {
    /// How many objects have been sampled and given back.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(16).sample_lifetimes(10).build()?;
    /// for _ in 0..1000 {
    ///     drop(pool.try_get()?);
    /// }
    /// assert_eq!(pool.lifetimes().unwrap().samples(), 100);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// A time that at least this share of the samples (0 to 1) did not exceed: the end of the bucket
    /// that holds it, so up to twice too long. `None` without samples.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(16).sample_lifetimes(1).build()?;
    /// assert_eq!(pool.lifetimes().unwrap().quantile(0.5), None);
    /// let held = pool.try_get()?;
    /// std::thread::sleep(Duration::from_millis(2));
    /// drop(held);
    /// assert!(pool.lifetimes().unwrap().quantile(0.5) >= Some(Duration::from_millis(2)));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (share.clamp(0.0, 1.0) * self.samples() as f64).ceil() as u64;
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += count;
            if count > 0 && seen >= wanted {
                return Some(Duration::from_nanos((2_u64 << index) - 1));
            }
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_end_of_its_bucket() {
        let mut counts = [0; BUCKETS];
        (counts[3], counts[10]) = (90, 10); // 8 to 15 ns, 1024 to 2047 ns
        let lifetimes = Lifetimes { one_in: 1, counts };
        let nanoseconds = |share| lifetimes.quantile(share).unwrap().as_nanos();
        assert_eq!([0.0, 0.5, 0.9].map(nanoseconds), [15; 3]);
        assert_eq!([0.91, 1.0].map(nanoseconds), [2047; 2]);
        let none = Lifetimes {
            one_in: 1,
            counts: [0; BUCKETS],
        };
        assert_eq!(none.quantile(0.5), None);
        assert_eq!(
            [0, 1, 2, 3, u64::MAX].map(bucket),
            [0, 0, 1, 1, BUCKETS - 1]
        );
    }
}
