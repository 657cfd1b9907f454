//! One direction of a connection: what was read, and when each of it is due. No socket, no clock.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::{Delay, Shared};
use crate::clock::Nanos;

/// Bytes that one direction holds at most (and one read more); the rest waits in the socket.
pub(super) const MOST_HELD: usize = 4 << 20;

/// What is passed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parcel {
    /// Bytes; so many of them are sent already.
    Bytes(Vec<u8>, usize),
    /// The sender has closed its side.
    End,
    /// The sender has reset the connection.
    Reset,
}

#[derive(Debug)]
struct Held {
    due: Nanos,
    parcel: Parcel,
    /// Whether it was delayed at all.
    delayed: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Pipe {
    held: VecDeque<Held>,
    bytes: usize,
    random: Xoshiro256PlusPlus,
    delay: Delay,
    /// Tells this direction's random numbers from others'.
    number: u64,
    last_due: Nanos,
    /// The sender's socket may hold something.
    pub(super) readable: bool,
    /// The sender will send nothing more.
    pub(super) ended: bool,
    /// For when the timer was last told of this direction.
    pub(super) armed: Option<Nanos>,
}

impl Pipe {
    pub(super) fn new(number: u64) -> Pipe {
        Pipe {
            held: VecDeque::new(),
            bytes: 0,
            random: random(0, number),
            delay: Delay::default(),
            number,
            last_due: Nanos(0),
            readable: false,
            ended: false,
            armed: None,
        }
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        !self.ended && self.bytes < MOST_HELD
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When something read at `now` is to be passed on.
    pub(super) fn due(&mut self, now: Nanos, shared: &Shared) -> Nanos {
        let setting = shared.setting.load(Ordering::Acquire);
        if setting != self.delay.number {
            self.delay = shared.delay();
            self.random = random(self.delay.seed, self.number);
        }
        let Delay { by, jitter, .. } = self.delay;
        let drawn = if jitter.0 == 0 {
            0
        } else {
            // The upper half of the product is below `jitter`, all values as likely within 2^-32.
            let product = u128::from(self.random.next_u64()) * u128::from(jitter.0);
            u64::try_from(product >> 64).unwrap_or(u64::MAX)
        };
        let due = now.0.saturating_add(by.0).saturating_add(drawn);
        self.last_due = self.last_due.max(Nanos(due));
        self.last_due
    }

    /// Keeps what was read at `now` until `due`.
    pub(super) fn push(&mut self, parcel: Parcel, now: Nanos, due: Nanos) {
        match &parcel {
            Parcel::Bytes(bytes, sent) => self.bytes += bytes.len() - sent,
            Parcel::End | Parcel::Reset => self.ended = true,
        }
        self.held.push_back(Held {
            due,
            parcel,
            delayed: due > now,
        });
    }

    /// What is due first, with its time.
    pub(super) fn front(&mut self) -> Option<(Nanos, &mut Parcel)> {
        let held = self.held.front_mut()?;
        Some((held.due, &mut held.parcel))
    }

    /// The first parcel was passed on at `now`. Its bytes, to be used again.
    pub(super) fn pop(&mut self, now: Nanos, shared: &Shared) -> Option<Vec<u8>> {
        let held = self.held.pop_front()?;
        if held.delayed {
            let late = now.saturating_sub(held.due).0;
            shared.delayed.fetch_add(1, Ordering::Relaxed);
            shared.late.fetch_add(late, Ordering::Relaxed);
            shared.most_late.fetch_max(late, Ordering::Relaxed);
        }
        match held.parcel {
            Parcel::Bytes(bytes, _) => Some(bytes),
            Parcel::End | Parcel::Reset => None,
        }
    }

    /// So many of the bytes held were sent.
    pub(super) fn note_sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Nobody is there to take any of it.
    pub(super) fn discard(&mut self) {
        self.held.clear();
        self.bytes = 0;
        self.ended = true;
    }
}

fn random(seed: u64, number: u64) -> Xoshiro256PlusPlus {
    // Spread, so that neighbouring seeds and numbers do not meet.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Xoshiro256PlusPlus::seed_from_u64(seed ^ spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(by: u64, jitter: u64, seed: u64) -> Shared {
        let shared = Shared::default();
        *shared.delay.lock().unwrap() = Delay {
            by: Nanos(by),
            jitter: Nanos(jitter),
            seed,
            number: 1,
        };
        shared.setting.store(1, Ordering::Release);
        shared
    }

    #[test]
    fn chunks_are_due_after_the_delay_and_no_more_than_the_jitter_later_and_keep_their_order() {
        let shared = shared(1_000, 500, 7);
        let mut pipe = Pipe::new(0);
        let mut last = Nanos(0);
        let mut spread = std::collections::BTreeSet::new();
        for n in 0..1_000 {
            let now = Nanos(n * 600);
            let due = pipe.due(now, &shared);
            assert!(due >= now + Nanos(1_000) && due < now + Nanos(1_500));
            assert!(due >= last);
            spread.insert((due - now).0 / 100);
            last = due;
        }
        assert_eq!(spread.len(), 5, "all of the jitter is used");
    }

    #[test]
    fn a_chunk_without_delay_does_not_overtake_a_delayed_one() {
        let delayed = shared(1_000_000, 0, 0);
        let mut pipe = Pipe::new(0);
        let first = pipe.due(Nanos(10), &delayed);
        let at_once = Shared::default();
        at_once.setting.store(2, Ordering::Release);
        assert_eq!(pipe.due(Nanos(20), &at_once), first);
        assert_eq!(pipe.due(Nanos(2_000_000), &at_once), Nanos(2_000_000));
    }

    #[test]
    fn the_same_seed_draws_the_same_delays_and_directions_draw_different_ones() {
        let draw = |seed, number| -> Vec<Nanos> {
            let shared = shared(0, 1 << 40, seed);
            let mut pipe = Pipe::new(number);
            (0..8).map(|_| pipe.due(Nanos(0), &shared)).collect()
        };
        assert_eq!(draw(1, 3), draw(1, 3));
        assert_ne!(draw(1, 3), draw(2, 3));
        assert_ne!(draw(1, 3), draw(1, 4));
    }

    #[test]
    fn a_full_pipe_has_no_room_until_something_was_sent() {
        let mut pipe = Pipe::new(0);
        pipe.push(Parcel::Bytes(vec![0; MOST_HELD], 0), Nanos(0), Nanos(1));
        assert!(!pipe.has_room());
        pipe.note_sent(1);
        assert!(pipe.has_room());
        pipe.push(Parcel::End, Nanos(0), Nanos(1));
        assert!(!pipe.has_room());
    }
}
