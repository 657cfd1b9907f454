//! Decides from successive seconds whether a run has become stationary.
//!
//! Lancet (Kogias, Mallon, Bugnion, ATC 2019) asks a stationarity test before it believes a latency;
//! this does the same with tests that a few seconds suffice for, and that one wild second does not
//! upset. Looked at are throughput, median and P99 of each second, in logarithms, over the latest half
//! and over the latest three quarters of the seconds so far (at least [`FEWEST`], at most 40). A
//! window is stationary when both hold:
//!
//! 1. **Nothing drifts.** No measure has a trend that is both significant (Mann-Kendall, 5% on either
//!    side) and large enough to matter: more than 5% from the window's beginning to its end, for P99
//!    10%.
//! 2. **A drift would have been seen.** The confidence interval of the median's trend (Theil-Sen) lies
//!    within 3% a second, with fewer than five seconds within 1.5%. Without this noise would pass as
//!    rest; with it a noisy service is looked at for longer.
//!
//! The shorter window forgets the beginning sooner; the longer one sees through more noise.
//!
//! **Error rates**, by simulation, each with 30 s at most (see the tests, which hold it to them). Noise is
//! that of the median from second to second; P99 has four to ten times as much.
//!
//! | noise | ends after (median, 95% of runs) | with a spike each 10 s | a fall of 5% a second passes |
//! |---|---|---|---|
//! | 1% | 4 s, 6 s | 5 s, 9 s | never in 400 |
//! | 3% | 7 s, 10 s | 9 s, 12 s | 1.5% of runs |
//! | 5% | 9 s, 13 s | 11 s, 15 s | 1.5% |
//! | 10% | 13 s, 17 s | 15 s, 19 s | 4.5% |
//!
//! A backlog that grows evenly, as that of an overloaded service, never passes. What decays
//! exponentially with a time constant of 1 s from four times its final value ends after 9 s, of 2 s after 14 s, when
//! less than 1% of the excess is left.
//!
//! Limits: a change that comes once (a JIT's second tier, a compaction after a minute) cannot be
//! foreseen. Where fewer than some hundred requests complete in a second, the median's own noise
//! is large and takes long to see through. Costs some microseconds a second.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::trend::{LONGEST, Trend};

/// With fewer seconds nothing is decided.
pub const FEWEST: u64 = 3;

/// By this much a median or a throughput may change within a window, as a logarithm.
const MATTERS: f64 = 0.05;

/// By this much a P99 may.
const TAIL_MATTERS: f64 = 0.10;

/// A trend of the median of this much a second must be out of the question.
const TREND: f64 = 0.03;

/// With so few seconds, half as much: their confidence interval promises less.
const FEW: usize = 5;

/// Judges a run second by second; knows nothing of who runs it.
///
/// ```
/// use hdrhistogram::Histogram;
/// use tailcut_loadgen::scenario::warmup::Stationarity;
///
/// let mut stationarity = Stationarity::new();
/// let mut second = Histogram::<u64>::new(3)?;
/// second.record_n(1_000, 500)?;
/// assert!(!stationarity.second(500, &second));
/// assert!(!stationarity.second(500, &second));
/// assert!(stationarity.second(500, &second));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stationarity {
    /// The latest seconds in which something completed.
    latest: VecDeque<Second>,
    seconds: u64,
}

/// One second's measures, as logarithms: equal steps are equal ratios.
#[derive(Debug, Clone, Copy)]
struct Second {
    throughput: f64,
    median: f64,
    p99: f64,
}

impl Stationarity {
    /// Nothing seen so far.
    #[must_use]
    pub fn new() -> Stationarity {
        Stationarity::default()
    }

    /// Takes in the next second: how many requests completed in it, and the response times of those
    /// due in it. Whether the run is stationary now; a caller goes on until it is, or has waited
    /// long enough.
    ///
    /// A second without any request is counted, but there is nothing in it to judge.
    pub fn second(&mut self, completed: u64, response: &Histogram<u64>) -> bool {
        let measures = (completed > 0 && !response.is_empty()).then(|| Second {
            throughput: logarithm(completed),
            median: logarithm(response.value_at_quantile(0.5)),
            p99: logarithm(response.value_at_quantile(0.99)),
        });
        self.take_in(measures)
    }

    /// How many seconds were taken in.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    fn take_in(&mut self, measures: Option<Second>) -> bool {
        self.seconds += 1;
        let Some(measures) = measures else {
            return false;
        };
        if self.latest.len() == LONGEST {
            self.latest.pop_front();
        }
        self.latest.push_back(measures);
        let seconds = usize::try_from(self.seconds).unwrap_or(usize::MAX);
        let half = seconds.div_ceil(2);
        let most = seconds.saturating_sub(seconds / 4);
        self.is_stationary(half) || self.is_stationary(most)
    }

    /// Whether the latest `window` seconds are.
    fn is_stationary(&self, window: usize) -> bool {
        let window = window.clamp(FEWEST as usize, LONGEST);
        let Some(first) = self.latest.len().checked_sub(window) else {
            return false;
        };
        let trend = |measure: fn(&Second) -> f64| {
            let values: Vec<f64> = self.latest.iter().skip(first).map(measure).collect();
            Trend::of(&values)
        };
        let (Some(throughput), Some(median), Some(p99)) = (
            trend(|second| second.throughput),
            trend(|second| second.median),
            trend(|second| second.p99),
        ) else {
            return false;
        };
        #[allow(clippy::cast_precision_loss)] // at most LONGEST
        let span = (window - 1) as f64;
        let drifts =
            |trend: Trend, matters| trend.significant && trend.slope.abs() * span > matters;
        let bound = if window < FEW { TREND / 2.0 } else { TREND };
        !drifts(throughput, MATTERS)
            && !drifts(median, MATTERS)
            && !drifts(p99, TAIL_MATTERS)
            && median.least >= -bound
            && median.most <= bound
    }
}

/// Of a count or of nanoseconds; those of zero are one.
#[allow(clippy::cast_precision_loss)] // compared to a percent
fn logarithm(value: u64) -> f64 {
    (value.max(1) as f64).ln()
}

#[cfg(test)]
mod tests;
