//! What the engine promises, checked exactly.

use super::*;
use crate::scenario::Arrivals;
use crate::schedule::Schedule;

#[test]
#[allow(clippy::cast_precision_loss)] // far below 2^53
fn periodic_stalls_give_the_latencies_that_queueing_theory_says() {
    // A stall of S every T at utilisation rho: P(latency > x) = (S - x) / ((1 - rho) T).
    const PERIODS: u64 = 3;
    for every in [200 * MILLISECOND, 500 * MILLISECOND, Nanos::SECOND.0] {
        for percent in [2, 5, 10] {
            let stall = every * percent / 100;
            for (each, utilisation) in [
                (2 * MICROSECOND, 0.2),
                (5 * MICROSECOND, 0.5),
                (8 * MICROSECOND, 0.8),
            ] {
                let simulation = Simulation {
                    duration: Nanos(PERIODS * every),
                    ..Simulation::default()
                };
                // The first stall comes half a period after the start: the last backlog has as long to drain.
                assert!(stall as f64 / (1.0 - utilisation) <= every as f64 * 0.500_001);
                let halt = AtomicBool::new(false);
                let run = simulation.run(&halt, |clock| {
                    Planted::stalling(clock, Nanos(each), Nanos(stall), Nanos(every))
                });
                let response = run.response();
                assert_eq!(response.len(), run.due());
                for x in [stall / 20, stall / 4, stall / 2, stall * 3 / 4] {
                    let slower = response
                        .iter_recorded()
                        .filter(|step| step.value_iterated_to() > x);
                    let share = slower
                        .map(|step| step.count_since_last_iteration())
                        .sum::<u64>() as f64
                        / response.len() as f64;
                    let expected = (stall - x) as f64 / ((1.0 - utilisation) * every as f64);
                    let error = (share - expected).abs() / expected;
                    assert!(
                        error < 0.05,
                        "stall {stall} every {every}, rho {utilisation}, x {x}: {share} instead of {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_service_that_never_stalls_has_no_latency_but_its_service_time() {
    let halt = AtomicBool::new(false);
    let run = Simulation::default().run(&halt, |clock| {
        Planted::steady(clock, Nanos(5 * MICROSECOND))
    });
    assert_eq!(run.totals.counts.completed, run.due());
    assert_eq!((run.totals.counts.late, run.totals.counts.unserved), (0, 0));
    // One step of waiting at most is added to the service time.
    assert!(run.response().max() <= 5 * MICROSECOND + 600);
    let service = run.service();
    assert!(service.equivalent(service.min(), service.max()));
}

#[test]
fn a_late_request_never_moves_the_schedule() {
    let halt = AtomicBool::new(false);
    let clock = SimulatedClock::new(START, Nanos(100));
    let schedule = Constant::new(START, Rate::per_second(1_000_000).unwrap());
    let end = START + Nanos::SECOND;
    let mut pacer = Pacer::new(schedule.lane(0, 1), end, end, &halt);
    let mut meter = StallMeter::new(START);
    for n in 0..5_000 {
        if n % 1000 == 500 {
            clock.advance(Nanos(700 * MICROSECOND));
        }
        let now = clock.now_ns();
        let Next::Due(Due {
            request,
            intended,
            start,
        }) = pacer.next(&clock, now, &mut meter)
        else {
            panic!()
        };
        assert_eq!((request, intended), (n, schedule.intended(n)));
        assert!(start >= intended);
    }
}

#[test]
fn what_was_never_started_is_counted_at_the_age_it_had_when_the_run_was_cut() {
    // Twice as much work as time, for 2.5 s.
    let simulation = Simulation {
        duration: Nanos(2_500 * MILLISECOND),
        ..Simulation::default()
    };
    let halt = AtomicBool::new(false);
    let run = simulation.run(&halt, |clock| {
        Planted::steady(clock, Nanos(20 * MICROSECOND))
    });
    let counts = run.totals.counts;
    assert!(counts.unserved > 0);
    assert_eq!(counts.completed + counts.unserved, run.due());
    assert_eq!(run.service().len(), counts.completed);

    // One by one, as a check on filling whole buckets at once.
    let mut expected = histogram();
    for n in counts.completed..run.due() {
        expected
            .record((run.timeline.cut - run.schedule.intended(n)).0)
            .unwrap();
    }
    let mut response = run.response();
    for n in 0..counts.completed {
        let end = START + Nanos((n + 1) * 20 * MICROSECOND);
        expected.record((end - run.schedule.intended(n)).0).unwrap();
    }
    response.subtract(&expected).unwrap();
    assert_eq!(response.len(), 0);

    // Half of the work was done by the end of the schedule, and some in the grace.
    assert_eq!(run.totals.throughput.requests, 125_000);
    assert_eq!(counts.completed - counts.late, 125_000);
    assert_eq!(counts.late, 12_500);
}

#[test]
fn ages_beyond_the_histogram_are_counted_at_its_end() {
    let simulation = Simulation {
        rate: 10,
        duration: Nanos(150 * Nanos::SECOND.0),
        step: Nanos(50 * MILLISECOND),
        clean: 160,
        ..Simulation::default()
    };
    let halt = AtomicBool::new(false);
    let run = simulation.run(&halt, |clock| {
        Planted::steady(clock, Nanos(160 * Nanos::SECOND.0))
    });
    assert_eq!(
        run.totals.counts.completed + run.totals.counts.unserved,
        1_500
    );
    let response = run.response();
    assert_eq!(response.len(), 1_500);
    assert!(response.max() >= HIGHEST);
}

#[test]
fn a_swap_of_histograms_loses_no_request() {
    let halt = AtomicBool::new(false);
    // 7 s: with 40 clean intervals each second has its own; with 2 the last one holds five.
    for (clean, missed) in [(40, 0), (7, 0), (2, 5), (0, 6)] {
        let simulation = Simulation {
            duration: Nanos(7 * Nanos::SECOND.0),
            clean,
            ..Simulation::default()
        };
        let (stall, every) = (Nanos(30 * MILLISECOND), Nanos(900 * MILLISECOND));
        let run = simulation.run(&halt, |clock| {
            Planted::stalling(clock, Nanos(MICROSECOND), stall, every)
        });
        assert_eq!(run.totals.counts.completed, run.due());
        assert_eq!(run.response().len(), run.due(), "{clean} clean intervals");
        assert_eq!(run.service().len(), run.due());
        assert_eq!(
            run.totals.counts.swaps_missed, missed,
            "{clean} clean intervals"
        );
        let covered: u64 = run
            .intervals
            .iter()
            .map(|interval| match interval.span {
                Span::WarmUp | Span::Warming { .. } => 0,
                Span::Seconds { first, last } => last - first + 1,
            })
            .sum();
        assert_eq!(covered, 7);
    }
}

#[test]
fn requests_are_put_into_the_second_they_were_due_in_not_the_one_they_ended_in() {
    let halt = AtomicBool::new(false);
    let simulation = Simulation {
        duration: Nanos(4 * Nanos::SECOND.0),
        ..Simulation::default()
    };
    // Stalls of 0.9 s at 1.25 s and 3.75 s: requests of one second end in the next.
    let run = simulation.run(&halt, |clock| {
        Planted::stalling(
            clock,
            Nanos(100),
            Nanos(900 * MILLISECOND),
            Nanos(2_500 * MILLISECOND),
        )
    });
    let per_second = run
        .intervals
        .iter()
        .filter(|interval| interval.span != Span::WarmUp);
    assert_eq!(
        per_second
            .map(|interval| interval.response.len())
            .collect::<Vec<_>>(),
        [100_000; 4]
    );
}

#[test]
fn warm_up_is_not_recorded_but_the_backlog_it_leaves_is() {
    let halt = AtomicBool::new(false);
    let simulation = Simulation {
        warmup: Nanos::SECOND,
        ..Simulation::default()
    };
    // One stall of 0.6 s in the middle of the warm-up: it ends 0.1 s into the recording, and the
    // backlog goes on.
    let run = simulation.run(&halt, |clock| {
        Planted::stalling(
            clock,
            Nanos(5 * MICROSECOND),
            Nanos(600 * MILLISECOND),
            Nanos::SECOND,
        )
    });
    assert_eq!(run.intervals[0].span, Span::WarmUp);
    assert_eq!(run.response().len(), 100_000);
    let first = run.response().max();
    assert!(first > 300 * MILLISECOND, "{first}");
    // Work left over from the warm-up counts as done in this time.
    assert!(run.totals.throughput.requests > run.totals.counts.completed - run.totals.counts.late);
}

#[test]
fn a_halted_run_accounts_for_what_was_due_until_then_and_no_more() {
    let halt = AtomicBool::new(false);
    let simulation = Simulation {
        duration: Nanos(10 * Nanos::SECOND.0),
        ..Simulation::default()
    };
    let run = simulation.run(&halt, |clock| Planted {
        halt_after: Some((50_000, &halt)),
        ..Planted::steady(clock, Nanos(20 * MICROSECOND))
    });
    let counts = run.totals.counts;
    // Halted within 1024 requests, at twice the period of the schedule.
    assert!(
        counts.completed >= 50_000 && counts.completed <= 51_024,
        "{counts:?}"
    );
    let halted_at = START + Nanos(counts.completed * 20 * MICROSECOND);
    assert_eq!(
        counts.completed + counts.unserved,
        run.schedule.due_before(halted_at)
    );
}

#[test]
fn an_idle_run_halts_at_once() {
    let halt = AtomicBool::new(true);
    let clock = SimulatedClock::new(START, Nanos(100));
    let schedule = Constant::new(START + Nanos::SECOND, Rate::per_second(1).unwrap());
    let end = START + Nanos(9 * Nanos::SECOND.0);
    let mut pacer = Pacer::new(schedule.lane(0, 1), end, end, &halt);
    let next = pacer.next(&clock, START, &mut StallMeter::new(START));
    assert!(matches!(next, Next::Ended(Ended::Halted(at)) if at < START + Nanos(1000)));
}

#[test]
fn the_slowest_requests_of_each_second_are_kept() {
    let halt = AtomicBool::new(false);
    let simulation = Simulation {
        duration: Nanos(3 * Nanos::SECOND.0),
        ..Simulation::default()
    };
    let run = simulation.run(&halt, |clock| {
        Planted::stalling(
            clock,
            Nanos(MICROSECOND),
            Nanos(10 * MILLISECOND),
            Nanos::SECOND,
        )
    });
    for interval in run
        .intervals
        .iter()
        .filter(|interval| interval.span != Span::WarmUp)
    {
        let slowest = interval
            .slow
            .requests()
            .iter()
            .map(|slow| slow.end_ns - slow.intended_ns)
            .max()
            .unwrap();
        assert_eq!(
            interval.response.max(),
            interval.response.highest_equivalent(slowest)
        );
        assert!(
            interval
                .slow
                .requests()
                .iter()
                .all(|slow| slow.start_ns >= slow.intended_ns)
        );
    }
}

#[test]
fn a_warm_up_that_is_ended_on_the_way_is_followed_by_the_whole_recorded_schedule() {
    let halt = AtomicBool::new(false);
    let simulation = Simulation {
        duration: Nanos(2 * Nanos::SECOND.0),
        ..Simulation::default()
    };
    let stage = Stage::new(1, 1);
    // Decided 3.1 s into the schedule, so that recording begins with its fourth second.
    let run = simulation.run_undecided(&stage, &halt, |clock| Planted {
        end_warm_up_after: Some((310_000, &stage.decision, 4)),
        ..Planted::steady(clock, Nanos(MICROSECOND))
    });
    assert_eq!(run.timeline.record, START + Nanos(4 * Nanos::SECOND.0));
    let counts = run.totals.counts;
    assert_eq!((counts.completed, run.due()), (200_000, 200_000));
    assert_eq!(
        (counts.unserved, counts.late, counts.swaps_missed),
        (0, 0, 0)
    );
    assert_eq!(run.totals.throughput.requests, 200_000);
    assert_eq!(run.response().len(), 200_000);
    let spans: Vec<Span> = run.intervals.iter().map(|interval| interval.span).collect();
    let warming = |second| Span::Warming {
        first: second,
        last: second,
    };
    let recorded = |second| Span::Seconds {
        first: second,
        last: second,
    };
    assert_eq!(
        spans,
        [
            warming(0),
            warming(1),
            warming(2),
            warming(3),
            recorded(0),
            recorded(1)
        ]
    );
    // Each second is judged by its own requests.
    assert!(
        run.intervals
            .iter()
            .all(|interval| interval.response.len() == 100_000)
    );
}

#[test]
fn a_service_that_is_behind_when_its_warm_up_ends_takes_its_backlog_along() {
    let halt = AtomicBool::new(false);
    let simulation = Simulation {
        duration: Nanos(2 * Nanos::SECOND.0),
        ..Simulation::default()
    };
    let stage = Stage::new(1, 1);
    // Twice as much work as time: after 4 s it is in its second second. Then the recorder has had enough.
    let run = simulation.run_undecided(&stage, &halt, |clock| Planted {
        end_warm_up_after: Some((200_000, &stage.decision, 5)),
        ..Planted::steady(clock, Nanos(20 * MICROSECOND))
    });
    let counts = run.totals.counts;
    assert_eq!(run.timeline.record, START + Nanos(5 * Nanos::SECOND.0));
    // All of the backlog's work that is done in the recorded two seconds is throughput of theirs.
    assert!((100_000..=100_001).contains(&run.totals.throughput.requests));
    assert_eq!(counts.completed + counts.unserved, run.due());
    assert_eq!(run.response().len(), run.due());
}

#[test]
fn a_run_halted_before_its_warm_up_had_an_end_recorded_nothing() {
    let halt = AtomicBool::new(false);
    let stage = Stage::new(1, 1);
    let run = Simulation::default().run_undecided(&stage, &halt, |clock| Planted {
        halt_after: Some((250_000, &halt)),
        ..Planted::steady(clock, Nanos(MICROSECOND))
    });
    let counts = run.totals.counts;
    assert_eq!((counts.completed, counts.unserved), (0, 0));
    assert_eq!(run.response().len(), 0);
}

#[test]
fn requests_that_come_at_random_are_all_counted_whether_they_are_served_or_not() {
    let halt = AtomicBool::new(false);
    for (each, served) in [(MICROSECOND, true), (20 * MICROSECOND, false)] {
        let simulation = Simulation {
            duration: Nanos(2_500 * MILLISECOND),
            ..Simulation::default()
        };
        let rate = Rate::per_second(simulation.rate).unwrap();
        let schedule = Schedule::new(START, rate, &Arrivals::Poisson, 7);
        let run = simulation.run_lane(schedule.lane(0, 1), &halt, |clock| {
            Planted::steady(clock, Nanos(each))
        });
        let counts = run.totals.counts;
        assert_eq!(counts.unserved == 0, served);
        let due = schedule.due_before(run.timeline.end, 1);
        assert_eq!(counts.completed + counts.unserved, due);
        assert_eq!(run.response().len(), due);
    }
}
