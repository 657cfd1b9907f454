//! Names that others chose, made safe to show.
//!
//! A process names itself and its files as it likes, with escape sequences that drive a terminal
//! or with marks that turn the direction of text. One function here decides what is shown; it
//! costs one copy.

/// The longest text that [`printable`] gives, in characters. Longer ones end in `…`.
const LONGEST: usize = 512;

/// `bytes` as text of one line without control characters, at most 512 characters.
///
/// What is not UTF-8, a control character, or a character that changes the direction or the
/// place of text is shown as `\x1b` or `\u{202e}`; a backslash stays as it is.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().min(LONGEST));
    let mut shown = 0;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if shown == LONGEST {
                text.push('…');
                return text;
            }
            shown += 1;
            match character {
                c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", c as u32)),
                c if c.is_control() || is_format(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
            shown += 1;
        }
    }
    text
}

/// Characters that show nothing themselves but reorder or break what is around them.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_terminal_sees_no_escape_sequence() {
        assert_eq!(printable(b"a\x1b[31mb\n"), "a\\x1b[31mb\\x0a");
        assert_eq!(
            printable("a\u{202e}b\u{9b}".as_bytes()),
            "a\\u{202e}b\\u{9b}"
        );
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_numbers() {
        assert_eq!(printable(b"a\xffb"), "a\\xffb");
        assert_eq!(printable("grün".as_bytes()), "grün");
    }

    #[test]
    fn a_very_long_name_is_cut() {
        let text = printable(&[b'x'; 10_000]);
        assert_eq!(text.chars().count(), 513);
        assert!(text.ends_with('…'));
    }
}
