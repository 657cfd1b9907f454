//! Latency over time: seconds from left to right, the newest at the right edge; values upwards on a
//! log scale; the colour is how many.
//!
//! A character holds two rows, its upper and its lower half. Without colours it holds one, and its
//! density is how many. A `·` at the foot: the series was not traced in that second. Below, a `w` marks seconds in which a window of tracing ended: what stands
//! out there may be the probe's own.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use tailcut_report::format;

use super::titled;
use crate::catalogue::Unit;
use crate::live::figures;
use crate::live::history::{Moment, ROWS, lower_edge, row};
use crate::live::model::Row;
use crate::live::screen::{Pane, Screen};
use crate::live::text::{fit, right};
use crate::live::theme::{Theme, level};

/// Columns for the labels of the axis.
const LABELS: u16 = 8;
const DENSITIES: [&str; 4] = ["░", "▒", "▓", "█"];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let Some(series) = screen.mapped() else {
        titled(frame, area, screen, Pane::HeatMap, "");
        return;
    };
    let columns = usize::from(area.width.saturating_sub(LABELS + 1));
    let moments: Vec<&Moment> = series.history.last(columns).collect();
    let most = moments
        .iter()
        .flat_map(|moment| &moment.rows)
        .map(|(_, count)| *count)
        .max();
    let pinned = match &screen.pinned {
        Some(_) => ", kept (h)",
        None => "",
    };
    let more = match most {
        Some(most) => format!(
            "{}{pinned} · brightest: {} in a second",
            fit(&series.name, 24),
            format::count(most as f64)
        ),
        None => format!("{}{pinned} · nothing seen", fit(&series.name, 24)),
    };
    let inner = titled(frame, area, screen, Pane::HeatMap, &more);
    let [map, axis] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(inner);
    let [labels, cells] =
        Layout::horizontal([Constraint::Length(LABELS + 1), Constraint::Fill(1)]).areas(map);
    if cells.is_empty() {
        return;
    }
    let scale = Scale::new(&moments, cells.height, screen.theme);
    draw_cells(
        frame.buffer_mut(),
        cells,
        &moments,
        &scale,
        screen.theme,
        most.unwrap_or(1),
    );
    draw_labels(frame.buffer_mut(), labels, series, &scale, screen.theme);
    draw_axis(frame.buffer_mut(), axis, screen);
}

/// Which values a row of characters stands for.
struct Scale {
    /// The lowest row of the history that is shown.
    lowest: u32,
    /// Rows of the history in one character.
    per_character: u32,
    /// Likewise in the upper half of one.
    upper: u32,
    height: u32,
}

impl Scale {
    /// From the lowest to the highest value there is, and then as fine as there is room for.
    fn new(moments: &[&Moment], height: u16, theme: Theme) -> Scale {
        let rows = || moments.iter().flat_map(|moment| &moment.rows);
        let lowest = rows().map(|(row, _)| u32::from(*row)).min();
        let highest = rows().map(|(row, _)| u32::from(*row)).max();
        // Nothing seen yet: the scale of most things, 1 us to 10 ms.
        let (lowest, highest) = (lowest.unwrap_or(36), highest.unwrap_or(84));
        let height = u32::from(height.max(1));
        let halves = match theme {
            Theme::Color => 2,
            Theme::Plain => 1,
        };
        let per_half = (highest - lowest + 1).div_ceil(height * halves).max(1);
        let shown = per_half * height * halves;
        // Room that is left over goes to both ends, as far as the scale goes.
        let spare = shown.saturating_sub(highest - lowest + 1);
        let last = u32::from(ROWS).saturating_sub(shown);
        Scale {
            lowest: lowest.saturating_sub(spare / 2).min(last),
            per_character: per_half * halves,
            upper: per_half * (halves - 1),
            height,
        }
    }

    /// Rows of the history that a line of characters shows: lower and upper half.
    fn rows(&self, line: u16) -> (std::ops::Range<u32>, std::ops::Range<u32>) {
        let from_below = self.height.saturating_sub(u32::from(line) + 1);
        let from = self.lowest + from_below * self.per_character;
        let middle = from + self.per_character - self.upper;
        (from..middle, middle..from + self.per_character)
    }

    /// The line in which a value lies.
    fn line(&self, value: u64) -> Option<u16> {
        let from_below = u32::from(row(value)).checked_sub(self.lowest)? / self.per_character;
        let line = self.height.checked_sub(from_below + 1)?;
        u16::try_from(line).ok()
    }
}

fn draw_cells(
    buffer: &mut Buffer,
    area: Rect,
    moments: &[&Moment],
    scale: &Scale,
    theme: Theme,
    most: u64,
) {
    let shown = usize::from(area.width).min(moments.len());
    let left = area.right() - shown as u16;
    let newest = &moments[moments.len() - shown..];
    for (x, moment) in (left..).zip(newest) {
        for line in 0..area.height {
            let (lower, upper) = scale.rows(line);
            let in_rows = |rows: std::ops::Range<u32>| -> u64 {
                let counts = moment.rows.iter();
                let counts = counts.filter(|(row, _)| rows.contains(&u32::from(*row)));
                counts.map(|(_, count)| *count).sum()
            };
            let (lower, upper) = (in_rows(lower), in_rows(upper));
            let cell = &mut buffer[(x, area.y + line)];
            if moment.rate.is_none() && line + 1 == area.height {
                cell.set_symbol("·").set_style(theme.dim());
            }
            if theme == Theme::Plain {
                if lower + upper > 0 {
                    let level = level(lower + upper, most, DENSITIES.len());
                    cell.set_symbol(DENSITIES[level]);
                }
                continue;
            }
            let color = |count| theme.heat(count, most).unwrap_or_default();
            match (upper, lower) {
                (0, 0) => {}
                (0, lower) => {
                    cell.set_symbol("▄").set_fg(color(lower));
                }
                (upper, 0) => {
                    cell.set_symbol("▀").set_fg(color(upper));
                }
                (upper, lower) => {
                    cell.set_symbol("▀")
                        .set_fg(color(upper))
                        .set_bg(color(lower));
                }
            }
        }
    }
}

/// Powers of ten and the floor; the floor wins where both are.
fn draw_labels(buffer: &mut Buffer, area: Rect, series: &Row, scale: &Scale, theme: Theme) {
    let mut label = |line: u16, text: &str, style: Style| {
        if line < area.height {
            let text = right(text, usize::from(LABELS));
            buffer.set_string(area.x, area.y + line, text, style);
        }
    };
    for power in 0..=12u32 {
        let value = 10u64.pow(power);
        // Below the floor there is no scale: lengths there are the probe's own.
        let told = series.series.unit != Unit::Nanoseconds || value >= series.floor_ns;
        if let Some(line) = scale.line(value).filter(|_| told) {
            let text = figures::value(value, series.series.unit, 0);
            label(line, &text, Style::new());
        }
    }
    // A map within one decade has no power of ten to show: its edges then.
    let (lowest, _) = scale.rows(area.height.saturating_sub(1));
    let (_, highest) = scale.rows(0);
    if scale.per_character * scale.height < 24 {
        let edge = |row: u32| figures::value(lower_edge(row) as u64, series.series.unit, 0);
        label(0, &edge(highest.end), Style::new());
        label(
            area.height.saturating_sub(1),
            &edge(lowest.start),
            Style::new(),
        );
    }
    if series.series.unit == Unit::Nanoseconds
        && series.floor_ns > 0
        && let Some(line) = scale.line(series.floor_ns)
    {
        label(line, "floor", theme.warning());
    }
}

/// Seconds ago, from the right edge, and marks of windows.
fn draw_axis(buffer: &mut Buffer, area: Rect, screen: &Screen) {
    let style = screen.theme.dim();
    let Some(width) = area.width.checked_sub(LABELS + 1) else {
        return;
    };
    for ago in (0..width).step_by(15) {
        let text = match ago {
            0 => "now".to_owned(),
            ago => format!("{ago}s"),
        };
        let length = text.len() as u16;
        // Each ends under its column.
        if ago + length <= width {
            let x = area.right() - ago - length;
            buffer.set_string(x, area.y, text, style);
        }
    }
    let windows = screen.model().windows.iter().rev();
    for (ago, _) in windows.enumerate().filter(|(_, ended)| **ended) {
        if ago < usize::from(width) {
            let x = area.right() - 1 - ago as u16;
            let cell = &mut buffer[(x, area.y)];
            // Words of the axis stay readable.
            if cell.symbol() == " " {
                cell.set_symbol("w");
            }
        }
    }
}
