//! What a report says of pauses, and what it refuses to say.

mod common;

use common::traced::{FLOOR_NS, THREAD, coarse, traced, write_traced};
use common::{ALL, JEMALLOC, NOOP, POOL, Profile, SECOND, recording, write};
use tailcut_report::recording::{
    Interval, Pause, Pauses, ProbeMeta, Recording, SeriesMeta, Stack, State, Unit,
};
use tailcut_report::{PauseSummary, Report, SeriesSummary};

fn report(recordings: Vec<Recording>) -> Report {
    Report::from_recordings(recordings).expect("there are recordings")
}

/// A run under load that was traced.
fn loaded(profile: &Profile, run: u32, sequence: u32) -> Recording {
    let mut recording = recording(profile, run, sequence, 2);
    recording.pauses = Some(traced(&recording, 2));
    recording
}

/// A process that was traced without load, as `PauseWriter::create_alone` records it.
fn alone(pauses: Pauses) -> Recording {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = dir.path().join("run");
    write_traced(&run, &pauses, true).expect("writable");
    Recording::read(&run).expect("it was just written")
}

fn redis() -> Pauses {
    traced(&recording(&JEMALLOC, 1, 0, 2), 2)
}

/// A trace of one series, of which `values` were seen in its only second.
fn single(meta: SeriesMeta, values: impl IntoIterator<Item = u64>) -> Pauses {
    let mut pauses = redis();
    let mut histogram = coarse();
    for value in values {
        histogram.saturating_record(value);
    }
    pauses.meta.end_ns = pauses.meta.start_ns + SECOND;
    pauses.intervals = vec![Interval {
        series: meta.name.clone(),
        start_monotonic_ns: pauses.meta.start_ns,
        length_ns: SECOND,
        histogram,
    }];
    pauses.meta.series = vec![meta];
    pauses.pauses.clear();
    pauses
}

fn summary(report: &Report, variant: &str) -> PauseSummary {
    let summaries = report.summaries();
    summaries[variant].pauses.clone().expect("it was traced")
}

fn only_series(report: &Report) -> SeriesSummary {
    let mut series = summary(report, "redis-server").series;
    assert_eq!(series.len(), 1);
    series.remove(0)
}

#[test]
fn totals_are_scaled_by_what_was_sampled_and_percentiles_are_not() {
    let meta = SeriesMeta {
        name: "malloc".to_owned(),
        sampling: 0.1,
        events: 1_000,
        total_ns: 1_000 * 2_000,
        ..SeriesMeta::default()
    };
    let series = only_series(&report(vec![alone(single(
        meta,
        (0..1_000).map(|index| if index < 990 { 2_000 } else { 50_000 }),
    ))]));
    assert_eq!(series.events, 1_000);
    assert_eq!(series.events_per_second, 10_000.0);
    assert_eq!(series.total_per_second, Some(20_000_000.0));
    // 1.96 / sqrt(1000), less what is certain because a tenth was seen.
    assert!((series.sampling_error - 0.0588).abs() < 0.001, "{series:?}");
    let near = |found: Option<u64>, expected: u64| {
        found.is_some_and(|found| found.abs_diff(expected) <= expected / 50)
    };
    assert!(
        near(series.p50, 2_000) && near(series.p99, 2_000),
        "{series:?}"
    );
    assert!(near(series.p999, 50_000), "{series:?}");
}

#[test]
fn a_percentile_that_too_few_events_carry_is_not_given() {
    let meta = SeriesMeta {
        name: "munmap".to_owned(),
        pause: true,
        events: 50,
        ..SeriesMeta::default()
    };
    let report = report(vec![alone(single(meta, vec![7_000; 50]))]);
    let series = only_series(&report);
    assert!(series.p50.is_some() && series.p99.is_none() && series.p999.is_none());
    let table = report.pause_table().expect("there were pauses");
    assert_eq!(&table.rows[0][3..5], ["n/a", "n/a"]);
}

#[test]
fn what_lies_under_the_floor_is_never_given_a_value() {
    let meta = SeriesMeta {
        name: "free".to_owned(),
        pause: true,
        events: 1_000,
        under_floor: 900,
        floor_ns: FLOOR_NS,
        ..SeriesMeta::default()
    };
    let values = (0..1_000).map(|index| if index < 900 { 500 } else { 9_000 });
    let report = report(vec![alone(single(meta, values))]);
    let series = only_series(&report);
    assert_eq!(series.p50, Some(FLOOR_NS));
    assert!(series.p99.is_some_and(|p99| p99 >= 9_000));
    let row = &report.pause_table().expect("there were pauses").rows[0];
    assert_eq!(row[2], "< 710 ns");
    assert!(
        row[7].contains("90% under the probe's floor of 710 ns"),
        "{row:?}"
    );
}

#[test]
fn sizes_and_counts_are_no_pauses() {
    let report = report(vec![alone(redis())]);
    let table = report.pause_table().expect("there were pauses");
    let named: Vec<&str> = table.rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(named.len(), 4, "{named:?}");
    assert!(!named.contains(&"malloc_size@jemalloc"));
    let series = summary(&report, "redis-server").series;
    let size = series
        .iter()
        .find(|series| series.unit == Unit::Bytes)
        .expect("sizes");
    assert!(size.total_per_second.is_some_and(|bytes| bytes > 1e6));
    assert!(report.markdown().contains("malloc\\_size\\@jemalloc"));
}

#[test]
fn runs_of_a_variant_are_merged_before_a_percentile_is_taken() {
    let meta = |events| SeriesMeta {
        name: "off_cpu".to_owned(),
        pause: true,
        events,
        ..SeriesMeta::default()
    };
    let many = alone(single(meta(99), vec![10_000; 99]));
    let mut one = alone(single(meta(1), [50_000_000]));
    one.meta.run = 2;
    let series = only_series(&report(vec![many, one]));
    assert_eq!(series.events, 100);
    assert!(series.p99.is_some_and(|p99| p99 < 10_200), "{series:?}");
    assert!(series.max >= 50_000_000);
    assert_eq!(series.events_per_second, 50.0, "two seconds were traced");
}

#[test]
fn slow_requests_are_owed_to_pauses_of_their_own_thread_alone() {
    let run = loaded(&JEMALLOC, 1, 0);
    let slow = run.slow.len() as u64;
    let blame = |run: Recording| {
        let report = report(vec![run]);
        let summary = report.summaries()["heap_jemalloc"].clone();
        summary.blame.expect("slow requests were kept")
    };
    let found = blame(run.clone());
    assert_eq!(found.requests, slow);
    // A pause of three fifths of its length was laid into every other of them.
    assert!(found.by_pauses_ns * 10 > found.time_ns * 3, "{found:?}");
    assert_eq!(found.kinds[0].kind, "munmap");

    let mut elsewhere = run;
    for pause in &mut elsewhere.pauses.as_mut().expect("traced").pauses {
        pause.thread = THREAD + 1;
    }
    let found = blame(elsewhere);
    assert_eq!((found.requests, found.by_pauses_ns), (slow, 0));
}

#[test]
fn no_kind_hides_the_others_among_the_longest() {
    let mut pauses = redis();
    let start_ns = pauses.meta.start_ns;
    pauses.pauses = (0..50u64)
        .map(|index| Pause {
            kind: if index < 48 { "off_cpu" } else { "run_queue" }.to_owned(),
            thread: THREAD,
            start_ns: start_ns + index,
            end_ns: start_ns + index + SECOND / (index + 1),
            ..Pause::default()
        })
        .collect();
    let longest = summary(&report(vec![alone(pauses)]), "redis-server").longest;
    let kinds: Vec<&str> = longest.iter().map(|pause| pause.kind.as_str()).collect();
    let expected = ["off_cpu"; 4].into_iter().chain(["run_queue"; 2]);
    assert_eq!(kinds, expected.collect::<Vec<_>>());
    assert_eq!(longest[0].length_ns, SECOND);
    assert!(longest.is_sorted_by_key(|pause| std::cmp::Reverse(pause.length_ns)));
}

#[test]
fn a_traced_process_beside_the_runs_changes_nothing_of_their_comparison() {
    let demo = || -> Vec<Recording> {
        let both = ALL.iter().chain(ALL.iter().rev()).enumerate();
        both.map(|(place, profile)| recording(profile, 1 + place as u32 / 5, place as u32, 1))
            .collect()
    };
    let without = report(demo());
    let mut with = demo();
    with.push(alone(redis()));
    let with = report(with);
    assert_eq!(with.verdict(), without.verdict());
    assert_eq!(with.table(), without.table());
    assert!(with.html().contains("Pauses</h2>"));
    assert_eq!(with.summaries().len(), without.summaries().len() + 1);
}

#[test]
fn what_was_not_traced_is_said() {
    let ordinary = report(vec![recording(&POOL, 1, 0, 1)]);
    let said = "pauses of the threads: no probe ran, for which an ordinary user has no rights";
    assert!(ordinary.html().contains(said));
    assert!(ordinary.markdown().contains(said));
    assert!(ordinary.pause_table().is_none());
    assert!(!ordinary.html().contains("pauses-title"));

    // A probe that could do nothing says why.
    let mut barred = recording(&POOL, 1, 0, 1);
    barred.pauses = Some(Pauses {
        meta: ProbeMeta {
            state: State::Complete,
            left_out: vec!["all series: this needs CAP_BPF; run it as root".to_owned()],
            ..ProbeMeta::default()
        },
        ..Pauses::default()
    });
    let html = report(vec![barred]).html();
    assert!(html.contains("all series: this needs CAP_BPF; run it as root"));
    assert!(html.contains("No pause was recorded"));

    let mixed = report(vec![loaded(&JEMALLOC, 1, 0), recording(&NOOP, 1, 1, 1)]);
    assert!(mixed.markdown().contains("Not traced: no-op: no probe ran"));
}

#[test]
fn a_probe_that_was_killed_is_counted_by_what_it_wrote() {
    let mut pauses = redis();
    pauses.meta.state = State::Running;
    pauses.meta.end_ns = 0;
    for series in &mut pauses.meta.series {
        (series.events, series.total_ns, series.under_floor) = (0, 0, 0);
    }
    let mut run = recording(&JEMALLOC, 1, 0, 2);
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(&dir.path().join("run"), &run).expect("writable");
    write_traced(&dir.path().join("run"), &pauses, false).expect("writable");
    run = Recording::read(&dir.path().join("run")).expect("readable");
    let report = report(vec![run]);
    let summary = summary(&report, "heap_jemalloc");
    assert_eq!(summary.traced_ns, 2 * SECOND);
    let off_cpu = summary
        .series
        .iter()
        .find(|series| series.name == "off_cpu")
        .expect("it was traced");
    assert_eq!(off_cpu.events_per_second, 180.0);
    assert!(off_cpu.total_per_second.is_some_and(|ns| ns > 0.0));
    let html = report.html();
    assert!(html.contains("the probe ended before it could finish"));
}

#[test]
fn numbers_that_cannot_be_true_do_no_harm() {
    let mut run = loaded(&POOL, 1, 0);
    let pauses = run.pauses.as_mut().expect("it was traced");
    let meta = &mut pauses.meta;
    meta.start_ns = u64::MAX;
    meta.end_ns = 3;
    for (series, sampling) in meta
        .series
        .iter_mut()
        .zip([0.0, -1.0, f64::NAN, 9.0, 1e-300])
    {
        series.sampling = sampling;
        (series.events, series.total_ns) = (u64::MAX, u64::MAX);
        (series.under_floor, series.floor_ns) = (u64::MAX, u64::MAX);
    }
    meta.cost.share_of_target_cpu = f64::NAN;
    meta.cost.hits = u64::MAX;
    for window in &mut meta.windows {
        (window.start_ns, window.end_ns, window.hits) = (u64::MAX, 0, u64::MAX);
    }
    for pause in &mut pauses.pauses {
        (pause.start_ns, pause.end_ns) = (pause.end_ns, u64::MAX);
    }
    let mut again = pauses.intervals[0].clone();
    again.start_monotonic_ns = u64::MAX - 7;
    again.length_ns = u64::MAX;
    pauses.intervals.push(again);
    pauses.stacks.stacks.push(Stack::default());
    let report = report(vec![run]);
    let _ = (report.html(), report.markdown(), report.pause_table());
    let json = serde_json::to_string(&report.json()).expect("serialisable");
    assert!(json.contains("\"off_cpu\""));
}
