//! WebSocket frames: out masked and whole, in skipped.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::network::codecs::answers::bad_reply;
use crate::network::codecs::fitting;
use crate::network::session::SessionError;

/// Longest payload of a control frame (RFC 6455, 5.5).
const LONGEST_CONTROL: u64 = 125;
/// Longest header of a frame that a client sends.
const LONGEST_HEADER: usize = 14;

/// Appends one frame with the payload that `payload` appends, masked with `mask`.
pub(super) fn append(
    opcode: OpCode,
    mask: [u8; 4],
    out: &mut Vec<u8>,
    payload: impl FnOnce(&mut Vec<u8>),
) {
    // How long a header is depends on the length of what comes behind it: the payload is put at the
    // furthest place, and drawn nearer once its length is known.
    let start = out.len();
    out.resize(start + LONGEST_HEADER, 0);
    let from = out.len();
    payload(out);
    apply_mask(&mut out[from..], mask);
    let header = FrameHeader {
        opcode,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    let length = out.len() - from;
    let mut written = Cursor::new(&mut out[start..from]);
    // Cannot fail: 14 bytes hold every header.
    let _ = header.format(length as u64, &mut written);
    let header = start + header.len(length as u64);
    out.copy_within(from.., header);
    out.truncate(header + length);
}

fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask, mask].as_flattened().try_into().unwrap_or_default());
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let masked = u64::from_ne_bytes(word.try_into().unwrap_or_default()) ^ wide;
        word.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The input ends within a frame.
    Part,
    /// A whole frame of a message that others follow.
    Fragment,
    /// The last or only frame of a message.
    Message,
    Ping(&'a [u8]),
    Pong,
    Close(&'a [u8]),
}

/// Reads a server's frames, and skips what they hold.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    /// The frame under way: bytes that are missing, and whether it is the message's last.
    frame: Option<(u64, bool)>,
    /// Frames of a message came, and its last did not.
    fragmented: bool,
}

impl FrameReader {
    /// Whether a message has begun that is not whole.
    pub(super) fn within_message(&self) -> bool {
        self.fragmented || self.frame.is_some()
    }

    /// Reads one frame, or what `input` holds of it: how many bytes were used, and what was found.
    #[inline]
    pub(super) fn read<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Found<'a>), SessionError> {
        let mut used = 0;
        if self.frame.is_none() {
            let mut cursor = Cursor::new(input);
            let header = FrameHeader::parse(&mut cursor)
                .map_err(|error| bad_reply(format!("no WebSocket frame: {error}")))?;
            let Some((header, length)) = header else {
                return Ok((0, Found::Part));
            };
            check(&header, length)?;
            used = usize::try_from(cursor.position()).unwrap_or(input.len());
            match header.opcode {
                OpCode::Control(control) => return Ok(read_control(control, length, used, input)),
                OpCode::Data(Data::Continue) if !self.fragmented => {
                    return Err(bad_reply("a continuation of no message"));
                }
                OpCode::Data(Data::Text | Data::Binary) if self.fragmented => {
                    return Err(bad_reply("a new message within another"));
                }
                OpCode::Data(_) => self.frame = Some((length, header.is_final)),
            }
        }
        if let Some((missing, is_final)) = &mut self.frame {
            let here = fitting(*missing, &input[used..]);
            *missing -= here as u64;
            used += here;
            if *missing == 0 {
                self.fragmented = !*is_final;
                self.frame = None;
                let found = if self.fragmented {
                    Found::Fragment
                } else {
                    Found::Message
                };
                return Ok((used, found));
            }
        }
        Ok((used, Found::Part))
    }
}

fn read_control(control: Control, length: u64, used: usize, input: &[u8]) -> (usize, Found<'_>) {
    let payload = &input[used..];
    let here = fitting(length, payload);
    if (here as u64) < length {
        return (0, Found::Part);
    }
    let payload = &payload[..here];
    let found = match control {
        Control::Ping => Found::Ping(payload),
        Control::Close => Found::Close(payload),
        // Reserved ones are refused with the header.
        Control::Pong | Control::Reserved(_) => Found::Pong,
    };
    (used + here, found)
}

fn check(header: &FrameHeader, length: u64) -> Result<(), SessionError> {
    let wrong = if header.rsv1 || header.rsv2 || header.rsv3 {
        "a frame of an extension that nobody agreed on"
    } else if header.mask.is_some() {
        "a masked frame, which only clients send"
    } else if length > i64::MAX as u64 {
        "a frame longer than the protocol allows"
    } else if matches!(header.opcode, OpCode::Control(_))
        && (length > LONGEST_CONTROL || !header.is_final)
    {
        "a control frame in parts or of more than 125 bytes"
    } else {
        return Ok(());
    };
    Err(bad_reply(wrong))
}
