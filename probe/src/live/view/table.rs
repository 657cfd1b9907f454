//! One row per series: figures, and how one of them went over the last minute.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::catalogue::Unit;
use crate::live::columns::Column;
use crate::live::model::{self, Row};
use crate::live::screen::{Pane, Screen};
use crate::live::text::{left, right};

/// Intervals that a sparkline shows.
const MINUTE: usize = 60;
/// Width at which the sum gets its column; below, the sparkline needs it more.
const ROOM_FOR_SUM: usize = 90;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let width = usize::from(area.width);
    let columns = columns(screen, width);
    let used: usize = columns.iter().map(|(_, width)| width + 1).sum();
    let spark = width.saturating_sub(used).min(MINUTE);
    let (rows, selected) = screen.rows();

    let room = usize::from(area.height).saturating_sub(1);
    // The selection in the middle, but for both ends.
    let from = selected
        .saturating_sub(room / 2)
        .min(rows.len().saturating_sub(room));
    let mut lines = vec![heading(screen, &columns, spark)];
    for (place, row) in rows.iter().enumerate().skip(from).take(room) {
        let chosen = place == selected;
        lines.push(line(screen, row, &columns, spark, chosen));
    }
    if rows.is_empty() {
        let waiting = "waiting for the first interval";
        lines.push(Line::styled(left(waiting, width), screen.theme.dim()));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// The columns that there is room for, with their widths.
fn columns(screen: &Screen, width: usize) -> Vec<(Column, usize)> {
    let names = screen.model().rows.iter().map(|row| row.name.len());
    let longest = names.max().unwrap_or(0);
    let mut columns: Vec<(Column, usize)> = Column::ALL
        .into_iter()
        .filter(|column| *column != Column::Sum || width >= ROOM_FOR_SUM)
        .map(|column| match column {
            // On a wide screen names are not cut.
            Column::Name if width >= ROOM_FOR_SUM => (column, longest.clamp(16, 32)),
            _ => (column, column.width()),
        })
        .collect();
    // On a very narrow one the columns on the right go.
    while columns.iter().map(|(_, width)| width + 1).sum::<usize>() > width && columns.len() > 1 {
        columns.pop();
    }
    columns
}

fn heading(screen: &Screen, columns: &[(Column, usize)], spark: usize) -> Line<'static> {
    let theme = screen.theme;
    let mut spans = Vec::new();
    for (column, width) in columns {
        let mut title = match column {
            Column::Name => match screen.span {
                model::Span::LastSecond => "last second".to_owned(),
                model::Span::SinceStart => "since start".to_owned(),
            },
            column => column.title().to_owned(),
        };
        if *column == screen.sort {
            title.push('↓');
        }
        let text = match column {
            Column::Name => left(&title, *width),
            _ => right(&title, *width),
        };
        let style = match (column, screen.pane) {
            (Column::Name, Pane::Series) => theme.selected(),
            _ => theme.heading(),
        };
        spans.push(Span::styled(text, style));
        spans.push(Span::raw(" "));
    }
    if spark > 0 {
        spans.push(Span::styled(left("P99, last 60 s", spark), theme.heading()));
    }
    Line::from(spans)
}

fn line(
    screen: &Screen,
    row: &Row,
    columns: &[(Column, usize)],
    spark: usize,
    selected: bool,
) -> Line<'static> {
    let theme = screen.theme;
    let figures = row.figures(screen.span);
    let old = row.age > 0 && screen.span == model::Span::LastSecond;
    let base = match (selected, figures.count == 0 || old) {
        (true, _) => theme.selected(),
        (false, true) => theme.dim(),
        (false, false) => Style::new(),
    };
    let mut text = String::new();
    for (column, width) in columns {
        let cell = column.cell(row, screen.span);
        text.push_str(&match column {
            Column::Name => left(&cell, *width),
            _ => right(&cell, *width),
        });
        text.push(' ');
    }
    Line::from(vec![
        Span::styled(text, base),
        Span::styled(sparkline(row, spark), theme.graph()),
    ])
}

/// The P99 of the last minute, or the rate where values are no times. Where the columns do not
/// suffice for the seconds, each shows the highest of those it stands for.
fn sparkline(row: &Row, columns: usize) -> String {
    let values: Vec<f64> = row
        .history
        .last(MINUTE)
        .map(|moment| match row.series.unit {
            Unit::Nanoseconds => moment.p99 as f64,
            Unit::Bytes | Unit::Things => moment.rate.unwrap_or(0.0),
        })
        .collect();
    if columns == 0 || values.is_empty() {
        return String::new();
    }
    let per_column = MINUTE.div_ceil(columns);
    // Joined from the right, so that the newest column is always a full one.
    let joined: Vec<f64> = values
        .rchunks(per_column)
        .map(|chunk| chunk.iter().copied().fold(0.0, f64::max))
        .collect();
    let bars: String = joined
        .iter()
        .rev()
        .map(|value| bar(*value, &joined))
        .collect();
    right(&bars, MINUTE.div_ceil(per_column).min(columns))
}

/// Heights on a log scale from the least to the greatest, but at least two octaves: what hardly
/// changes stays low.
fn bar(value: f64, all: &[f64]) -> char {
    if value <= 0.0 {
        return ' ';
    }
    let seen = || all.iter().copied().filter(|value| *value > 0.0);
    let least = seen().fold(f64::MAX, f64::min);
    let most = seen().fold(0.0, f64::max).max(least * 4.0);
    let share = (value / least).ln() / (most / least).ln();
    BARS[((share * BARS.len() as f64) as usize).min(BARS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_stands_out_and_noise_does_not() {
        let all = [100.0, 110.0, 95.0, 10_000.0];
        assert_eq!(bar(10_000.0, &all), '█');
        assert_eq!(bar(95.0, &all), '▁');
        assert_eq!(bar(0.0, &all), ' ');
        let even = [100.0, 101.0];
        assert_eq!(even.map(|value| bar(value, &even)), ['▁', '▁']);
    }
}
