//! What the reader chose: which row, which pane, which order. Keys change it; nothing is drawn here.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::columns::Column;
use super::model::{Model, Row, Span};
use super::source::TargetDescription;
use super::theme::Theme;
use crate::tick::Tick;

/// A part of the screen that keys can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pane {
    #[default]
    Series,
    HeatMap,
    CallSites,
    SlowEvents,
}

impl Pane {
    /// Those that share the place below the table where there is little.
    pub(crate) const LOWER: [Pane; 3] = [Pane::HeatMap, Pane::CallSites, Pane::SlowEvents];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Pane::Series => "series",
            Pane::HeatMap => "heat map",
            Pane::CallSites => "call sites",
            Pane::SlowEvents => "slow events",
        }
    }

    fn next(self) -> Pane {
        match self {
            Pane::Series => Pane::HeatMap,
            Pane::HeatMap => Pane::CallSites,
            Pane::CallSites => Pane::SlowEvents,
            Pane::SlowEvents => Pane::Series,
        }
    }
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    model: Model,
    /// A copy of the model while the display is paused.
    frozen: Option<Box<Model>>,
    pub(crate) theme: Theme,
    pub(crate) pane: Pane,
    /// The pane shown where there is room for one only.
    pub(crate) lower: Pane,
    pub(crate) span: Span,
    pub(crate) sort: Column,
    pub(crate) help: bool,
    /// The heat map stays with this series, whatever is selected.
    pub(crate) pinned: Option<String>,
    /// Rows scrolled away in the panes of call sites and of slow events.
    pub(crate) sites_from: usize,
    pub(crate) events_from: usize,
    selected: Option<String>,
    pub(crate) quit: bool,
}

impl Screen {
    pub(crate) fn new(theme: Theme) -> Screen {
        Screen {
            theme,
            lower: Pane::HeatMap,
            ..Screen::default()
        }
    }

    /// What is to be shown.
    pub(crate) fn model(&self) -> &Model {
        self.frozen.as_deref().unwrap_or(&self.model)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// Takes an interval, and what could not be taken before it.
    pub(crate) fn absorb(&mut self, tick: Tick, target: TargetDescription, skipped: u64) {
        self.model.lose("intervals", skipped);
        self.model.absorb(tick, target);
    }

    /// The rows in the order of the table, and which of them is selected.
    pub(crate) fn rows(&self) -> (Vec<&Row>, usize) {
        let mut rows: Vec<&Row> = self.model().rows.iter().collect();
        rows.sort_by(|a, b| self.sort.compare(a, b, self.span));
        let selected = self.selected.as_deref();
        let place = rows.iter().position(|row| Some(&*row.name) == selected);
        (rows, place.unwrap_or(0))
    }

    /// The series of the heat map.
    pub(crate) fn mapped(&self) -> Option<&Row> {
        if let Some(row) = self
            .pinned
            .as_deref()
            .and_then(|name| self.model().row(name))
        {
            return Some(row);
        }
        let (rows, selected) = self.rows();
        rows.get(selected).copied()
    }

    /// Acts on a key.
    pub(crate) fn press(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        // The terminal is in raw mode: what else would be a signal comes as a key.
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            self.quit |= matches!(key.code, KeyCode::Char('c' | 'd'));
            return;
        }
        if self.help {
            self.help = false;
            // The key that closes the help does nothing else, but for leaving.
            self.quit = matches!(key.code, KeyCode::Char('q'));
            return;
        }
        match key.code {
            KeyCode::Char('q') => self.quit = true,
            KeyCode::Char('?') => self.help = true,
            KeyCode::Char('p' | ' ') => self.toggle_pause(),
            KeyCode::Char('r') => {
                self.model.reset();
                self.frozen = None;
            }
            KeyCode::Char('c') => {
                self.span = match self.span {
                    Span::LastSecond => Span::SinceStart,
                    Span::SinceStart => Span::LastSecond,
                };
            }
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('h') => self.toggle_pin(),
            KeyCode::Tab => self.go_to(self.pane.next()),
            // Backwards is three forwards.
            KeyCode::BackTab => self.go_to(self.pane.next().next().next()),
            KeyCode::Up | KeyCode::Char('k') => self.go(-1),
            KeyCode::Down | KeyCode::Char('j') => self.go(1),
            KeyCode::PageUp => self.go(-10),
            KeyCode::PageDown => self.go(10),
            KeyCode::Home | KeyCode::Char('g') => self.go(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.go(isize::MAX),
            _ => {}
        }
    }

    fn go_to(&mut self, pane: Pane) {
        self.pane = pane;
        if pane != Pane::Series {
            self.lower = pane;
        }
    }

    fn toggle_pause(&mut self) {
        self.frozen = match self.frozen {
            Some(_) => None,
            None => Some(Box::new(self.model.clone())),
        };
    }

    fn toggle_pin(&mut self) {
        self.pinned = match self.pinned {
            Some(_) => None,
            None => self.mapped().map(|row| row.name.clone()),
        };
    }

    /// Moves the selection, or scrolls the pane that keys go to.
    fn go(&mut self, by: isize) {
        let moved =
            |from: usize, count: usize| from.saturating_add_signed(by).min(count.saturating_sub(1));
        match self.pane {
            Pane::Series | Pane::HeatMap => {
                let (rows, selected) = self.rows();
                let name = rows
                    .get(moved(selected, rows.len()))
                    .map(|row| row.name.clone());
                self.selected = name;
            }
            Pane::CallSites => {
                self.sites_from = moved(self.sites_from, self.model().sites.rows().len());
            }
            Pane::SlowEvents => {
                self.events_from = moved(self.events_from, self.model().events.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::super::synthetic::SyntheticTarget;
    use super::*;

    fn screen(ticks: u32) -> (Screen, SyntheticTarget) {
        let mut source = SyntheticTarget::new();
        let mut screen = Screen::new(Theme::Plain);
        for _ in 0..ticks {
            let tick = source.tick();
            screen.absorb(tick, source.describe(), 0);
        }
        (screen, source)
    }

    fn press(screen: &mut Screen, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\t' => KeyCode::Tab,
                other => KeyCode::Char(other),
            };
            screen.press(KeyEvent::new(code, KeyModifiers::NONE));
        }
    }

    #[test]
    fn the_selection_follows_its_series_when_the_order_changes() {
        let (mut screen, _) = screen(8);
        press(&mut screen, "jjj");
        let selected = |screen: &Screen| {
            let (rows, selected) = screen.rows();
            rows[selected].name.clone()
        };
        let name = selected(&screen);
        for _ in Column::ALL {
            press(&mut screen, "s");
            assert_eq!(selected(&screen), name, "{:?}", screen.sort);
        }
    }

    #[test]
    fn the_selection_stops_at_both_ends() {
        let (mut screen, _) = screen(2);
        press(&mut screen, "G");
        let (rows, selected) = screen.rows();
        assert_eq!(selected, rows.len() - 1);
        press(&mut screen, "jj");
        assert_eq!(screen.rows().1, selected);
        press(&mut screen, "gk");
        assert_eq!(screen.rows().1, 0);
    }

    #[test]
    fn a_paused_display_stands_still_and_catches_up_afterwards() {
        let (mut screen, mut source) = screen(2);
        press(&mut screen, "p");
        let then = screen.model().now_ns;
        let tick = source.tick();
        screen.absorb(tick, source.describe(), 0);
        assert_eq!(screen.model().now_ns, then);
        press(&mut screen, "p");
        assert!(screen.model().now_ns > then);
    }

    #[test]
    fn the_heat_map_follows_the_selection_unless_it_is_pinned() {
        let (mut screen, _) = screen(4);
        let mapped = |screen: &Screen| screen.mapped().unwrap().name.clone();
        let first = mapped(&screen);
        press(&mut screen, "j");
        let second = mapped(&screen);
        assert_ne!(first, second);
        press(&mut screen, "hj");
        assert_eq!(mapped(&screen), second);
        press(&mut screen, "h");
        assert_ne!(mapped(&screen), second);
    }

    #[test]
    fn pauses_stand_before_sleep_and_series_without_events_at_the_end() {
        let (screen, _) = screen(5);
        let (rows, _) = screen.rows();
        let place = |name: &str| rows.iter().position(|row| row.name == name).unwrap();
        assert!(place("futex") < place("sleep"));
        assert!(place("sleep") < place("major_fault"));
    }

    #[test]
    fn control_c_and_q_leave_and_other_keys_do_not() {
        let (mut screen, _) = screen(1);
        press(&mut screen, "xz?\t");
        assert!(!screen.quit);
        screen.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(screen.quit);
        let mut other = Screen::new(Theme::Plain);
        press(&mut other, "?q");
        assert!(other.quit);
    }

    #[test]
    fn keys_on_an_empty_screen_do_nothing_bad() {
        let mut screen = Screen::new(Theme::Plain);
        press(&mut screen, "jkGgshcrp\tjk\tjk\tjkr?");
        assert!(screen.mapped().is_none());
    }
}
