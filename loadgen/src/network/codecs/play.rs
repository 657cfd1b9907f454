//! For tests: a server's bytes given to a session in pieces, as the event loop would.

use proptest::prelude::*;

use crate::network::session::{Event, Session, SessionError};

/// What became of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Played {
    /// All that was found.
    pub events: Vec<Event>,
    /// What the session sent on its own.
    pub out: Vec<u8>,
    /// How the connection ended.
    pub ended: Result<(), SessionError>,
    /// The most bytes that the session left to be given again.
    pub kept: usize,
}

impl Played {
    /// What must not depend on how the bytes were cut: everything but first bytes, and whether it failed.
    pub(crate) fn essence(&self) -> (Vec<Event>, bool) {
        let events = self
            .events
            .iter()
            .filter(|event| !matches!(event, Event::FirstByte(_)));
        (events.cloned().collect(), self.ended.is_err())
    }

    /// Asserts that a first byte is told once at most, before its reply, and that replies are in order.
    pub(crate) fn assert_ordered(&self) {
        let mut first = None;
        let mut answered = 0;
        for event in &self.events {
            match event {
                Event::FirstByte(ticket) => {
                    assert_eq!((*ticket, first), (answered, None), "{:?}", self.events);
                    first = Some(*ticket);
                }
                Event::Reply(ticket, _) => {
                    assert_eq!(*ticket, answered, "{:?}", self.events);
                    answered += 1;
                    first = None;
                }
                Event::Closing => {}
            }
        }
    }
}

/// Gives `stream` to `session` cut after each of `cuts` (positions in any order), then closes.
pub(crate) fn play<S: Session>(session: &mut S, stream: &[u8], cuts: &[usize]) -> Played {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.push(stream.len());
    cuts.sort_unstable();
    let mut played = Played {
        events: Vec::new(),
        out: Vec::new(),
        ended: Ok(()),
        kept: 0,
    };
    let mut used = 0;
    for cut in cuts {
        if cut == used {
            continue;
        }
        let input = &stream[used..cut];
        match session.receive(input, &mut played.out, &mut played.events) {
            Ok(taken) => {
                assert!(taken <= input.len(), "more bytes used than given");
                used += taken;
                played.kept = played.kept.max(cut - used);
            }
            Err(error) => {
                played.ended = Err(error);
                return played;
            }
        }
    }
    played.ended = session.end(&stream[used..], &mut played.events);
    played
}

/// Positions to cut a stream at: none, a few, or after every byte.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        1 => Just((0..4096).collect::<Vec<_>>()),
        6 => proptest::collection::vec(0_usize..100_000, 0..12),
    ]
}
