//! P99.9 from version to version, as the report shows it.

mod common;

use common::{JEMALLOC, POOL, Profile, recording};
use tailcut_report::recording::Recording;
use tailcut_report::trend::StepOutcome;
use tailcut_report::{Outcome, Report};

/// Five runs of a version.
fn version(label: &str, profile: &Profile, first: u32) -> Vec<Recording> {
    (0..5)
        .map(|run| {
            let mut recording = recording(profile, run + 1, first + run, 2);
            recording.dir = format!("{label}-{run}").into();
            recording.meta.variant = "orders".to_owned();
            recording.meta.load.target = "tcp://127.0.0.1:7000".to_owned();
            recording.meta.label = label.to_owned();
            recording.meta.host.allocator = String::new();
            recording.meta.load.pool_path = None;
            recording
        })
        .collect()
}

fn report(versions: Vec<Vec<Recording>>) -> Report {
    let report = Report::from_recordings(versions.concat()).expect("there are recordings");
    assert!(report.has_versions());
    report.with_trend(&[])
}

#[test]
fn versions_are_told_apart_by_their_labels_and_the_step_is_marked() {
    let report = report(vec![
        version("v1", &JEMALLOC, 0),
        version("v2", &JEMALLOC, 10),
        version("v3", &POOL, 20),
    ]);
    let trend = report.trend().expect("three versions");
    let outcomes: Vec<Option<StepOutcome>> = trend.groups[0]
        .points
        .iter()
        .map(|point| point.step.as_ref().map(|step| step.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            None,
            Some(StepOutcome::NoDifference),
            Some(StepOutcome::Better)
        ]
    );
    let verdict = report.verdict();
    assert_eq!(verdict.outcome, Outcome::Measured);
    assert!(
        verdict.sentence.starts_with(
            "P99.9 of orders over 3 versions: v3 is better than the one before it, 0.00"
        ),
        "{}",
        verdict.sentence
    );
    // No figure mixes two versions.
    let names: Vec<String> = report.summaries().keys().cloned().collect();
    assert_eq!(names, ["orders (v1)", "orders (v2)", "orders (v3)"]);
    let html = report.html();
    assert!(html.contains("P99.9 from version to version") && html.contains("<svg"));
    assert!(report.markdown().contains("| v3 |"));
}

#[test]
fn runs_on_two_machines_are_shown_apart() {
    let mut there = version("v2", &POOL, 10);
    for recording in &mut there {
        recording.meta.host.cpu_model = "another CPU".to_owned();
    }
    let report = report(vec![version("v1", &JEMALLOC, 0), there]);
    let trend = report.trend().expect("two sets");
    assert_eq!(trend.groups.len(), 2);
    assert!(
        trend
            .groups
            .iter()
            .all(|group| group.points[0].step.is_none())
    );
    let text = report.verdict().notes.join(" ") + &report.html();
    assert!(text.contains("nothing is compared across them") && text.contains("another CPU"));
}

#[test]
fn a_label_with_markup_stays_text_in_table_and_picture() {
    let report = report(vec![
        version("<img src=x onerror=alert(1)>", &JEMALLOC, 0),
        version("v2\u{202e}\u{1b}[31m", &JEMALLOC, 10),
    ]);
    let html = report.html();
    assert!(!html.contains("<img") && !html.contains('\u{202e}') && !html.contains('\u{1b}'));
    assert!(html.contains("&lt;img") || html.contains("&#60;img"));
    let markdown = report.markdown();
    assert!(
        !markdown.contains("<img") && !markdown.contains('\u{1b}'),
        "{markdown}"
    );
}

#[test]
fn runs_that_were_cut_short_are_in_no_set() {
    let mut second = version("v2", &JEMALLOC, 10);
    for recording in &mut second {
        recording.meta.state = tailcut_report::recording::State::Partial;
    }
    let report = report(vec![version("v1", &JEMALLOC, 0), second]);
    assert!(report.trend().is_none());
}
