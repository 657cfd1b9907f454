//! How the screen is divided, by its size.
//!
//! ```text
//! header (2)            80x24: table, and one of heat map, call sites, slow events below it
//! table                 wide and high: heat map left, call sites over slow events right
//! lower panes           narrow and high: the three under one another
//! status (1)            very low: the table, or the pane that the tab key went to
//! keys (1)
//! ```
//!
//! Drawing takes what is there and never fails: a terminal can be of any size.

mod footer;
mod header;
mod heat_map;
mod help;
mod lists;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use footer::lost;
pub(crate) use lists::about;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::screen::{Pane, Screen};
use super::text::left;

/// Below this, nothing can be laid out.
const LEAST: (u16, u16) = (40, 8);
/// Rows of the screen's body from which the table and a lower pane both fit.
const ROOM_FOR_TWO: u16 = 13;
/// From here on the three lower panes stand side by side...
const WIDE: (u16, u16) = (110, 26);
/// ... or under one another.
const HIGH: u16 = 42;

/// Draws the whole screen. `clock` is the time of day, as it is to be shown.
pub(crate) fn draw(frame: &mut Frame<'_>, screen: &Screen, clock: &str) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("tailcut top needs {} x {} (q quits)", LEAST.0, LEAST.1);
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let [top, body, status, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    header::draw(frame, top, screen, clock);
    draw_body(frame, body, screen);
    footer::draw_status(frame, status, screen);
    footer::draw_keys(frame, keys, screen);
    if screen.help {
        help::draw(frame, area, screen);
    }
}

fn draw_body(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    if area.height < ROOM_FOR_TWO {
        match screen.pane {
            Pane::Series => table::draw(frame, area, screen),
            pane => draw_pane(frame, area, screen, pane),
        }
        return;
    }
    // The heading and a row for each series, as long as enough is left for the rest.
    let wanted = screen.model().rows.len().max(3) as u16 + 1;
    if area.width >= WIDE.0 && area.height >= WIDE.1 {
        let [upper, lower] = split(area, wanted.min(area.height / 2));
        table::draw(frame, upper, screen);
        let [left, right] = Layout::horizontal([Constraint::Percentage(50); 2])
            .spacing(2)
            .areas(lower);
        let [sites, events] = Layout::vertical([Constraint::Percentage(50); 2]).areas(right);
        draw_pane(frame, left, screen, Pane::HeatMap);
        draw_pane(frame, sites, screen, Pane::CallSites);
        draw_pane(frame, events, screen, Pane::SlowEvents);
    } else if area.height >= HIGH {
        let [upper, lower] = split(area, wanted.min(area.height / 3));
        table::draw(frame, upper, screen);
        let places: [Rect; 3] = Layout::vertical([Constraint::Fill(1); 3]).areas(lower);
        for (pane, place) in Pane::LOWER.into_iter().zip(places) {
            draw_pane(frame, place, screen, pane);
        }
    } else {
        let [upper, lower] = split(area, wanted.min(area.height - area.height * 9 / 20));
        table::draw(frame, upper, screen);
        draw_pane(frame, lower, screen, screen.lower);
    }
}

fn split(area: Rect, upper: u16) -> [Rect; 2] {
    Layout::vertical([Constraint::Length(upper), Constraint::Fill(1)]).areas(area)
}

fn draw_pane(frame: &mut Frame<'_>, area: Rect, screen: &Screen, pane: Pane) {
    match pane {
        Pane::HeatMap => heat_map::draw(frame, area, screen),
        Pane::CallSites => lists::draw_call_sites(frame, area, screen),
        Pane::SlowEvents => lists::draw_slow_events(frame, area, screen),
        Pane::Series => table::draw(frame, area, screen),
    }
}

/// Draws the line above a pane; what is left is the pane's own.
fn titled(frame: &mut Frame<'_>, area: Rect, screen: &Screen, pane: Pane, more: &str) -> Rect {
    let theme = screen.theme;
    let style = match screen.pane == pane {
        true => theme.selected(),
        false => theme.heading(),
    };
    let name = format!("─ {} ", pane.title());
    let more = match more {
        "" => String::new(),
        more => format!("{more} "),
    };
    let rest = (area.width as usize).saturating_sub(name.chars().count());
    let mut filled = left(&more, rest);
    // A rule instead of blanks up to the edge.
    let text = filled.trim_end().len();
    let blanks = filled.len() - text;
    filled.truncate(text);
    let rule = match blanks {
        0 => String::new(),
        blanks => format!(" {}", "─".repeat(blanks - 1)),
    };
    let title = Line::from(vec![
        Span::styled(name, style),
        Span::raw(filled),
        Span::styled(rule, theme.dim()),
    ]);
    let [line, inner] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(title, line);
    inner
}
