//! Refusals by kind, without an allocation for each: a server at its limit refuses every request.

use std::borrow::Cow;

use crate::network::session::{Answer, SessionError};

/// `status NNN` for every refusal that three digits can say.
const FIRST: u16 = 400;
const COUNT: usize = 600;
static STATUSES: [[u8; 10]; COUNT] = statuses();

const fn statuses() -> [[u8; 10]; COUNT] {
    let mut table = [*b"status 000"; COUNT];
    let mut at = 0;
    while at < COUNT {
        let status = FIRST as usize + at;
        table[at][7] = b'0' + (status / 100) as u8;
        table[at][8] = b'0' + (status / 10 % 10) as u8;
        table[at][9] = b'0' + (status % 10) as u8;
        at += 1;
    }
    table
}

/// What an HTTP status says: from 400 on it is a refusal, `status 503`.
pub(crate) fn of_status(status: u16) -> Answer {
    let Some(at) = status.checked_sub(FIRST) else {
        return Answer::Ok;
    };
    let kind = STATUSES
        .get(usize::from(at))
        .and_then(|kind| str::from_utf8(kind).ok())
        .unwrap_or("status over 999");
    Answer::Failed(Cow::Borrowed(kind))
}

/// Bytes that the protocol does not allow.
pub(crate) fn bad_reply(detail: impl Into<String>) -> SessionError {
    SessionError {
        kind: "bad reply",
        detail: detail.into(),
    }
}

/// The peer closed its side in the middle of something.
pub(crate) fn closed_early(detail: impl Into<String>) -> SessionError {
    SessionError {
        kind: "closed early",
        detail: detail.into(),
    }
}

/// The peer sent what nobody asked for: from here on no reply could be told from another.
pub(crate) fn unasked(bytes: &[u8]) -> SessionError {
    SessionError {
        kind: "unasked reply",
        detail: format!(
            "bytes came while no request was under way: {}",
            excerpt(bytes)
        ),
    }
}

/// The beginning of hostile bytes, short and printable.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let more = if bytes.len() > SHOWN { "..." } else { "" };
    format!("\"{}\"{more}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_from_400_on_is_a_refusal_of_its_own_kind() {
        assert_eq!(of_status(200), Answer::Ok);
        assert_eq!(of_status(399), Answer::Ok);
        for status in 400..=999 {
            assert_eq!(
                of_status(status),
                Answer::Failed(format!("status {status}").into())
            );
        }
    }

    #[test]
    fn what_a_server_sent_is_shown_shortened_and_without_control_characters() {
        assert_eq!(excerpt(b"\x1b[2J\r\n"), r#""\x1b[2J\r\n""#);
        assert!(excerpt(&[0; 10_000]).len() < 300);
    }
}
