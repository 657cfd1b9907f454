//! What a series counted in one interval, or in all of them since the start.
//!
//! Percentiles are those of merged histograms. Rates are scaled by the share of time in which the
//! series was attached, percentiles and maxima are as they were seen. Figures are computed once for
//! each interval, not for each drawing: a percentile walks a histogram.

use hdrhistogram::Histogram;

use crate::tick::SeriesTick;

/// Counts and values over some time.
#[derive(Debug, Clone)]
pub(crate) struct Period {
    histogram: Histogram<u64>,
    total: u64,
    bytes: u64,
    /// Time that it spans, in nanoseconds.
    length_ns: f64,
    /// The part of it in which the series was attached.
    observed_ns: f64,
    figures: Figures,
}

/// Figures of a [`Period`]; rates are `None` while the series was not attached.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    /// Events seen.
    pub(crate) count: u64,
    /// Events per second, estimated for the whole time.
    pub(crate) rate: Option<f64>,
    /// Sum of their values per second, likewise.
    pub(crate) sum_per_second: Option<f64>,
    /// Bytes that belonged to them per second, likewise.
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    /// Share of the time in which the series was attached.
    pub(crate) seen: f64,
}

impl Period {
    /// One interval of `length_ns` nanoseconds.
    pub(crate) fn of(tick: &SeriesTick, length_ns: u64) -> Period {
        let mut histogram = tick.histogram.clone();
        // Later intervals may hold longer values than this one has room for.
        histogram.auto(true);
        let length_ns = length_ns as f64;
        let mut period = Period {
            histogram,
            total: tick.total,
            bytes: tick.bytes,
            length_ns,
            observed_ns: length_ns * tick.sampled,
            figures: Figures::default(),
        };
        period.figures = period.compute();
        period
    }

    /// Joins one more interval.
    pub(crate) fn add(&mut self, tick: &SeriesTick, length_ns: u64) {
        // Cannot fail: the histogram grows as needed.
        let _ = self.histogram.add(&tick.histogram);
        self.total = self.total.saturating_add(tick.total);
        self.bytes = self.bytes.saturating_add(tick.bytes);
        self.length_ns += length_ns as f64;
        self.observed_ns += length_ns as f64 * tick.sampled;
        self.figures = self.compute();
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    fn compute(&self) -> Figures {
        let seconds = self.observed_ns * 1e-9;
        let per_second = |amount: u64| (seconds > 0.0).then(|| amount as f64 / seconds);
        let quantile = |quantile: f64| self.histogram.value_at_quantile(quantile);
        Figures {
            count: self.histogram.len(),
            rate: per_second(self.histogram.len()),
            sum_per_second: per_second(self.total),
            bytes_per_second: per_second(self.bytes),
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: self.histogram.max(),
            seen: if self.length_ns > 0.0 {
                (self.observed_ns / self.length_ns).clamp(0.0, 1.0)
            } else {
                0.0
            },
        }
    }
}
