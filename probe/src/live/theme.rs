//! Colours and attributes, and what replaces them where there are none.
//!
//! Without colours (`NO_COLOR`, see <https://no-color.org>) attributes carry what colours did, and
//! the heat map uses characters of different density.

use ratatui::style::{Color, Modifier, Style};

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Colours of the 256-colour palette.
    #[default]
    Color,
    /// Bold, dim and reversed text only.
    Plain,
}

/// Dark blue to light yellow through red, of the 256-colour palette: readable by most colour-blind
/// people because it also grows lighter.
const HEAT: [u8; 12] = [17, 18, 54, 90, 126, 162, 198, 203, 209, 215, 221, 229];

impl Theme {
    /// [`Theme::Plain`] if `NO_COLOR` is set and not empty.
    pub fn from_environment() -> Theme {
        match std::env::var_os("NO_COLOR") {
            Some(value) if !value.is_empty() => Theme::Plain,
            _ => Theme::Color,
        }
    }

    /// What is there, but says nothing now.
    pub(crate) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// A heading.
    pub(crate) fn heading(self) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        match self {
            Theme::Color => bold.fg(Color::Cyan),
            Theme::Plain => bold,
        }
    }

    /// The name of what is observed.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The selected row.
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Something that a reader must know.
    pub(crate) fn warning(self) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        match self {
            Theme::Color => bold.fg(Color::Yellow),
            Theme::Plain => bold.add_modifier(Modifier::REVERSED),
        }
    }

    /// A small graph.
    pub(crate) fn graph(self) -> Style {
        match self {
            Theme::Color => Style::new().fg(Color::Cyan),
            Theme::Plain => Style::new(),
        }
    }

    /// The colour of a share of the largest count, on a log scale; `None` if there are no colours.
    pub(crate) fn heat(self, count: u64, most: u64) -> Option<Color> {
        match self {
            Theme::Color => Some(Color::Indexed(HEAT[level(count, most, HEAT.len())])),
            Theme::Plain => None,
        }
    }
}

/// Which of `levels` steps a count of at least 1 belongs to, on a log scale up to `most`.
pub(crate) fn level(count: u64, most: u64, levels: usize) -> usize {
    let share = (count.max(1) as f64).ln() / (most.max(2) as f64).ln();
    ((share * levels as f64) as usize).min(levels - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_never_darker() {
        for most in [1, 2, 100, u64::MAX] {
            let levels: Vec<usize> = [1, 2, 10, 100, most]
                .iter()
                .filter(|count| **count <= most)
                .map(|count| level(*count, most, 12))
                .collect();
            assert!(levels.is_sorted(), "{most}: {levels:?}");
        }
        assert_eq!(level(1, 1000, 12), 0);
        assert_eq!(level(1000, 1000, 12), 11);
    }
}
