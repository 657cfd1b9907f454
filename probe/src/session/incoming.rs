//! Records from the ring buffer: slow events, their stacks, and the lives of threads.

use std::mem::{offset_of, size_of};
use std::ptr;

use aya::maps::{MapData, RingBuf};
use tailcut_probe_ebpf::records::{self, EVENT, Event, LIFE, STACK, STACK_BYTES};

/// One record.
pub(crate) enum Record {
    /// A slow event.
    Slow(Event),
    /// Something about a thread's or process's life.
    Life(Event),
    /// Registers and stack that belong to an earlier event.
    Stack(Stack),
}

/// Registers of a thread and the top of its stack.
pub(crate) struct Stack {
    pub event: u64,
    pub ip: u64,
    pub sp: u64,
    pub bp: u64,
    pub bytes: Vec<u8>,
}

/// Takes all records that are there.
pub(crate) fn drain(ring: &mut RingBuf<MapData>, mut take: impl FnMut(Record)) {
    while let Some(item) = ring.next() {
        if let Some(record) = parse(&item) {
            take(record);
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Record> {
    let kind = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    match kind {
        EVENT | LIFE => {
            if bytes.len() < size_of::<Event>() {
                return None;
            }
            // SAFETY: there are enough bytes, and an event is made of integers, for which all bytes
            // are values; they need not be aligned.
            let event = unsafe { ptr::read_unaligned(bytes.as_ptr().cast::<Event>()) };
            Some(if kind == EVENT {
                Record::Slow(event)
            } else {
                Record::Life(event)
            })
        }
        STACK => {
            let word = |at: usize| {
                let word = bytes.get(at..at + 8)?;
                Some(u64::from_ne_bytes(word.try_into().ok()?))
            };
            let half = |at: usize| {
                let half = bytes.get(at..at + 4)?;
                Some(u32::from_ne_bytes(half.try_into().ok()?))
            };
            let length = half(offset_of!(records::StackCopy, length))? as usize;
            let begin = offset_of!(records::StackCopy, bytes);
            Some(Record::Stack(Stack {
                event: word(offset_of!(records::StackCopy, id))?,
                ip: word(offset_of!(records::StackCopy, ip))?,
                sp: word(offset_of!(records::StackCopy, sp))?,
                bp: word(offset_of!(records::StackCopy, bp))?,
                bytes: bytes.get(begin..begin + length.min(STACK_BYTES))?.to_vec(),
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_too_short_or_unknown_is_no_record() {
        assert!(parse(&[]).is_none());
        assert!(parse(&EVENT.to_ne_bytes()).is_none());
        assert!(parse(&STACK.to_ne_bytes()).is_none());
        assert!(parse(&[0xff; 256]).is_none());
    }

    #[test]
    fn a_stack_keeps_only_the_bytes_that_were_read() {
        let mut bytes = vec![0; size_of::<records::StackCopy>()];
        bytes[..4].copy_from_slice(&STACK.to_ne_bytes());
        let length = offset_of!(records::StackCopy, length);
        bytes[length..length + 4].copy_from_slice(&1024_u32.to_ne_bytes());
        let Some(Record::Stack(stack)) = parse(&bytes) else {
            panic!("a stack was not read as one");
        };
        assert_eq!(stack.bytes.len(), 1024);
    }
}
