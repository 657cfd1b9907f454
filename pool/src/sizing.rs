//! How large a pool or queue must be: from load, from a tolerated share of refusals, or from an
//! observed peak.
//!
//! A pool's capacity is exact and never grows, so somebody has to choose it. Three sources, of
//! which a recommendation takes what it is given:
//!
//! - **Little's law**: on average, rate x holding time objects are in use, whatever the
//!   distributions. ([J. D. C. Little, "A Proof for the Queuing Formula: L = λW", Operations Research
//!   9(3), 1961](https://doi.org/10.1287/opre.9.3.383).) Multiplied by a headroom, it is the usual
//!   rule for queues: mean, half as much again, the next power of two, back-pressure at 75%.
//! - **Erlang's loss formula** (A. K. Erlang, "Solution of some problems in the theory of
//!   probabilities of significance in automatic telephone exchanges", 1917): the share of requests
//!   that find all objects in use. It needs the mean holding time only: it holds for every
//!   distribution of holding times, as long as requests come independently of each other (Poisson)
//!   and a refused one does not come back at once.
//! - **An observed peak**, where there is a running system to look at.
//!
//! # Which matters when
//!
//! Chance matters for **small** loads, headroom for large ones:
//!
//! | mean in use | 1.5 x mean | refused with that | for 1 refusal in a million |
//! |---|---|---|---|
//! | 1 | 2 | 20% | 10 |
//! | 10 | 15 | 3.6% | 29 |
//! | 100 | 150 | 1 in 1.5 million | 149 |
//! | 120,000 | 180,000 | never | 121,303 |
//!
//! No formula knows of **pauses**: while a service stands still for a time S (a slow disk, a
//! collector, a stolen core), nothing is given back, and rate x S more objects are needed. To ride
//! out pauses, give the longest one in addition: `held_for + pause`.
//!
//! # What it costs
//!
//! Microseconds, and for the largest loads some milliseconds: about 20 x sqrt(mean in use) divisions.
//! Meant for start-up.

use std::time::Duration;

mod erlang;

/// The most objects that any pool holds.
const MOST: f64 = (u32::MAX - 1) as f64;

/// How many requests come per second.
///
/// ```
/// # use std::time::Duration;
/// # use tailcut_pool::sizing::Rate;
/// let counted = Rate::counted(1_800_000, Duration::from_secs(3600));
/// assert!(counted < Rate::per_second(501.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate {
    per_second: f64,
}

impl Rate {
    /// So many requests a second. Checked by [`Sizing::recommend`].
    ///
    /// ```
    /// # use tailcut_pool::sizing::{Rate, SizingError, Sizing};
    /// # use std::time::Duration;
    /// const PEAK: Rate = Rate::per_second(2_400.0);
    /// let advice = Sizing::for_load(PEAK, Duration::from_secs(1)).recommend()?;
    /// assert_eq!(advice.in_use, 2400.0);
    /// # Ok::<_, SizingError>(())
    /// ```
    #[must_use]
    pub const fn per_second(requests: f64) -> Self {
        Rate {
            per_second: requests,
        }
    }

    /// The mean rate of `requests` counted within `time`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailcut_pool::sizing::Rate;
    /// let rate = Rate::counted(90_000, Duration::from_secs(60));
    /// assert_eq!(rate, Rate::per_second(1500.0));
    /// ```
    #[must_use]
    pub fn counted(requests: u64, time: Duration) -> Self {
        Rate::per_second(requests as f64 * 1e9 / nanos(time))
    }
}

/// The load that a sizing starts from: see [`Sizing::for_load`].
///
/// ```
/// # use std::time::Duration;
/// # use tailcut_pool::sizing::{Load, Rate, Sizing, SizingError};
/// fn capacity(load: Sizing<Load>) -> Result<usize, SizingError> {
///     Ok(load.refusals_at_most(1e-6).exact().recommend()?.capacity)
/// }
/// let load = Sizing::for_load(Rate::per_second(1000.0), Duration::from_millis(10));
/// assert_eq!(capacity(load)?, 29); // 10 in use on average
/// # Ok::<_, SizingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Load {
    rate: Rate,
    held_for: Duration,
    refusals: Option<f64>,
}

/// The observed peak that a sizing starts from: see [`Sizing::from_peak`].
///
/// ```
/// # use tailcut_pool::sizing::{Peak, Sizing, SizingError};
/// fn capacity(peak: Sizing<Peak>) -> Result<usize, SizingError> {
///     Ok(peak.recommend()?.capacity)
/// }
/// assert_eq!(capacity(Sizing::from_peak(700))?, 2048); // 1050, up to a power of two
/// # Ok::<_, SizingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Peak(u64);

/// Describes what a pool or queue is to bear; [`recommend`](Sizing::recommend) says how large that
/// makes it.
///
/// ```
/// use std::time::Duration;
/// use tailcut_pool::sizing::{Rate, Sizing};
///
/// // 2,400 requests a second, each holding an object for 20 ms.
/// let load = Sizing::for_load(Rate::per_second(2_400.0), Duration::from_millis(20));
/// let advice = load.recommend()?;
/// assert_eq!(advice.in_use, 48.0);
/// assert_eq!(advice.capacity, 128); // 48 x 1.5 = 72, up to a power of two
/// assert_eq!(advice.back_pressure_at, 96);
///
/// // A pool takes any capacity; here at most one request in a million is to be refused.
/// let advice = load.headroom(1.0).refusals_at_most(1e-6).exact().recommend()?;
/// assert_eq!(advice.capacity, 84);
/// # Ok::<_, tailcut_pool::sizing::SizingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a sizing advises nothing until `recommend` is called"]
pub struct Sizing<Origin = Load> {
    from: Origin,
    headroom: f64,
    exact: bool,
}

impl Sizing<Load> {
    /// From load: requests at `rate`, each of which holds an object for `held_for` on average.
    ///
    /// Take the mean of the holding time, not its median: rare long ones hold objects too.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailcut_pool::sizing::{Rate, Sizing};
    /// // Requests take 20 ms, and a pause of 200 ms is to be ridden out.
    /// let held_for = Duration::from_millis(20) + Duration::from_millis(200);
    /// let advice = Sizing::for_load(Rate::per_second(2_400.0), held_for).exact().recommend()?;
    /// assert_eq!((advice.in_use, advice.capacity), (528.0, 792));
    /// # Ok::<_, tailcut_pool::sizing::SizingError>(())
    /// ```
    pub fn for_load(rate: Rate, held_for: Duration) -> Self {
        Sizing::new(Load {
            rate,
            held_for,
            refusals: None,
        })
    }

    /// Also makes the capacity large enough that at most this share of requests is refused, by
    /// Erlang's loss formula: 1e-6 is one in a million.
    ///
    /// The larger of this and mean x headroom counts: set a [headroom](Self::headroom) of 1 to go by
    /// refusals alone. Less than the mean is never recommended.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailcut_pool::sizing::{Rate, Sizing};
    /// let load = Sizing::for_load(Rate::per_second(100.0), Duration::from_millis(10)); // 1 in use
    /// let (usual, rare) = (load.exact(), load.exact().refusals_at_most(1e-6));
    /// assert_eq!((usual.recommend()?.capacity, rare.recommend()?.capacity), (2, 10));
    /// # Ok::<_, tailcut_pool::sizing::SizingError>(())
    /// ```
    pub fn refusals_at_most(mut self, share: f64) -> Self {
        self.from.refusals = Some(share);
        self
    }

    /// The share of requests that a pool of `capacity` objects would refuse under this load, by
    /// Erlang's loss formula.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailcut_pool::sizing::{Rate, Sizing};
    /// let load = Sizing::for_load(Rate::per_second(100.0), Duration::from_millis(10)); // 1 in use
    /// assert_eq!(load.refused_with(1)?, 0.5);
    /// assert_eq!(load.refused_with(2)?, 0.2);
    /// # Ok::<_, tailcut_pool::sizing::SizingError>(())
    /// ```
    ///
    /// # Errors
    /// [`SizingError`] if the load is not a number to reckon with.
    pub fn refused_with(&self, capacity: u32) -> Result<f64, SizingError> {
        Ok(erlang::refused(self.from.mean()?, capacity))
    }
}

impl Sizing<Peak> {
    /// From the most objects that were seen in use at once.
    ///
    /// ```
    /// # use tailcut_pool::sizing::Sizing;
    /// let advice = Sizing::from_peak(700).headroom(1.2).exact().recommend()?;
    /// assert_eq!(advice.capacity, 840);
    /// # Ok::<_, tailcut_pool::sizing::SizingError>(())
    /// ```
    pub fn from_peak(peak_in_use: u64) -> Self {
        Sizing::new(Peak(peak_in_use))
    }
}

impl<Origin> Sizing<Origin> {
    fn new(from: Origin) -> Self {
        Sizing {
            from,
            headroom: 1.5,
            exact: false,
        }
    }

    /// How many times the mean (or the peak) there is to be room for: 1.5 until told otherwise.
    ///
    /// ```
    /// # use tailcut_pool::sizing::Sizing;
    /// let advice = Sizing::from_peak(100).headroom(3.0).exact().recommend()?;
    /// assert_eq!(advice.capacity, 300);
    /// assert!(Sizing::from_peak(100).headroom(0.5).recommend().is_err());
    /// # Ok::<_, tailcut_pool::sizing::SizingError>(())
    /// ```
    pub fn headroom(mut self, factor: f64) -> Self {
        self.headroom = factor;
        self
    }

    /// Leaves out the rounding up to a power of two, which rings need and [`Pool`](crate::Pool)
    /// does not.
    ///
    /// ```
    /// # use tailcut_pool::sizing::Sizing;
    /// let peak = Sizing::from_peak(100);
    /// assert_eq!((peak.recommend()?.capacity, peak.exact().recommend()?.capacity), (256, 150));
    /// # Ok::<_, tailcut_pool::sizing::SizingError>(())
    /// ```
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }
}

impl<Origin: Basis> Sizing<Origin> {
    /// The recommended capacity, and when to push back.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// # use tailcut_pool::sizing::Sizing;
    /// let advice = Sizing::from_peak(700).exact().recommend()?;
    /// let pool = Pool::builder(|| [0_u8; 100]).keep_as_is().capacity(advice.capacity).build()?;
    /// assert_eq!(pool.capacity(), 1050);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SizingError`], naming the value that makes no sense or leads beyond what a pool can hold.
    pub fn recommend(&self) -> Result<Recommendation, SizingError> {
        let headroom = self.headroom;
        if !(headroom >= 1.0 && headroom.is_finite()) {
            return Err(SizingError::Headroom(headroom));
        }
        let in_use = self.from.in_use()?;
        let with_headroom = (in_use.ceil() * headroom).ceil();
        let needed = with_headroom.max(self.from.needed(in_use)?).max(1.0);
        // A power of two below 2^32 is at most 2^31: checked before it is computed.
        let most = if self.exact { MOST } else { 2_f64.powi(31) };
        if needed > most {
            return Err(SizingError::TooLarge { needed, most });
        }
        let needed = needed as usize;
        let capacity = if self.exact {
            needed
        } else {
            needed.next_power_of_two()
        };
        Ok(Recommendation {
            in_use,
            capacity,
            back_pressure_at: capacity - capacity / 4,
        })
    }
}

/// What a sizing starts from: [`Load`] or [`Peak`].
///
/// ```
/// # use tailcut_pool::sizing::{Basis, Sizing, SizingError};
/// fn megabytes<B: Basis>(sizing: &Sizing<B>, object_bytes: usize) -> Result<u128, SizingError> {
///     Ok(sizing.recommend()?.bytes(object_bytes) >> 20)
/// }
/// assert_eq!(megabytes(&Sizing::from_peak(10_000), 4096)?, 64);
/// # Ok::<_, SizingError>(())
/// ```
pub trait Basis: sealed::Basis {}
impl<B: sealed::Basis> Basis for B {}

mod sealed {
    use super::SizingError;

    pub trait Basis {
        /// The mean, or the peak.
        fn in_use(&self) -> Result<f64, SizingError>;
        /// The least capacity that is asked for besides the headroom; 0 if none is.
        fn needed(&self, in_use: f64) -> Result<f64, SizingError>;
    }
}

impl Load {
    /// Little's law, in nanoseconds: 2.4 million a second for 50 ms are then exactly 120,000, where
    /// 0.05 s has no exact binary form.
    fn mean(&self) -> Result<f64, SizingError> {
        let Rate { per_second } = self.rate;
        if !(per_second >= 0.0 && per_second.is_finite()) {
            return Err(SizingError::Rate(per_second));
        }
        let mean = per_second * nanos(self.held_for) / 1e9;
        if mean > MOST {
            return Err(SizingError::TooLarge {
                needed: mean,
                most: MOST,
            });
        }
        Ok(mean)
    }
}

impl sealed::Basis for Load {
    fn in_use(&self) -> Result<f64, SizingError> {
        self.mean()
    }

    fn needed(&self, in_use: f64) -> Result<f64, SizingError> {
        match self.refusals {
            None => Ok(0.0),
            Some(share) if share > 0.0 && share < 1.0 => Ok(erlang::capacity(in_use, share) as f64),
            Some(share) => Err(SizingError::Refusals(share)),
        }
    }
}

impl sealed::Basis for Peak {
    fn in_use(&self) -> Result<f64, SizingError> {
        Ok(self.0 as f64)
    }

    fn needed(&self, _in_use: f64) -> Result<f64, SizingError> {
        Ok(0.0)
    }
}

fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// How large to make a pool or queue, and when to push back.
///
/// ```
/// # use tailcut_pool::Pool;
/// # use tailcut_pool::sizing::Sizing;
/// let advice = Sizing::from_peak(700).recommend()?;
/// println!("{} objects; refuse work from {} on", advice.capacity, advice.back_pressure_at);
/// let pool = Pool::builder(|| 0_u64).capacity(advice.capacity).build()?;
/// assert!(!advice.back_pressure(pool.statistics().in_use));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Recommendation {
    /// Objects in use that this starts from: the mean by Little's law, or the observed peak.
    pub in_use: f64,
    /// How many objects to make room for; at least 1. For [`Builder::capacity`](crate::Builder::capacity).
    pub capacity: usize,
    /// With so many objects in use, new work should be turned away upstream (HTTP 429, say): 75% of
    /// the capacity, rounded up.
    ///
    /// A capacity below 4/3 of the mean would push back all the time.
    pub back_pressure_at: usize,
}

impl Recommendation {
    /// Whether new work should be turned away, with `in_use` objects in use.
    ///
    /// ```
    /// # use tailcut_pool::sizing::Sizing;
    /// let advice = Sizing::from_peak(80).recommend()?; // 128
    /// assert!(!advice.back_pressure(95));
    /// assert!(advice.back_pressure(96));
    /// # Ok::<_, tailcut_pool::sizing::SizingError>(())
    /// ```
    #[must_use]
    pub fn back_pressure(&self, in_use: usize) -> bool {
        in_use >= self.back_pressure_at
    }

    /// The memory of so many objects of `object_bytes` bytes (`size_of`), each padded to whole
    /// cache lines of 64 bytes as a pool does. What the objects own on the heap comes on top.
    ///
    /// Of 128 bits, so that it cannot overflow.
    ///
    /// ```
    /// # use tailcut_pool::sizing::Sizing;
    /// let advice = Sizing::from_peak(1000).exact().headroom(1.0).recommend()?;
    /// assert_eq!(advice.bytes(100), 128_000);
    /// # Ok::<_, tailcut_pool::sizing::SizingError>(())
    /// ```
    #[must_use]
    pub fn bytes(&self, object_bytes: usize) -> u128 {
        self.capacity as u128 * (object_bytes.max(1) as u128).next_multiple_of(LINE)
    }
}

const LINE: u128 = 64;

/// Why no capacity can be recommended.
///
/// ```
/// # use std::time::Duration;
/// # use tailcut_pool::sizing::{Rate, Sizing, SizingError};
/// let load = Sizing::for_load(Rate::per_second(-1.0), Duration::from_millis(10));
/// assert_eq!(load.recommend().unwrap_err(), SizingError::Rate(-1.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SizingError {
    /// The rate is negative, infinite or not a number.
    #[error("a rate of {0} requests per second makes no load: give a finite number of at least 0")]
    Rate(f64),
    /// The headroom is below 1, infinite or not a number.
    #[error("a headroom of {0} is none: give a finite factor of at least 1 (1.5 is usual)")]
    Headroom(f64),
    /// The share of refusals is not between 0 and 1.
    #[error(
        "a share of refusals of {0} cannot be had: give one above 0 and below 1 (1e-6 is one in a million)"
    )]
    Refusals(f64),
    /// More objects would be needed than a pool can hold.
    #[error(
        "{needed} objects are needed, and at most {most} can be had: check the units of rate and holding time"
    )]
    TooLarge {
        /// How many objects would be needed.
        needed: f64,
        /// How many a capacity of this kind can have.
        most: f64,
    },
}
