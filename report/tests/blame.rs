//! Blame from a whole recording: what a simulated run with planted pauses leaves behind must name each
//! kind on its thread, and nothing that was not planted; damaged recordings must do no harm.

mod common;
#[path = "common/queue.rs"]
mod queue;

use std::collections::BTreeMap;

use common::{POOL, histogram, recording};
use hdrhistogram::Histogram;
use proptest::prelude::*;
use queue::{Load, Planted, SECOND, Simulated, planted, simulate};
use tailcut_report::recording::{
    Interval, Pause, Pauses, ProbeMeta, RESPONSE, Recording, SCHEMA, SERVICE, SeriesMeta,
    SlowRequest, Stack, StackTable, State,
};
use tailcut_report::{BlameMode, BlameSummary, Report};

const KINDS: [&str; 5] = ["munmap", "futex", "page_fault", "preempted", "off_cpu"];
/// Where the measured time of the invented recordings begins.
const BEGIN: u64 = 5_001 * SECOND;

fn values(values: &[u64]) -> Histogram<u64> {
    let mut histogram = histogram();
    for value in values {
        histogram.saturating_record(*value);
    }
    histogram
}

fn series(name: &str) -> SeriesMeta {
    SeriesMeta {
        name: name.to_owned(),
        pause: true,
        threshold_ns: 100_000,
        ..SeriesMeta::default()
    }
}

/// What the load generator and the probe would have recorded of a simulated run.
fn recorded(load: &Load, planted: &[Planted], simulated: &Simulated) -> Recording {
    let mut run = recording(&POOL, 1, 0, 0);
    let rate = load.rate * f64::from(load.threads);
    run.meta.load.rate_target = rate;
    run.meta.load.duration_ns = load.seconds * SECOND;
    run.meta.load.workers = load.threads;
    run.meta.result.as_mut().expect("it has one").offered = (rate * load.seconds as f64) as u64;
    run.slow = simulated
        .kept
        .iter()
        .map(|request| SlowRequest {
            intended_ns: request.due_ns,
            start_ns: request.start_ns,
            end_ns: request.end_ns,
            thread: request.thread,
            request: request.request,
        })
        .collect();
    for (series, all) in [
        (RESPONSE, &simulated.responses),
        (SERVICE, &simulated.service),
    ] {
        run.intervals.push(Interval {
            series: series.to_owned(),
            start_monotonic_ns: BEGIN,
            length_ns: load.seconds * SECOND,
            histogram: values(all),
        });
    }
    run.pauses = Some(Pauses {
        meta: ProbeMeta {
            schema: SCHEMA,
            state: State::Complete,
            start_ns: BEGIN - SECOND,
            end_ns: BEGIN + (load.seconds + 100) * SECOND,
            series: KINDS.iter().map(|kind| series(kind)).collect(),
            ..ProbeMeta::default()
        },
        pauses: planted
            .iter()
            .map(|pause| Pause {
                kind: KINDS[pause.kind].to_owned(),
                process: 4711,
                thread: pause.thread,
                start_ns: pause.start_ns,
                end_ns: pause.end_ns,
                stack: Some(7),
                ..Pause::default()
            })
            .collect(),
        stacks: StackTable {
            stacks: vec![Stack {
                id: 7,
                frames: Vec::new(),
            }],
        },
        ..Pauses::default()
    });
    run
}

fn blame(recording: Recording) -> BlameSummary {
    let report = Report::from_recordings(vec![recording]).expect("one recording");
    let summaries = report.summaries();
    let (_, summary) = summaries.first().expect("one variant");
    summary.blame.clone().expect("slow requests were traced")
}

fn adds_up(blame: &BlameSummary) {
    assert_eq!(
        blame.by_pauses_ns + blame.own_service_ns + blame.unexplained_ns,
        blame.time_ns
    );
    let kinds: u64 = blame.kinds.iter().map(|kind| kind.time_ns).sum();
    assert_eq!(kinds, blame.by_pauses_ns);
    if blame.rows_left_out == 0 {
        let rows: u64 = blame.rows.iter().map(|row| row.time_ns).sum();
        assert_eq!(rows, blame.by_pauses_ns);
    }
}

const LOAD: Load = Load {
    seed: 3,
    threads: 2,
    seconds: 4,
    rate: 5_000.0,
    utilisation: 0.5,
    random: true,
    kept: 32,
};

#[test]
fn each_kind_is_found_on_its_thread_from_what_a_recording_holds() {
    for (utilisation, rate) in [(0.2, 1_000.0), (0.5, 5_000.0), (0.7, 20_000.0)] {
        let load = Load {
            utilisation,
            rate,
            ..LOAD
        };
        let planted = planted(&load, KINDS.len(), 6, BEGIN);
        let simulated = simulate(&load, &planted, BEGIN);
        let mut truth: BTreeMap<(&str, u32), u64> = BTreeMap::new();
        for request in &simulated.kept {
            for (kind, time) in &request.truth {
                *truth.entry((KINDS[*kind], request.thread)).or_default() += time;
            }
        }
        let blame = blame(recorded(&load, &planted, &simulated));
        adds_up(&blame);
        assert_eq!(blame.mode, BlameMode::OwnThread);
        assert_eq!(blame.requests, simulated.kept.len() as u64);
        let blamed: BTreeMap<(&str, u32), u64> = (blame.rows.iter())
            .map(|row| ((row.kind.as_str(), row.thread), row.time_ns))
            .collect();
        let planted: u64 = truth.values().sum();
        let found: u64 = truth
            .iter()
            .map(|(place, time)| blamed.get(place).map_or(0, |blamed| *blamed.min(time)))
            .sum();
        assert!(found * 100 >= planted * 95, "{found} of {planted}");
        let wrong = blame.by_pauses_ns - found;
        assert!(wrong * 200 <= blame.time_ns, "{wrong} of {}", blame.time_ns);
    }
}

#[test]
fn with_nothing_planted_nothing_is_claimed_and_it_is_said() {
    let simulated = simulate(&LOAD, &[], BEGIN);
    let report = Report::from_recordings(vec![recorded(&LOAD, &[], &simulated)]);
    let report = report.expect("one recording");
    let blame = report.summaries()["pool"].blame.clone().expect("traced");
    adds_up(&blame);
    assert_eq!((blame.by_pauses_ns, blame.rows.len()), (0, 0));
    assert!(report.markdown().contains("no pause is to blame"));
    assert!(report.html().contains("no pause is to blame"));
}

#[test]
fn a_pause_of_another_thread_is_not_blamed() {
    let pauses = planted(&LOAD, KINDS.len(), 6, BEGIN);
    let simulated = simulate(&LOAD, &pauses, BEGIN);
    let elsewhere: Vec<Planted> = pauses
        .iter()
        .map(|pause| Planted {
            thread: pause.thread + 10,
            ..*pause
        })
        .collect();
    let blame = blame(recorded(&LOAD, &elsewhere, &simulated));
    adds_up(&blame);
    assert_eq!(blame.by_pauses_ns, 0);
    assert!(blame.unexplained_ns > blame.time_ns / 2);
}

/// What a probe lists of a Go service: the collector stops all threads, whichever of them does it.
fn of_a_collector(mut run: Recording, kind: &str, process_wide: bool) -> Recording {
    let pauses = run.pauses.as_mut().expect("it was traced");
    pauses.meta.target.process = 4711;
    pauses.meta.series.push(SeriesMeta {
        process_wide,
        owns_waits: true,
        ..series(kind)
    });
    run
}

#[test]
fn a_stop_of_the_world_is_blamed_for_every_thread_and_shown_as_one_of_all() {
    // Both threads pause at the same instants; the probe saw a third do it.
    let of_one = planted(&Load { threads: 1, ..LOAD }, 1, 6, BEGIN);
    let both: Vec<Planted> = (1..=2)
        .flat_map(|thread| of_one.iter().map(move |pause| Planted { thread, ..*pause }))
        .collect();
    let simulated = simulate(&LOAD, &both, BEGIN);
    let expected = blame(recorded(&LOAD, &both, &simulated));
    assert!(expected.by_pauses_ns > expected.time_ns / 2);
    let listed: Vec<Planted> = of_one
        .iter()
        .map(|pause| Planted {
            thread: 99,
            ..*pause
        })
        .collect();
    let mut run = of_a_collector(recorded(&LOAD, &listed, &simulated), "gc_stw_other", true);
    for pause in &mut run.pauses.as_mut().expect("it was traced").pauses {
        pause.kind = "gc_stw_other".to_owned();
    }
    let mut of_a_child = run.clone();
    let blame_of_all = blame(run.clone());
    adds_up(&blame_of_all);
    assert_eq!(blame_of_all.by_pauses_ns, expected.by_pauses_ns);
    assert_eq!(blame_of_all.unexplained_ns, expected.unexplained_ns);
    let [row] = &blame_of_all.rows[..] else {
        panic!("more than one row: {:?}", blame_of_all.rows);
    };
    assert_eq!((row.thread, row.kind.as_str()), (0, "gc_stw_other"));
    let report = Report::from_recordings(vec![run]).expect("one recording");
    assert!(report.markdown().contains("| all threads |"));
    assert!(report.html().contains("all threads"));
    // The collector of another process stops none of these.
    for pause in &mut of_a_child.pauses.as_mut().expect("it was traced").pauses {
        pause.process = 4712;
    }
    assert_eq!(blame(of_a_child).by_pauses_ns, 0);
}

#[test]
fn who_parks_while_it_works_for_the_collector_waits_for_the_collector() {
    let pauses = planted(&LOAD, 1, 6, BEGIN);
    let simulated = simulate(&LOAD, &pauses, BEGIN);
    let assists = of_a_collector(recorded(&LOAD, &pauses, &simulated), "gc_assist", false);
    let with = |waits: bool| {
        let mut run = assists.clone();
        let all = &mut run.pauses.as_mut().expect("it was traced").pauses;
        let mut parked = Vec::new();
        for pause in all.iter_mut() {
            pause.kind = "gc_assist".to_owned();
            // From soon after the assist began until it ended.
            parked.push(Pause {
                kind: "futex".to_owned(),
                start_ns: pause.start_ns + 5_000,
                ..pause.clone()
            });
        }
        if waits {
            all.extend(parked);
        }
        blame(run)
    };
    let (without, with) = (with(false), with(true));
    adds_up(&with);
    assert_eq!(with.kinds, without.kinds);
    assert_eq!(with.kinds[0].kind, "gc_assist");
}

/// The same run, loaded over a network: requests on the generator's threads, pauses on the server's.
fn over_network(planted: &[Planted], simulated: &Simulated) -> Recording {
    let mut run = recorded(&LOAD, planted, simulated);
    run.meta.load.target = "tcp://127.0.0.1:7000".to_owned();
    run.meta.load.form = "network".to_owned();
    for request in &mut run.slow {
        request.thread += 100;
    }
    run
}

#[test]
fn over_a_network_pauses_of_the_server_coincide_and_idle_waits_do_not() {
    let load = Load { threads: 1, ..LOAD };
    let pauses: Vec<Planted> = (0..4)
        .map(|second| Planted {
            thread: 1,
            kind: 0,
            start_ns: BEGIN + second * SECOND + 300_000_000,
            end_ns: BEGIN + second * SECOND + 340_000_000,
        })
        .collect();
    let simulated = simulate(&load, &pauses, BEGIN);
    let mut listed = pauses;
    // A worker that has nothing to do, all the time.
    listed.push(Planted {
        thread: 2,
        kind: 1,
        start_ns: BEGIN,
        end_ns: BEGIN + 4 * SECOND,
    });
    // A thread that does something else, and pauses for half of all time.
    listed.extend((0..400).map(|nth| Planted {
        thread: 3,
        kind: 3,
        start_ns: BEGIN + nth * 10_000_000,
        end_ns: BEGIN + nth * 10_000_000 + 5_000_000,
    }));
    let blame = blame(over_network(&listed, &simulated));
    adds_up(&blame);
    assert_eq!(blame.mode, BlameMode::Coincides);
    assert_eq!(blame.own_service_ns, 0);
    let named: Vec<(&str, u32)> = (blame.rows.iter())
        .map(|row| (row.kind.as_str(), row.thread))
        .collect();
    assert_eq!(named, [("munmap", 1)]);
    assert_eq!(blame.by_chance, ["preempted"]);
    assert!(blame.by_pauses_ns * 100 > blame.time_ns * 90, "{blame:?}");
}

#[test]
fn requests_outside_the_traced_time_are_not_judged() {
    let pauses = planted(&LOAD, KINDS.len(), 6, BEGIN);
    let simulated = simulate(&LOAD, &pauses, BEGIN);
    let mut run = recorded(&LOAD, &pauses, &simulated);
    run.pauses.as_mut().expect("traced").meta.start_ns = BEGIN + 2 * SECOND;
    let blame = blame(run);
    adds_up(&blame);
    assert_eq!(
        blame.requests + blame.requests_not_traced,
        simulated.kept.len() as u64
    );
    assert!(blame.requests_not_traced >= 2 * 2 * 32);
    assert!(blame.spikes.iter().all(|spike| spike.due_s >= 2.0));
}

#[test]
fn the_longest_spike_is_told_from_due_to_drained() {
    let load = Load {
        threads: 1,
        seconds: 2,
        random: false,
        utilisation: 0.5,
        ..LOAD
    };
    let pause = Planted {
        thread: 1,
        kind: 0,
        start_ns: BEGIN + 300_000_000,
        end_ns: BEGIN + 314_200_000,
    };
    let simulated = simulate(&load, &[pause], BEGIN);
    let report = Report::from_recordings(vec![recorded(&load, &[pause], &simulated)]);
    let report = report.expect("one recording");
    let blame = report.summaries()["pool"].blame.clone().expect("traced");
    let spike = &blame.spikes[0];
    assert_eq!(spike.pauses.len(), 1);
    assert_eq!(spike.pauses[0].kind, "munmap");
    assert_eq!(spike.pauses[0].length_ns, 14_200_000);
    // It was due every 200 us: about 71 came in 14.2 ms, and they take as long again.
    assert!(
        spike
            .backlog
            .is_some_and(|requests| (69..=72).contains(&requests)),
        "{spike:?}"
    );
    let drained = spike.drained_s.expect("the thread has time to spare");
    assert!((drained - 0.3284).abs() < 0.001, "{spike:?}");
    let html = report.html();
    for part in ["munmap of 14.2 ms on thread 1", "the backlog is worked off"] {
        assert!(html.contains(part), "{part}");
    }
}

proptest! {
    #[test]
    fn damaged_recordings_do_no_harm(
        slow in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), 0..3u32, 0..64u32), 0..40),
        pauses in proptest::collection::vec((0..7usize, any::<u64>(), any::<u64>(), 0..3u32, 0..64u32), 0..40),
        traced in (any::<u64>(), any::<u64>(), 0..64u32),
        network: bool,
        rate in prop_oneof![Just(f64::NAN), Just(-1.0), Just(f64::INFINITY), 0.0..1e12f64],
    ) {
        let nothing = simulate(&Load { seconds: 1, rate: 10.0, ..LOAD }, &[], BEGIN);
        let mut run = recorded(&LOAD, &[], &nothing);
        run.meta.load.rate_target = rate;
        if network {
            run.meta.load.form = "network".to_owned();
        }
        run.slow = slow
            .iter()
            .map(|&(intended_ns, start_ns, end_ns, thread, shift)| SlowRequest {
                intended_ns: intended_ns >> shift,
                start_ns: start_ns >> shift,
                end_ns: end_ns >> shift,
                thread,
                request: 0,
            })
            .collect();
        let probed = run.pauses.as_mut().expect("traced");
        probed.meta.start_ns = traced.0 >> traced.2;
        probed.meta.end_ns = traced.1 >> traced.2;
        probed.pauses = pauses
            .iter()
            .map(|&(kind, start_ns, end_ns, thread, shift)| Pause {
                kind: KINDS.get(kind).map_or_else(|| format!("kind {kind}"), |kind| (*kind).to_owned()),
                thread,
                start_ns: start_ns >> shift,
                end_ns: end_ns >> shift,
                stack: Some(kind as u32),
                by: Some("\u{202e}thief".to_owned()),
                ..Pause::default()
            })
            .collect();
        // Twice the same is in it twice.
        probed.pauses.extend(probed.pauses.clone());
        let report = Report::from_recordings(vec![run]).expect("one recording");
        if let Some(blame) = &report.summaries()["pool"].blame {
            adds_up(blame);
        }
        prop_assert!(report.html().contains("</html>"));
        prop_assert_eq!(report.markdown().matches('\u{202e}').count(), 0);
    }
}
