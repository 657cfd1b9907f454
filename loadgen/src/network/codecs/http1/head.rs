//! The head of a reply: status line and headers, by `httparse`, and where the body behind it ends.
//!
//! Servers send nearly the same head again and again; the date changes once a second. So a connection
//! remembers the bytes of its last head and what they meant: where a reply begins with the very same bytes,
//! the meaning is the same too, as it depends on nothing else, and a few ns of comparing replace 170 of parsing.
//!
//! A head that arrives in pieces is parsed when its end has come, which is searched for only in what is new: a
//! server that sends one byte at a time costs no more than its bytes.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};

use crate::network::codecs::answers::{bad_reply, excerpt};
use crate::network::session::SessionError;

/// Longest head that is accepted, in bytes.
pub(crate) const LONGEST_HEAD: usize = 64 * 1024;
/// Most headers that a head may have.
const MOST_HEADERS: usize = 100;
/// Longest head that is remembered: 10,000 connections shall not need more than 10 MB for it.
const LONGEST_REMEMBERED: usize = 1024;

/// What a head says about the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub status: u16,
    pub framing: Framing,
    /// The server closes the connection after this reply.
    pub closes: bool,
}

/// Where the body ends (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes, maybe none.
    Length(u64),
    /// Where the chunks end.
    Chunked,
    /// Where the connection ends.
    Close,
}

/// Reads the heads of one connection.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    /// The last head, if it was short enough, and what it meant.
    remembered: Vec<u8>,
    meaning: Option<Head>,
    search: EndSearch,
}

/// Tells whether it is worth parsing a head again that was not whole.
#[derive(Debug, Default)]
pub(crate) struct EndSearch {
    /// Bytes in which the end was not found.
    searched: usize,
}

impl EndSearch {
    /// Whether the head that `input` begins with may be whole; always, when it is seen for the first time.
    pub(crate) fn may_end(&mut self, input: &[u8]) -> Result<bool, SessionError> {
        let known = std::mem::replace(&mut self.searched, input.len());
        if known == 0 || has_end(input, known) {
            return Ok(true);
        }
        refuse_if_too_long(input.len())?;
        Ok(false)
    }

    /// The head was whole: what comes is another one.
    pub(crate) fn found(&mut self) {
        self.searched = 0;
    }
}

impl HeadReader {
    /// Reads the head that `input` begins with: its length and meaning, or `None` as long as it is not whole.
    /// `bodiless` replies have no body whatever their head says.
    #[inline]
    pub(crate) fn read(
        &mut self,
        input: &[u8],
        bodiless: bool,
    ) -> Result<Option<(usize, Head)>, SessionError> {
        if let Some(meaning) = self.meaning
            && input.starts_with(&self.remembered)
        {
            self.search.found();
            return Ok(Some((self.remembered.len(), meaning)));
        }
        self.parse(input, bodiless)
    }

    fn parse(
        &mut self,
        input: &[u8],
        bodiless: bool,
    ) -> Result<Option<(usize, Head)>, SessionError> {
        if !self.search.may_end(input)? {
            return Ok(None);
        }
        let mut meaning = None;
        let length = parse(input, |status, version, headers| {
            meaning = Some(Head::new(status, version, headers, bodiless)?);
            Ok(())
        })?;
        let (Some(length), Some(meaning)) = (length, meaning) else {
            return Ok(None);
        };
        self.search.found();
        if length <= LONGEST_REMEMBERED {
            self.remembered.clear();
            self.remembered.extend_from_slice(&input[..length]);
            self.meaning = Some(meaning);
        }
        Ok(Some((length, meaning)))
    }
}

/// Parses the head that `input` begins with and hands status, minor version and headers to `then`: the
/// head's length, or `None` as long as it is not whole.
pub(crate) fn parse(
    input: &[u8],
    then: impl FnOnce(u16, u8, &[Header<'_>]) -> Result<(), SessionError>,
) -> Result<Option<usize>, SessionError> {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        input,
        &mut headers,
    );
    match parsed {
        Ok(Status::Complete(length)) => {
            refuse_if_too_long(length)?;
            let (Some(status), Some(version)) = (response.code, response.version) else {
                return Err(bad_reply("a head without a status"));
            };
            then(status, version, response.headers)?;
            Ok(Some(length))
        }
        Ok(Status::Partial) => {
            refuse_if_too_long(input.len())?;
            Ok(None)
        }
        Err(httparse::Error::TooManyHeaders) => Err(bad_reply(format!(
            "a head of more than {MOST_HEADERS} headers"
        ))),
        Err(error) => Err(bad_reply(format!(
            "no HTTP/1.1 reply ({error}): {}",
            excerpt(input)
        ))),
    }
}

fn refuse_if_too_long(length: usize) -> Result<(), SessionError> {
    if length > LONGEST_HEAD {
        return Err(bad_reply(format!(
            "a head of more than {LONGEST_HEAD} bytes"
        )));
    }
    Ok(())
}

/// Whether a head may end in `input`, the first `searched` bytes of which were found without an end.
fn has_end(input: &[u8], searched: usize) -> bool {
    let from = searched.saturating_sub(3);
    memchr::memchr_iter(b'\n', &input[from..]).any(|at| {
        let next = &input[from + at + 1..];
        next.starts_with(b"\n") || next.starts_with(b"\r\n")
    })
}

impl Head {
    fn new(
        status: u16,
        version: u8,
        headers: &[Header<'_>],
        bodiless: bool,
    ) -> Result<Head, SessionError> {
        if !(100..=999).contains(&status) {
            return Err(bad_reply(format!(
                "the status {status:03}, which HTTP does not know"
            )));
        }
        if status == 101 {
            return Err(bad_reply(
                "status 101: the server leaves HTTP, which nobody asked for",
            ));
        }
        let mut length = None;
        let mut chunked = None;
        let (mut close, mut keep_alive) = (false, false);
        for header in headers {
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    length = Some(content_length(header.value, length)?);
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    let last = tokens(header.value).next_back().unwrap_or_default();
                    chunked = Some(last.eq_ignore_ascii_case(b"chunked"));
                }
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    for token in tokens(header.value) {
                        close |= token.eq_ignore_ascii_case(b"close");
                        keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                _ => {}
            }
        }
        let bodiless = bodiless || status < 200 || status == 204 || status == 304;
        let framing = match (chunked, length) {
            _ if bodiless => Framing::Length(0),
            (Some(true), _) => Framing::Chunked,
            (Some(false), _) | (None, None) => Framing::Close,
            (None, Some(length)) => Framing::Length(length),
        };
        // A reply in HTTP/1.0 cannot be chunked: what stands behind it is not to be trusted.
        let old = version == 0 && (!keep_alive || chunked.is_some());
        Ok(Head {
            status,
            framing,
            closes: close || old || framing == Framing::Close,
        })
    }

    /// Whether the real reply is still to come.
    pub(crate) fn is_interim(self) -> bool {
        self.status < 200
    }
}

/// A `Content-Length`, which may be repeated (`5, 5`, or in several lines), but not with another value.
fn content_length(value: &[u8], before: Option<u64>) -> Result<u64, SessionError> {
    let mut length = before;
    let mut is_bad = false;
    for token in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        let digits = !token.is_empty() && token.iter().all(u8::is_ascii_digit);
        let parsed = str::from_utf8(token)
            .ok()
            .and_then(|text| text.parse().ok());
        is_bad |= !digits || parsed.is_none() || length.is_some_and(|known| parsed != Some(known));
        length = parsed;
    }
    match length {
        Some(length) if !is_bad => Ok(length),
        _ => Err(bad_reply(format!(
            "a Content-Length of {}{}",
            excerpt(value),
            before
                .map(|known| format!(" after one of {known}"))
                .unwrap_or_default(),
        ))),
    }
}

/// The members of a list in a header.
pub(crate) fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}
