//! Before and after of whatever the reader names, and how sure the report is of it.

mod common;

use std::path::Path;

use common::{JEMALLOC, MIMALLOC, NOOP, POOL, Profile, recording};
use tailcut_report::recording::{Recording, RunResult};
use tailcut_report::{Outcome, Report, ReportError, Sides};

/// So many runs of each profile, in turns.
fn runs(profiles: &[Profile], each: u32) -> Vec<Recording> {
    let mut made = Vec::new();
    for run in 1..=each {
        for profile in profiles {
            let sequence = made.len() as u32;
            made.push(recording(profile, run, sequence, 2));
        }
    }
    made
}

fn report(recordings: Vec<Recording>) -> Report {
    Report::from_recordings(recordings).expect("there are recordings")
}

fn named(before: &str, after: &str) -> Sides {
    Sides::Variants {
        before: before.to_owned(),
        after: after.to_owned(),
    }
}

/// As if a network service had been loaded.
fn as_service(recording: &mut Recording, name: &str) {
    recording.meta.variant = name.to_owned();
    recording.meta.load.target = "tcp://127.0.0.1:7000".to_owned();
    recording.meta.allocations = None;
    let result = recording.meta.result.as_mut().expect("complete");
    *result = RunResult {
        checksum: String::new(),
        ..result.clone()
    };
}

#[test]
fn with_five_runs_of_each_the_test_decides_and_the_factor_has_an_interval() {
    let report = report(runs(&[NOOP, JEMALLOC, POOL], 5));
    let verdict = report.verdict();
    assert_eq!(verdict.outcome, Outcome::Better);
    for part in [
        "× [",
        "], at 2.4M requests/s; schedule kept in all 10 runs (p = 0.024, n = 5 + 5).",
    ] {
        assert!(verdict.sentence.contains(part), "{}", verdict.sentence);
    }
    assert!(
        !verdict.notes.join(" ").contains("too few"),
        "{:?}",
        verdict.notes
    );
    let row = &report.comparison().expect("comparable").rows[0];
    assert_eq!((row.measure.as_str(), row.p.as_str()), ("P99.9", "0.024 *"));
    assert!(
        row.before_range.contains(" to ") && row.factor_range.ends_with('×'),
        "{row:?}"
    );
    // Not judged, so in brackets.
    let maximum = &report.comparison().expect("comparable").rows[4];
    assert_eq!(
        (maximum.measure.as_str(), maximum.p.as_str()),
        ("Maximum", "(0.008)")
    );
}

#[test]
fn two_heaps_are_compared_when_they_are_named() {
    let recordings = || runs(&[NOOP, MIMALLOC, JEMALLOC, POOL], 2);
    let held = |before, after| report(recordings()).held_against(&named(before, after));
    let report = held("heap_mimalloc", "jemalloc").expect("both ran");
    let comparison = report.comparison().expect("both ran");
    assert_eq!(
        (comparison.before.as_str(), comparison.after.as_str()),
        ("heap_mimalloc", "heap_jemalloc")
    );
    assert!(comparison.ratios.is_empty());
    assert!(
        report.verdict().sentence.contains("mimalloc"),
        "{}",
        report.verdict().sentence
    );
    let unknown = held("tlsf", "pool").expect_err("never ran").to_string();
    assert_eq!(
        unknown,
        "no run of tlsf is there to be compared; there are runs of no-op, jemalloc, mimalloc, pool"
    );
    assert!(matches!(
        held("pool", "pool"),
        Err(ReportError::SameSide { .. })
    ));
}

#[test]
fn two_folders_are_before_and_after_even_if_their_runs_have_one_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |side: &str, profile: &Profile, first: u32| {
        for run in 0..5 {
            let mut recording = recording(profile, run + 1, first + 2 * run, 2);
            as_service(&mut recording, "orders");
            let folder = dir.path().join(side).join(run.to_string());
            common::write(&folder, &recording).expect("writable");
        }
    };
    write("v1", &JEMALLOC, 0);
    write("v2", &POOL, 1);
    // As a reader of several folders would hand them over.
    let mut all = Vec::new();
    for side in ["v1", "v2"] {
        for run in 0..5 {
            let folder = dir.path().join(side).join(run.to_string());
            all.push(Recording::read(&folder).expect("just written"));
        }
    }
    let folders = |before: &Path, after: &Path| Sides::Folders {
        before: before.to_path_buf(),
        after: after.to_path_buf(),
    };
    let asked = folders(&dir.path().join("v1"), &dir.path().join("v2"));
    let report = report(all).held_against(&asked).expect("two sides");
    assert_eq!(report.summaries().len(), 2);
    let sentence = &report.verdict().sentence;
    assert!(
        sentence.starts_with("P99.9 fell from ")
            && sentence.contains(" ms (orders (v1)) to ")
            && sentence.contains(" (orders (v2)): "),
        "{sentence}"
    );
    let html = report.html();
    assert!(html.contains("<small>orders (v2)</small>") && !html.contains("best of"));
}

#[test]
fn a_folder_of_several_variants_is_no_side() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    common::write_demo(dir.path(), 2, 1).expect("writable");
    let report = Report::read_tree(dir.path()).expect("ten recordings");
    let sides = Sides::Folders {
        before: dir.path().to_path_buf(),
        after: dir.path().to_path_buf(),
    };
    assert!(matches!(
        report.held_against(&sides),
        Err(ReportError::NotOneVariant { .. })
    ));
}

#[test]
fn runs_on_another_machine_are_not_held_against_each_other() {
    let mut all = runs(&[NOOP, JEMALLOC, POOL], 5);
    for run in &mut all {
        if run.meta.variant == "pool" {
            run.meta.host.cpu_model = "another".to_owned();
        }
    }
    let report = report(all);
    assert_eq!(report.verdict().outcome, Outcome::Inconclusive);
    let sentence = &report.verdict().sentence;
    assert!(
        sentence.contains("cannot be held against each other (A is jemalloc, B is the pool)")
            && sentence.contains("CPU (AMD EPYC 9B14 against another)"),
        "{sentence}"
    );
}

#[test]
fn equal_sides_show_no_difference_and_how_small_a_one_would_have_been_missed() {
    // The same service twice: runs of one name, dealt out to two.
    let mut all = runs(&[JEMALLOC], 10);
    for (index, run) in all.iter_mut().enumerate() {
        as_service(run, if index % 2 == 0 { "old" } else { "new" });
    }
    let report = report(all)
        .held_against(&named("old", "new"))
        .expect("both ran");
    assert_eq!(report.verdict().outcome, Outcome::Inconclusive);
    let sentence = &report.verdict().sentence;
    assert!(
        sentence.starts_with("No difference can be told: P99.9 was ")
            && sentence.contains("would probably not have been seen"),
        "{sentence}"
    );
}

#[test]
fn a_pool_by_itself_is_a_load_like_any_other() {
    let report = report(runs(&[POOL], 2));
    assert_eq!(report.verdict().outcome, Outcome::Measured);
    assert!(report.comparison().is_none());
    assert!(!report.html().contains("before and after"));
}
