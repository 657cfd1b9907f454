//! Two lines: who is observed, how it is doing, and which allocators it has.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use tailcut_report::format;

use crate::live::screen::Screen;
use crate::live::text::{clean, fit, left};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, screen: &Screen, clock: &str) {
    let model = screen.model();
    let target = &model.target;
    let theme = screen.theme;
    let width = usize::from(area.width);

    let mut first = vec![
        Span::styled(fit(&target.name, 24).into_owned(), theme.strong()),
        Span::raw(format!(" pid {}", target.process)),
    ];
    if model.ended {
        first.push(Span::raw("  "));
        first.push(Span::styled("target ended", theme.warning()));
    }
    let mut facts = Vec::new();
    if let Some(age) = target.age {
        facts.push(format!("up {}", time(age.saturating_add(model.span()))));
    }
    facts.push(format!("{} threads", model.threads));
    facts.push(format!(
        "CPU {}",
        format::share(round(model.target_cpu_share))
    ));
    facts.push(format!("RSS {}", format::memory(model.target_rss_bytes)));
    // What there is no room for is left out from the end; the clock stays.
    let mut used: usize = first.iter().map(Span::width).sum();
    for fact in facts {
        if used + 2 + fact.len() + 2 + clock.len() <= width {
            used += 2 + fact.len();
            first.push(Span::raw(format!("  {fact}")));
        }
    }
    let gap = width.saturating_sub(used + clock.len());
    first.push(Span::raw(format!("{:gap$}{}", "", clean(clock))));

    let mut second = match target.allocators.as_slice() {
        [] => "no allocator found".to_owned(),
        names => names.join(", "),
    };
    second.push_str(&format!(" · seen for {}", time(model.span())));
    if !target.left_out.is_empty() {
        second.push_str(&format!(" · {} left out (?)", target.left_out.len()));
    }
    if !target.command.is_empty() {
        second.push_str(" · ");
        second.push_str(&target.command);
    }
    let lines = vec![
        Line::from(first),
        Line::styled(left(&second, width), theme.dim()),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

/// Three digits of a share suffice: `163%`, not `163.912%`.
fn round(share: f64) -> f64 {
    (share * 100.0).round() / 100.0
}

/// A time of hours and days: `12 s`, `3 m 5 s`, `3 h 12 m`, `2 d 4 h`.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_two_units_that_matter() {
        let text = |seconds| time(Duration::from_secs(seconds));
        assert_eq!(text(59), "59 s");
        assert_eq!(text(185), "3 m 5 s");
        assert_eq!(text(3 * 3600 + 754), "3 h 12 m");
        assert_eq!(text(187_200), "2 d 4 h");
    }
}
