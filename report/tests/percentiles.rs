//! Percentiles are right: against a sorted list, and against another implementation.

mod common;

use std::process::Command;

use common::network::load;
use common::{Dice, JEMALLOC, SECOND, histogram, recording, write};
use tailcut_report::Report;
use tailcut_report::recording::{RESPONSE, Recording, SERVICE};
use tailcut_report::statistics::{maximum, quantile};

#[test]
fn percentiles_are_those_of_the_sorted_values_within_a_bucket() {
    let mut dice = Dice::new(42);
    let mut values: Vec<u64> = (0..100_000)
        .map(|_| (80.0 * (1.0 - dice.roll()).powf(-1.6)) as u64)
        .map(|value| value.min(99_000_000_000))
        .collect();
    let mut histogram = histogram();
    for value in &values {
        histogram.saturating_record(*value);
    }
    values.sort_unstable();
    for level in [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
        let rank = ((level * values.len() as f64).ceil() as usize).max(1);
        let exact = values[rank - 1];
        let found = quantile(&histogram, level);
        if level > 0.0 {
            assert!(found >= exact, "P{level}: {found} is below {exact}");
        }
        let error = found.abs_diff(exact) as f64 / exact as f64;
        assert!(error <= 0.001, "P{level}: {found} against {exact}");
    }
    assert!(histogram.equivalent(maximum(&histogram), values[values.len() - 1]));
}

#[test]
fn runs_are_merged_before_a_percentile_is_taken() {
    // Nine quick requests in a run, one slow one in another: no average of percentiles is right.
    let mut recordings: Vec<Recording> = (1..=2)
        .map(|run| recording(&JEMALLOC, run, run, 1))
        .collect();
    for (recording, values) in recordings.iter_mut().zip([vec![10u64; 9], vec![1_000_000]]) {
        let mut only = histogram();
        for value in values {
            only.saturating_record(value);
        }
        recording
            .intervals
            .retain(|interval| interval.series == RESPONSE);
        recording.intervals[0].histogram = only;
    }
    let report = Report::from_recordings(recordings).expect("two recordings");
    let summary = &report.summaries()["heap_jemalloc"];
    assert_eq!(summary.p50_ns, 10);
    assert_eq!(summary.p99_ns, 1_000_447);
    assert_eq!(summary.p999_ns_median_of_seconds, (10 + 1_000_447) / 2);
    assert_eq!(summary.p999_ns_by_run, [10, 1_000_447]);
}

#[test]
fn merged_intervals_are_the_whole_whatever_was_loaded() {
    for original in [
        recording(&JEMALLOC, 1, 0, 3),
        load("checkout", 0, 3, Some(SECOND)),
    ] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let run = dir.path().join("run");
        write(&run, &original).expect("writable");
        let read = Recording::read(&run).expect("it was just written");
        for series in [RESPONSE, SERVICE] {
            let mut whole = histogram();
            let values = original
                .series(series)
                .flat_map(|interval| interval.histogram.iter_recorded());
            for value in values {
                whole.saturating_record_n(value.value_iterated_to(), value.count_at_value());
            }
            assert_eq!(read.whole(series), whole, "{series}");
        }
        let summaries = Report::read_tree(&run).expect("readable").summaries();
        let summary = &summaries[&original.meta.variant];
        let whole = original.whole(RESPONSE);
        assert_eq!(summary.requests, whole.len());
        assert_eq!(summary.p9999_ns, quantile(&whole, 0.9999));
        assert_eq!(summary.max_ns, maximum(&whole));
    }
}

/// Prints, of each interval, its tag, start and length in ms, and figures as Python has them.
const PYTHON: &str = r#"
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 100_000_000_000, 3))
while (h := reader.get_next_interval_histogram()) is not None:
    start = h.get_start_time_stamp()
    print(h.get_tag(), round(start), round(h.get_end_time_stamp() - start), h.get_total_count(),
          *(h.get_value_at_percentile(p) for p in (50, 99, 99.9, 99.99)), h.get_max_value())
"#;

#[test]
fn pythons_hdrhistogram_reads_the_log_and_finds_the_same() {
    let importable = Command::new("python3")
        .args(["-c", "import hdrh.log"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !importable {
        eprintln!("SKIPPED: python3 has no module hdrh (pip install hdrhistogram)");
        return;
    }
    python_agrees(&recording(&JEMALLOC, 1, 3, 3));
    // Of a load over the network, with further series, one of which is no time.
    python_agrees(&load("checkout", 0, 3, Some(SECOND)));
}

fn python_agrees(original: &Recording) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = dir.path().join("run");
    write(&run, original).expect("writable");
    let output = Command::new("python3")
        .args(["-c", PYTHON])
        .arg(run.join("latency.hlog"))
        .output()
        .expect("python3 was there a moment ago");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let clock = original.meta.clock;
    let expected: Vec<String> = original
        .intervals
        .iter()
        .map(|interval| {
            let unix_ns = clock.unix_ns + (interval.start_monotonic_ns - clock.monotonic_ns);
            let figures: Vec<String> = [0.5, 0.99, 0.999, 0.9999]
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
    assert!(found.contains(SERVICE));
}
