//! Forms of one service in Go and in Rust side by side, as a report shows them.

mod common;

use common::{JEMALLOC, NOOP, POOL, Profile, SECOND, histogram, recording};
use tailcut_report::recording::{
    Allocations, Interval, Load, Pause, Pauses, ProbeMeta, Recording, Runtime, SeriesMeta,
    SlowRequest, StackTable, State,
};
use tailcut_report::{Outcome, Report, Sides};

const SECONDS: u64 = 4;
const PROCESS: u32 = 77;
const WORKER: u32 = 78;

/// One run of a form in Go, whose requests take `slow_ns` in the tail.
fn go(variant: &'static str, slow_ns: u64, run: u32, sequence: u32) -> Recording {
    let mut profile: Profile = POOL;
    profile.variant = variant;
    let mut go = recording(&profile, run, sequence, SECONDS);
    go.intervals.clear();
    go.slow.clear();
    for second in 0..SECONDS {
        let start = go.meta.clock.monotonic_ns + (1 + second) * SECOND;
        let mut response = histogram();
        response.saturating_record_n(500, 99_700);
        response.saturating_record_n(slow_ns + u64::from(sequence) * slow_ns / 100, 300);
        let mut service = histogram();
        service.saturating_record_n(300, 100_000);
        for (series, histogram) in [("response", response), ("service", service)] {
            go.intervals.push(Interval {
                series: series.to_owned(),
                start_monotonic_ns: start,
                length_ns: SECOND,
                histogram,
            });
        }
        let due = start + SECOND / 2;
        go.slow.push(SlowRequest {
            intended_ns: due,
            start_ns: due,
            end_ns: due + slow_ns,
            thread: WORKER,
            request: 1,
        });
    }
    go.meta.allocations = Some(Allocations {
        requests: 100,
        allocations_per_request: 7.0,
        frees_per_request: 0.0,
        bytes_per_request: 1_000.0,
    });
    let result = go.meta.result.as_mut().unwrap();
    result.cpu_busy = 0.5;
    result.runtime = Some(Runtime {
        name: "go1.19.8".to_owned(),
        settings: "GOMAXPROCS=2".to_owned(),
        gc_cycles: 8,
        gc_pause_total_ns: 4_000_000,
        gc_assist_cpu_ns: Some(400_000_000),
        other_threads_cpus: Some(0.25),
    });
    go
}

/// What a probe saw of it: of each slow request six tenths are mark assist, and two stop-the-world.
fn traced(go: &Recording) -> Pauses {
    let start_ns = go.meta.clock.monotonic_ns;
    let series = |name: &str| SeriesMeta {
        name: name.to_owned(),
        pause: true,
        ..SeriesMeta::default()
    };
    let mut pauses = Pauses {
        meta: ProbeMeta {
            state: State::Complete,
            start_ns,
            end_ns: start_ns + (SECONDS + 1) * SECOND,
            series: vec![series("gc_assist"), series("gc_stw_mark_termination")],
            ..ProbeMeta::default()
        },
        intervals: Vec::new(),
        pauses: Vec::new(),
        not_read: 0,
        stacks: StackTable::default(),
        torn: false,
    };
    for request in &go.slow {
        let tenth = request.response_ns() / 10;
        for (place, from, tenths, events) in [(0, 1, 6, 500), (1, 7, 2, 100)] {
            let described = &mut pauses.meta.series[place];
            let length = tenths * tenth;
            described.events += events;
            described.total_ns += events * length;
            let mut histogram = histogram();
            histogram.saturating_record_n(length, events);
            pauses.intervals.push(Interval {
                series: described.name.clone(),
                start_monotonic_ns: request.intended_ns - SECOND / 2,
                length_ns: SECOND,
                histogram,
            });
            pauses.pauses.push(Pause {
                kind: described.name.clone(),
                process: PROCESS,
                thread: WORKER,
                start_ns: request.intended_ns + from * tenth,
                end_ns: request.intended_ns + from * tenth + length,
                cpu: None,
                stack: None,
                detail: None,
                by: None,
            });
        }
    }
    pauses
}

/// No-op, the forms in Go, one heap and the pool in Rust, A B B A; the heap form at `heap_ns` in its tail.
fn session(heap_ns: u64) -> Vec<Recording> {
    let turns = [0, 1, 2, 3, 4, 4, 3, 2, 1, 0];
    let made = turns.iter().enumerate().map(|(sequence, turn)| {
        let run = 1 + sequence as u32 / 5;
        let sequence = sequence as u32;
        match turn {
            0 => recording(&NOOP, run, sequence, SECONDS),
            1 => {
                let mut heap = go("go_heap", heap_ns, run, sequence);
                heap.pauses = Some(traced(&heap));
                heap
            }
            2 => go("go_sync_pool", 8_000_000, run, sequence),
            3 => recording(&JEMALLOC, run, sequence, SECONDS),
            _ => recording(&POOL, run, sequence, SECONDS),
        }
    });
    made.collect()
}

fn report(heap_ns: u64) -> Report {
    Report::from_recordings(session(heap_ns)).unwrap()
}

#[test]
fn the_verdict_is_on_the_forms_in_go_and_a_second_sentence_holds_rust_against_them() {
    let report = report(400_000_000);
    let verdict = report.verdict();
    assert_eq!(verdict.outcome, Outcome::Better, "{}", verdict.sentence);
    let (go, rust) = verdict.sentence.split_once(" Rust beside Go: ").unwrap();
    assert!(
        go.contains("(Go heap)") && go.contains("(Go sync.Pool)"),
        "{go}"
    );
    assert!(
        rust.contains("(Go sync.Pool)") && rust.contains("with the pool"),
        "{rust}"
    );
    let comparison = report.comparison().unwrap();
    assert_eq!(
        (comparison.before.as_str(), comparison.after.as_str()),
        ("go_heap", "go_sync_pool")
    );
    let incident = report.incident().unwrap();
    assert!(
        (45.0..55.0).contains(&incident.go_gain.unwrap()),
        "{:?}",
        incident.go_gain
    );
    assert!(
        incident.rust_over_go.unwrap() < 0.2,
        "{:?}",
        incident.rust_over_go
    );
    let rust = incident.rust_against_go.as_ref().unwrap();
    assert_eq!(
        (rust.before.as_str(), rust.after.as_str()),
        ("go_sync_pool", "pool")
    );
}

#[test]
fn what_slow_requests_are_owed_to_is_told_by_the_collector_s_parts() {
    let report = report(400_000_000);
    let owed = report.incident().unwrap().owed.clone().unwrap();
    assert!((owed.mark_assist - 0.6).abs() < 0.01, "{owed:?}");
    assert!((owed.stop_the_world - 0.2).abs() < 0.01, "{owed:?}");
    let all = [
        owed.mark_assist,
        owed.background_marking,
        owed.sweep_assist,
        owed.stop_the_world,
        owed.other_pauses,
        owed.own_service,
        owed.unexplained,
    ];
    assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{owed:?}");
    let note = &report.verdict().notes[0];
    assert!(
        note.contains("60% mark assist, 20% stop-the-world"),
        "{note}"
    );
    assert!(
        report
            .html()
            .contains("60% mark assist, 20% stop-the-world")
    );
}

#[test]
fn each_form_has_a_row_with_its_latency_cores_memory_allocations_and_collector() {
    let report = report(400_000_000);
    let table = report.incident_table().unwrap();
    let names: Vec<&str> = table.rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(
        names,
        [
            "no-op",
            "Go heap",
            "Go sync.Pool",
            "Rust heap, jemalloc",
            "Rust pool"
        ]
    );
    let cell = |row: usize, head: &str| {
        let column = table.header.iter().position(|known| known == head).unwrap();
        table.rows[row][column].as_str()
    };
    assert_eq!(cell(1, "cores"), "0.75");
    assert_eq!(cell(1, "GC"), "2/s");
    assert_eq!(cell(1, "allocations"), "7.00");
    assert_eq!(cell(1, "assist P99"), "240 ms");
    assert_eq!(cell(1, "GC pause P99"), "80 ms");
    // Untraced: the runtime's own account, 400 ms in 4 s.
    assert_eq!(cell(2, "in assist"), "10%");
    assert_eq!(cell(2, "assist P99"), "n/a");
    assert_eq!(cell(3, "GC"), "n/a");
    let json = serde_json::to_value(report.json()).unwrap();
    assert_eq!(
        json["incident"]["forms"][1]["collector"]["cycles_per_second"],
        2.0
    );
    let markdown = report.markdown();
    assert!(
        markdown.contains("The forms side by side") && markdown.contains("Rust heap, jemalloc")
    );
    let measures: Vec<&str> = report
        .comparison()
        .unwrap()
        .rows
        .iter()
        .map(|row| row.measure.as_str())
        .collect();
    for measure in [
        "P99.9",
        "GC pause P99",
        "Heap allocation rate",
        "Cores in use",
    ] {
        assert!(measures.contains(&measure), "{measures:?}");
    }
}

#[test]
fn a_heap_form_that_missed_its_schedule_makes_the_gain_a_lower_bound() {
    let mut runs = session(400_000_000);
    for run in &mut runs {
        if run.meta.variant == "go_heap" {
            run.meta.result.as_mut().unwrap().schedule_kept = false;
        }
    }
    let report = Report::from_recordings(runs).unwrap();
    let incident = report.incident().unwrap();
    assert!(incident.go_gain_is_lower_bound);
    let sentence = &report.verdict().sentence;
    assert!(
        sentence.contains("at least") && sentence.contains("missed it in 2 of 2"),
        "{sentence}"
    );
    let notes = report.verdict().notes.join(" ");
    assert!(notes.contains("Go heap could not hold the rate"), "{notes}");
    assert!(report.incident_table().unwrap().rows[1][3].starts_with('≥'));
}

#[test]
fn a_run_at_another_rate_stands_beside_and_forbids_no_comparison() {
    let mut runs = session(400_000_000);
    let mut saturated = go("go_heap_at_2.4M", 900_000_000, 1, 10);
    saturated.meta.load = Load {
        rate_target: 9e6,
        ..saturated.meta.load.clone()
    };
    saturated.meta.result.as_mut().unwrap().schedule_kept = false;
    runs.push(saturated);
    let report = Report::from_recordings(runs).unwrap();
    assert_eq!(
        report.verdict().outcome,
        Outcome::Better,
        "{}",
        report.verdict().sentence
    );
    let table = report.incident_table().unwrap();
    assert_eq!(table.rows.last().unwrap()[0], "Go heap at 2.4M/s");
}

#[test]
fn other_sides_can_still_be_asked_for() {
    let sides = Sides::Variants {
        before: "jemalloc".to_owned(),
        after: "pool".to_owned(),
    };
    let report = report(400_000_000).held_against(&sides).unwrap();
    assert!(!report.verdict().sentence.contains("Rust beside Go"));
    assert_eq!(report.comparison().unwrap().before, "heap_jemalloc");
}

#[test]
fn without_a_form_in_go_there_is_no_such_part() {
    let runs = [NOOP, JEMALLOC, POOL].iter().enumerate();
    let runs = runs.map(|(sequence, profile)| recording(profile, 1, sequence as u32, SECONDS));
    let report = Report::from_recordings(runs.collect()).unwrap();
    assert!(report.incident().is_none() && report.incident_table().is_none());
    assert!(!report.html().contains("The forms side by side"));
}
