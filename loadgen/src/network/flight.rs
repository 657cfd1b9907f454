//! The requests of one connection that are under way, by ticket.
//!
//! Tickets count up, and answers mostly come in their order, so this is a ring: a push is a store, an
//! answer in order a load. Where a protocol answers out of order, one late answer must not make the ring
//! grow with everything that is sent after it: what is still under way when the ring comes round to it
//! moves to a short sorted list. So memory is bounded by the pipeline's depth, whatever the server does,
//! and nothing is allocated once both are warm.

use super::session::Ticket;
use crate::clock::Nanos;

/// A request that was handed to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// Its number in the schedule.
    pub(super) number: u64,
    pub(super) intended: Nanos,
    /// Handed to the kernel.
    pub(super) sent: Nanos,
    /// The first byte of its answer came; zero if none has.
    pub(super) first_byte: Nanos,
}

const VACANT: Request = Request {
    number: u64::MAX,
    intended: Nanos(0),
    sent: Nanos(0),
    first_byte: Nanos(0),
};

/// See the module's head.
pub(super) struct Flight {
    /// As many slots as a power of two; a ticket's slot is its low bits.
    ring: Box<[Request]>,
    /// The oldest ticket in the ring that is under way, or `next` if none is.
    oldest: Ticket,
    next: Ticket,
    under_way: u32,
    /// Under way, and older than anything in the ring; ascending.
    stragglers: Vec<(Ticket, Request)>,
}

impl Flight {
    /// For at most `pipeline` requests at a time.
    pub(super) fn new(pipeline: u32) -> Flight {
        let slots = (2 * pipeline as usize).next_power_of_two().max(4);
        Flight {
            ring: vec![VACANT; slots].into_boxed_slice(),
            oldest: 0,
            next: 0,
            under_way: 0,
            stragglers: Vec::new(),
        }
    }

    #[inline(always)]
    fn slot(&self, ticket: Ticket) -> usize {
        #[allow(clippy::cast_possible_truncation)] // only the low bits are wanted
        {
            ticket as usize & (self.ring.len() - 1)
        }
    }

    /// The ticket that the next request gets.
    #[inline(always)]
    pub(super) fn next_ticket(&self) -> Ticket {
        self.next
    }

    /// How many requests are under way.
    #[inline(always)]
    pub(super) fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Takes a request in, under the next ticket.
    #[inline(always)]
    pub(super) fn push(&mut self, request: Request) {
        if self.next - self.oldest == self.ring.len() as u64 {
            self.set_oldest_aside();
        }
        let slot = self.slot(self.next);
        self.ring[slot] = request;
        self.next += 1;
        self.under_way += 1;
    }

    #[cold]
    fn set_oldest_aside(&mut self) {
        let slot = self.slot(self.oldest);
        let request = std::mem::replace(&mut self.ring[slot], VACANT);
        self.stragglers.push((self.oldest, request));
        self.skip_vacant();
    }

    fn skip_vacant(&mut self) {
        while self.oldest < self.next && self.ring[self.slot(self.oldest)].number == u64::MAX {
            self.oldest += 1;
        }
    }

    /// The request of a ticket, if it is under way.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Request> {
        if ticket >= self.next {
            return None;
        }
        if ticket >= self.oldest {
            let slot = self.slot(ticket);
            return Some(&mut self.ring[slot]).filter(|request| request.number != u64::MAX);
        }
        let place = self.straggler(ticket)?;
        Some(&mut self.stragglers[place].1)
    }

    fn straggler(&self, ticket: Ticket) -> Option<usize> {
        self.stragglers
            .binary_search_by_key(&ticket, |(ticket, _)| *ticket)
            .ok()
    }

    /// Takes a request out; nothing if none is under way under this ticket.
    #[inline(always)]
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Request> {
        if ticket >= self.next {
            return None;
        }
        if ticket < self.oldest {
            let place = self.straggler(ticket)?;
            self.under_way -= 1;
            return Some(self.stragglers.remove(place).1);
        }
        let slot = self.slot(ticket);
        let request = std::mem::replace(&mut self.ring[slot], VACANT);
        if request.number == u64::MAX {
            return None;
        }
        self.under_way -= 1;
        if ticket == self.oldest {
            self.skip_vacant();
        }
        Some(request)
    }

    /// The request that has been under way for longest.
    pub(super) fn oldest(&self) -> Option<(Ticket, &Request)> {
        if let Some((ticket, request)) = self.stragglers.first() {
            return Some((*ticket, request));
        }
        (self.oldest < self.next).then(|| (self.oldest, &self.ring[self.slot(self.oldest)]))
    }

    /// Takes the oldest request out.
    pub(super) fn take_oldest(&mut self) -> Option<Request> {
        let (ticket, _) = self.oldest()?;
        self.take(ticket)
    }

    /// Ready for a new connection, whose tickets begin at 0 again. Nothing may be under way.
    pub(super) fn restart(&mut self) {
        debug_assert_eq!(self.under_way, 0);
        (self.oldest, self.next) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn request(number: u64) -> Request {
        Request {
            number,
            intended: Nanos(number),
            ..VACANT
        }
    }

    proptest! {
        /// Any order of sends and answers, against a map.
        #[test]
        fn every_request_comes_out_once_whatever_the_order_of_answers(
            pipeline in 1_u32..9,
            steps in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..400),
        ) {
            let mut flight = Flight::new(pipeline);
            let mut model = BTreeMap::new();
            for (send, which) in steps {
                if (send || model.is_empty()) && flight.under_way() < pipeline {
                    let ticket = flight.next_ticket();
                    flight.push(request(ticket * 10));
                    model.insert(ticket, ticket * 10);
                } else if !model.is_empty() {
                    let ticket = *model.keys().nth(which.index(model.len())).unwrap();
                    let number = model.remove(&ticket).unwrap();
                    prop_assert_eq!(flight.get_mut(ticket).map(|found| found.number), Some(number));
                    prop_assert_eq!(flight.take(ticket), Some(request(number)));
                    prop_assert_eq!(flight.take(ticket), None);
                }
                prop_assert_eq!(flight.under_way() as usize, model.len());
                prop_assert_eq!(flight.oldest().map(|(ticket, _)| ticket), model.keys().next().copied());
            }
            prop_assert!(flight.stragglers.len() <= pipeline as usize);
            while let Some(request) = flight.take_oldest() {
                prop_assert_eq!(model.pop_first().map(|(_, number)| number), Some(request.number));
            }
            prop_assert!(model.is_empty());
        }
    }

    #[test]
    fn one_answer_that_never_comes_does_not_make_it_grow() {
        let mut flight = Flight::new(2);
        flight.push(request(7));
        for _ in 0..100_000 {
            let ticket = flight.next_ticket();
            flight.push(request(8));
            assert!(flight.take(ticket).is_some());
        }
        assert_eq!((flight.ring.len(), flight.stragglers.len()), (4, 1));
        assert_eq!(flight.take(0), Some(request(7)));
    }

    #[test]
    fn a_ticket_that_was_never_given_names_no_request() {
        let mut flight = Flight::new(4);
        flight.push(request(1));
        assert!(flight.take(1).is_none());
        assert!(flight.get_mut(u64::MAX).is_none());
    }
}
