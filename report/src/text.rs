//! Takes from a text what would act on a terminal or deceive a reader.
//!
//! Names of processes, threads, symbols and files are chosen by whoever wrote the traced program.
//! They pass through here once, where a recording becomes figures, so that every form of the
//! report is safe to print; what HTML and Markdown would make of a text is escaped there.

/// The longest name that is shown, in characters.
const LONGEST_NAME: usize = 120;

/// The text with each control character a blank, and without invisible ones: those that steer the
/// direction of writing, join, or have no width.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter(|letter| !is_invisible(*letter))
        .map(|letter| match letter {
            '\u{2028}' | '\u{2029}' => ' ',
            letter if letter.is_control() => ' ',
            letter => letter,
        })
        .collect()
}

/// A name: clean, and cut with an ellipsis where it is longer than a table can bear.
pub fn name(text: &str) -> String {
    let cut = text.char_indices().nth(4 * LONGEST_NAME);
    let mut name = clean(cut.map_or(text, |(at, _)| &text[..at]));
    if let Some((at, _)) = name.char_indices().nth(LONGEST_NAME) {
        name.truncate(at);
        name.push('…');
    }
    name
}

fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal_or_turns_a_line_around() {
        assert_eq!(
            clean("a\u{1b}[31mb\n\r\tc\u{7f}\u{9b}2J"),
            "a [31mb   c  2J"
        );
        assert_eq!(clean("user\u{202e}gpj.exe\u{200b}\u{2028}"), "usergpj.exe ");
        assert_eq!(clean("Größe: 5 µs, 日本"), "Größe: 5 µs, 日本");
    }

    #[test]
    fn a_long_name_is_cut_between_letters() {
        assert_eq!(name(&"ä".repeat(120)), "ä".repeat(120));
        assert_eq!(name(&"ä".repeat(121)), "ä".repeat(120) + "…");
        assert_eq!(name(&"\u{200b}".repeat(9_000)), "");
    }
}
