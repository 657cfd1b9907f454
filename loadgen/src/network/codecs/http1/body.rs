//! Finds the end of a reply's body without keeping any of it.

use httparse::Status;

use super::head::Framing;
use crate::network::codecs::answers::{bad_reply, excerpt};
use crate::network::codecs::fitting;
use crate::network::session::SessionError;

/// Longest line that says a chunk's size, with its extensions; longest line of a trailer.
const LONGEST_LINE: usize = 8 * 1024;
/// Most lines of trailers.
const MOST_TRAILERS: u8 = 100;

/// A body that is not at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes are missing.
    Length(u64),
    /// It ends with the connection.
    Close,
    /// At the beginning of a chunk's size.
    ChunkSize,
    /// Within a chunk: so many bytes are missing.
    Chunk(u64),
    /// Before the line break behind a chunk.
    ChunkEnd,
    /// Behind the last chunk, and so many lines of trailers.
    Trailers(u8),
}

/// How far a body came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// So many bytes belonged to it, and more is to come.
    Part(usize),
    /// So many bytes belonged to it, and with them it is whole.
    Whole(usize),
}

impl Body {
    /// The body that a head announces; `None` if it is whole already, with nothing in it.
    #[inline]
    pub(crate) fn new(framing: Framing) -> Option<Body> {
        match framing {
            Framing::Length(0) => None,
            Framing::Length(length) => Some(Body::Length(length)),
            Framing::Chunked => Some(Body::ChunkSize),
            Framing::Close => Some(Body::Close),
        }
    }

    /// Skips what `input` holds of the body.
    #[inline]
    pub(crate) fn skip(&mut self, input: &[u8]) -> Result<Skipped, SessionError> {
        match self {
            Body::Length(missing) => {
                let here = fitting(*missing, input);
                *missing -= here as u64;
                Ok(if *missing == 0 {
                    Skipped::Whole(here)
                } else {
                    Skipped::Part(here)
                })
            }
            Body::Close => Ok(Skipped::Part(input.len())),
            _ => self.skip_chunks(input),
        }
    }

    fn skip_chunks(&mut self, input: &[u8]) -> Result<Skipped, SessionError> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self {
                Body::ChunkSize => {
                    let Some((length, size)) = chunk_size(rest)? else {
                        return Ok(Skipped::Part(used));
                    };
                    used += length;
                    *self = if size == 0 {
                        Body::Trailers(0)
                    } else {
                        Body::Chunk(size)
                    };
                }
                Body::Chunk(missing) => {
                    let here = fitting(*missing, rest);
                    *missing -= here as u64;
                    used += here;
                    if *missing > 0 {
                        return Ok(Skipped::Part(used));
                    }
                    *self = Body::ChunkEnd;
                }
                Body::ChunkEnd => match rest {
                    [] | [b'\r'] => return Ok(Skipped::Part(used)),
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        *self = Body::ChunkSize;
                    }
                    _ => return Err(bad_reply(format!("behind a chunk: {}", excerpt(rest)))),
                },
                Body::Trailers(lines) => {
                    let Some(line) = memchr::memchr(b'\n', rest) else {
                        return part_of_line(used, rest, "trailer");
                    };
                    used += line + 1;
                    if matches!(rest[..line], [] | [b'\r']) {
                        return Ok(Skipped::Whole(used));
                    }
                    *lines += 1;
                    if *lines > MOST_TRAILERS || line > LONGEST_LINE {
                        return Err(bad_reply(format!(
                            "trailers of more than {MOST_TRAILERS} lines of {LONGEST_LINE} bytes"
                        )));
                    }
                }
                // Not chunked: `skip` sees to these.
                Body::Length(_) | Body::Close => return Ok(Skipped::Part(used)),
            }
        }
    }
}

/// A chunk's size, and the length of the line that says it.
fn chunk_size(input: &[u8]) -> Result<Option<(usize, u64)>, SessionError> {
    let bad = || bad_reply(format!("no size of a chunk: {}", excerpt(input)));
    if input
        .first()
        .is_some_and(|first| !first.is_ascii_hexdigit())
    {
        return Err(bad());
    }
    match httparse::parse_chunk_size(input) {
        Ok(Status::Complete((length, size))) if length <= LONGEST_LINE => Ok(Some((length, size))),
        Ok(Status::Partial) if input.len() <= LONGEST_LINE => Ok(None),
        _ => Err(bad()),
    }
}

fn part_of_line(used: usize, rest: &[u8], what: &str) -> Result<Skipped, SessionError> {
    if rest.len() > LONGEST_LINE {
        return Err(bad_reply(format!(
            "a {what} of more than {LONGEST_LINE} bytes"
        )));
    }
    Ok(Skipped::Part(used))
}
