//! Finds where a RESP2 or RESP3 value ends, without recursion and without keeping it.
//!
//! Every value begins with a line: a type, and either the value itself or a length. What is not a line is
//! skipped by length; how many elements of which aggregates are missing is kept on a stack of 32 places.

use std::borrow::Cow;

use crate::network::codecs::answers::{bad_reply, excerpt};
use crate::network::codecs::fitting;
use crate::network::session::{Answer, SessionError};

const LONGEST_LINE: usize = 64 * 1024;
const DEEPEST: usize = 32;

/// The first words of Redis' own errors.
const WORDS: [&str; 26] = [
    "redis ASK",
    "redis BUSY",
    "redis BUSYGROUP",
    "redis BUSYKEY",
    "redis CLUSTERDOWN",
    "redis CROSSSLOT",
    "redis DENIED",
    "redis ERR",
    "redis EXECABORT",
    "redis IOERR",
    "redis LOADING",
    "redis MASTERDOWN",
    "redis MISCONF",
    "redis MOVED",
    "redis NOAUTH",
    "redis NOGROUP",
    "redis NOPERM",
    "redis NOPROTO",
    "redis NOREPLICAS",
    "redis NOSCRIPT",
    "redis OOM",
    "redis READONLY",
    "redis TRYAGAIN",
    "redis UNKILLABLE",
    "redis WRONGPASS",
    "redis WRONGTYPE",
];

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The input ends within a value.
    Part,
    /// A whole reply.
    Reply(Answer),
    /// A whole message that answers nothing.
    Push,
}

/// Reads the values of one connection.
#[derive(Debug)]
pub(super) struct Reader {
    /// Aggregates that the next value is in, the innermost last.
    within: [Aggregate; DEEPEST],
    depth: usize,
    /// Bytes of a string that are missing, with the line break behind it.
    string: Option<u64>,
    /// What the error said that the whole reply is.
    refusal: Option<Cow<'static, str>>,
    /// An attribute came, which belongs to the reply behind it.
    attributed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Aggregate {
    missing: u64,
    kind: Kind,
}

/// What a whole aggregate is to the one that it is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// One of its elements.
    #[default]
    Element,
    /// None: it describes the element behind it.
    Attribute,
    /// None, and there is no such one: a message of its own.
    Push,
}

/// What a line says.
enum Line {
    /// A whole value.
    Whole,
    /// A string of so many bytes follows.
    String(u64),
    /// So many values follow.
    Aggregate(Aggregate),
}

impl Default for Reader {
    fn default() -> Reader {
        Reader {
            within: [Aggregate::default(); DEEPEST],
            depth: 0,
            string: None,
            refusal: None,
            attributed: false,
        }
    }
}

impl Reader {
    /// Whether nothing of a reply was read.
    pub(super) fn is_between(&self) -> bool {
        self.depth == 0 && self.string.is_none() && !self.attributed
    }

    /// Whether a reply has begun, or begins with `rest`: anything but a push message.
    #[inline]
    pub(super) fn is_reply(&self, rest: &[u8]) -> bool {
        if self.is_between() {
            return !matches!(rest, [] | [b'>', ..]);
        }
        self.depth == 0 || self.within[0].kind != Kind::Push
    }

    /// Reads until a reply or push message is whole: how many bytes were used, and what was found.
    #[inline]
    pub(super) fn read(&mut self, input: &[u8]) -> Result<(usize, Found), SessionError> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            if let Some(missing) = &mut self.string {
                let Some(length) = skip_string(missing, rest)? else {
                    return Ok((used, Found::Part));
                };
                used += length;
                if *missing > 0 {
                    continue;
                }
                self.string = None;
            } else {
                let Some(end) = memchr::memchr(b'\n', rest) else {
                    too_long_if(rest.len() > LONGEST_LINE)?;
                    return Ok((used, Found::Part));
                };
                too_long_if(end > LONGEST_LINE)?;
                let Some(line) = self.line(rest, end)? else {
                    return Ok((used, Found::Part));
                };
                used += end + 1;
                match line {
                    Line::Whole => {}
                    Line::String(length) => {
                        self.string = Some(length + 2);
                        continue;
                    }
                    Line::Aggregate(aggregate) => {
                        self.enter(aggregate)?;
                        if aggregate.missing > 0 {
                            continue;
                        }
                    }
                }
            }
            if let Some(found) = self.leave() {
                return Ok((used, found));
            }
        }
        Ok((used, Found::Part))
    }

    fn enter(&mut self, aggregate: Aggregate) -> Result<(), SessionError> {
        let Some(place) = self.within.get_mut(self.depth) else {
            return Err(bad_reply(format!("values nested more than {DEEPEST} deep")));
        };
        *place = aggregate;
        self.depth += 1;
        Ok(())
    }

    /// A value, or the aggregate on top of the stack if nothing of it is missing, is whole: what is whole
    /// with it.
    #[inline]
    fn leave(&mut self) -> Option<Found> {
        // An empty aggregate is its own last element.
        let mut was_entered = self.depth > 0 && self.within[self.depth - 1].missing == 0;
        loop {
            let Some(top) = self.depth.checked_sub(1) else {
                self.attributed = false;
                let answer = self.refusal.take().map_or(Answer::Ok, Answer::Failed);
                return Some(Found::Reply(answer));
            };
            let aggregate = &mut self.within[top];
            if !was_entered {
                aggregate.missing -= 1;
            }
            was_entered = false;
            if aggregate.missing > 0 {
                return None;
            }
            self.depth = top;
            match aggregate.kind {
                Kind::Element => {}
                Kind::Attribute => {
                    self.attributed |= top == 0;
                    return None;
                }
                Kind::Push => return Some(Found::Push),
            }
        }
    }

    /// What the line `input[..end]` says; `None` if it takes more of what is behind it to tell.
    fn line(&mut self, input: &[u8], end: usize) -> Result<Option<Line>, SessionError> {
        let [kind, value @ .., b'\r'] = &input[..end] else {
            return Err(no_value(&input[..=end]));
        };
        let bad = || no_value(&input[..=end]);
        let aggregate = |each: u64, kind: Kind| match count(value) {
            Some(Count::Of(values)) => {
                let missing = values.checked_mul(each).ok_or_else(bad)?;
                Ok(Some(Line::Aggregate(Aggregate { missing, kind })))
            }
            Some(Count::Nil) if kind == Kind::Element => Ok(Some(Line::Whole)),
            _ => Err(bad()),
        };
        match kind {
            b'+' | b',' => Ok(Some(Line::Whole)),
            b':' | b'(' if is_integer(value) => Ok(Some(Line::Whole)),
            b'_' if value.is_empty() => Ok(Some(Line::Whole)),
            b'#' if matches!(value, b"t" | b"f") => Ok(Some(Line::Whole)),
            b'-' => {
                self.refuse(value);
                Ok(Some(Line::Whole))
            }
            b'$' | b'=' | b'!' => match count(value) {
                Some(Count::Of(length)) if length < u64::MAX - 2 => {
                    if *kind == b'!' {
                        let text = &input[end + 1..];
                        let shown = fitting(length, text);
                        if (shown as u64) < length && shown < LONGEST_WORD {
                            return Ok(None);
                        }
                        self.refuse(&text[..shown]);
                    }
                    Ok(Some(Line::String(length)))
                }
                Some(Count::Nil) if *kind == b'$' => Ok(Some(Line::Whole)),
                _ => Err(bad()),
            },
            b'*' | b'~' => aggregate(1, Kind::Element),
            b'%' => aggregate(2, Kind::Element),
            b'|' => aggregate(2, Kind::Attribute),
            b'>' if self.is_between() => aggregate(1, Kind::Push),
            _ => Err(bad()),
        }
    }

    /// Notes an error; within an aggregate it is an element like others.
    fn refuse(&mut self, message: &[u8]) {
        if self.depth > 0 {
            return;
        }
        let word = message
            .split(|byte| !byte.is_ascii_graphic())
            .next()
            .unwrap_or_default();
        let known = WORDS
            .iter()
            .find(|kind| kind.as_bytes()["redis ".len()..] == *word);
        self.refusal = Some(Cow::Borrowed(known.unwrap_or(&"redis other error")));
    }
}

/// How many bytes of an error tell its first word.
const LONGEST_WORD: usize = 32;

enum Count {
    Of(u64),
    Nil,
}

fn count(value: &[u8]) -> Option<Count> {
    if value == b"-1" {
        return Some(Count::Nil);
    }
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok().map(Count::Of)
}

fn is_integer(value: &[u8]) -> bool {
    let digits = match value {
        [b'-' | b'+', digits @ ..] => digits,
        digits => digits,
    };
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Skips what `input` holds of a string and its line break, of which `missing` bytes are missing together:
/// `None` if only more input helps.
fn skip_string(missing: &mut u64, input: &[u8]) -> Result<Option<usize>, SessionError> {
    let mut used = fitting(missing.saturating_sub(2), input);
    *missing -= used as u64;
    if *missing == 2 {
        match &input[used..] {
            [] | [b'\r'] if used > 0 => return Ok(Some(used)),
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => {
                used += 2;
                *missing = 0;
            }
            other => {
                return Err(bad_reply(format!("behind a string: {}", excerpt(other))));
            }
        }
    }
    Ok(Some(used))
}

fn too_long_if(too_long: bool) -> Result<(), SessionError> {
    if too_long {
        return Err(bad_reply(format!(
            "a line of more than {LONGEST_LINE} bytes"
        )));
    }
    Ok(())
}

fn no_value(line: &[u8]) -> SessionError {
    bad_reply(format!("no value of Redis' protocol: {}", excerpt(line)))
}
