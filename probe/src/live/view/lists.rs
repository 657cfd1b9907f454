//! The panes that are lists: call sites, slow events.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use tailcut_report::format;

use super::titled;
use crate::catalogue;
use crate::live::figures;
use crate::live::model;
use crate::live::screen::{Pane, Screen};
use crate::live::sites::SiteRow;
use crate::live::text::{left, right};
use crate::tick::SlowEvent;

pub(super) fn draw_call_sites(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let span = screen.span;
    let over = match span {
        model::Span::LastSecond => "last 10 s",
        model::Span::SinceStart => "since start",
    };
    let rows = screen.model().sites.rows();
    let from = screen.sites_from.min(rows.len().saturating_sub(1));
    let more = place(over, from, rows.len());
    let inner = titled(frame, area, screen, Pane::CallSites, &more);
    let width = usize::from(inner.width);
    let head = site_line(
        "function",
        "series",
        ["calls/s", "bytes/s", "lifetime"],
        width,
    );
    let mut lines = vec![Line::styled(head, screen.theme.heading())];
    if rows.is_empty() {
        lines.push(nothing(
            screen,
            "none: calls are not traced, or no stacks are taken",
        ));
    }
    let room = usize::from(inner.height).saturating_sub(1);
    for row in rows.iter().skip(from).take(room) {
        lines.push(Line::raw(site(row, span, width)));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn site(row: &SiteRow, span: model::Span, width: usize) -> String {
    let rates = match span {
        model::Span::LastSecond => row.recent,
        model::Span::SinceStart => row.since_start,
    };
    let bytes = rates.bytes.map(format::bytes);
    let lifetime = row.site.mean_lifetime_ns.map(format::nanos);
    let nothing = || figures::NOTHING.to_owned();
    let cells = [
        figures::rate(rates.calls),
        bytes.unwrap_or_else(nothing),
        lifetime.unwrap_or_else(nothing),
    ];
    let cells = cells.each_ref().map(String::as_str);
    site_line(&row.site.symbol, &row.site.series, cells, width)
}

fn site_line(symbol: &str, series: &str, cells: [&str; 3], width: usize) -> String {
    // The name of the series is the first that there may be no room for.
    let series_width = if width >= 76 { 16 } else { 0 };
    let figures: String = cells.map(|cell| right(cell, 9)).concat();
    let room = width.saturating_sub(27 + series_width + 1);
    let series = match series_width {
        0 => String::new(),
        width => format!(" {}", left(series, width - 1)),
    };
    format!("{}{series}{figures}", left(symbol, room))
}

pub(super) fn draw_slow_events(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let model = screen.model();
    let count = model.events.len();
    let from = screen.events_from.min(count.saturating_sub(1));
    let more = place("newest first", from, count);
    let inner = titled(frame, area, screen, Pane::SlowEvents, &more);
    let width = usize::from(inner.width);
    let head = event_line(
        ["ago", "length", "kind", "thread", "by whom, of what"],
        width,
    );
    let mut lines = vec![Line::styled(head, screen.theme.heading())];
    if count == 0 {
        lines.push(nothing(screen, "none over the threshold so far"));
    }
    let room = usize::from(inner.height).saturating_sub(1);
    for event in model.events.iter().rev().skip(from).take(room) {
        let ago = model.now_ns.saturating_sub(event.end_ns) / 1_000_000_000;
        let cells = [
            &*format!("{ago}s"),
            &*format::nanos(event.length_ns()),
            &*event.name,
            &*event.thread.to_string(),
            &*about(event),
        ];
        let style = match event.pause {
            true => Style::new(),
            false => screen.theme.dim(),
        };
        lines.push(Line::styled(event_line(cells, width), style));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn event_line([ago, length, kind, thread, about]: [&str; 5], width: usize) -> String {
    let line = format!(
        "{} {}  {} {}  ",
        right(ago, 5),
        right(length, 8),
        left(kind, 15),
        right(thread, 8)
    );
    let room = width.saturating_sub(line.chars().count());
    left(&format!("{line}{}", left(about, room)), width)
}

/// Who took the CPU, the system call, or the size: what the catalogue knows of the detail.
pub(crate) fn about(event: &SlowEvent) -> String {
    let detail = catalogue::of_number(event.series).and_then(|series| series.detail);
    let detail = match (event.bytes, detail) {
        (Some(bytes), _) if bytes > 0 => format::memory(bytes),
        (_, Some("bytes")) if event.detail > 0 => format::memory(event.detail),
        (_, Some("address" | "address of the lock")) if event.detail > 0 => {
            format!("{:#x}", event.detail)
        }
        _ => String::new(),
    };
    match &event.by {
        Some(by) if detail.is_empty() => by.clone(),
        Some(by) => format!("{by}, {detail}"),
        None => detail,
    }
}

/// Which of them are shown, once they are scrolled.
fn place(what: &str, from: usize, count: usize) -> String {
    match from {
        0 => format!("{what} · {count}"),
        from => format!("{what} · from {} of {count}", from + 1),
    }
}

fn nothing(screen: &Screen, text: &'static str) -> Line<'static> {
    Line::styled(text, screen.theme.dim())
}
