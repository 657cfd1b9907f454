//! A request's bytes, made once, with places for the request's number.
//!
//! Without `{n}` in it a template is one run of bytes, and appending it one copy (5 ns for a small
//! request). With it, the number is written digit by digit where it belongs, and so are the lengths that
//! depend on how many digits it has. Nothing is allocated once the buffer has grown.

use std::ops::Range;

/// What stands for the request's number.
const PLACE: &[u8] = b"{n}";

/// Bytes to be sent again and again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Template {
    text: Vec<u8>,
    /// In the order in which they are sent.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A part of the text.
    Text(Range<usize>),
    /// The number itself.
    Number,
    /// The decimal length of something that holds `fixed` bytes and `numbers` numbers.
    Length { fixed: u64, numbers: u64 },
}

impl Template {
    /// Adds bytes as they are.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> &mut Self {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.end = self.text.len(),
            _ => self.pieces.push(Piece::Text(start..self.text.len())),
        }
        self
    }

    /// Adds bytes in which `{n}` stands for the request's number.
    pub(crate) fn numbered(&mut self, bytes: &[u8]) -> &mut Self {
        let mut rest = bytes;
        while let Some(at) = find_place(rest) {
            self.text(&rest[..at]);
            self.pieces.push(Piece::Number);
            rest = &rest[at + PLACE.len()..];
        }
        self.text(rest)
    }

    /// Adds the length, in decimal, of what [`Template::numbered`] makes of `bytes`.
    pub(crate) fn length_of(&mut self, bytes: &[u8]) -> &mut Self {
        let (fixed, numbers) = measure(bytes);
        if numbers == 0 {
            return self.text(itoa::Buffer::new().format(fixed).as_bytes());
        }
        self.pieces.push(Piece::Length { fixed, numbers });
        self
    }

    /// Appends the bytes of request `number`.
    #[inline]
    pub(crate) fn append(&self, number: u64, out: &mut Vec<u8>) {
        if let [Piece::Text(_)] | [] = self.pieces[..] {
            out.extend_from_slice(&self.text);
            return;
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        for piece in &self.pieces {
            match piece {
                Piece::Text(range) => out.extend_from_slice(&self.text[range.clone()]),
                Piece::Number => out.extend_from_slice(digits),
                Piece::Length { fixed, numbers } => {
                    let length = fixed + numbers * digits.len() as u64;
                    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                }
            }
        }
    }
}

/// How many bytes of `bytes` are no `{n}`, and how many `{n}` there are.
fn measure(bytes: &[u8]) -> (u64, u64) {
    let mut numbers = 0;
    let mut rest = bytes;
    while let Some(at) = find_place(rest) {
        numbers += 1;
        rest = &rest[at + PLACE.len()..];
    }
    (bytes.len() as u64 - numbers * PLACE.len() as u64, numbers)
}

fn find_place(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, PLACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(template: &Template, number: u64) -> String {
        let mut out = Vec::new();
        template.append(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lengths_follow_the_digits_of_the_number() {
        let mut template = Template::default();
        template
            .text(b"length ")
            .length_of(b"order {n} of {n}")
            .text(b": ")
            .numbered(b"order {n} of {n}");
        assert_eq!(sent(&template, 7), "length 12: order 7 of 7");
        assert_eq!(sent(&template, 1234), "length 18: order 1234 of 1234");
    }

    #[test]
    fn braces_around_anything_else_stay_as_they_are() {
        let mut template = Template::default();
        template.numbered(br#"{"n": {n}, "m": "{N}{{n}}"}"#);
        assert_eq!(sent(&template, 5), r#"{"n": 5, "m": "{N}{5}"}"#);
    }

    proptest! {
        #[test]
        fn a_template_is_the_text_with_the_number_put_in(
            parts in proptest::collection::vec("[a-z{}n]{0,5}|\\{n\\}", 0..8),
            number: u64,
        ) {
            let text = parts.concat();
            let mut template = Template::default();
            template.length_of(text.as_bytes()).text(b" ").numbered(text.as_bytes());
            let plain = text.replace("{n}", &number.to_string());
            prop_assert_eq!(sent(&template, number), format!("{} {plain}", plain.len()));
        }
    }
}
