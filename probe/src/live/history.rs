//! The last ten minutes of a series: what sparklines and the heat map are drawn from.
//!
//! A second keeps its rate, its P99 and how many values fell into each row of a log scale (twelve
//! rows to a decade, 21% wide). Rows are stored sparsely: ten minutes of one busy series take about
//! 100 kB, of an idle one 40 kB.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use crate::tick::SeriesTick;

/// Intervals kept, of about a second.
pub(crate) const LENGTH: usize = 600;
/// Rows to a power of ten.
pub(crate) const ROWS_PER_DECADE: u32 = 12;
/// All rows: from 1 to 10^12, that is from 1 ns to 1000 s.
pub(crate) const ROWS: u8 = 12 * ROWS_PER_DECADE as u8;

/// Intervals of one series, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    moments: VecDeque<Moment>,
}

/// One interval.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moment {
    /// Events per second, if the series was attached.
    pub(crate) rate: Option<f64>,
    /// P99 of its values, 0 if there was none.
    pub(crate) p99: u64,
    /// Numbers of values by row, ascending; rows without any are left out.
    pub(crate) rows: Vec<(u8, u64)>,
}

impl History {
    /// Adds an interval; the oldest goes.
    pub(crate) fn push(&mut self, tick: Option<&SeriesTick>, length_ns: u64) {
        if self.moments.len() == LENGTH {
            self.moments.pop_front();
        }
        self.moments.push_back(match tick {
            Some(tick) => Moment {
                rate: tick.rate(length_ns),
                p99: tick.histogram.value_at_quantile(0.99),
                rows: rows(&tick.histogram),
            },
            None => Moment::default(),
        });
    }

    /// The last `count` intervals, oldest first; fewer if there are not that many.
    pub(crate) fn last(&self, count: usize) -> impl ExactSizeIterator<Item = &Moment> {
        self.moments
            .range(self.moments.len().saturating_sub(count)..)
    }
}

/// The lower edge of a row, in the series' unit.
pub(crate) fn lower_edge(row: u32) -> f64 {
    10f64.powf(f64::from(row) / f64::from(ROWS_PER_DECADE))
}

/// The row of a value; what lies beyond the scale counts in its outermost rows.
pub(crate) fn row(value: u64) -> u8 {
    let row = (value.max(1) as f64).log10() * f64::from(ROWS_PER_DECADE);
    row.clamp(0.0, f64::from(ROWS - 1)) as u8
}

fn rows(histogram: &Histogram<u64>) -> Vec<(u8, u64)> {
    let mut rows: Vec<(u8, u64)> = Vec::new();
    for value in histogram.iter_recorded() {
        let row = row(histogram.median_equivalent(value.value_iterated_to()));
        match rows.last_mut() {
            // Values come in ascending order.
            Some((last, count)) if *last == row => *count += value.count_at_value(),
            _ => rows.push((row, value.count_at_value())),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_falls_into_the_row_whose_edges_enclose_it() {
        for value in [1, 2, 999, 1001, 84_000, 10_000_001, u64::MAX] {
            let row = u32::from(row(value));
            assert!(
                lower_edge(row) <= value as f64 * 1.000001,
                "{value} in {row}"
            );
            assert!(
                value as f64 <= lower_edge(row + 1) || row == u32::from(ROWS) - 1,
                "{value} in {row}"
            );
        }
    }

    #[test]
    fn rows_keep_the_number_of_values() {
        let mut histogram = Histogram::<u64>::new(2).unwrap();
        for value in 0..10_000 {
            histogram.record(value * value).unwrap();
        }
        let rows = rows(&histogram);
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>(), 10_000);
        assert!(rows.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let mut history = History::default();
        for _ in 0..LENGTH + 10 {
            history.push(None, 1_000_000_000);
        }
        assert_eq!(history.last(usize::MAX).len(), LENGTH);
        assert_eq!(history.last(60).len(), 60);
    }
}
