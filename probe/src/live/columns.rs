//! The columns of the table of series: their cells, their order, and how rows are sorted by them.
//!
//! The screen and the plain table share them.

use std::cmp::Ordering;

use super::figures;
use super::model::{Row, Span};
use super::period::Figures;
use crate::catalogue::Unit;

/// A column of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Column {
    Name,
    Rate,
    /// Sum of the values per second: what the series costs in all.
    #[default]
    Sum,
    P50,
    P99,
    P999,
    Max,
    Seen,
}

impl Column {
    /// In the order of the table.
    pub(crate) const ALL: [Column; 8] = [
        Column::Name,
        Column::Rate,
        Column::Sum,
        Column::P50,
        Column::P99,
        Column::P999,
        Column::Max,
        Column::Seen,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Column::Name => "series",
            Column::Rate => "per s",
            Column::Sum => "sum/s",
            Column::P50 => "P50",
            Column::P99 => "P99",
            Column::P999 => "P99.9",
            Column::Max => "max",
            Column::Seen => "seen",
        }
    }

    /// Columns of the terminal that its figures need.
    pub(crate) fn width(self) -> usize {
        match self {
            Column::Name => 16,
            Column::Rate => 6,
            Column::Seen => 7,
            _ => 8,
        }
    }

    /// The column by which the key for it sorts next.
    pub(crate) fn next(self) -> Column {
        let place = Column::ALL.iter().position(|column| *column == self);
        Column::ALL[(place.unwrap_or(0) + 1) % Column::ALL.len()]
    }

    /// What stands in a row, not yet made harmless.
    pub(crate) fn cell(self, row: &Row, span: Span) -> String {
        let figures = row.figures(span);
        let unit = row.series.unit;
        let value = |value: u64| match figures.count {
            0 => figures::NOTHING.to_owned(),
            _ => figures::value(value, unit, row.floor_ns),
        };
        match self {
            Column::Name => row.name.clone(),
            Column::Rate => figures::rate(figures.rate),
            Column::Sum => sum(figures, row),
            Column::P50 => value(figures.p50),
            Column::P99 => value(figures.p99),
            Column::P999 => value(figures.p999),
            Column::Max => value(figures.max),
            Column::Seen => match row.age {
                // The figures are those of an earlier window: say of when.
                age if age > 0 && span == Span::LastSecond => format!("{age}s ago"),
                _ => figures::seen(figures.seen),
            },
        }
    }

    /// Rows with the largest figure first, those without any last; names ascend. Pauses stand
    /// before what stops nobody, or `sleep` would always lead.
    pub(crate) fn compare(self, a: &Row, b: &Row, span: Span) -> Ordering {
        let (of_a, of_b) = (a.figures(span), b.figures(span));
        let descending = |figure: fn(&Figures) -> f64| figure(of_b).total_cmp(&figure(of_a));
        let by_figure = match self {
            Column::Name => return a.name.cmp(&b.name),
            Column::Rate => descending(|figures| figures.rate.unwrap_or(-1.0)),
            Column::Sum => known_sum(of_b, b).total_cmp(&known_sum(of_a, a)),
            Column::P50 => descending(|figures| figures.p50 as f64),
            Column::P99 => descending(|figures| figures.p99 as f64),
            Column::P999 => descending(|figures| figures.p999 as f64),
            Column::Max => descending(|figures| figures.max as f64),
            Column::Seen => descending(|figures| figures.seen),
        };
        let class = |row: &Row, figures: &Figures| {
            (
                figures.count == 0,
                !row.series.pause,
                row.series.unit != Unit::Nanoseconds,
            )
        };
        class(a, of_a)
            .cmp(&class(b, of_b))
            .then(by_figure)
            .then_with(|| a.series.number.cmp(&b.series.number))
    }
}

/// What a series costs in all cannot be told while most of its values are under the floor: their
/// measured lengths are the probe's.
fn is_under_floor(figures: &Figures, row: &Row) -> bool {
    row.series.unit == Unit::Nanoseconds && figures.p50 < row.floor_ns
}

fn known_sum(figures: &Figures, row: &Row) -> f64 {
    match figures.sum_per_second {
        Some(sum) if !is_under_floor(figures, row) => sum,
        _ => -1.0,
    }
}

fn sum(figures: &Figures, row: &Row) -> String {
    match figures.sum_per_second {
        Some(_) if figures.count > 0 && is_under_floor(figures, row) => "<floor".to_owned(),
        Some(sum) if figures.count > 0 => figures::sum_per_second(sum, row.series.unit),
        _ => figures::NOTHING.to_owned(),
    }
}
