//! Names from a target, made safe to print.
//!
//! A symbol or a path can hold whatever its author wished: escape sequences for a terminal, line
//! breaks in the middle of a table, a megabyte of template arguments.

/// Characters of a name that are kept.
pub(super) const MAX_NAME: usize = 512;

/// Appends as much of `part` as there is room for, without control characters, and without those
/// that change the direction of what follows. Says whether all of it fitted.
pub(super) fn push_clean(name: &mut String, part: &str) -> bool {
    for character in part.chars() {
        if name.len() + character.len_utf8() > MAX_NAME {
            return false;
        }
        if is_printable(character) {
            name.push(character);
        } else {
            name.push('\u{fffd}');
        }
    }
    true
}

/// A name of at most [`MAX_NAME`] bytes; one that is cut ends with `…`.
pub(super) fn clean(text: &str) -> String {
    let mut name = String::new();
    if !push_clean(&mut name, text) {
        shorten(&mut name);
    }
    name
}

/// Marks a name as cut.
pub(super) fn shorten(name: &mut String) {
    while name.len() + '…'.len_utf8() > MAX_NAME {
        name.pop();
    }
    name.push('…');
}

fn is_printable(character: char) -> bool {
    // Bidirectional embeddings, overrides and isolates, zero-width characters, line separators.
    let misleading = matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    !character.is_control() && !misleading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_reversed_text_do_not_reach_the_terminal() {
        assert_eq!(
            clean("a\u{1b}[31mb\nc\u{202e}d\u{9b}e"),
            "a\u{fffd}[31mb\u{fffd}c\u{fffd}d\u{fffd}e"
        );
        assert_eq!(
            clean("core::str::<impl str>::größe"),
            "core::str::<impl str>::größe"
        );
    }

    #[test]
    fn a_long_name_is_cut_and_says_so() {
        let name = clean(&"ü".repeat(10_000));
        assert!(name.len() <= MAX_NAME && name.len() > MAX_NAME - 4);
        assert!(name.ends_with('…'));
        assert_eq!(clean(&"x".repeat(MAX_NAME)), "x".repeat(MAX_NAME));
    }
}
