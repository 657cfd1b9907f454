//! What the keys do and the columns mean, and which series are left out and why.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};
use tailcut_report::format;

use crate::live::screen::Screen;
use crate::live::text::{clean, left};

const KEYS: &[&str] = &[
    "q, ctrl-c    quit              up, down, j, k   select, or scroll",
    "tab          next pane         s   sort by the next column",
    "c            figures since the start, or of the last second",
    "h            keep the heat map at this series, or let it follow",
    "p            pause the display   r   count from here on",
    "",
    "per s   events in a second, scaled to the whole time",
    "sum/s   their lengths in a second, all threads together",
    "seen    share of the time in which they were traced; 3s ago: figures",
    "        of a window of tracing that ended 3 seconds ago",
    "<900 ns shorter than what the probe can tell from its own cost",
    "w, ·    under the heat map: a window of tracing ended; not traced",
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let target = &screen.model().target;
    let width = area.width.min(76);
    let room = usize::from(width.saturating_sub(4));
    let mut lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|line| Line::raw(left(line, room)))
        .collect();
    if target.floor_ns > 0 {
        let cost = format!("A probe hit costs {} here.", format::nanos(target.floor_ns));
        lines.push(Line::raw(left(&cost, room)));
    }
    if let Some(row) = screen.mapped() {
        lines.push(Line::raw(""));
        let what = format!("{}: {}", row.name, row.series.what);
        lines.push(Line::styled(left(&what, room), screen.theme.strong()));
        let hooks = format!("seen by: {}", row.series.hooks);
        lines.push(Line::raw(left(&hooks, room)));
    }
    if !target.left_out.is_empty() {
        lines.push(Line::raw(""));
        lines.push(Line::styled("Left out:", screen.theme.strong()));
        for left_out in &target.left_out {
            let text = format!("{}: {}", clean(&left_out.series), clean(&left_out.reason));
            lines.push(Line::raw(left(&text, room)));
        }
    }
    let height = area.height.min(lines.len() as u16 + 2);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered()
        .title(" any key closes this ")
        .padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}
