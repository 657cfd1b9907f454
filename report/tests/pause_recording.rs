//! What a probe writes is what is read, beside a load generator and alone, whatever happened.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::traced::{THREAD, coarse, probe_meta, traced, write_traced};
use common::{JEMALLOC, POOL, SECOND, histogram, meta, recording, write};
use proptest::prelude::*;
use tailcut_report::Report;
use tailcut_report::recording::{
    Meta, Pause, PauseWriter, Pauses, ProbeMeta, RESPONSE, Reader, Recording, RecordingError,
    SeriesMeta, StackTable, State, Unit, Writer,
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
fn a_torn_last_line_loses_that_line_only_wherever_it_is_cut() {
    let dir = folder();
    let run = dir.path().join("run");
    let original = two_seconds();
    write_traced(&run, &original, true).expect("writable");
    for (file, lines) in [
        ("pauses.hlog", original.intervals.len()),
        ("pauses.jsonl", original.pauses.len()),
    ] {
        let path = run.join(file);
        let whole = fs::read(&path).expect("it was just written");
        let last = whole[..whole.len() - 1]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .expect("there are several lines")
            + 1;
        // Every place is tried in a short line; of a long one both ends and some between.
        let step = ((whole.len() - last) / 40).max(1);
        for length in (last..whole.len()).step_by(step).chain([whole.len() - 1]) {
            fs::write(&path, &whole[..length]).expect("writable");
            let read = pauses_of(&run);
            let kept = match file {
                "pauses.hlog" => read.intervals.len(),
                _ => read.pauses.len(),
            };
            assert_eq!(kept, lines - 1, "{file} cut at byte {length}");
            assert_eq!(read.torn, length > last, "{file} cut at byte {length}");
            let state = if read.torn {
                State::Partial
            } else {
                State::Complete
            };
            assert_eq!(read.meta.state, state, "{file} cut at byte {length}");
        }
        fs::write(&path, &whole).expect("writable");
    }
}

#[test]
fn what_a_killed_probe_wrote_is_read_as_partial_and_nothing_is_lost() {
    let dir = folder();
    let run = dir.path().join("run");
    let running = ProbeMeta {
        state: State::Running,
        ..probe_meta(&meta(&POOL, 1, 0, 7), 7)
    };
    let mut writer = PauseWriter::create_alone(&run, &running).expect("creatable");
    let mut second = coarse();
    second.saturating_record(80_000);
    writer
        .interval("off_cpu", running.start_ns, SECOND, &second)
        .expect("writable");
    writer
        .pauses(&[pause("off_cpu", running.start_ns, 80_000)])
        .expect("writable");
    fs::write(run.join("probe.json.tmp"), "{\"schema\": 1, \"sta").expect("writable");
    // What was appended is in the file already: a kill now would lose nothing.
    let read = Recording::read(&run).expect("readable while it is written");
    assert_eq!(read.meta.state, State::Partial);
    let pauses = read.pauses.expect("somebody traced");
    assert_eq!((pauses.intervals.len(), pauses.pauses.len()), (1, 1));
    assert_eq!(pauses.stacks, StackTable::default());
    assert_eq!(pauses.meta.state, State::Partial);
    let reason = pauses.meta.state_reason.expect("it says why");
    assert!(reason.contains("the probe ended before"), "{reason}");
    drop(writer);
    assert_eq!(pauses_of(&run).meta.state, State::Partial);
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
fn unknown_fields_and_units_are_tolerated_and_missing_ones_default() {
    let dir = folder();
    fs::write(
        dir.path().join("meta.json"),
        r#"{"schema": 1, "state": "complete", "variant": "x"}"#,
    )
    .expect("writable");
    fs::write(
        dir.path().join("probe.json"),
        r#"{"schema": 1, "moon": true, "series": [{"name": "a", "unit": "furlongs", "sun": 1}]}"#,
    )
    .expect("writable");
    fs::write(
        dir.path().join("pauses.jsonl"),
        "{\"kind\": \"a\", \"thread\": 3, \"start_ns\": 9, \"end_ns\": 2, \"new\": {}}\n\n",
    )
    .expect("writable");
    fs::write(dir.path().join("stacks.json"), r#"{"stacks": [{"id": 1}]}"#).expect("writable");
    let read = pauses_of(dir.path());
    let expected = SeriesMeta {
        name: "a".to_owned(),
        unit: Unit::Count,
        ..SeriesMeta::default()
    };
    assert_eq!(read.meta.series, [expected]);
    assert_eq!(read.meta.series[0].sampling, 1.0);
    assert_eq!(read.pauses[0].length_ns(), 0);
    assert!(read.stacks.get(1).is_some() && read.stacks.get(2).is_none());
    assert!(read.intervals.is_empty());
}

#[test]
fn a_newer_or_damaged_file_is_an_error_that_names_it() {
    let dir = folder();
    let run = dir.path().join("run");
    write_traced(&run, &two_seconds(), true).expect("writable");
    for (file, content, line) in [
        ("pauses.jsonl", "{\"kind\": \"a\"}\n", Some(1)),
        ("pauses.hlog", "#comment\nTag=a,1,1,1,!\n", Some(2)),
        ("stacks.json", "[", None),
        ("probe.json", "{", None),
        ("probe.json", r#"{"schema": 2, "state": 7}"#, None),
    ] {
        let path = run.join(file);
        let whole = fs::read(&path).expect("there");
        fs::write(&path, content).expect("writable");
        match (Recording::read(&run), line) {
            (
                Err(RecordingError::Corrupt {
                    path: named, line, ..
                }),
                Some(expected),
            ) => {
                assert_eq!((named, line), (path.clone(), expected));
            }
            (Err(RecordingError::Meta { path: named, .. }), None) => assert_eq!(named, path),
            (
                Err(RecordingError::Schema {
                    path: named,
                    found: 2,
                }),
                None,
            ) => {
                assert_eq!(named, path);
            }
            (other, _) => panic!("{file}: {other:?}"),
        }
        fs::write(&path, whole).expect("writable");
    }
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

/// Tells this test program that it is the process with little room, and where.
#[cfg(unix)]
const RECORD_INTO: &str = "TAILCUT_TEST_TRACE_INTO";

/// A file size limit stands in for a full disk. It holds for a whole process, so the writer has
/// one of its own: this test program again.
#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_what_was_written_before_stays_readable() {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::sys::signal::{SigHandler, Signal, signal};

    if let Some(dir) = std::env::var_os(RECORD_INTO) {
        // SAFETY: ignoring a signal installs no handler; this process does nothing else.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.expect("allowed");
        setrlimit(Resource::RLIMIT_FSIZE, 8 << 10, 8 << 10).expect("lowering is allowed");
        let met = fill(Path::new(&dir));
        // Not by way of the test harness: its report might not fit, either.
        std::process::exit(if met.is_some_and(|why| why.contains("cannot append to")) {
            0
        } else {
            1
        });
    }
    let dir = folder();
    let run = dir.path().join("run");
    let status = Command::new(std::env::current_exe().expect("it runs"))
        .args([
            "--exact",
            "a_full_disk_is_named_and_what_was_written_before_stays_readable",
        ])
        .env(RECORD_INTO, &run)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .expect("it starts");
    assert!(status.success(), "{status}");
    let read = pauses_of(&run);
    assert_eq!(read.meta.state, State::Partial);
    assert_eq!(read.meta.state_reason.as_deref(), Some("disk full"));
    assert!(!read.torn, "what did not fit was cut off again");
    assert!(!read.pauses.is_empty());
}

/// Writes pauses until one write fails; says what it met.
#[cfg(unix)]
fn fill(dir: &Path) -> Option<String> {
    let mut meta = probe_meta(&meta(&POOL, 1, 0, 1), 1);
    let mut writer = PauseWriter::create_alone(dir, &meta).ok()?;
    let one = pause("off_cpu", meta.start_ns, 5_000);
    let error = (0..1_000).find_map(|_| writer.pauses(std::slice::from_ref(&one)).err())?;
    meta.state = State::Partial;
    meta.state_reason = Some("disk full".to_owned());
    writer.finish(&meta).ok()?;
    Some(error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn changed_files_never_make_the_reader_or_the_report_panic(
        file in 0..FILES.len(),
        replaced in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let dir = folder();
        let run = dir.path().join("run");
        let load = recording(&POOL, 1, 0, 1);
        write(&run, &load).expect("writable");
        write_traced(&run, &traced(&load, 1), false).expect("writable");
        let path = run.join(FILES[file]);
        let bytes = replaced.unwrap_or_else(|| {
            let mut bytes = fs::read(&path).expect("it was just written");
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        });
        fs::write(&path, bytes).expect("writable");
        let _ = Recording::read(&run);
        if let Ok(report) = Report::read_tree(dir.path()) {
            let _ = (report.html(), report.markdown(), serde_json::to_string(&report.json()));
        }
    }
}
