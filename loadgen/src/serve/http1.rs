//! HTTP/1.1 as far as a server of orders needs it: no socket, no clock. `httparse` reads the heads.
//!
//! Requests may be pipelined; bodies come with `Content-Length`. What is refused with a status, after which the
//! connection ends because the next request could begin anywhere: chunked bodies (411), bodies over 4 KiB (413),
//! heads over 8 KiB or of more than 64 fields (431), two lengths or anything that is no HTTP/1 (400).
//!
//! Left out: a `Date` in answers. It would cost every answer bytes, and no client of a load test looks at it.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status as Parsed};

use super::binary::{Next, Progress};
use super::counts::Counts;
use super::handler::Handler;
use super::http::{BAD_REQUEST, MOST_BODY, Reply, Route, Status, TOO_LARGE};

/// The longest head that is read. A body is shorter, so this is also the most that is left unused.
pub(super) const MOST_HEAD: usize = 8 << 10;
/// Fields of a head.
const MOST_FIELDS: usize = 64;

/// What lies between two reads of a connection, apart from unused bytes.
#[derive(Debug, Default)]
pub(super) struct Http1 {
    /// A request whose body is not all there.
    awaited: Option<Head>,
}

/// What a head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    route: Route,
    body: usize,
    /// Whether the answer has a head only.
    head_only: bool,
    persistence: Persistence,
    /// Whether the client waits to be told to send the body.
    expects: bool,
}

/// Whether the connection outlives the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Persistence {
    /// As it is usual in HTTP/1.1.
    Kept,
    /// HTTP/1.0, where it must be said.
    KeptIfSaid,
    Closed,
}

impl Http1 {
    /// Answers all whole requests in `input`; leaves less than a head and a body.
    pub(super) fn receive<H: Handler>(
        &mut self,
        input: &[u8],
        handler: &mut H,
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Progress {
        let mut rest = input;
        let next = loop {
            let head = match self.awaited.take() {
                Some(head) => head,
                None => match Head::read(rest) {
                    Ok(Some((head, length))) => {
                        rest = &rest[length..];
                        if head.expects && rest.len() < head.body {
                            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                        }
                        head
                    }
                    Ok(None) => break Next::More,
                    Err(refusal) => {
                        counts.http_requests += 1;
                        write(&refusal, false, Persistence::Closed, out);
                        break Next::Garbled;
                    }
                },
            };
            let Some((body, behind)) = rest.split_at_checked(head.body) else {
                self.awaited = Some(head);
                break Next::More;
            };
            rest = behind;
            let reply = Reply::to(head.route, body, handler, counts);
            write(&reply, head.head_only, head.persistence, out);
            if head.persistence == Persistence::Closed {
                break Next::Close;
            }
        };
        Progress {
            used: input.len() - rest.len(),
            next,
        }
    }
}

impl Head {
    /// The head at the front of `input` and its length, if all of it is there.
    #[inline]
    fn read(input: &[u8]) -> Result<Option<(Head, usize)>, Reply> {
        let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_FIELDS];
        let mut request = Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(input, &mut fields);
        let length = match parsed {
            Ok(Parsed::Complete(length)) if length <= MOST_HEAD => length,
            Ok(Parsed::Partial) if input.len() <= MOST_HEAD => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(HEAD_TOO_LARGE),
            Err(_) => return Err(Reply::text(BAD_REQUEST, "this is no HTTP/1 request\n")),
        };
        let (Some(method), Some(target), Some(version)) =
            (request.method, request.path, request.version)
        else {
            return Err(Reply::text(BAD_REQUEST, "this is no HTTP/1 request\n"));
        };
        let mut head = Head {
            route: Route::find(method, target),
            body: 0,
            head_only: method == "HEAD",
            persistence: if version == 0 {
                Persistence::Closed
            } else {
                Persistence::Kept
            },
            expects: false,
        };
        let (mut lengths, mut hosts) = (0, 0);
        for field in request.headers {
            head.note(field, version, &mut lengths, &mut hosts)?;
        }
        if lengths > 1 || hosts > 1 || (hosts == 0 && version == 1) {
            return Err(Reply::text(
                BAD_REQUEST,
                "one Host, and at most one Content-Length, please\n",
            ));
        }
        if head.body > MOST_BODY {
            return Err(TOO_LARGE);
        }
        Ok(Some((head, length)))
    }

    /// Takes in one field.
    #[inline]
    fn note(
        &mut self,
        field: &Header<'_>,
        version: u8,
        lengths: &mut u32,
        hosts: &mut u32,
    ) -> Result<(), Reply> {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        // By length first: most fields are none of these.
        match field.name.len() {
            4 if is("Host") => *hosts += 1,
            6 if is("Expect") => {
                self.expects = version == 1 && field.value.eq_ignore_ascii_case(b"100-continue");
            }
            10 if is("Connection") => {
                let says = |option: &[u8]| {
                    let mut options = field.value.split(|&byte| byte == b',');
                    options.any(|said| said.trim_ascii().eq_ignore_ascii_case(option))
                };
                if says(b"close") {
                    self.persistence = Persistence::Closed;
                } else if version == 0 && says(b"keep-alive") {
                    self.persistence = Persistence::KeptIfSaid;
                }
            }
            14 if is("Content-Length") => {
                *lengths += 1;
                self.body = length(field.value).ok_or(BAD_LENGTH)?;
            }
            17 if is("Transfer-Encoding") => return Err(NO_LENGTH),
            _ => {}
        }
        Ok(())
    }
}

/// Digits and nothing else. More than can be counted is too large in any case.
fn length(text: &[u8]) -> Option<usize> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = text.iter().fold(0_usize, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    });
    Some(value)
}

const HEAD_TOO_LARGE: Reply = Reply::text(
    Status(431, "Request Header Fields Too Large"),
    "a head has at most 8192 bytes and 64 fields\n",
);
const NO_LENGTH: Reply = Reply::text(
    Status(411, "Length Required"),
    "bodies are read by Content-Length only\n",
);
const BAD_LENGTH: Reply = Reply::text(BAD_REQUEST, "Content-Length is no number\n");

/// Appends an answer.
#[inline]
fn write(reply: &Reply, head_only: bool, persistence: Persistence, out: &mut Vec<u8>) {
    let Reply {
        status: Status(number, reason),
        content,
        allow,
    } = reply;
    let body = content.bytes();
    out.extend_from_slice(b"HTTP/1.1 ");
    write_number(usize::from(*number), out);
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: ");
    out.extend_from_slice(content.media_type().as_bytes());
    out.extend_from_slice(b"\r\nContent-Length: ");
    write_number(body.len(), out);
    if let Some(allow) = allow {
        out.extend_from_slice(b"\r\nAllow: ");
        out.extend_from_slice(allow.as_bytes());
    }
    out.extend_from_slice(match persistence {
        Persistence::Kept => b"\r\n\r\n",
        Persistence::KeptIfSaid => b"\r\nConnection: keep-alive\r\n\r\n",
        Persistence::Closed => b"\r\nConnection: close\r\n\r\n",
    });
    if !head_only {
        out.extend_from_slice(body);
    }
}

/// At most three digits.
#[inline]
fn write_number(number: usize, out: &mut Vec<u8>) {
    let digit = |value: usize| b'0' + u8::try_from(value % 10).unwrap_or(0);
    if number >= 100 {
        out.push(digit(number / 100));
    }
    if number >= 10 {
        out.push(digit(number / 10));
    }
    out.push(digit(number));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::reply::Fate;
    use proptest::collection::vec;
    use proptest::prelude::*;

    struct Easy;

    impl Handler for Easy {
        fn handle(&mut self, _: &[u8]) -> Fate {
            Fate::Accepted
        }

        fn settled_windows(&self) -> u64 {
            0
        }
    }

    /// What is answered to `bytes` if they come in parts of these lengths, over and over.
    fn answers(bytes: &[u8], parts: &[usize]) -> (String, Next) {
        let (mut http, mut out, mut counts) = (Http1::default(), Vec::new(), Counts::default());
        let (mut held, mut rest) = (Vec::new(), bytes);
        for &part in parts.iter().cycle() {
            let (now, later) = rest.split_at(part.min(rest.len()));
            held.extend_from_slice(now);
            rest = later;
            let progress = http.receive(&held, &mut Easy, &mut out, &mut counts);
            held.drain(..progress.used);
            assert!(held.len() <= MOST_HEAD || progress.next != Next::More);
            if rest.is_empty() || progress.next != Next::More {
                return (String::from_utf8(out).unwrap(), progress.next);
            }
        }
        unreachable!("parts are never empty")
    }

    fn request() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            "GET /",
            "HEAD /",
            "POST /orders",
            "PUT /x",
            "[A-Z]{0,4} ?[ -~]{0,9}"
        ];
        let version =
            prop_oneof![4 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0"), 1 => Just("HTTP/3.7")];
        let field = prop_oneof![
            Just("Connection: close".to_owned()),
            Just("Connection: keep-alive".to_owned()),
            Just("Transfer-Encoding: chunked".to_owned()),
            "[A-Za-z-]{1,12}: [ -~]{0,20}",
            "[ -~]{0,20}",
        ];
        (line, version, vec(field, 0..2), "[ -~]{0,40}").prop_map(
            |(line, version, fields, body)| {
                let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
                let length = body.len();
                format!(
                    "{line} {version}\r\nHost: x\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
                )
            },
        )
    }

    proptest! {
        #[test]
        fn requests_are_answered_alike_however_the_stream_is_cut(
            requests in vec(request(), 1..5),
            parts in vec(1_usize..120, 1..5),
        ) {
            let bytes = requests.concat().into_bytes();
            prop_assert_eq!(answers(&bytes, &parts), answers(&bytes, &[bytes.len()]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 1..400), part in 1_usize..50) {
            let _ = answers(&bytes, &[part]);
        }
    }
}
