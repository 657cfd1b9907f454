//! The rows and columns of a latency heat map.
//!
//! Rows divide latency evenly on a log scale, ten to a decade (26% wide), from 10 ns to 100 s.
//! Columns are seconds; a long run's are joined, whatever the page then zooms to, so that a map stays within [`MAX_COLUMNS`].

use std::sync::LazyLock;

use hdrhistogram::Histogram;

use crate::digest::RunDigest;

/// Rows to a power of ten.
pub(crate) const ROWS_PER_DECADE: u32 = 10;
/// log10 of the lowest row's lower edge, in nanoseconds.
pub(crate) const LOWEST_DECADE: u32 = 1;
/// All rows, up to 100 s.
pub(crate) const ROWS: u32 = 10 * ROWS_PER_DECADE;
/// Columns of one map at most: an hour in columns of three seconds, so that there is something to see
/// when one zooms in.
const MAX_COLUMNS: usize = 1_200;

/// How many values of a histogram fall into each row; rows without any are left out.
pub(crate) fn rows(histogram: &Histogram<u64>) -> Vec<(u8, u64)> {
    let mut rows: Vec<(u8, u64)> = Vec::new();
    let mut row = 0;
    for value in histogram.iter_recorded() {
        let ns = histogram.median_equivalent(value.value_iterated_to());
        // A logarithm for each of thousands of values a second would be a tenth of a report's time.
        while ENDS.get(usize::from(row)).is_some_and(|end| ns >= *end) {
            row += 1;
        }
        match rows.last_mut() {
            // Values come in ascending order.
            Some((last, count)) if *last == row => *count += value.count_at_value(),
            _ => rows.push((row, value.count_at_value())),
        }
    }
    rows
}

/// The first value beyond each row but the last, which has no end.
static ENDS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let end = |of: u8| {
        let (mut inside, mut beyond) = (0, u64::MAX);
        while inside + 1 < beyond {
            let middle = inside.midpoint(beyond);
            match row(middle) > of {
                true => beyond = middle,
                false => inside = middle,
            }
        }
        beyond
    };
    (0..ROWS as u8 - 1).map(end).collect()
});

/// The row of a latency; what lies beyond the map counts in its outermost rows.
fn row(ns: u64) -> u8 {
    let decades = (ns.max(1) as f64).log10() - f64::from(LOWEST_DECADE);
    (decades * f64::from(ROWS_PER_DECADE)).clamp(0.0, f64::from(ROWS - 1)) as u8
}

/// The heat map of one variant: its runs, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct HeatMap {
    /// Seconds joined in one column.
    pub(crate) seconds_per_column: usize,
    /// First column of each run.
    pub(crate) run_starts: Vec<usize>,
    /// Requests by column, then by row.
    pub(crate) columns: Vec<[u64; ROWS as usize]>,
}

impl HeatMap {
    pub(crate) fn of<'a>(runs: impl Iterator<Item = &'a RunDigest> + Clone) -> HeatMap {
        let seconds: usize = runs.clone().map(|run| run.seconds.len()).sum();
        let seconds_per_column = seconds.div_ceil(MAX_COLUMNS).max(1);
        let mut columns = Vec::new();
        let mut run_starts = Vec::new();
        for run in runs {
            run_starts.push(columns.len());
            for joined in run.seconds.chunks(seconds_per_column) {
                let mut column = [0u64; ROWS as usize];
                for (row, count) in joined.iter().flat_map(|second| &second.heat) {
                    column[usize::from(*row)] += count;
                }
                columns.push(column);
            }
        }
        HeatMap {
            seconds_per_column,
            run_starts,
            columns,
        }
    }

    /// The fullest cell.
    pub(crate) fn most(&self) -> u64 {
        self.columns.iter().flatten().copied().max().unwrap_or(0)
    }

    /// The lowest and the highest row that hold anything.
    pub(crate) fn span(&self) -> Option<(usize, usize)> {
        let used = |row: &usize| self.columns.iter().any(|column| column[*row] > 0);
        let lowest = (0..ROWS as usize).find(used)?;
        let highest = (0..ROWS as usize).rfind(used)?;
        Some((lowest, highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_divide_a_decade_in_ten_and_take_in_what_lies_beyond() {
        assert_eq!(row(0), 0);
        assert_eq!(row(10), 0);
        assert_eq!(row(126), 11);
        assert_eq!(row(1_001), 20);
        assert_eq!(row(1_000_100), 50);
        assert_eq!(row(u64::MAX), 99);
    }

    #[test]
    fn a_row_ends_where_the_next_begins() {
        for (of, end) in ENDS.iter().enumerate() {
            assert_eq!(usize::from(row(end - 1)), of);
            assert_eq!(usize::from(row(*end)), of + 1);
        }
    }

    #[test]
    fn every_value_is_in_exactly_one_row() {
        let mut histogram =
            Histogram::<u64>::new_with_bounds(1, 100_000_000_000, 3).expect("the bounds are valid");
        for value in [1, 90, 100, 5_000, 5_001, 1_000_000, 99_000_000_000] {
            histogram.saturating_record(value);
        }
        let rows = rows(&histogram);
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>(), 7);
        assert!(rows.is_sorted());
    }
}
