//! The pauses of a run, as blame needs them: where they begin and end, on which thread, of what kind.
//!
//! Bounded whatever a recording holds: beyond [`MOST`] the shorter half goes, and what went is
//! counted.

//!
//! A pause of a whole process belongs to [`ALL_THREADS`]. A wait that begins within a pause that
//! [owns waits](crate::recording::SeriesMeta::owns_waits) is cut down to what outlasts it
//! ([`without_owned_waits`]): a thread that a collector has stopped waits for the collector, however the
//! kernel calls that.

use std::collections::HashMap;

use crate::recording::Pause;

/// Pauses that are held of a run at most: as many as a probe records.
pub(super) const MOST: usize = 500_000;

/// The thread of a pause in which all threads of the process stand still. (No thread has that number: the
/// kernel's idle task has it.)
pub(crate) const ALL_THREADS: u32 = 0;

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

    /// Takes from waits what pauses that own waits cover of them.
    pub(super) fn without_owned_waits(&mut self, waits: u16, owners: &[u16]) {
        if !owners.is_empty() {
            self.list = without_owned_waits(std::mem::take(&mut self.list), waits, owners);
        }
    }

    fn halve(&mut self) {
        let half = self.list.len() / 2;
        let (_, middle, _) = self.list.select_nth_unstable_by_key(half, Span::length_ns);
        self.shortest_ns = middle.length_ns();
        self.list.drain(..half);
        self.left_out += half as u64;
    }
}

/// The spans, of which those of kind `waits` that begin within a pause of `owners` on the same thread, or on all
/// threads, begin when that pause ends, and are left out if they end before. n log n.
fn without_owned_waits(spans: Vec<Span>, waits: u16, owners: &[u16]) -> Vec<Span> {
    // By thread, by beginning, with the latest end so far: of pauses that begin before an instant, one that
    // is still going on is the one that ends last.
    let mut by_thread: HashMap<u32, Vec<(u64, u64)>> = HashMap::new();
    for span in &spans {
        if owners.contains(&span.kind) {
            let list = by_thread.entry(span.thread).or_default();
            list.push((span.start_ns, span.end_ns));
        }
    }
    for list in by_thread.values_mut() {
        list.sort_unstable();
        let mut latest = 0;
        for (_, end) in list {
            latest = latest.max(*end);
            *end = latest;
        }
    }
    let owned_until = |thread: u32, at: u64| {
        let list = by_thread.get(&thread)?;
        let begun = list.partition_point(|(start, _)| *start <= at);
        Some(list[begun.checked_sub(1)?].1).filter(|end| *end > at)
    };
    spans
        .into_iter()
        .filter_map(|mut span| {
            if span.kind == waits {
                // The end of one may lie within another.
                while let Some(end) = owned_until(span.thread, span.start_ns)
                    .max(owned_until(ALL_THREADS, span.start_ns))
                {
                    span.start_ns = end;
                    if span.start_ns >= span.end_ns {
                        return None;
                    }
                }
            }
            Some(span)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(kind: u16, thread: u32, start_ns: u64, end_ns: u64) -> Span {
        Span {
            start_ns,
            end_ns,
            thread,
            kind,
            stack: None,
            by: None,
        }
    }

    #[test]
    fn a_wait_that_a_collector_causes_is_the_collectors_until_it_has_ended() {
        const WAIT: u16 = 0;
        const ASSIST: u16 = 1;
        const WORLD: u16 = 2;
        let kept = |wait: Span| {
            let owners = [
                span(ASSIST, 7, 100, 200),
                span(ASSIST, 8, 500, 900),
                span(WORLD, ALL_THREADS, 190, 300),
            ];
            let all = owners.into_iter().chain([wait]).collect();
            without_owned_waits(all, WAIT, &[ASSIST, WORLD])
                .into_iter()
                .find(|span| span.kind == WAIT)
                .map(|span| (span.start_ns, span.end_ns))
        };
        // Parked within an assist.
        assert_eq!(kept(span(WAIT, 7, 120, 180)), None);
        // From one into the other, and beyond: the rest is a wait of its own.
        assert_eq!(kept(span(WAIT, 7, 120, 400)), Some((300, 400)));
        // Of a thread that was stopped with all others.
        assert_eq!(kept(span(WAIT, 9, 200, 299)), None);
        // It waited before: for something else.
        assert_eq!(kept(span(WAIT, 7, 90, 180)), Some((90, 180)));
        // Another thread's assist.
        assert_eq!(kept(span(WAIT, 7, 600, 700)), Some((600, 700)));
    }

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
