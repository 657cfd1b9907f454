//! The service level in every form of the report: which seconds kept their targets, what lay in the
//! others, and the health score.

mod common;

use common::network::{closed, load};
use common::traced::{THREAD, traced};
use common::{JEMALLOC, NOOP, POOL, SECOND, SYSTEM, recording};
use tailcut_report::recording::{Pause, Recording, State};
use tailcut_report::{Origin, Report, ServiceClass, SloSummary};

fn report(recordings: Vec<Recording>) -> Report {
    Report::from_recordings(recordings).expect("there are recordings")
}

fn level(report: &Report, variant: &str) -> SloSummary {
    let summary = report.summaries().swap_remove(variant);
    summary.and_then(|summary| summary.slo).expect("judged")
}

#[test]
fn a_pool_keeps_what_a_heap_breaks_second_by_second() {
    let report = report(vec![
        recording(&NOOP, 1, 0, 4),
        recording(&SYSTEM, 1, 1, 4),
        recording(&POOL, 1, 2, 4),
    ]);
    let pool = level(&report, "pool");
    assert_eq!(
        (pool.origin, pool.class),
        (Origin::Default, ServiceClass::LowLatency)
    );
    assert_eq!(pool.targets, ["P99 ≤ 5 ms"]);
    assert_eq!((pool.seconds, pool.seconds_within), (4, 4));
    assert_eq!(pool.health.score, 100);
    let system = level(&report, "heap_system");
    assert_eq!(system.seconds_within, 0);
    assert!(system.health.score < 50, "{:?}", system.health);
    let lag = &system.health.parts[2];
    assert!(lag.score.expect("known") < 0.01, "{lag:?}");
    assert!(
        system
            .worst
            .iter()
            .all(|second| !system.traced && second.pauses.is_empty())
    );
}

#[test]
fn a_second_that_a_pause_broke_is_red_and_names_it() {
    let mut run = recording(&JEMALLOC, 1, 0, 3);
    let mut pauses = traced(&run, 3);
    let begin = run.intervals[0].start_monotonic_ns;
    pauses.pauses = vec![Pause {
        kind: "munmap".to_owned(),
        thread: THREAD,
        start_ns: begin + SECOND + 5,
        end_ns: begin + SECOND + 5 + 14_200_000,
        ..Pause::default()
    }];
    run.pauses = Some(pauses);
    let report = report(vec![run]);
    let slo = level(&report, "heap_jemalloc");
    assert!(slo.traced);
    assert_eq!(slo.seconds_over_with_pause, 1);
    assert_eq!(slo.paused_by["munmap"], 1);
    let red: Vec<_> = slo
        .worst
        .iter()
        .filter(|second| !second.pauses.is_empty())
        .collect();
    assert_eq!(red.len(), 1);
    assert_eq!(red[0].second, 2);
    assert_eq!(red[0].pauses[0].length_ns, 14_200_000);
    let html = report.html();
    assert!(html.contains("munmap 14.2 ms (thread 1)"));
    assert_eq!(html.matches("<tr class=\"paused\">").count(), 1);
    assert!(
        report
            .markdown()
            .contains("1 with a pause over 2 ms (munmap 1)")
    );
}

#[test]
fn objectives_of_the_load_are_the_targets_and_what_no_second_can_keep_is_named() {
    let mut run = load("checkout", 0, 8, Some(3 * SECOND));
    run.meta.load.slo = Some("p99.9<100ms,p99.99<1s,errors<0.1%".to_owned());
    let report = report(vec![run]);
    let slo = level(&report, "checkout");
    assert_eq!(slo.origin, Origin::Objectives);
    assert_eq!(slo.class, ServiceClass::Batch);
    assert_eq!(slo.targets, ["P99.9 < 100 ms"]);
    assert_eq!(slo.not_by_second, ["p99.99<1s"]);
    assert_eq!(slo.pause_limit_ns, 40_000_000);
    // Frozen for 1.4 s from the fourth second on.
    assert_eq!(slo.seconds_over(), 2);
    let worst: Vec<u64> = slo.worst.iter().map(|second| second.second).collect();
    assert_eq!(worst, [4, 5]);
    assert!(
        report.html().contains("P99.9 &#60; 100 ms") || report.html().contains("P99.9 &lt; 100 ms")
    );
}

#[test]
fn what_nobody_knows_is_left_out_of_the_score_and_said() {
    let mut run = closed("ceiling", 0, 3);
    run.meta.state = State::Partial;
    run.meta.result = None;
    let report = report(vec![run]);
    let health = level(&report, "ceiling").health;
    let unknown: Vec<&str> = health.unknown().map(|part| part.name).collect();
    assert_eq!(unknown, ["success", "lag"]);
    assert!((health.known - 0.45).abs() < 1e-9);
    let html = report.html();
    assert!(html.contains("left out there, with the other weights scaled up: lag, success."));
}

#[test]
fn json_has_the_board_and_markdown_a_line() {
    let report = report(vec![recording(&NOOP, 1, 0, 2), recording(&POOL, 1, 1, 2)]);
    let json = serde_json::to_value(report.json()).expect("serialisable");
    let slo = &json["variants"]["pool"]["slo"];
    assert_eq!(slo["origin"], "default");
    assert_eq!(slo["class"], "low_latency");
    assert_eq!(slo["pause_limit_ns"], 2_000_000);
    assert_eq!(slo["share_within"], 1.0);
    assert_eq!(slo["health"]["score"], 100);
    assert_eq!(slo["health"]["parts"][0]["name"], "latency");
    let markdown = report.markdown();
    let lines: Vec<&str> = markdown
        .lines()
        .filter(|line| line.starts_with("Health, 0 to 100"))
        .collect();
    assert_eq!(
        lines,
        [
            "Health, 0 to 100: no-op 100 (2 of 2 seconds within P99 ≤ 5 ms); pool 100 (2 of 2 seconds within P99 ≤ 5 ms)."
        ]
    );
}

#[test]
fn each_second_of_each_run_has_a_state_for_the_chart() {
    let html = report(vec![recording(&SYSTEM, 1, 0, 5), recording(&POOL, 1, 1, 3)]).html();
    let data = html
        .split("<script type=\"application/json\" id=\"data\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next())
        .expect("the page has data");
    let data: serde_json::Value = serde_json::from_str(data).expect("valid JSON");
    assert_eq!(data["slo"]["states"], serde_json::json!(["11111", "000"]));
    assert_eq!(data["slo"]["lines"][0]["ns"], 5_000_000);
    for figure in ["p50", "p99", "p999", "max", "count"] {
        let seconds = data["runs"][0][figure].as_array().map(Vec::len);
        assert_eq!(seconds, Some(5), "{figure}");
    }
}
