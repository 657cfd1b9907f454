//! What is exported is what the report shows, in forms that the programs they are for accept.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;

use common::network::load;
use common::traced::{THREAD, traced, write_traced};
use common::{JEMALLOC, POOL, SECOND, recording, write};
use serde_json::Value;
use tailcut_report::recording::{Pause, RESPONSE, Recording, SERVICE};
use tailcut_report::statistics::{maximum, quantile};
use tailcut_report::{Report, export};

/// Two traced runs of a heap and one of a load on a server, on disk; the report of all.
fn report(dir: &Path) -> (Vec<Recording>, Report) {
    let runs = vec![
        recording(&JEMALLOC, 1, 0, 3),
        recording(&JEMALLOC, 2, 1, 2),
        load("=checkout", 2, 3, Some(SECOND)),
    ];
    for (place, run) in runs.iter().enumerate() {
        let folder = dir.join(place.to_string());
        write(&folder, run).expect("writable");
        if place < 2 {
            write_traced(&folder, &traced(run, 2), false).expect("writable");
        }
    }
    (runs, Report::read_tree(dir).expect("readable"))
}

fn rows(path: &Path) -> Vec<HashMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).expect("it was written");
    let rows = reader.deserialize().collect::<Result<_, _>>();
    rows.expect("every row has a cell for each column")
}

#[test]
fn every_second_and_percentile_of_every_run_is_in_the_csv() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (runs, report) = report(&dir.path().join("runs"));
    let out = dir.path().join("csv");
    let written = export::csv(&report, &out).expect("writable");
    assert_eq!(written.len(), 4);

    let seconds = rows(&out.join("seconds.csv"));
    let expected: Vec<[String; 7]> = runs
        .iter()
        .flat_map(|run| run.series(RESPONSE).map(move |interval| (run, interval)))
        .map(|(run, interval)| {
            let histogram = &interval.histogram;
            [
                run.meta.variant.replace('=', "'="),
                run.meta.run.to_string(),
                histogram.len().to_string(),
                quantile(histogram, 0.5).to_string(),
                quantile(histogram, 0.99).to_string(),
                quantile(histogram, 0.999).to_string(),
                maximum(histogram).to_string(),
            ]
        })
        .collect();
    let columns = [
        "variant", "run", "requests", "p50_ns", "p99_ns", "p999_ns", "max_ns",
    ];
    let found: Vec<[String; 7]> = seconds
        .iter()
        .map(|row| columns.map(|column| row[column].clone()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(seconds[1]["start_s"], "1.000000000");
    let clock = runs[0].meta.clock;
    let start = runs[0].intervals[0].start_monotonic_ns;
    let unix_ns = clock.unix_ns + (start - clock.monotonic_ns);
    assert_eq!(seconds[0]["unix_ns"], unix_ns.to_string());

    let percentiles = rows(&out.join("percentiles.csv"));
    let both = report.summaries()["heap_jemalloc"].p999_ns.to_string();
    let found = percentiles.iter().find(|row| {
        (row["variant"].as_str(), row["run"].as_str()) == ("heap_jemalloc", "")
            && row["series"] == RESPONSE
            && row["percentile"] == "99.9"
    });
    assert_eq!(found.expect("it is there")["value_ns"], both);
    assert!(percentiles.iter().any(|row| row["series"] == SERVICE));

    let figures = rows(&out.join("figures.csv"));
    let figure = |name: &str| {
        let mut rows = figures
            .iter()
            .filter(|row| row["variant"] == "heap_jemalloc");
        let row = rows.find(|row| row["figure"] == name);
        row.unwrap_or_else(|| panic!("no {name}"))["value"].clone()
    };
    assert_eq!(figure("p999_ns"), both);
    assert_eq!(figure("runs"), "2");
    assert_eq!(figure("pauses.series.munmap.unit"), "nanoseconds");
}

#[test]
fn every_pause_is_in_the_csv_with_its_stack() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (runs, report) = report(&dir.path().join("runs"));
    let out = dir.path().join("csv");
    export::csv(&report, &out).expect("writable");
    let text = fs::read_to_string(out.join("pauses.csv")).expect("it was written");
    assert!(
        text.lines().count() > 1 && text.contains("\r\n"),
        "lines end as RFC 4180 has it"
    );
    let found = rows(&out.join("pauses.csv"));
    let pauses: Vec<Pause> = runs[..2]
        .iter()
        .flat_map(|run| traced(run, 2).pauses)
        .collect();
    assert_eq!(found.len(), pauses.len());
    for (row, pause) in found.iter().zip(&pauses) {
        assert_eq!(row["kind"], pause.kind);
        assert_eq!(row["thread"], pause.thread.to_string());
        assert_eq!(row["length_ns"], pause.length_ns().to_string());
        assert_eq!(!row["stack"].is_empty(), pause.stack.is_some());
    }
}

#[test]
fn hostile_names_are_neither_computed_nor_paths() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut run = recording(&POOL, 1, 0, 1);
    run.meta.variant = "=cmd|' /C calc'!A0,\"\r\n../../x\u{202e}".to_owned();
    let folder = dir.path().join("runs/run");
    write(&folder, &run).expect("writable");
    let report = Report::read_tree(&folder).expect("readable");
    let out = dir.path().join("out");
    export::csv(&report, &out).expect("writable");
    let row = &rows(&out.join("seconds.csv"))[0];
    assert_eq!(row["variant"], "'=cmd|' /C calc'!A0,\"  ../../x");
    let files = export::percentile_distributions(&report, &out).expect("writable");
    assert_eq!(files.len(), 3);
    assert!(
        files
            .iter()
            .all(|file| file.parent() == Some(out.as_path())),
        "{files:?}"
    );
}

/// Without the last lines, which differ in a word, and in the deviation's unit.
fn steps(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn pythons_hdrhistogram_finds_the_same_distribution() {
    let importable = Command::new("python3")
        .args(["-c", "import hdrh.log"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !importable {
        eprintln!("SKIPPED: python3 has no module hdrh (pip install hdrhistogram)");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (_, report) = report(&dir.path().join("runs"));
    let out = dir.path().join("hgrm");
    let files = export::percentile_distributions(&report, &out).expect("writable");
    assert_eq!(files.len(), 7);
    for (recording, file) in [
        ("0", "heap_jemalloc-run1.hgrm"),
        ("1", "heap_jemalloc-run2.hgrm"),
        ("2", "_checkout.hgrm"),
    ] {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/scripts/percentile_distribution.py"
        );
        let output = Command::new("python3")
            .arg(script)
            .arg(dir.path().join("runs").join(recording).join("latency.hlog"))
            .arg(RESPONSE)
            .output()
            .expect("python3 was there a moment ago");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let expected = String::from_utf8_lossy(&output.stdout);
        let found = fs::read_to_string(out.join(file)).expect("it was written");
        assert_eq!(steps(&found), steps(&expected), "{file}");
        assert!(steps(&found).len() > 40);
        let last = |text: &str, key: &str| -> Vec<f64> {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("#[{key}")));
            let line = line.unwrap_or_else(|| panic!("{file} has no {key}"));
            let words = line.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
            words.filter_map(|word| word.parse().ok()).collect()
        };
        for key in ["Max", "Buckets"] {
            assert_eq!(last(&found, key), last(&expected, key), "{file}, {key}");
        }
        let (ours, theirs) = (last(&found, "Mean"), last(&expected, "Mean"));
        assert_eq!(ours[0], theirs[0], "{file}");
        // Python does not divide it by the unit.
        let error = (ours[1] * 1_000.0 - theirs[1]).abs() / theirs[1];
        assert!(error < 1e-4, "{file}: {ours:?}, {theirs:?}");
    }
}

#[test]
fn a_partial_recordings_exports_say_so() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = dir.path().join("run");
    write(&run, &recording(&POOL, 1, 0, 2)).expect("writable");
    let path = run.join("latency.hlog");
    let whole = fs::read(&path).expect("it was just written");
    fs::write(&path, &whole[..whole.len() - 10]).expect("writable");
    let report = Report::read_tree(&run).expect("readable");
    let out = dir.path().join("out");
    export::csv(&report, &out).expect("writable");
    assert!(
        rows(&out.join("seconds.csv"))
            .iter()
            .all(|row| row["partial"] == "true")
    );
    export::percentile_distributions(&report, &out).expect("writable");
    let distribution = fs::read_to_string(out.join("pool.hgrm")).expect("it was written");
    assert!(distribution.contains("#[Partial = the last line of a file was cut off"));
    let (_, trace) = trace_of(&report);
    assert_eq!(trace["otherData"]["partial"], true);
    assert!(trace["otherData"]["alerts"][0].is_string());
}

fn trace_of(report: &Report) -> (export::TraceSummary, Value) {
    let mut bytes = Vec::new();
    let summary = export::trace(report, &mut bytes).expect("a Vec takes everything");
    let trace = serde_json::from_slice(&bytes).expect("it is JSON");
    (summary, trace)
}

/// The rules of the trace event format that viewers rely on. Times in nanoseconds.
fn check_trace(trace: &Value) {
    let mut slices: BTreeMap<(u64, u64), Vec<(i64, i64)>> = BTreeMap::new();
    let mut open: HashMap<(u64, String, String), Vec<String>> = HashMap::new();
    let events = trace["traceEvents"].as_array().expect("a list of events");
    for event in events {
        let number = |key: &str| {
            event[key]
                .as_u64()
                .unwrap_or_else(|| panic!("{key}: {event}"))
        };
        let text = |key: &str| {
            event[key]
                .as_str()
                .unwrap_or_else(|| panic!("{key}: {event}"))
        };
        let time = |key: &str| {
            let microseconds = event[key]
                .as_f64()
                .unwrap_or_else(|| panic!("{key}: {event}"));
            assert!((0.0..1e12).contains(&microseconds), "{event}");
            (microseconds * 1e3).round() as i64
        };
        let thread = (number("pid"), number("tid"));
        assert!(!text("name").is_empty(), "{event}");
        match text("ph") {
            "M" => assert!(event["args"].is_object(), "{event}"),
            "C" => assert!(
                time("ts") >= 0 && event["args"]["value"].is_f64(),
                "{event}"
            ),
            "i" => assert!(time("ts") >= 0 && text("s") == "p", "{event}"),
            "X" => {
                let start = time("ts");
                slices
                    .entry(thread)
                    .or_default()
                    .push((start, start + time("dur")));
            }
            "b" | "e" => {
                time("ts");
                let key = (thread.0, text("cat").to_owned(), text("id").to_owned());
                let stack = open.entry(key).or_default();
                match text("ph") {
                    "b" => stack.push(text("name").to_owned()),
                    _ => assert_eq!(stack.pop().as_deref(), Some(text("name")), "{event}"),
                }
            }
            other => panic!("{other} is no event of ours: {event}"),
        }
    }
    assert!(open.values().all(Vec::is_empty), "all that begins ends");
    for (thread, mut spans) in slices {
        spans.sort_by_key(|(start, end)| (*start, -*end));
        let mut stack: Vec<i64> = Vec::new();
        for (start, end) in spans {
            while stack.last().is_some_and(|open| *open <= start) {
                stack.pop();
            }
            assert!(
                stack.last().is_none_or(|open| end <= *open),
                "thread {thread:?}: {start} to {end} lies across another"
            );
            stack.push(end);
        }
    }
}

#[test]
fn a_trace_obeys_its_format_and_holds_every_slow_request_and_pause() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (runs, report) = report(dir.path());
    let (summary, trace) = trace_of(&report);
    check_trace(&trace);
    let slow: usize = runs.iter().map(|run| run.slow.len()).sum();
    assert_eq!(summary.requests, slow as u64);
    let pauses: usize = runs[..2]
        .iter()
        .map(|run| traced(run, 2).pauses.len())
        .sum();
    assert_eq!(summary.pauses, pauses as u64);
    let events = trace["traceEvents"].as_array().expect("a list of events");
    let count = |of: &dyn Fn(&Value) -> bool| events.iter().filter(|event| of(event)).count();
    assert_eq!(
        count(&|e| e["ph"] == "b" && e["name"] == "slow request"),
        slow
    );
    assert_eq!(
        count(&|e| e["cat"] == "pause" && (e["ph"] == "X" || e["ph"] == "b")),
        pauses
    );
    assert_eq!(count(&|e| e["name"] == "freeze"), 2, "begin and end");
    assert!(count(&|e| e["cat"] == "tailcut") > 0);
}

#[test]
fn a_trace_shows_a_request_as_waiting_and_service_on_its_thread_in_real_time() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = recording(&JEMALLOC, 1, 0, 2);
    write(&dir.path().join("run"), &run).expect("writable");
    write_traced(&dir.path().join("run"), &traced(&run, 2), false).expect("writable");
    let (_, trace) = trace_of(&Report::read_tree(dir.path()).expect("readable"));
    check_trace(&trace);
    let events = trace["traceEvents"].as_array().expect("a list of events");
    let request = &run.slow[0];
    let begins = events
        .iter()
        .find(|event| event["args"]["number"] == request.request)
        .expect("the first slow request is there");
    assert_eq!(begins["tid"], THREAD);
    assert_eq!(begins["pid"], 4711, "the process that was traced served it");
    let base: i128 = trace["otherData"]["base_unix_ns"]
        .as_str()
        .and_then(|base| base.parse().ok())
        .expect("a number");
    let clock = run.meta.clock;
    let due = i128::from(clock.unix_ns) + i128::from(request.intended_ns - clock.monotonic_ns);
    let ts = begins["ts"].as_f64().expect("a time");
    assert_eq!((ts * 1e3).round() as i128 + base, due);
    let of_it: Vec<(&str, &str)> = events
        .iter()
        .filter(|event| event["id"] == begins["id"])
        .filter_map(|event| Some((event["ph"].as_str()?, event["name"].as_str()?)))
        .collect();
    assert_eq!(of_it[0], ("b", "slow request"));
    assert_eq!(of_it[1..3], [("b", "waiting"), ("e", "waiting")]);
    assert_eq!(of_it[of_it.len() - 1], ("e", "slow request"));
    let paused = events
        .iter()
        .find(|event| event["name"] == "munmap" && event["ph"] == "X")
        .expect("a pause");
    assert_eq!(paused["args"]["bytes unmapped"], 33_554_432);
    assert!(
        paused["args"]["stack"]
            .as_str()
            .is_some_and(|stack| stack.starts_with("munmap ← "))
    );
}
