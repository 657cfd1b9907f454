//! What a probe writes is what is read, beside a load generator and alone.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::traced::{THREAD, coarse, probe_meta, traced, write_traced};
use common::{JEMALLOC, POOL, SECOND, histogram, meta, recording, write};
use tailcut_report::Report;
use tailcut_report::recording::{
    Meta, Pause, PauseWriter, Pauses, RESPONSE, Reader, Recording, RecordingError, State, Writer,
};
use tailcut_report::statistics::{maximum, quantile};

const FILES: [&str; 4] = ["probe.json", "pauses.hlog", "pauses.jsonl", "stacks.json"];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn two_seconds() -> Pauses {
    traced(&recording(&JEMALLOC, 1, 0, 2), 2)
}

fn pauses_of(dir: &Path) -> Pauses {
    Recording::read(dir)
        .expect("readable")
        .pauses
        .expect("somebody traced")
}

fn pause(kind: &str, start_ns: u64, length_ns: u64) -> Pause {
    Pause {
        kind: kind.to_owned(),
        thread: THREAD,
        start_ns,
        end_ns: start_ns + length_ns,
        ..Pause::default()
    }
}

/// Asserts that what is read equals what was written.
fn assert_same(read: &Pauses, written: &Pauses) {
    assert_eq!(read.meta, written.meta);
    assert_eq!(read.intervals, written.intervals);
    assert_eq!(read.pauses, written.pauses);
    assert_eq!(read.stacks, written.stacks);
    assert!(!read.torn && read.not_read == 0);
}

#[test]
fn what_a_probe_wrote_is_what_is_read() {
    let dir = folder();
    let run = dir.path().join("run");
    let original = two_seconds();
    write_traced(&run, &original, true).expect("writable");
    assert_same(&pauses_of(&run), &original);

    let reader = Reader::open(&run).expect("readable");
    let lazily = reader.pauses().expect("somebody traced");
    assert_eq!(lazily.intervals().count(), original.intervals.len());
    assert_eq!(lazily.pauses().count(), original.pauses.len());
}

#[test]
fn a_probe_and_a_load_generator_share_a_folder_in_either_order() {
    let load = recording(&JEMALLOC, 1, 0, 2);
    let pauses = traced(&load, 2);
    for probe_first in [false, true] {
        let dir = folder();
        let run = dir.path().join("run");
        if probe_first {
            write_traced(&run, &pauses, false).expect("writable");
            assert!(matches!(
                Recording::read(&run),
                Err(RecordingError::NotARecording { .. })
            ));
            write(&run, &load).expect("a probe's files are in nobody's way");
        } else {
            write(&run, &load).expect("writable");
            write_traced(&run, &pauses, false).expect("the other's files are in nobody's way");
        }
        let read = Recording::read(&run).expect("readable");
        assert_eq!((&read.meta, &read.slow), (&load.meta, &load.slow));
        assert_eq!(read.intervals, load.intervals);
        assert_same(&read.pauses.expect("somebody traced"), &pauses);
    }
}

#[test]
fn a_probe_alone_makes_a_recording_of_its_own() {
    let dir = folder();
    let run = dir.path().join("run");
    let original = two_seconds();
    write_traced(&run, &original, true).expect("writable");
    let read = Recording::read(&run).expect("readable");
    assert_eq!(read.meta.variant, "redis-server");
    assert_eq!(read.meta.state, State::Complete);
    assert_eq!(read.meta.load.rate_target, 0.0);
    assert_eq!(read.meta.host, original.meta.host);
    assert!(read.meta.result.is_none() && read.intervals.is_empty());
    Report::read_tree(dir.path()).expect("one recording");
}

#[test]
fn a_run_that_nobody_traced_has_no_pauses() {
    let dir = folder();
    let run = dir.path().join("run");
    write(&run, &recording(&POOL, 1, 0, 1)).expect("writable");
    assert!(Recording::read(&run).expect("readable").pauses.is_none());
    assert!(Reader::open(&run).expect("readable").pauses().is_none());
}

#[test]
fn a_folder_is_not_traced_twice_and_nothing_in_it_is_overwritten() {
    let meta = probe_meta(&meta(&JEMALLOC, 1, 0, 2), 2);
    for taken in FILES {
        let dir = folder();
        let path = dir.path().join(taken);
        fs::write(&path, "years").expect("writable");
        match PauseWriter::create(dir.path(), &meta).err() {
            Some(RecordingError::AlreadyTraced { path: named }) => assert_eq!(named, path),
            other => panic!("expected AlreadyTraced, found {other:?}"),
        }
        assert_eq!(fs::read_to_string(&path).expect("untouched"), "years");
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    }
    let dir = folder();
    fs::write(dir.path().join("thesis.txt"), "years").expect("writable");
    assert!(matches!(
        PauseWriter::create_alone(dir.path(), &meta).err(),
        Some(RecordingError::AlreadyExists { .. })
    ));
    let below_a_file = dir.path().join("thesis.txt/run");
    let error = PauseWriter::create(&below_a_file, &meta).err();
    let error = error.expect("a file has no subfolders").to_string();
    assert!(error.contains("Not a directory"), "{error}");
}

#[test]
fn what_a_recording_cannot_hold_is_refused_and_leaves_no_trace() {
    let dir = folder();
    let run = dir.path().join("run");
    let mut meta = probe_meta(&meta(&POOL, 1, 0, 1), 1);
    let mut writer = PauseWriter::create(&run, &meta).expect("creatable");
    let log = fs::read(run.join("pauses.hlog")).expect("there");
    let sound = coarse();
    let fine = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 1_000, 5).expect("valid");
    for (series, start, histogram) in [
        ("", meta.start_ns, &sound),
        ("two words", meta.start_ns, &sound),
        ("a,b", meta.start_ns, &sound),
        ("a\nb", meta.start_ns, &sound),
        ("Malloc", meta.start_ns, &sound),
        ("malloc@", meta.start_ns, &sound),
        ("malloc@a@b", meta.start_ns, &sound),
        ("1st", meta.start_ns, &sound),
        ("malloc", meta.clock.monotonic_ns - 1, &sound),
        ("malloc", meta.start_ns, &fine),
    ] {
        let refused = writer.interval(series, start, SECOND, histogram);
        assert!(
            matches!(refused, Err(RecordingError::Refused { .. })),
            "{series:?}"
        );
    }
    writer
        .interval("malloc@_rjem_.5-3+x", meta.start_ns, SECOND, &sound)
        .expect("that is a name");
    let grown = fs::read(run.join("pauses.hlog")).expect("there");
    assert!(grown.starts_with(&log) && grown.len() > log.len());

    let endless = Pause {
        by: Some("x".repeat(70_000)),
        ..pause("off_cpu", meta.start_ns, 1)
    };
    let refused = writer.pauses(&[pause("off_cpu", meta.start_ns, 1), endless]);
    assert!(matches!(refused, Err(RecordingError::Refused { .. })));
    assert!(pauses_in(&run).is_empty());

    let whole = fs::read(run.join("probe.json")).expect("there");
    meta.cost.share_of_target_cpu = f64::NAN;
    assert!(matches!(
        writer.update(&meta),
        Err(RecordingError::Refused { .. })
    ));
    meta.cost.share_of_target_cpu = 0.0;
    meta.clock.unix_ns += 1;
    assert!(matches!(
        writer.update(&meta),
        Err(RecordingError::Refused { .. })
    ));
    assert_eq!(fs::read(run.join("probe.json")).expect("there"), whole);
}

fn pauses_in(run: &Path) -> Vec<u8> {
    fs::read(run.join("pauses.jsonl")).expect("there")
}

#[test]
fn only_so_many_pauses_are_held_and_the_others_are_counted() {
    let dir = folder();
    let run = dir.path().join("run");
    let meta = probe_meta(&meta(&POOL, 1, 0, 1), 1);
    let mut writer = PauseWriter::create_alone(&run, &meta).expect("creatable");
    let many = vec![pause("off_cpu", meta.start_ns, 5_000); 1_001];
    for _ in 0..200 {
        writer.pauses(&many).expect("writable");
    }
    writer.finish(&meta).expect("writable");
    let read = pauses_of(&run);
    assert_eq!((read.pauses.len(), read.not_read), (Pauses::MOST, 200));
    let reader = Reader::open(&run).expect("readable");
    let lazily = reader.pauses().expect("somebody traced").pauses();
    assert_eq!(lazily.count(), Pauses::MOST + 200);
}

/// Prints, of each interval, its tag, start and length in ms, and figures as Python has them. Its
/// port rounds ranks to the nearest and ours rounds up: the levels are such that every rank is
/// whole.
const PYTHON: &str = r#"
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 100_000_000_000, 3))
while (h := reader.get_next_interval_histogram()) is not None:
    start = h.get_start_time_stamp()
    print(h.get_tag(), round(start), round(h.get_end_time_stamp() - start), h.get_total_count(),
          *(h.get_value_at_percentile(p) for p in (50, 75, 90)), h.get_max_value())
"#;

#[test]
fn pythons_hdrhistogram_reads_the_probes_log_and_finds_the_same() {
    let importable = Command::new("python3")
        .args(["-c", "import hdrh.log"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !importable {
        eprintln!("SKIPPED: python3 has no module hdrh (pip install hdrhistogram)");
        return;
    }
    let dir = folder();
    let run = dir.path().join("run");
    let original = two_seconds();
    write_traced(&run, &original, false).expect("writable");
    let output = Command::new("python3")
        .args(["-c", PYTHON])
        .arg(run.join("pauses.hlog"))
        .output()
        .expect("python3 was there a moment ago");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let clock = original.meta.clock;
    let expected: Vec<String> = original
        .intervals
        .iter()
        .map(|interval| {
            let unix_ns = clock.unix_ns + (interval.start_monotonic_ns - clock.monotonic_ns);
            let figures: Vec<String> = [0.5, 0.75, 0.9]
                .iter()
                .map(|level| quantile(&interval.histogram, *level).to_string())
                .collect();
            format!(
                "{} {} {} {} {} {}",
                interval.series,
                unix_ns / 1_000_000,
                interval.length_ns / 1_000_000,
                interval.histogram.len(),
                figures.join(" "),
                maximum(&interval.histogram),
            )
        })
        .collect();
    let found = String::from_utf8_lossy(&output.stdout);
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn two_writers_at_the_same_time_do_not_disturb_each_other() {
    let dir = folder();
    let run = dir.path().join("run");
    let load = Meta {
        state: State::Running,
        ..meta(&POOL, 1, 0, 1)
    };
    let probe = probe_meta(&load, 1);
    let mut latencies = Writer::create(&run, &load).expect("creatable");
    let mut pauses = PauseWriter::create(&run, &probe).expect("creatable");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                latencies
                    .interval(RESPONSE, load.clock.monotonic_ns, SECOND, &histogram())
                    .expect("writable");
                latencies.update_meta(&load).expect("writable");
            }
        });
        for _ in 0..20 {
            pauses
                .interval("off_cpu", probe.start_ns, SECOND, &coarse())
                .expect("writable");
            pauses.update(&probe).expect("writable");
            let read = Recording::read(&run).expect("readable at every moment");
            assert!(read.pauses.is_some());
        }
    });
    let read = Recording::read(&run).expect("readable");
    assert_eq!(read.intervals.len(), 20);
    assert_eq!(read.pauses.expect("traced").intervals.len(), 20);
}
