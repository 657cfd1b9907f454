//! Which connection gets the next request: the one that has been without for longest, in constant time
//! for any number of connections.
//!
//! A queue of connections with room. One that loses its room otherwise than by being filled (it closes,
//! its socket is full) stays in it and is passed over when its turn comes.

use crate::clock::Nanos;
use std::collections::VecDeque;

/// Connections that can take a request.
pub(super) struct Places {
    queue: VecDeque<usize>,
    /// Which connections are in the queue: none is in it twice.
    queued: Box<[bool]>,
    since: Nanos,
}

impl Places {
    pub(super) fn new(connections: usize) -> Places {
        Places {
            queue: VecDeque::with_capacity(connections),
            queued: vec![false; connections].into_boxed_slice(),
            since: Nanos(0),
        }
    }

    /// Since when there has been a place without interruption, as far as this thread could know.
    #[inline(always)]
    pub(super) fn since(&self) -> Nanos {
        self.since
    }

    /// The connection whose turn it is.
    #[inline(always)]
    pub(super) fn first(&self) -> Option<usize> {
        self.queue.front().copied()
    }

    /// A connection has room, from `at` on.
    #[inline(always)]
    pub(super) fn offer(&mut self, connection: usize, at: Nanos) {
        if self.queued[connection] {
            return;
        }
        if self.queue.is_empty() {
            self.since = at;
        }
        self.queued[connection] = true;
        self.queue.push_back(connection);
    }

    /// The first connection has been given something and has room for more: it is the last now.
    #[inline(always)]
    pub(super) fn rotate(&mut self) {
        self.queue.rotate_left(usize::from(self.queue.len() > 1));
    }

    /// The first connection has no room.
    #[inline(always)]
    pub(super) fn remove_first(&mut self) {
        if let Some(connection) = self.queue.pop_front() {
            self.queued[connection] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns_and_none_stands_in_the_queue_twice() {
        let mut places = Places::new(3);
        for connection in [2, 0, 1, 2, 0] {
            places.offer(connection, Nanos(5));
        }
        let mut turns = Vec::new();
        for _ in 0..6 {
            turns.push(places.first().unwrap());
            places.rotate();
        }
        assert_eq!(turns, [2, 0, 1, 2, 0, 1]);
        places.remove_first();
        assert_eq!(places.first(), Some(0));
    }

    #[test]
    fn there_was_a_place_from_when_the_queue_was_last_empty() {
        let mut places = Places::new(2);
        places.offer(0, Nanos(5));
        places.offer(1, Nanos(9));
        assert_eq!(places.since(), Nanos(5));
        places.remove_first();
        places.remove_first();
        places.offer(1, Nanos(20));
        assert_eq!(places.since(), Nanos(20));
    }
}
