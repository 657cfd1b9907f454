//! `tailcut report` as a user meets it: its arguments, where its results go, its exit status.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use hdrhistogram::Histogram;
use tailcut_report::recording::{
    ClockPair, Load, Meta, RESPONSE, RunResult, SCHEMA, State, Writer,
};

const SECOND: u64 = 1_000_000_000;

fn report(arguments: &[&str], here: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tailcut"))
        .arg("report")
        .args(arguments)
        .current_dir(here)
        .output()
        .expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn recording(dir: &Path, variant: &str) {
    let meta = Meta {
        schema: SCHEMA,
        state: State::Running,
        variant: variant.to_owned(),
        run: 1,
        clock: ClockPair {
            monotonic_ns: 5 * SECOND,
            unix_ns: 1_800_000_000 * SECOND,
        },
        load: Load {
            rate_target: 1_000.0,
            duration_ns: SECOND,
            ..Load::default()
        },
        ..Meta::default()
    };
    let mut writer = Writer::create(dir, &meta).expect("writable");
    let mut histogram = Histogram::new_with_bounds(1, 100 * SECOND, 3).expect("valid bounds");
    histogram.saturating_record_n(80_000, 1_000);
    writer
        .interval(RESPONSE, 6 * SECOND, SECOND, &histogram)
        .expect("writable");
    let complete = Meta {
        state: State::Complete,
        result: Some(RunResult {
            offered: 1_000,
            completed: 1_000,
            completed_on_schedule: 1_000,
            schedule_kept: true,
            ..RunResult::default()
        }),
        ..meta
    };
    writer.finish(&complete).expect("writable");
}

#[test]
fn many_folders_are_one_report_and_each_recording_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    recording(&dir.path().join("before/a"), "heap_jemalloc");
    recording(&dir.path().join("after"), "pool");
    let output = report(&["before", "after", "before/a", "--json"], dir.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["variants"]["heap_jemalloc"]["runs"], 1);
    assert_eq!(json["variants"]["pool"]["runs"], 1);
    let output = report(&["before", "after"], dir.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(dir.path().join("report.html").is_file());
    let output = report(&["after", "-o", "-"], dir.path());
    assert!(text(&output.stdout).starts_with("<!doctype html>"));
    assert!(!dir.path().join("after/report.html").exists());
}

#[test]
fn a_folder_without_a_recording_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    recording(&dir.path().join("after"), "pool");
    fs::create_dir(dir.path().join("empty")).unwrap();
    for folder in ["empty", "missing"] {
        let output = report(&["after", folder], dir.path());
        assert_eq!(output.status.code(), Some(1));
        assert!(
            text(&output.stderr).contains(folder),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(report(&[], dir.path()).status.code(), Some(2));
    let output = report(&["after", "--schema"], dir.path());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_damaged_recording_is_left_out_and_the_exit_status_says_so() {
    let dir = tempfile::tempdir().unwrap();
    recording(&dir.path().join("runs/a"), "pool");
    fs::create_dir(dir.path().join("runs/b")).unwrap();
    fs::write(dir.path().join("runs/b/meta.json"), "{").unwrap();
    let output = report(&["runs"], dir.path());
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("warning: left out:"));
    let page = fs::read_to_string(dir.path().join("runs/report.html")).unwrap();
    assert!(page.contains("runs/b/meta.json"));
}

#[test]
fn exports_are_written_where_they_are_asked_for_and_no_page_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    recording(&dir.path().join("run"), "pool");
    let output = report(
        &[
            "run",
            "--csv",
            "figures",
            "--hgrm",
            "figures",
            "--trace",
            "trace.json",
        ],
        dir.path(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for file in ["figures/seconds.csv", "figures/pool.hgrm", "trace.json"] {
        assert!(dir.path().join(file).is_file(), "{file}");
    }
    assert!(!dir.path().join("run/report.html").exists());
    let output = report(&["run", "--trace", "-"], dir.path());
    let trace: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(trace["traceEvents"].is_array());
    let output = report(&["run", "--trace", "-", "--json"], dir.path());
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_schema_is_printed_and_nothing_else_is_needed() {
    let output = report(&["--schema"], Path::new("."));
    assert_eq!(text(&output.stdout), tailcut_report::schema());
}
