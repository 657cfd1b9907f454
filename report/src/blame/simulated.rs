//! Blame against known truth: simulated queues with planted pauses, request by request.

use std::collections::BTreeMap;

use proptest::prelude::*;

#[path = "../../tests/common/queue.rs"]
mod queue;

use self::queue::{Load, Planted, SECOND, Simulated, planted, simulate};
use super::attribution::{Group, Rule};
use super::cover::Cover;
use super::spans::Span;
use crate::recording::SlowRequest;

const BEGIN: u64 = 77 * SECOND;
const KINDS: usize = 6;

/// What was planted of the kept requests' time, what of it was found, and what was blamed besides.
#[derive(Debug, Default)]
struct Score {
    planted: u64,
    found: u64,
    other: u64,
    wrong: u64,
}

fn score(load: &Load, planted: &[Planted], simulated: &Simulated) -> Score {
    let mut score = Score::default();
    for thread in 1..=load.threads {
        let mut kept: Vec<_> = simulated
            .kept
            .iter()
            .filter(|request| request.thread == thread)
            .collect();
        kept.sort_by_key(|request| (request.due_ns, request.end_ns));
        let group = Group {
            rule: Rule::OwnThread {
                utilisation: Some(load.utilisation),
            },
            requests: kept
                .iter()
                .map(|request| SlowRequest {
                    intended_ns: request.due_ns,
                    start_ns: request.start_ns,
                    end_ns: request.end_ns,
                    thread,
                    request: request.request,
                })
                .collect(),
            spans: planted
                .iter()
                .filter(|pause| pause.thread == thread)
                .map(|pause| Span {
                    start_ns: pause.start_ns,
                    end_ns: pause.end_ns,
                    thread,
                    kind: pause.kind as u16,
                    stack: None,
                    by: None,
                })
                .collect(),
        };
        let causes = group.causes();
        let covers: BTreeMap<usize, Cover> = (0..KINDS)
            .map(|kind| {
                let of_kind = causes
                    .segments
                    .iter()
                    .filter(|segment| usize::from(group.spans[segment.span as usize].kind) == kind);
                (kind, Cover::of(of_kind))
            })
            .collect();
        for (request, reach) in kept.iter().zip(&causes.reaches) {
            let truth: u64 = request.truth.values().sum();
            score.planted += truth;
            score.other += request.end_ns - request.due_ns - truth;
            for (kind, cover) in &covers {
                let blamed = cover.within(reach.from_ns, request.end_ns);
                let truth = request.truth.get(kind).copied().unwrap_or(0);
                score.found += truth.min(blamed);
                score.wrong += blamed.saturating_sub(truth);
            }
        }
    }
    score
}

fn check(load: &Load, pauses: u64) -> Score {
    let planted = planted(load, KINDS, pauses, BEGIN);
    score(load, &planted, &simulate(load, &planted, BEGIN))
}

fn grid(rates: &[(f64, u32)], kept: usize) -> Vec<(Load, Score)> {
    let mut scores = Vec::new();
    for &(rate, threads) in rates {
        for utilisation in [0.05, 0.3, 0.6, 0.85] {
            for random in [false, true] {
                let load = Load {
                    seed: 5,
                    threads,
                    seconds: 3,
                    rate,
                    utilisation,
                    random,
                    kept,
                };
                scores.push((load, check(&load, 5)));
            }
        }
    }
    scores
}

/// As the load generator keeps them: 32 of a second and thread.
#[test]
fn of_the_slowest_alone_what_was_planted_is_found_and_hardly_anything_else() {
    for (load, score) in grid(&[(400.0, 3), (10_000.0, 2), (80_000.0, 1)], 32) {
        // At the edge of what the thread can bear, with work of random size, a single pause is less
        // than what queues by itself, and of what lies between 13 requests in 100 nothing is known.
        let is_saturated = load.random && load.utilisation > 0.8 && load.rate < 1_000.0;
        let least = if is_saturated { 60 } else { 95 };
        assert!(
            score.found * 100 >= score.planted * least,
            "{load:?} {score:?}"
        );
        // The slowest are slow for pauses: of other time there is hardly any, and of what queues by
        // chance between those that were kept only the mean is known. So where requests come at
        // random, what is wrong is held against all of the time.
        let all = score.planted + score.other;
        let limit = if load.random { all } else { score.other };
        assert!(score.wrong * 50 <= limit, "{load:?} {score:?}");
    }
}

/// Where all requests were kept, the queue without the pauses is known, and blame is exact.
#[test]
fn of_all_requests_blame_is_exact() {
    for (load, score) in grid(&[(400.0, 3), (10_000.0, 1)], usize::MAX) {
        is_exact(&load, &score);
    }
}

fn is_exact(load: &Load, score: &Score) {
    // Debts are reckoned in fractions of nanoseconds.
    let rounding = (load.rate * load.seconds as f64) as u64 * u64::from(load.threads);
    assert!(
        score.found + rounding >= score.planted,
        "{load:?} {score:?}"
    );
    assert!(score.wrong <= rounding, "{load:?} {score:?}");
}

#[test]
fn with_nothing_planted_nothing_is_claimed() {
    for utilisation in [0.2, 0.9, 1.2] {
        let load = Load {
            seed: 9,
            threads: 2,
            seconds: 2,
            rate: 5_000.0,
            utilisation,
            random: true,
            kept: 32,
        };
        // Pauses there are, but on a thread that served nothing.
        let elsewhere: Vec<Planted> = planted(&load, KINDS, 6, BEGIN)
            .into_iter()
            .map(|pause| Planted {
                thread: pause.thread + 2,
                ..pause
            })
            .collect();
        for pauses in [Vec::new(), elsewhere] {
            let score = score(&load, &pauses, &simulate(&load, &pauses, BEGIN));
            assert_eq!((score.planted, score.wrong), (0, 0));
            assert!(score.other > 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_load_blame_of_all_requests_is_exact(
        seed in 0..1_000_000u64,
        threads in 1..3u32,
        rate in 50.0..3_000.0f64,
        utilisation in 0.01..1.1f64,
        random: bool,
        pauses in 1..8u64,
    ) {
        let load = Load { seed, threads, seconds: 2, rate, utilisation, random, kept: usize::MAX };
        is_exact(&load, &check(&load, pauses));
    }
}
