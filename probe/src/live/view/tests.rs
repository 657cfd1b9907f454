use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::live::source::Source;
use crate::live::synthetic::SyntheticTarget;
use crate::live::theme::Theme;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

fn screen(ticks: u32, theme: Theme) -> Screen {
    let mut source = SyntheticTarget::new();
    let mut screen = Screen::new(theme);
    for _ in 0..ticks {
        let tick = source.tick();
        screen.absorb(tick, source.describe(), 0);
    }
    screen
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

/// The screen as lines of text.
fn lines(screen: &Screen, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw(frame, screen, "12:34:56"))
        .unwrap();
    let buffer = terminal.backend().buffer();
    (0..height)
        .map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect())
        .collect()
}

fn line_of<'a>(lines: &'a [String], word: &str) -> &'a str {
    lines
        .iter()
        .find(|line| line.contains(word))
        .unwrap_or_else(|| panic!("no {word} in {lines:#?}"))
}

#[test]
fn eighty_by_twenty_four_shows_header_table_heat_map_cost_and_keys() {
    let lines = lines(&screen(30, Theme::Color), 80, 24);
    assert!(lines[0].contains("redis-server pid 4242") && lines[0].contains("12:34:56"));
    assert!(lines[1].contains("jemalloc 5.3"));
    line_of(&lines, "P99.9");
    line_of(&lines, "futex");
    line_of(&lines, "heat map");
    assert!(line_of(&lines, "probe").contains("budget 1%"));
    assert!(
        lines[23].contains("quit") && lines[23].contains("reset"),
        "{:?}",
        lines[23]
    );
}

#[test]
fn the_lower_pane_of_a_small_screen_is_the_one_that_tab_chose() {
    let mut screen = screen(30, Theme::Color);
    press(&mut screen, "\t\t");
    let shown = lines(&screen, 80, 24);
    line_of(&shown, "sdsnewlen");
    assert!(!shown.iter().any(|line| line.contains("heat map")));
    press(&mut screen, "\t");
    line_of(&lines(&screen, 80, 24), "ksoftirqd");
    // Back in the table, the pane stays.
    press(&mut screen, "\t");
    line_of(&lines(&screen, 80, 24), "ksoftirqd");
}

#[test]
fn a_large_screen_shows_all_panes_and_every_series() {
    let screen = screen(30, Theme::Color);
    let lines = lines(&screen, 200, 50);
    for word in [
        "heat map",
        "call sites",
        "slow events",
        "sdsnewlen",
        "ksoftirqd",
        "sum/s",
    ] {
        line_of(&lines, word);
    }
    for row in &screen.model().rows {
        line_of(&lines, &row.name);
    }
}

#[test]
fn any_size_of_terminal_can_be_drawn_on() {
    for theme in [Theme::Color, Theme::Plain] {
        for mut screen in [Screen::new(theme), screen(70, theme)] {
            for keys in ["", "?", "\t", "\t", "\t", "G"] {
                press(&mut screen, keys);
                for width in [1, 39, 40, 60, 109, 110, 300] {
                    for height in [1, 7, 8, 17, 24, 47, 100] {
                        lines(&screen, width, height);
                    }
                }
            }
        }
    }
}

#[test]
fn values_under_the_floor_and_shares_seen_are_told() {
    let lines = lines(&screen(5, Theme::Color), 200, 50);
    let malloc = line_of(&lines, "malloc@jemalloc");
    assert!(malloc.contains("<900 ns"), "{malloc}");
    assert!(malloc.contains("2%"), "{malloc}");
}

#[test]
fn figures_of_an_earlier_window_say_how_old_they_are() {
    let lines = lines(&screen(7, Theme::Color), 200, 50);
    assert!(line_of(&lines, "malloc@jemalloc").contains("2s ago"));
}

#[test]
fn nothing_of_the_target_reaches_the_terminal_as_a_control_character() {
    let mut screen = screen(30, Theme::Color);
    for keys in ["", "?", "\t\t", "\t"] {
        press(&mut screen, keys);
        for (width, height) in [(80, 24), (200, 50)] {
            for line in lines(&screen, width, height) {
                let acts = |c: char| c.is_control() || c == '\u{202e}';
                assert!(!line.contains(acts), "{line:?}");
            }
        }
    }
}

#[test]
fn an_ended_target_is_told_and_its_figures_stay() {
    let mut source = SyntheticTarget::new().ending_after(2);
    let mut screen = Screen::new(Theme::Color);
    for _ in 0..2 {
        let tick = source.tick();
        screen.absorb(tick, source.describe(), 0);
    }
    let lines = lines(&screen, 80, 24);
    assert!(lines[0].contains("target ended"), "{:?}", lines[0]);
    line_of(&lines, "page_fault");
}

#[test]
fn what_was_lost_is_told() {
    let mut screen = screen(11, Theme::Color);
    assert!(line_of(&lines(&screen, 120, 40), "probe").contains("lost: 12 stacks"));
    let mut source = SyntheticTarget::new();
    let tick = source.tick();
    screen.absorb(tick, source.describe(), 3);
    assert!(line_of(&lines(&screen, 120, 40), "probe").contains("3 intervals"));
}

#[test]
fn the_help_explains_and_names_what_is_left_out() {
    let mut screen = screen(3, Theme::Color);
    press(&mut screen, "?");
    let shown = lines(&screen, 80, 24);
    line_of(&shown, "this kernel has no tracepoint");
    press(&mut screen, "x");
    assert!(
        !lines(&screen, 80, 24)
            .iter()
            .any(|line| line.contains("Left out"))
    );
}

#[test]
fn without_colours_density_shows_how_many() {
    let screen = screen(40, Theme::Plain);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal
        .draw(|frame| draw(frame, &screen, "12:34:56"))
        .unwrap();
    let cells = terminal.backend().buffer().content();
    let colored = |cell: &&ratatui::buffer::Cell| {
        cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset
    };
    assert_eq!(cells.iter().filter(colored).count(), 0);
    assert!(cells.iter().any(|cell| cell.symbol() == "░"));
    assert!(cells.iter().any(|cell| cell.symbol() == "█"));
}

#[test]
fn the_heat_map_has_the_newest_second_at_the_right_edge() {
    let mut screen = screen(10, Theme::Plain);
    screen.pinned = Some("futex".to_owned());
    // Wide and high: the heat map is the left half of the lower part.
    let before = lines(&screen, 200, 50);
    let cells = |lines: &[String]| -> usize {
        let map = lines.iter().map(|line| line.chars().take(99));
        map.flatten().filter(|c| "░▒▓█".contains(*c)).count()
    };
    let (few, source) = (cells(&before), &mut SyntheticTarget::new());
    assert!(few > 0);
    for _ in 0..20 {
        let tick = source.tick();
        screen.absorb(tick, source.describe(), 0);
    }
    assert!(cells(&lines(&screen, 200, 50)) > few);
    let right_edge: String = before
        .iter()
        .filter_map(|line| line.chars().nth(98))
        .collect();
    assert!(right_edge.contains(['░', '▒', '▓', '█']), "{right_edge}");
}
