//! Whether requests over a network meet a kind of pause more than they would by chance.
//!
//! A server that pauses for a tenth of all time has one going on in a tenth of any request's time,
//! whatever made that slow. So the same requests are laid over the pauses at nine other moments of the
//! run, and a kind counts only if its odds (time that it covers against time that it does not)
//! are at least [`TIMES`] the second highest odds of the nine, and it covers at least a hundredth. (The
//! second highest, since the moments may chance upon the slow one itself.) The moments are
//! multiples of the golden ratio of the run, which fall together with no period.
//!
//! Looks at the [`LOOKED_AT`] slowest requests: cost is theirs times ten times log pauses, by kind.

use std::collections::BTreeSet;

use super::cover::{Cover, innermost};
use super::spans::Span;
use crate::recording::SlowRequest;

/// By how much the odds must exceed those of other moments.
const TIMES: f64 = 3.0;
/// Requests that are looked at, at most.
const LOOKED_AT: usize = 2_000;
/// The least share of time that a kind must cover to count.
const LEAST_SHARE: f64 = 0.01;
const MOMENTS: u32 = 9;
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;

/// The kinds among `spans` that meet `requests` more than by chance.
pub(super) fn kinds_beyond_chance(requests: &[SlowRequest], spans: &[Span]) -> BTreeSet<u16> {
    let mut slowest: Vec<&SlowRequest> = requests.iter().collect();
    slowest.sort_by_key(|request| std::cmp::Reverse(request.response_ns()));
    slowest.truncate(LOOKED_AT);
    let time: f64 = slowest
        .iter()
        .map(|request| request.response_ns() as f64)
        .sum();
    let begin = requests.iter().map(|request| request.intended_ns).min();
    let end = requests.iter().map(|request| request.end_ns).max();
    let (Some(begin), Some(end)) = (begin, end) else {
        return BTreeSet::new();
    };
    let length = end - begin;
    let kinds: BTreeSet<u16> = spans.iter().map(|span| span.kind).collect();
    let counts = |kind: &u16| {
        let of_kind: Vec<Span> = spans
            .iter()
            .filter(|span| span.kind == *kind)
            .copied()
            .collect();
        let cover = Cover::of(innermost(&of_kind).iter());
        let odds = |shift: u64| {
            let covered: f64 = slowest
                .iter()
                .map(|request| {
                    let from = begin + (request.intended_ns - begin + shift) % length.max(1);
                    cover.within(from, from.saturating_add(request.response_ns())) as f64
                })
                .sum();
            covered / (time - covered).max(1.0)
        };
        let mut elsewhere: Vec<f64> = (1..=MOMENTS)
            .map(|moment| odds((length as f64 * (f64::from(moment) * GOLDEN_RATIO).fract()) as u64))
            .collect();
        elsewhere.sort_by(f64::total_cmp);
        let by_chance = elsewhere[elsewhere.len() - 2];
        let found = odds(0);
        found >= LEAST_SHARE && found >= TIMES * by_chance
    };
    kinds.into_iter().filter(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn request(due: u64, takes: u64) -> SlowRequest {
        SlowRequest {
            intended_ns: due * MS,
            start_ns: due * MS,
            end_ns: (due + takes) * MS,
            thread: 1,
            request: due,
        }
    }

    fn span(kind: u16, start: u64, length: u64) -> Span {
        Span {
            start_ns: start * MS,
            end_ns: (start + length) * MS,
            thread: 9,
            kind,
            stack: None,
            by: None,
        }
    }

    #[test]
    fn what_covers_any_moment_as_well_is_chance() {
        // Kind 0 pauses for half of each 20 ms, kind 1 just where requests were slow.
        let mut spans: Vec<Span> = (0..500).map(|nth| span(0, 20 * nth, 10)).collect();
        spans.extend((0..10).map(|second| span(1, 1_000 * second + 333, 40)));
        let requests: Vec<SlowRequest> = (0..10)
            .flat_map(|second| (0..8).map(move |nth| request(1_000 * second + 333 + nth, 42 - nth)))
            .collect();
        assert_eq!(kinds_beyond_chance(&requests, &spans), BTreeSet::from([1]));
        assert!(kinds_beyond_chance(&[], &spans).is_empty());
        assert!(kinds_beyond_chance(&requests, &[]).is_empty());
    }
}
