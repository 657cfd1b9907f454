//! The bytes of an answer to an order: 16, little-endian.
//!
//! ```text
//!  0  u16  length, 16
//!  2  u8   version, 1
//!  3  u8   verdict: 0 accepted, 1 refused, 2 not an order
//!  4  u32  reserved, 0
//!  8  u64  the client's order id, as it was sent (0 where it could not be read)
//! ```
//!
//! Answers may come in any order; the id tells to which order each belongs.

/// Length of an answer, in bytes.
pub const REPLY: usize = 16;
const VERSION: u8 = 1;

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Accepted.
    Accepted,
    /// Refused by the service's rules.
    Refused,
    /// The bytes were no order.
    Malformed,
}

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no answer to an order: {reason}")]
pub struct ReplyError {
    /// What is wrong.
    pub reason: &'static str,
}

/// The bytes that answer order `id`.
#[inline]
#[must_use]
pub fn encode(id: u64, fate: Fate) -> [u8; REPLY] {
    let verdict = match fate {
        Fate::Accepted => 0,
        Fate::Refused => 1,
        Fate::Malformed => 2,
    };
    let mut bytes = [0; REPLY];
    bytes[0] = 16;
    bytes[2] = VERSION;
    bytes[3] = verdict;
    bytes[8..].copy_from_slice(&id.to_le_bytes());
    bytes
}

/// Reads an answer.
///
/// # Errors
/// What is wrong with the bytes. Never panics, whatever they are.
#[inline]
pub fn decode(bytes: &[u8; REPLY]) -> Result<(u64, Fate), ReplyError> {
    let [l0, l1, version, verdict, r0, r1, r2, r3, id @ ..] = bytes;
    if [*l0, *l1] != [16, 0] {
        return Err(ReplyError {
            reason: "the length is not 16",
        });
    }
    if *version != VERSION {
        return Err(ReplyError {
            reason: "the version is not 1",
        });
    }
    if [*r0, *r1, *r2, *r3] != [0; 4] {
        return Err(ReplyError {
            reason: "reserved bytes are not zero",
        });
    }
    let fate = match verdict {
        0 => Fate::Accepted,
        1 => Fate::Refused,
        2 => Fate::Malformed,
        _ => {
            return Err(ReplyError {
                reason: "the verdict is none of 0, 1, 2",
            });
        }
    };
    Ok((u64::from_le_bytes(*id), fate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for fate in [Fate::Accepted, Fate::Refused, Fate::Malformed] {
            assert_eq!(
                decode(&encode(0x0123_4567_89ab_cdef, fate)),
                Ok((0x0123_4567_89ab_cdef, fate))
            );
        }
    }

    #[test]
    fn every_changed_byte_of_the_head_is_noticed() {
        let good = encode(7, Fate::Accepted);
        for place in 0..8 {
            let mut bad = good;
            bad[place] ^= 0x80;
            assert!(decode(&bad).is_err(), "byte {place}");
        }
    }
}
