//! The line of what the probe itself costs, and the line of keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use tailcut_report::format;

use crate::live::model::{self, Model};
use crate::live::screen::{Pane, Screen};
use crate::live::text::{clean, left};

pub(super) fn draw_status(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let model = screen.model();
    let theme = screen.theme;
    let cost = &model.cost;
    let share = format!("probe {} of the target's CPU", percent(cost.share));
    // Windows are short: one that costs more than the budget in its second may still hold it on
    // average, and the governor says so by the next share. The reader should see it anyway.
    let over = cost.budget > 0.0 && cost.share > cost.budget;
    let lost = match lost(model) {
        None => Span::styled("nothing lost", theme.dim()),
        Some(lost) => Span::styled(lost, theme.warning()),
    };
    let itself = format!(
        " · itself {} CPU, {}",
        percent(model.own_cpu_share),
        format::memory(cost.own_rss_bytes),
    );
    let spans = vec![
        Span::styled(share, if over { theme.warning() } else { theme.dim() }),
        Span::styled(
            format!(" (budget {}) · ", percent(cost.budget)),
            theme.dim(),
        ),
        lost,
        Span::styled(itself, theme.dim()),
    ];
    frame.render_widget(Line::from(spans), area);
}

pub(super) fn draw_keys(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let mut spans = Vec::new();
    if screen.model().ended {
        spans.push(Span::styled(
            "target ended: these are its last figures ",
            screen.theme.warning(),
        ));
    } else if screen.is_paused() {
        spans.push(Span::styled("display paused (p) ", screen.theme.warning()));
    }
    let up_and_down = match screen.pane {
        Pane::Series | Pane::HeatMap => "select",
        Pane::CallSites | Pane::SlowEvents => "scroll",
    };
    let other_span = match screen.span {
        model::Span::LastSecond => "total",
        model::Span::SinceStart => "second",
    };
    for (key, what) in [
        ("q", "quit"),
        ("?", "help"),
        ("↑↓", up_and_down),
        ("tab", "pane"),
        ("s", "sort"),
        ("c", other_span),
        ("h", "keep"),
        ("p", "pause"),
        ("r", "reset"),
    ] {
        spans.push(Span::styled(key, screen.theme.strong()));
        spans.push(Span::styled(format!(" {what}  "), screen.theme.dim()));
    }
    frame.render_widget(Line::from(spans), area);
}

/// What was lost since the start: `lost: 12 stacks, 3 events`.
pub(crate) fn lost(model: &Model) -> Option<String> {
    let lost = model.lost.iter();
    let words: Vec<String> = lost
        .map(|(what, number)| format!("{} {}", format::count(*number as f64), clean(what)))
        .collect();
    (!words.is_empty()).then(|| {
        left(&format!("lost: {}", words.join(", ")), 40)
            .trim_end()
            .to_owned()
    })
}

/// Two decimals suffice for a cost.
fn percent(share: f64) -> String {
    format::share((share * 10_000.0).round() / 10_000.0)
}
