//! How an HTTP/1.1 connection becomes a WebSocket (RFC 6455, 4.1).

use httparse::Header;
use tungstenite::handshake::derive_accept_key;

use crate::network::codecs::answers::bad_reply;
use crate::network::codecs::http1::head::{self, EndSearch};
use crate::network::codecs::http1::request;
use crate::network::codecs::template::Template;
use crate::network::error::NetworkError;
use crate::network::session::SessionError;
use crate::network::target::NetworkTarget;
use crate::scenario::RequestOptions;

/// Headers that are the handshake itself, and why they cannot be given.
const OURS: [(&str, &str); 8] = [
    ("Connection", PART),
    ("Upgrade", PART),
    ("Sec-WebSocket-Key", PART),
    ("Sec-WebSocket-Version", PART),
    ("Sec-WebSocket-Accept", "only servers send it"),
    ("Sec-WebSocket-Extensions", "extensions are not spoken"),
    ("Content-Length", "a handshake has no body"),
    ("Transfer-Encoding", "a handshake has no body"),
];
const PART: &str = "it is part of the handshake";

/// The client's half, without its key.
#[derive(Debug)]
pub(super) struct Handshake {
    request: Template,
}

impl Handshake {
    pub(super) fn new(
        target: &NetworkTarget,
        options: &RequestOptions,
    ) -> Result<Handshake, NetworkError> {
        let mut bytes = Template::default();
        bytes.text(b"GET ");
        request::path(target, &mut bytes)?;
        bytes.text(b" HTTP/1.1\r\n");
        request::headers(target, &options.headers, &OURS, &mut bytes)?;
        bytes.text(
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
        );
        Ok(Handshake { request: bytes })
    }

    /// Appends the request; a handshake is number 0 where `{n}` stands.
    pub(super) fn append(&self, key: &str, out: &mut Vec<u8>) {
        self.request.append(0, out);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// The server's half, as it is awaited.
#[derive(Debug)]
pub(super) struct Agreement {
    accept: String,
    search: EndSearch,
}

impl Agreement {
    /// An answer to a handshake with `key`.
    pub(super) fn to(key: &str) -> Agreement {
        Agreement {
            accept: derive_accept_key(key.as_bytes()),
            search: EndSearch::default(),
        }
    }

    /// Whether the server agrees: the length of its reply, or `None` as long as that is not whole.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<Option<usize>, SessionError> {
        if !self.search.may_end(input)? {
            return Ok(None);
        }
        head::parse(input, |status, _, headers| {
            check(status, headers, &self.accept)
        })
    }
}

fn check(status: u16, headers: &[Header<'_>], accept: &str) -> Result<(), SessionError> {
    if status != 101 {
        return Err(SessionError {
            kind: "handshake refused",
            detail: format!(
                "status {status} where 101 was expected: is there a WebSocket at this path?"
            ),
        });
    }
    let all = |name: &'static str| {
        headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    };
    let lists = |name, word: &[u8]| {
        all(name)
            .flat_map(head::tokens)
            .any(|token| token.eq_ignore_ascii_case(word))
    };
    if !lists("Upgrade", b"websocket") || !lists("Connection", b"upgrade") {
        return Err(bad_reply("status 101 to something that is not WebSocket"));
    }
    if !all("Sec-WebSocket-Accept").eq([accept.as_bytes()]) {
        return Err(bad_reply(
            "a handshake that does not prove that our key was read",
        ));
    }
    if all("Sec-WebSocket-Extensions").next().is_some() {
        return Err(bad_reply("a WebSocket extension that was not offered"));
    }
    Ok(())
}
