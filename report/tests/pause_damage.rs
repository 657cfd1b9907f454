//! Files of a probe that were cut, damaged or never finished are read as far as they can be.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::traced::{THREAD, coarse, probe_meta, traced, write_traced};
use common::{JEMALLOC, POOL, SECOND, meta, recording, write};
use proptest::prelude::*;
use tailcut_report::Report;
use tailcut_report::recording::{
    Pause, PauseWriter, Pauses, ProbeMeta, Recording, RecordingError, SeriesMeta, StackTable,
    State, Unit,
};

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
