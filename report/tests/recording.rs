//! What is written is what is read, whatever happened in between.

mod common;

use std::fs;
use std::path::Path;

use common::network::load;
use common::{JEMALLOC, POOL, SECOND, histogram, meta, recording, write};
use tailcut_report::recording::{
    Meta, RESPONSE, Reader, Recording, RecordingError, SERVICE, SlowRequest, State, Writer, merged,
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A small finished recording of two seconds.
fn written(dir: &Path) -> Recording {
    let recording = recording(&JEMALLOC, 1, 0, 2);
    write(dir, &recording).expect("the folder is empty and writable");
    recording
}

#[test]
fn what_was_written_is_what_is_read() {
    let dir = folder();
    let original = written(&dir.path().join("run"));
    let read = Recording::read(&dir.path().join("run")).expect("it was just written");
    assert_eq!(read.meta, original.meta);
    assert_eq!(read.slow, original.slow);
    assert_eq!(read.intervals, original.intervals);
    assert!(!read.torn);
}

#[test]
fn the_log_is_laid_out_as_the_other_ports_expect() {
    let dir = folder();
    let run = dir.path().join("run");
    let mut meta = meta(&POOL, 1, 0, 1);
    meta.clock.unix_ns = 1_800_000_000_250_000_000;
    let mut writer = Writer::create(&run, &meta).expect("creatable");
    let mut second = histogram();
    second.saturating_record(84_000);
    let start = meta.clock.monotonic_ns + SECOND / 2;
    writer
        .interval(RESPONSE, start, SECOND, &second)
        .expect("writable");
    let log = fs::read_to_string(run.join("latency.hlog")).expect("text");
    let lines: Vec<&str> = log.lines().collect();
    for expected in [
        "#[Histogram log format version 1.3]",
        "#[StartTime: 1800000000.250 (seconds since epoch)]",
        "#[BaseTime: 1800000000.250 (seconds since epoch)]",
        r#""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#,
    ] {
        assert!(lines.contains(&expected), "{expected} is not in {lines:#?}");
    }
    // Start in seconds after BaseTime, length in seconds, maximum in milliseconds.
    let last = lines.last().expect("there is an interval");
    assert!(
        last.starts_with("Tag=response,0.500,1.000,0.084,HISTFAAA"),
        "{last}"
    );
}

#[test]
fn merged_intervals_equal_the_whole() {
    let recording = recording(&JEMALLOC, 1, 0, 3);
    let mut whole = histogram();
    for interval in recording.series(RESPONSE) {
        for value in interval.histogram.iter_recorded() {
            whole.saturating_record_n(value.value_iterated_to(), value.count_at_value());
        }
    }
    assert_eq!(recording.whole(RESPONSE), whole);
    assert_eq!(recording.series(SERVICE).count(), 3);
}

#[test]
fn histograms_of_other_bounds_merge_without_loss() {
    let mut short = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 10_000, 3).expect("valid");
    short.saturating_record(9_000);
    let mut long = histogram();
    long.saturating_record(50 * SECOND);
    for pair in [[&short, &long], [&long, &short]] {
        let sum = merged(pair);
        assert_eq!(sum.len(), 2);
        assert!(sum.equivalent(sum.max(), 50 * SECOND));
        assert_eq!(sum.count_at(9_000), 1);
    }
    assert!(merged([]).is_empty());
}

#[test]
fn a_torn_last_line_loses_that_line_only_wherever_it_is_cut() {
    let dir = folder();
    let run = dir.path().join("run");
    let original = written(&run);
    for (file, lines) in [
        ("latency.hlog", original.intervals.len()),
        ("slow.jsonl", original.slow.len()),
    ] {
        let path = run.join(file);
        let whole = fs::read(&path).expect("it was just written");
        let last = whole[..whole.len() - 1]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .expect("there are several lines")
            + 1;
        for length in last..whole.len() {
            fs::write(&path, &whole[..length]).expect("writable");
            let read = Recording::read(&run).expect("a torn line is no error");
            let kept = match file {
                "latency.hlog" => read.intervals.len(),
                _ => read.slow.len(),
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
fn a_recording_whose_writer_was_killed_is_read_as_partial() {
    let dir = folder();
    let run = dir.path().join("run");
    let running = Meta {
        state: State::Running,
        result: None,
        ..meta(&POOL, 1, 0, 7)
    };
    let mut writer = Writer::create(&run, &running).expect("creatable");
    let mut second = histogram();
    second.saturating_record(80_000);
    let start = running.clock.monotonic_ns + SECOND;
    writer
        .interval(RESPONSE, start, SECOND, &second)
        .expect("writable");
    // What was appended is in the file already: a kill now would lose nothing.
    let read = Recording::read(&run).expect("readable while it is written");
    assert_eq!(read.intervals.len(), 1);
    assert_eq!(read.meta.state, State::Partial);
    let reason = read.meta.state_reason.expect("it says why");
    assert!(reason.contains("ended before"), "{reason}");
    drop(writer);
    assert_eq!(
        Recording::read(&run).expect("readable").meta.state,
        State::Partial
    );
}

#[test]
fn meta_is_replaced_as_a_whole_and_a_left_over_half_is_never_read() {
    let dir = folder();
    let run = dir.path().join("run");
    let original = written(&run);
    fs::write(run.join("meta.json.tmp"), "{\"schema\": 1, \"sta").expect("writable");
    let read = Recording::read(&run).expect("the half is not looked at");
    assert_eq!(read.meta, original.meta);
}

#[test]
fn a_folder_that_holds_something_is_never_written_to() {
    let dir = folder();
    let precious = dir.path().join("thesis.txt");
    fs::write(&precious, "years").expect("writable");
    for taken in [dir.path(), &precious] {
        match Writer::create(taken, &meta(&POOL, 1, 0, 1)).err() {
            Some(RecordingError::AlreadyExists { dir }) => assert_eq!(dir, taken),
            other => panic!("expected AlreadyExists, found {other:?}"),
        }
    }
    assert_eq!(fs::read_to_string(&precious).expect("untouched"), "years");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_names_the_folder_and_the_cause() {
    let dir = folder();
    fs::write(dir.path().join("file"), "").expect("writable");
    let below = dir.path().join("file/run");
    let error = Writer::create(&below, &meta(&POOL, 1, 0, 1))
        .err()
        .expect("a file has no subfolders")
        .to_string();
    assert!(error.contains(&below.display().to_string()), "{error}");
    assert!(error.contains("Not a directory"), "{error}");
}

#[test]
fn what_a_recording_cannot_hold_is_refused_and_leaves_no_trace() {
    let dir = folder();
    let run = dir.path().join("run");
    let mut meta = meta(&POOL, 1, 0, 1);
    let mut writer = Writer::create(&run, &meta).expect("creatable");
    let start = meta.clock.monotonic_ns;
    let before = fs::read(run.join("latency.hlog")).expect("there");
    for (series, start) in [
        ("", start),
        ("two words", start),
        ("a,b", start),
        ("a\nb", start),
        (RESPONSE, start - 1),
    ] {
        let refused = writer.interval(series, start, SECOND, &histogram());
        assert!(
            matches!(refused, Err(RecordingError::Refused { .. })),
            "{series:?}"
        );
    }
    assert_eq!(fs::read(run.join("latency.hlog")).expect("there"), before);

    let whole = fs::read(run.join("meta.json")).expect("there");
    meta.load.rate_target = f64::NAN;
    assert!(matches!(
        writer.update_meta(&meta),
        Err(RecordingError::Refused { .. })
    ));
    meta.load.rate_target = 1.0;
    meta.clock.unix_ns += 1;
    assert!(matches!(
        writer.update_meta(&meta),
        Err(RecordingError::Refused { .. })
    ));
    assert_eq!(fs::read(run.join("meta.json")).expect("there"), whole);
}

#[test]
fn a_folder_without_meta_is_no_recording() {
    let dir = folder();
    let error = Recording::read(dir.path()).expect_err("it is empty");
    assert!(matches!(error, RecordingError::NotARecording { .. }));
}

#[test]
fn a_newer_schema_is_refused_by_name_even_when_all_else_differs() {
    let dir = folder();
    fs::write(dir.path().join("meta.json"), r#"{"schema": 2, "state": 7}"#).expect("writable");
    match Recording::read(dir.path()) {
        Err(RecordingError::Schema { found: 2, .. }) => {}
        other => panic!("expected Schema, found {other:?}"),
    }
}

#[test]
fn unknown_fields_are_ignored_and_missing_ones_default() {
    let dir = folder();
    fs::write(
        dir.path().join("meta.json"),
        r#"{"schema": 1, "state": "complete", "variant": "pool", "host": {"moon": true}, "sun": []}"#,
    )
    .expect("writable");
    let read = Recording::read(dir.path()).expect("readable");
    assert_eq!(read.meta.variant, "pool");
    assert_eq!(read.meta.run, 1);
    assert_eq!(read.meta.host.cpus, 0);
    assert!(read.intervals.is_empty() && read.slow.is_empty());
}

#[test]
fn a_damaged_line_in_the_middle_is_an_error_that_names_it() {
    let dir = folder();
    let run = dir.path().join("run");
    written(&run);
    let path = run.join("latency.hlog");
    let whole = fs::read_to_string(&path).expect("text");
    let first = 1 + whole
        .lines()
        .position(|line| line.starts_with("Tag="))
        .expect("there are intervals");
    let damaged = whole.replacen("HISTFAAA", "HISTFAAB", 1);
    assert_ne!(damaged, whole);
    fs::write(&path, damaged).expect("writable");
    match Recording::read(&run) {
        Err(RecordingError::Corrupt {
            path: named, line, ..
        }) => {
            assert_eq!((named, line), (path, first));
        }
        other => panic!("expected Corrupt, found {other:?}"),
    }

    fs::write(run.join("slow.jsonl"), "{}\n").expect("writable");
    match Reader::open(&run) {
        Err(RecordingError::Corrupt { path, line: 1, .. }) => {
            assert_eq!(path, run.join("slow.jsonl"));
        }
        other => panic!("expected Corrupt, found {other:?}"),
    }
}

#[test]
fn a_slow_requests_times_never_go_below_zero() {
    let absurd = SlowRequest {
        intended_ns: 9,
        start_ns: 5,
        end_ns: 2,
        thread: 0,
        request: 0,
    };
    assert_eq!(absurd.response_ns(), 0);
    assert_eq!(absurd.service_ns(), 0);
    assert_eq!(absurd.backlog_ns(), 0);
}

#[test]
fn marks_and_samples_that_were_written_are_read_and_a_recording_without_any_has_none() {
    let dir = folder();
    let run = dir.path().join("run");
    let original = load("checkout", 0, 3, Some(SECOND));
    write(&run, &original).expect("writable");
    let read = Recording::read(&run).expect("it was just written");
    assert_eq!(read.marks, original.marks);
    assert_eq!(read.resources, original.resources);
    assert_eq!((read.not_read, read.torn), (0, false));

    let reader = Reader::open(&run).expect("it was just written");
    let marks: Result<Vec<_>, _> = reader.marks().collect();
    assert_eq!(marks.expect("sound"), original.marks);
    assert_eq!(reader.resources().count(), original.resources.len());

    let without = dir.path().join("without");
    let original = written(&without);
    assert!(original.marks.is_empty());
    let read = Recording::read(&without).expect("it was just written");
    assert!(read.marks.is_empty() && read.resources.is_empty());
    assert!(!without.join("marks.jsonl").exists());
}

#[test]
fn a_torn_mark_or_sample_is_dropped_and_makes_the_recording_partial() {
    let dir = folder();
    for file in ["marks.jsonl", "resources.jsonl"] {
        let run = dir.path().join(file);
        let mut original = load("checkout", 0, 2, Some(SECOND));
        original.marks.push(original.marks[0].clone());
        write(&run, &original).expect("writable");
        let whole = fs::read(run.join(file)).expect("it was just written");
        fs::write(run.join(file), &whole[..whole.len() - 2]).expect("writable");
        let read = Recording::read(&run).expect("a torn line is no error");
        let (marks, resources) = match file {
            "marks.jsonl" => (1, original.resources.len()),
            _ => (2, original.resources.len() - 1),
        };
        assert_eq!((read.marks.len(), read.resources.len()), (marks, resources));
        assert!(read.torn);
        assert_eq!(read.meta.state, State::Partial);
    }
}

#[test]
fn a_damaged_mark_or_sample_is_an_error_that_names_it_and_a_line_without_measure_is_refused() {
    let dir = folder();
    let run = dir.path().join("run");
    write(&run, &load("checkout", 0, 2, Some(SECOND))).expect("writable");
    for file in ["marks.jsonl", "resources.jsonl"] {
        let path = run.join(file);
        let whole = fs::read_to_string(&path).expect("text");
        for (line, reason) in [
            (
                "{\"start_ns\": -1, \"at_ns\": -1}".to_owned(),
                "this is no ",
            ),
            ("x".repeat(1 << 20), "more than 16384 bytes"),
        ] {
            fs::write(&path, format!("\n{line}\n{whole}")).expect("writable");
            match Recording::read(&run) {
                Err(RecordingError::Corrupt {
                    path: named,
                    line: 2,
                    reason: found,
                }) => {
                    assert_eq!(named, path);
                    assert!(found.contains(reason), "{found}");
                }
                other => panic!("expected Corrupt, found {other:?}"),
            }
        }
        fs::write(&path, whole).expect("writable");
    }
}

#[test]
fn marks_without_number_are_counted_and_not_held() {
    let dir = folder();
    let run = dir.path().join("run");
    written(&run);
    let lines = "{\"kind\":\"freeze\"}\n".repeat(Recording::MOST_MARKS + 7);
    fs::write(run.join("marks.jsonl"), lines).expect("writable");
    let read = Recording::read(&run).expect("readable");
    assert_eq!(read.marks.len(), Recording::MOST_MARKS);
    assert_eq!(read.not_read, 7);
}
