//! Which slow requests coincide with a pause of their own thread.
//!
//! A request overlaps a pause when some part of its time, from its intended start to its end, lies
//! within it. That is a coincidence, not yet a cause: a request may overlap a short pause and be
//! slow for another reason, and the backlog that a pause leaves behind is not followed.
//!
//! Holds 16 bytes for each pause of a thread that served a slow request, fewer where pauses touch.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use crate::recording::SlowRequest;

/// How many of the slow requests that were kept overlap a pause of their own thread.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Overlap {
    /// Slow requests that were kept.
    pub slow_requests: u64,
    /// Of these, those that overlap any pause.
    pub overlapping: u64,
    /// Those that overlap a pause of each kind; a request may count in several.
    pub by_kind: IndexMap<String, u64>,
}

impl Overlap {
    /// Adds another run's.
    pub(crate) fn add(&mut self, other: &Overlap) {
        self.slow_requests += other.slow_requests;
        self.overlapping += other.overlapping;
        for (kind, count) in &other.by_kind {
            *self.by_kind.entry(kind.clone()).or_default() += count;
        }
    }
}

/// Spans of time, merged now and then.
#[derive(Debug, Default)]
struct Spans {
    spans: Vec<(u64, u64)>,
    /// How many they may become before they are merged.
    merge_at: usize,
}

impl Spans {
    fn push(&mut self, start: u64, end: u64) {
        self.spans.push((start, end));
        if self.spans.len() > self.merge_at {
            self.merge();
            self.merge_at = 1_000.max(2 * self.spans.len());
        }
    }

    /// Afterwards they are in order and do not touch.
    fn merge(&mut self) {
        self.spans.sort_unstable();
        self.spans.dedup_by(|next, last| {
            let touches = next.0 <= last.1;
            if touches {
                last.1 = last.1.max(next.1);
            }
            touches
        });
    }

    /// Whether any of them has time in common with `start..end`; they must be merged.
    fn meet(&self, start: u64, end: u64) -> bool {
        let first = self.spans.partition_point(|span| span.1 <= start);
        self.spans.get(first).is_some_and(|span| span.0 < end)
    }
}

/// Collects pauses, then counts.
#[derive(Debug, Default)]
pub(super) struct OverlapBuilder {
    threads: HashSet<u32>,
    /// By thread, then by the kind's place in the caller's list.
    spans: HashMap<u32, BTreeMap<usize, Spans>>,
}

impl OverlapBuilder {
    /// `slow` are the requests that will be counted.
    pub(super) fn new(slow: &[SlowRequest]) -> OverlapBuilder {
        OverlapBuilder {
            threads: slow.iter().map(|request| request.thread).collect(),
            spans: HashMap::new(),
        }
    }

    /// Takes a pause, in any order.
    pub(super) fn pause(&mut self, thread: u32, kind: usize, start_ns: u64, end_ns: u64) {
        if start_ns < end_ns && self.threads.contains(&thread) {
            let kinds = self.spans.entry(thread).or_default();
            kinds.entry(kind).or_default().push(start_ns, end_ns);
        }
    }

    /// `kinds` names the kinds by their places.
    pub(super) fn count(mut self, slow: &[SlowRequest], kinds: &[String]) -> Overlap {
        for spans in self.spans.values_mut().flat_map(BTreeMap::values_mut) {
            spans.merge();
        }
        let mut overlap = Overlap {
            slow_requests: slow.len() as u64,
            ..Overlap::default()
        };
        let mut by_kind = vec![0u64; kinds.len()];
        for request in slow {
            let Some(of_thread) = self.spans.get(&request.thread) else {
                continue;
            };
            let mut any = false;
            for (kind, spans) in of_thread {
                if spans.meet(request.intended_ns, request.end_ns) {
                    by_kind[*kind] += 1;
                    any = true;
                }
            }
            overlap.overlapping += u64::from(any);
        }
        overlap.by_kind = kinds
            .iter()
            .cloned()
            .zip(by_kind)
            .filter(|(_, count)| *count > 0)
            .collect();
        overlap
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(intended_ns: u64, end_ns: u64, thread: u32) -> SlowRequest {
        SlowRequest {
            intended_ns,
            start_ns: intended_ns,
            end_ns,
            thread,
            request: 0,
        }
    }

    fn count(slow: &[SlowRequest], pauses: &[(u32, usize, u64, u64)]) -> Overlap {
        let mut builder = OverlapBuilder::new(slow);
        for (thread, kind, start, end) in pauses {
            builder.pause(*thread, *kind, *start, *end);
        }
        builder.count(slow, &["a".to_owned(), "b".to_owned()])
    }

    #[test]
    fn touching_is_not_overlapping_and_other_threads_do_not_count() {
        let slow = [request(100, 200, 1)];
        for (pause, expected) in [
            ((1, 0, 50, 100), 0),
            ((1, 0, 50, 101), 1),
            ((1, 0, 150, 160), 1),
            ((1, 0, 199, 300), 1),
            ((1, 0, 200, 300), 0),
            ((2, 0, 100, 200), 0),
            ((1, 0, 150, 150), 0),
            ((1, 0, 300, 100), 0),
        ] {
            assert_eq!(count(&slow, &[pause]).overlapping, expected, "{pause:?}");
        }
    }

    #[test]
    fn a_request_counts_once_however_many_pauses_it_meets() {
        let slow = [request(100, 200, 1), request(900, 950, 1)];
        let found = count(
            &slow,
            &[(1, 0, 90, 110), (1, 0, 120, 130), (1, 1, 0, 1_000)],
        );
        assert_eq!((found.slow_requests, found.overlapping), (2, 2));
        assert_eq!((found.by_kind["a"], found.by_kind["b"]), (1, 2));
    }

    proptest! {
        #[test]
        fn counting_by_merged_spans_equals_looking_at_every_pair(
            slow in proptest::collection::vec((0..400u64, 1..60u64, 0..2u32), 0..30),
            pauses in proptest::collection::vec((0..2u32, 0..2usize, 0..400u64, 0..30u64), 0..60),
        ) {
            let slow: Vec<SlowRequest> = slow
                .into_iter()
                .map(|(start, length, thread)| request(start, start + length, thread))
                .collect();
            let pauses: Vec<_> = pauses
                .into_iter()
                .map(|(thread, kind, start, length)| (thread, kind, start, start + length))
                .collect();
            let meets = |request: &SlowRequest, kind: usize| {
                pauses.iter().any(|&(thread, of, start, end)| {
                    thread == request.thread
                        && of == kind
                        && start.max(request.intended_ns) < end.min(request.end_ns)
                })
            };
            let found = count(&slow, &pauses);
            for (kind, name) in ["a", "b"].into_iter().enumerate() {
                let expected = slow.iter().filter(|request| meets(request, kind)).count() as u64;
                prop_assert_eq!(found.by_kind.get(name).copied().unwrap_or(0), expected);
            }
            let any = slow.iter().filter(|request| meets(request, 0) || meets(request, 1));
            prop_assert_eq!(found.overlapping, any.count() as u64);
        }
    }
}
