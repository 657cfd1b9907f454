//! The pauses of a run, as blame needs them: where they begin and end, on which thread, of what kind.
//!
//! Bounded whatever a recording holds: beyond [`MOST`] the shorter half goes, and what went is
//! counted.

use crate::recording::Pause;

/// Pauses that are held of a run at most: as many as a probe records.
pub(super) const MOST: usize = 500_000;

/// One pause. Ends after it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) thread: u32,
    /// Place of its series in the run's list.
    pub(super) kind: u16,
    /// Number of its stack in the recording.
    pub(super) stack: Option<u32>,
    /// Who had the CPU: a place in the run's list of names.
    pub(super) by: Option<u16>,
}

impl Span {
    /// `None` for a pause of no length.
    pub(super) fn of(pause: &Pause, kind: usize, by: Option<u16>) -> Option<Span> {
        (pause.start_ns < pause.end_ns).then(|| Span {
            start_ns: pause.start_ns,
            end_ns: pause.end_ns,
            thread: pause.thread,
            kind: u16::try_from(kind).unwrap_or(u16::MAX),
            stack: pause.stack,
            by,
        })
    }

    pub(super) fn length_ns(&self) -> u64 {
        self.end_ns - self.start_ns
    }
}

/// Pauses, in any order.
#[derive(Debug, Default)]
pub(super) struct Spans {
    pub(super) list: Vec<Span>,
    /// Those that there was no room for.
    pub(super) left_out: u64,
    /// Shorter ones are left out from now on.
    shortest_ns: u64,
}

impl Spans {
    pub(super) fn push(&mut self, span: Span) {
        if span.length_ns() < self.shortest_ns {
            self.left_out += 1;
            return;
        }
        if self.list.len() == MOST {
            self.halve();
        }
        self.list.push(span);
    }

    fn halve(&mut self) {
        let half = self.list.len() / 2;
        let (_, middle, _) = self.list.select_nth_unstable_by_key(half, Span::length_ns);
        self.shortest_ns = middle.length_ns();
        self.list.drain(..half);
        self.left_out += half as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_the_longest_stay_and_the_others_are_counted() {
        let mut spans = Spans::default();
        let pushed = 3 * MOST as u64;
        for length in 1..=pushed {
            // Long and short ones take turns.
            let length = if length % 2 == 0 { length } else { 1 };
            let pause = Pause {
                start_ns: 1,
                end_ns: 1 + length,
                ..Pause::default()
            };
            spans.push(Span::of(&pause, 0, None).expect("it has a length"));
        }
        assert!(spans.list.len() <= MOST);
        assert_eq!(spans.list.len() as u64 + spans.left_out, pushed);
        let longest = spans.list.iter().map(Span::length_ns).max();
        assert_eq!(longest, Some(pushed));
    }
}
