//! Texts of the target made harmless, and fitted to a width.
//!
//! Process names, symbols and details are written by whoever wrote the target. A control character
//! in them could move the cursor or set a title, an override of direction could make one name look
//! like another. Each such character becomes one visible `·`; what a person can read stays.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for a character that may not be shown.
const HARMLESS: char = '·';
/// No text is looked at beyond this many characters: symbols of C++ templates can be very long.
const LONGEST: usize = 4096;

/// `text` without anything that acts on a terminal; at most 4096 characters of it.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST && !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let harmless = text.chars().take(LONGEST);
    harmless
        .map(|c| if acts(c) { HARMLESS } else { c })
        .collect::<String>()
        .into()
}

/// [`clean`] text of at most `columns` columns; what was cut off at its end leaves a `…`.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    let text = clean(text);
    if text.width() <= columns {
        return text;
    }
    let Some(room) = columns.checked_sub(1) else {
        return "".into();
    };
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut.into()
}

/// [`fit`] text, filled with blanks on its right to exactly `columns` columns.
pub(crate) fn left(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let blanks = columns.saturating_sub(text.width());
    format!("{text}{:blanks$}", "")
}

/// [`fit`] text, filled with blanks on its left to exactly `columns` columns.
pub(crate) fn right(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let blanks = columns.saturating_sub(text.width());
    format!("{:blanks$}{text}", "")
}

/// Whether a terminal acts on `c`, or shows other text because of it.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Direction: marks, embeddings, overrides, isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Separators of lines and paragraphs; invisible joiners, fillers and tags.
            | '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}'
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
        )
        // Marks without a width pile up on their neighbour: a thousand of them cover the screen.
        || (c.width() == Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_as_a_dot() {
        assert_eq!(clean("redis\x1b]0;owned\x07"), "redis·]0;owned·");
        assert_eq!(clean("a\u{202e}b\u{9b}31m"), "a·b·31m");
        assert_eq!(clean("a\r\nb\tc"), "a··b·c");
        assert_eq!(clean("e\u{301}\u{301}"), "e··");
    }

    #[test]
    fn readable_text_stays_as_it_is() {
        let name = "std::vec<T>::größer_漢字";
        assert!(matches!(clean(name), Cow::Borrowed(same) if same == name));
    }

    #[test]
    fn a_long_text_is_cut_by_columns_not_by_characters() {
        assert_eq!(fit("redis-server", 12), "redis-server");
        assert_eq!(fit("redis-server", 6), "redis…");
        // Each of these is two columns wide.
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("漢字漢字", 4), "漢…");
        assert_eq!(fit("x", 0), "");
    }

    #[test]
    fn a_hostile_length_costs_no_more_than_the_limit() {
        assert!(clean(&"x".repeat(1 << 20)).len() <= LONGEST);
    }
}
