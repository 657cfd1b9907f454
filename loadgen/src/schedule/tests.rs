//! What every kind of schedule promises.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const START: Nanos = Nanos(5_000);

/// All kinds, the trace with requests at the same instant too.
fn any_arrivals() -> impl Strategy<Value = Arrivals> {
    let gaps = proptest::collection::vec(prop_oneof![Just(0_u64), 0_u64..5_000], 1..40);
    prop_oneof![
        Just(Arrivals::Constant),
        Just(Arrivals::Poisson),
        (1_u32..50).prop_map(|size| Arrivals::Burst { size }),
        gaps.prop_map(|gaps| {
            let mut at = 0;
            let offsets = gaps.into_iter().map(|gap| {
                at += gap;
                Nanos(at)
            });
            Arrivals::Trace(offsets.collect())
        }),
    ]
}

fn any_rate() -> impl Strategy<Value = Rate> {
    prop_oneof![1_000_u64..1_000_000_000, Just(1_000_000_000), Just(3)]
        .prop_map(|requests| Rate::per_second(requests).unwrap())
}

/// The span in which about so many requests are due.
fn span_of(rate: Rate, requests: u64) -> Nanos {
    let span =
        u128::from(requests) * 1_000_000_000_000_000 / u128::from(rate.per_million_seconds());
    Nanos(span as u64)
}

proptest! {
    #[test]
    fn the_lanes_share_out_every_request_that_is_due_once(arrivals in any_arrivals(), rate in any_rate(), workers in 1_u32..7, requests in 0_u64..400, seed: u64) {
        let schedule = Schedule::new(START, rate, &arrivals, seed);
        let end = START + span_of(rate, requests);
        let mut seen = BTreeMap::new();
        for worker in 0..workers {
            let mut lane = schedule.lane(worker, workers);
            let mut steps = 0;
            while lane.intended() < end {
                prop_assert_eq!(lane.request() % u64::from(workers), u64::from(worker));
                prop_assert!(seen.insert(lane.request(), lane.intended()).is_none());
                lane.advance();
                steps += 1;
            }
            prop_assert_eq!(schedule.lane(worker, workers).left_before(end), steps);
        }
        prop_assert_eq!(schedule.due_before(end, workers), seen.len() as u64);
        if arrivals != Arrivals::Poisson {
            // Numbered in the order of time, without a gap.
            prop_assert!(seen.keys().copied().eq(0..seen.len() as u64));
            prop_assert!(seen.values().is_sorted());
        }
    }

    #[test]
    fn a_lane_never_goes_back_and_jumps_to_where_it_would_have_walked(arrivals in any_arrivals(), rate in any_rate(), workers in 1_u32..5, jump in 0_u64..300, seed: u64) {
        let schedule = Schedule::new(START, rate, &arrivals, seed);
        let (mut walks, mut jumps) = (schedule.lane(workers - 1, workers), schedule.lane(workers - 1, workers));
        let mut last = START;
        for _ in 0..jump {
            prop_assert!(walks.intended() >= last);
            last = walks.intended();
            walks.advance();
        }
        jumps.skip(jump);
        let mut counts = schedule.lane(workers - 1, workers);
        let before = counts.skip_before(walks.intended());
        // Several may be due at the instant jumped to.
        prop_assert!(before <= jump && counts.intended() == walks.intended());
        for _ in 0..50 {
            prop_assert_eq!((walks.request(), walks.intended()), (jumps.request(), jumps.intended()));
            walks.advance();
            jumps.advance();
        }
    }

    #[test]
    fn the_same_settings_give_the_same_schedule(arrivals in any_arrivals(), rate in any_rate(), seed: u64) {
        let lane = || Schedule::new(START, rate, &arrivals, seed).lane(1, 3);
        let (mut one, mut other) = (lane(), lane());
        for _ in 0..100 {
            prop_assert_eq!(one.intended(), other.intended());
            one.advance();
            other.advance();
        }
    }

    #[test]
    fn over_a_long_time_the_rate_is_the_one_asked_for(arrivals in any_arrivals(), rate in any_rate(), seed: u64) {
        let requests = 20_000;
        let due = Schedule::new(START, rate, &arrivals, seed).due_before(START + span_of(rate, requests), 2);
        let off = due.abs_diff(requests);
        // A burst or a trace may be cut anywhere; a drawn count deviates by 141, and never by 6 times that.
        prop_assert!(off <= if arrivals == Arrivals::Poisson { 850 } else { 50 }, "{}", due);
    }
}

#[test]
fn counts_are_exact_for_a_thousand_a_hundred_thousand_and_a_million_a_second() {
    for rate in [1_000_u64, 100_000, 1_000_000] {
        let end = START + Nanos(3 * Nanos::SECOND.0);
        for arrivals in [Arrivals::Constant, Arrivals::Burst { size: 100 }] {
            let schedule = Schedule::new(START, Rate::per_second(rate).unwrap(), &arrivals, 1);
            for workers in [1, 2, 7] {
                assert_eq!(schedule.due_before(end, workers), 3 * rate);
                let lanes =
                    (0..workers).map(|worker| schedule.lane(worker, workers).left_before(end));
                assert_eq!(lanes.sum::<u64>(), 3 * rate);
            }
        }
    }
}
