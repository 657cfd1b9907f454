//! Which pause has each instant, and how much of a time pauses cover.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::spans::Span;

/// A time in which one pause is the innermost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// Its pause, as a place in the list that [`innermost`] was given.
    pub(super) span: u32,
}

/// Gives each instant to the innermost of the pauses that it lies in: that which began last, of
/// those the one that ends first, of equal ones the first in the list. At most two segments for a
/// pause, in order, apart from each other. n log n.
pub(super) fn innermost(spans: &[Span]) -> Vec<Segment> {
    let mut order: Vec<u32> = (0..spans.len() as u32).collect();
    order.sort_unstable_by_key(|place| {
        let span = &spans[*place as usize];
        (span.start_ns, span.end_ns, *place)
    });
    let mut segments: Vec<Segment> = Vec::with_capacity(spans.len());
    // What has begun, the innermost on top; what has ended is taken away when it comes up.
    let mut open: BinaryHeap<(u64, Reverse<u64>, Reverse<u32>)> = BinaryHeap::new();
    let mut now = 0;
    let mut until = |open: &mut BinaryHeap<(u64, Reverse<u64>, Reverse<u32>)>, limit: u64| {
        while let Some(&(_, Reverse(end), Reverse(span))) = open.peek() {
            if end <= now {
                open.pop();
                continue;
            }
            if now >= limit {
                break;
            }
            let to = end.min(limit);
            match segments.last_mut() {
                Some(last) if last.span == span && last.end_ns == now => last.end_ns = to,
                _ => segments.push(Segment {
                    start_ns: now,
                    end_ns: to,
                    span,
                }),
            }
            now = to;
        }
        now = now.max(limit);
    };
    for place in order {
        let span = &spans[place as usize];
        until(&mut open, span.start_ns);
        open.push((span.start_ns, Reverse(span.end_ns), Reverse(place)));
    }
    until(&mut open, u64::MAX);
    segments
}

/// Times apart from each other, in order, with their sums.
#[derive(Debug, Default)]
pub(super) struct Cover {
    /// Start, end, and the time covered before the start.
    list: Vec<(u64, u64, u64)>,
}

impl Cover {
    /// Of segments in order.
    pub(super) fn of<'a>(segments: impl Iterator<Item = &'a Segment>) -> Cover {
        let mut covered = 0;
        let list = segments.map(|segment| {
            let before = covered;
            covered += segment.end_ns - segment.start_ns;
            (segment.start_ns, segment.end_ns, before)
        });
        Cover {
            list: list.collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Time covered before an instant.
    fn before(&self, ns: u64) -> u64 {
        let begun = self.list.partition_point(|(start, ..)| *start < ns);
        match begun.checked_sub(1).map(|last| self.list[last]) {
            None => 0,
            Some((start, end, before)) => before + (ns.min(end) - start),
        }
    }

    /// How much of a time is covered.
    pub(super) fn within(&self, from_ns: u64, to_ns: u64) -> u64 {
        if from_ns >= to_ns {
            return 0;
        }
        self.before(to_ns) - self.before(from_ns)
    }

    /// The latest instant from which to `to_ns` so much is covered; if less is, from the beginning
    /// of all.
    pub(super) fn reach_back(&self, to_ns: u64, covered_ns: u64) -> u64 {
        if covered_ns == 0 {
            return to_ns;
        }
        let Some(left) = self.before(to_ns).checked_sub(covered_ns) else {
            return self.list.first().map_or(to_ns, |(start, ..)| *start);
        };
        let begun = self.list.partition_point(|(.., before)| *before <= left);
        // The first has nothing before it.
        let (start, _, before) = self.list[begun - 1];
        start + (left - before)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(kind: u16, start_ns: u64, end_ns: u64) -> Span {
        Span {
            start_ns,
            end_ns,
            thread: 1,
            kind,
            stack: None,
            by: None,
        }
    }

    fn cut(spans: &[Span]) -> Vec<(u16, u64, u64)> {
        innermost(spans)
            .iter()
            .map(|segment| {
                let kind = spans[segment.span as usize].kind;
                (kind, segment.start_ns, segment.end_ns)
            })
            .collect()
    }

    #[test]
    fn a_fault_inside_munmap_inside_free_has_its_own_time() {
        let (free, munmap, fault) = (span(0, 10, 100), span(1, 20, 60), span(2, 30, 35));
        let expected = vec![
            (0, 10, 20),
            (1, 20, 30),
            (2, 30, 35),
            (1, 35, 60),
            (0, 60, 100),
        ];
        assert_eq!(cut(&[free, munmap, fault]), expected);
        assert_eq!(cut(&[fault, free, munmap]), expected);
    }

    #[test]
    fn of_two_that_begin_together_the_shorter_is_inside() {
        let spans = [span(0, 10, 100), span(1, 10, 40)];
        assert_eq!(cut(&spans), [(1, 10, 40), (0, 40, 100)]);
    }

    proptest! {
        #[test]
        fn every_instant_goes_to_the_pause_that_began_last(
            spans in proptest::collection::vec((0..60u64, 1..40u64), 0..12),
        ) {
            let spans: Vec<Span> = spans.iter().map(|(start, length)| span(0, *start, start + length)).collect();
            let segments = innermost(&spans);
            for pair in segments.windows(2) {
                prop_assert!(pair[0].end_ns <= pair[1].start_ns);
            }
            for instant in 0..110 {
                let holds = |start: u64, end: u64| (start..end).contains(&instant);
                let expected = (0..spans.len())
                    .filter(|place| holds(spans[*place].start_ns, spans[*place].end_ns))
                    .max_by_key(|place| (spans[*place].start_ns, Reverse(spans[*place].end_ns), Reverse(*place)));
                let found = segments.iter().find(|segment| holds(segment.start_ns, segment.end_ns));
                prop_assert_eq!(found.map(|segment| segment.span as usize), expected);
            }
        }

        #[test]
        fn sums_equal_counting_instants(
            spans in proptest::collection::vec((0..60u64, 1..20u64), 0..8),
            from in 0..100u64,
            length in 0..60u64,
        ) {
            let spans: Vec<Span> = spans.iter().map(|(start, length)| span(0, *start, start + length)).collect();
            let segments = innermost(&spans);
            let cover = Cover::of(segments.iter());
            let covered = |instant: &u64| spans.iter().any(|span| (span.start_ns..span.end_ns).contains(instant));
            let expected = (from..from + length).filter(covered).count() as u64;
            prop_assert_eq!(cover.within(from, from + length), expected);
            // Going back over what was found ends where nothing more is covered.
            let back = cover.reach_back(from + length, expected);
            prop_assert!(expected == 0 || back >= from);
            prop_assert_eq!(cover.within(back, from + length), expected);
        }
    }
}
