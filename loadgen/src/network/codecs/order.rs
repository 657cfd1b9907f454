//! Orders in the compact binary form ([`crate::order::wire`]), answered by [`crate::order::reply`].
//!
//! The order's id is replaced by the request's ticket, so that answers may come in any order, and a late
//! one of a request that was given up is told from all others. Runs over streams and in datagrams alike.
//! Costs one copy of an order's 85 bytes (on average) to send, and a few comparisons to receive.

use super::options::refuse_others;
use crate::network::NetworkError;
use crate::network::session::{Answer, Event, MakeSession, Session, SessionError, Ticket};
use crate::order::generate::Corpus;
use crate::order::reply::{self, Fate, REPLY};
use crate::scenario::RequestOptions;
use std::borrow::Cow;
use std::sync::Arc;

/// Where an order's id stands.
const ID: std::ops::Range<usize> = 8..16;

/// Makes [`Orders`].
#[derive(Debug, Clone)]
pub struct OrderMaker {
    corpus: Arc<Corpus>,
}

impl OrderMaker {
    /// Orders drawn from `seed`: the same as those of a run within the process.
    ///
    /// # Errors
    /// Any option: an order is made from the seed alone.
    pub fn new(seed: u64, options: &RequestOptions) -> Result<OrderMaker, NetworkError> {
        refuse_others("order", &[], options)?;
        Ok(OrderMaker {
            corpus: Arc::new(Corpus::generate(seed)),
        })
    }
}

impl MakeSession for OrderMaker {
    type Session = Orders;

    fn make(&self) -> Orders {
        Orders {
            corpus: Arc::clone(&self.corpus),
            sent: 0,
        }
    }
}

/// One connection's orders.
#[derive(Debug, Clone)]
pub struct Orders {
    corpus: Arc<Corpus>,
    /// Orders sent: the next one's ticket.
    sent: Ticket,
}

impl Session for Orders {
    fn open(&mut self, _: &mut Vec<u8>) {}

    #[inline]
    fn send(&mut self, request: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(self.corpus.request(request));
        if let Some(id) = out[start..].get_mut(ID) {
            id.copy_from_slice(&self.sent.to_le_bytes());
        }
        self.sent += 1;
    }

    #[inline]
    fn receive(
        &mut self,
        input: &[u8],
        _: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, SessionError> {
        let (answers, rest) = input.as_chunks::<REPLY>();
        for answer in answers {
            let (ticket, fate) = reply::decode(answer).map_err(|error| SessionError {
                kind: "bad reply",
                detail: error.to_string(),
            })?;
            if ticket >= self.sent {
                return Err(SessionError {
                    kind: "bad reply",
                    detail: format!(
                        "an answer to order {ticket}, but only {} were sent",
                        self.sent
                    ),
                });
            }
            let answer = match fate {
                Fate::Accepted => Answer::Ok,
                Fate::Refused => Answer::Failed(Cow::Borrowed("refused")),
                Fate::Malformed => Answer::Failed(Cow::Borrowed("malformed")),
            };
            events.push(Event::Reply(ticket, answer));
        }
        Ok(input.len() - rest.len())
    }

    fn abandon(&mut self, _: Ticket, _: &mut Vec<u8>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::wire::OrderView;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn session() -> Orders {
        static MAKER: LazyLock<OrderMaker> =
            LazyLock::new(|| OrderMaker::new(1, &RequestOptions::default()).unwrap());
        MAKER.make()
    }

    #[test]
    fn a_sent_order_is_a_valid_one_with_its_ticket_for_an_id() {
        let mut session = session();
        for ticket in 0..100 {
            let mut out = vec![9; 3];
            session.send(1_000 - ticket, &mut out);
            assert_eq!(OrderView::decode(&out[3..]).unwrap().id(), ticket);
        }
    }

    #[test]
    fn an_option_that_orders_have_no_use_for_is_refused() {
        let options = RequestOptions {
            method: Some("PUT".to_owned()),
            ..RequestOptions::default()
        };
        let error = OrderMaker::new(1, &options).unwrap_err().to_string();
        assert!(error.contains("no use for"), "{error}");
    }

    #[test]
    fn answers_are_told_apart_in_any_order() {
        let mut session = session();
        let mut bytes = Vec::new();
        for request in 0..3 {
            session.send(request, &mut Vec::new());
        }
        for (ticket, fate) in [
            (2, Fate::Accepted),
            (0, Fate::Refused),
            (1, Fate::Malformed),
        ] {
            bytes.extend(reply::encode(ticket, fate));
        }
        bytes.push(16);
        let mut events = Vec::new();
        let used = session.receive(&bytes, &mut Vec::new(), &mut events);
        assert_eq!(used, Ok(48));
        let expected = [
            Event::Reply(2, Answer::Ok),
            Event::Reply(0, Answer::Failed("refused".into())),
            Event::Reply(1, Answer::Failed("malformed".into())),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn an_answer_to_an_order_that_was_never_sent_ends_the_connection() {
        let mut session = session();
        session.send(0, &mut Vec::new());
        let bytes = reply::encode(1, Fate::Accepted);
        let error = session
            .receive(&bytes, &mut Vec::new(), &mut Vec::new())
            .unwrap_err();
        assert_eq!(error.kind, "bad reply");
        assert!(error.detail.contains("only 1"), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut session = session();
            session.send(0, &mut Vec::new());
            if let Ok(used) = session.receive(&bytes, &mut Vec::new(), &mut Vec::new()) {
                prop_assert!(used <= bytes.len());
            }
        }
    }
}
