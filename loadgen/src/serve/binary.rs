//! Orders one behind the other in a stream, and their answers: no socket, no clock.
//!
//! An order is looked at where it was received, whole or not at all; what a stream holds of the next one
//! stays in front of what comes. One that announces more bytes than any order has is answered as soon as its id
//! is there, and skipped without being kept.

use super::counts::Counts;
use super::handler::Handler;
use crate::order::reply::{self, Fate};
use crate::order::wire::{Frame, MAX_ORDER, client_id};

/// The client's id ends here.
const ID_END: usize = 16;

/// What lies between two reads of a stream of orders, apart from the bytes of a partial one.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Bytes still to come of an order that is too long to be one.
    skip: usize,
}

/// How far a protocol came with the bytes that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes used up from the front. The rest is given again with what comes behind it.
    pub(super) used: usize,
    /// Whether the connection goes on.
    pub(super) next: Next,
}

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It does.
    More,
    /// It ends as soon as the answers are sent, as agreed.
    Close,
    /// The same, because nobody can tell where the next request would begin.
    Garbled,
}

impl Orders {
    /// Answers all whole orders in `input`; leaves less than [`MAX_ORDER`] bytes.
    #[inline]
    pub(super) fn receive<H: Handler>(
        &mut self,
        input: &[u8],
        handler: &mut H,
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Progress {
        let mut rest = input;
        let next = loop {
            if self.skip > 0 {
                let skipped = self.skip.min(rest.len());
                self.skip -= skipped;
                rest = &rest[skipped..];
            }
            let length = match Frame::find(rest) {
                Frame::Whole(length) => length,
                Frame::Unknown => break Next::More,
                Frame::Lost => break Next::Garbled,
            };
            if length > MAX_ORDER {
                if rest.len() < ID_END {
                    break Next::More;
                }
                answer_malformed(rest, out, counts);
                self.skip = length;
            } else if let Some((order, behind)) = rest.split_at_checked(length) {
                answer(order, handler, out, counts);
                rest = behind;
            } else {
                break Next::More;
            }
        };
        Progress {
            used: input.len() - rest.len(),
            next,
        }
    }
}

/// Answers all orders of a datagram. What is left over at its end is one malformed order: nothing can
/// complete it.
#[inline]
pub(super) fn datagram<H: Handler>(
    input: &[u8],
    handler: &mut H,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    let mut rest = input;
    while !rest.is_empty() {
        let whole = match Frame::find(rest) {
            Frame::Whole(length) => rest.split_at_checked(length),
            Frame::Unknown | Frame::Lost => None,
        };
        let Some((order, behind)) = whole else {
            // An id that stands where an order's would is no more than a guess, but the best there is.
            answer_malformed(rest, out, counts);
            return;
        };
        answer(order, handler, out, counts);
        rest = behind;
    }
}

/// Has one order handled and appends the answer.
#[inline]
pub(super) fn answer<H: Handler>(
    order: &[u8],
    handler: &mut H,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    let fate = fate(order, handler, counts);
    out.extend_from_slice(&reply::encode(client_id(order), fate));
}

/// Has one order handled, and counts it.
#[inline]
pub(super) fn fate<H: Handler>(order: &[u8], handler: &mut H, counts: &mut Counts) -> Fate {
    let fate = handler.handle(order);
    counts.orders += 1;
    match fate {
        Fate::Accepted => {}
        Fate::Refused => counts.refused += 1,
        Fate::Malformed => counts.malformed += 1,
    }
    fate
}

#[cold]
fn answer_malformed(bytes: &[u8], out: &mut Vec<u8>, counts: &mut Counts) {
    counts.orders += 1;
    counts.malformed += 1;
    out.extend_from_slice(&reply::encode(client_id(bytes), Fate::Malformed));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::generate::Corpus;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static CORPUS: LazyLock<Corpus> = LazyLock::new(|| Corpus::generate(3));

    /// Accepts whatever it is given.
    struct Easy;

    impl Handler for Easy {
        fn handle(&mut self, _: &[u8]) -> Fate {
            Fate::Accepted
        }

        fn settled_windows(&self) -> u64 {
            0
        }
    }

    /// What is answered to `bytes` if they come in parts of these lengths, over and over; and how it ends.
    fn answers(bytes: &[u8], parts: &[usize]) -> (Vec<u8>, Next, Counts) {
        let (mut orders, mut out, mut counts) = (Orders::default(), Vec::new(), Counts::default());
        let mut held = Vec::new();
        let mut rest = bytes;
        for &part in parts.iter().cycle() {
            let (now, later) = rest.split_at(part.min(rest.len()));
            held.extend_from_slice(now);
            rest = later;
            let progress = orders.receive(&held, &mut Easy, &mut out, &mut counts);
            held.drain(..progress.used);
            assert!(held.len() < MAX_ORDER || progress.next != Next::More);
            if rest.is_empty() || progress.next != Next::More {
                return (out, progress.next, counts);
            }
        }
        unreachable!("parts are never empty")
    }

    proptest! {
        #[test]
        fn orders_are_answered_alike_however_the_stream_is_cut(
            seed in any::<u64>(),
            lengths in vec(20_usize..3_000, 0..4),
            garbage in vec(any::<u8>(), 0..40),
            parts in vec(1_usize..900, 1..6),
        ) {
            let corpus = &*CORPUS;
            let mut bytes = Vec::new();
            for (length, n) in lengths.into_iter().zip(seed..) {
                bytes.extend_from_slice(corpus.request(n));
                // An order of any length, most of them too long.
                let start = bytes.len();
                bytes.extend_from_slice(corpus.request(n));
                bytes.resize(start + length, 0xee);
                bytes[start..start + 2].copy_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
            }
            bytes.extend(garbage);
            let whole = answers(&bytes, &[bytes.len().max(1)]);
            prop_assert_eq!(answers(&bytes, &parts), whole.clone());
            prop_assert_eq!(whole.0.len() as u64, whole.2.orders * reply::REPLY as u64);
        }

        #[test]
        fn a_datagram_of_anything_is_answered_by_less_than_it_was(bytes in vec(any::<u8>(), 16..2_000)) {
            let mut out = Vec::new();
            datagram(&bytes, &mut Easy, &mut out, &mut Counts::default());
            prop_assert!(!out.is_empty() && out.len() <= bytes.len());
        }
    }
}
