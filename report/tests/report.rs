//! What a report says, and what it refuses to say.

mod common;

use common::{ALL, JEMALLOC, MIMALLOC, NOOP, POOL, Profile, SYSTEM, recording};
use tailcut_report::recording::{Recording, State};
use tailcut_report::{Outcome, Report, ReportError};

/// Two runs of each profile, A B B A.
fn demo(profiles: &[Profile]) -> Vec<Recording> {
    let both = profiles.iter().chain(profiles.iter().rev());
    both.enumerate()
        .map(|(place, profile)| {
            let run = if place < profiles.len() { 1 } else { 2 };
            recording(profile, run, place as u32, 3)
        })
        .collect()
}

fn report(recordings: Vec<Recording>) -> Report {
    Report::from_recordings(recordings).expect("there are recordings")
}

fn change(recordings: &mut [Recording], variant: &str, change: impl Fn(&mut Recording)) {
    for recording in recordings {
        if recording.meta.variant == variant {
            change(recording);
        }
    }
}

/// Asserts that nothing is concluded, and that the sentence says why.
fn assert_inconclusive(report: &Report, because: &str) {
    let verdict = report.verdict();
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{verdict:?}");
    assert!(verdict.sentence.contains(because), "{}", verdict.sentence);
}

#[test]
fn the_verdict_names_the_effect_and_its_conditions() {
    let report = report(demo(&ALL));
    let verdict = report.verdict();
    assert_eq!(verdict.outcome, Outcome::Better);
    for part in [
        "P99.9 fell from ",
        " ms (jemalloc, the best of three heaps) to ",
        " µs with the pool: ",
        "× from run to run), at 2.4M requests/s; schedule kept in all 4 runs.",
    ] {
        assert!(verdict.sentence.contains(part), "{}", verdict.sentence);
    }
    let notes = verdict.notes.join(" ");
    for part in [
        "holds the true one with 67% confidence, not 95%",
        "2 + 2 runs are too few for a test that assumes nothing: its p cannot fall below 0.33",
        "5 + 5 runs are enough",
        "The machine's own floor",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
    assert!(
        notes.contains("The system allocator could not hold the rate"),
        "{notes}"
    );
}

#[test]
fn the_best_heap_is_the_one_with_the_lowest_tail() {
    let report = report(demo(&[NOOP, MIMALLOC, JEMALLOC, SYSTEM, POOL]));
    let comparison = report.comparison().expect("a heap and a pool");
    assert_eq!(comparison.before, "heap_jemalloc");
    assert_eq!(comparison.after, "pool");
    let named: Vec<&str> = comparison
        .ratios
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(named, ["heap_system", "heap_jemalloc", "heap_mimalloc"]);
    let measures: Vec<&str> = comparison
        .rows
        .iter()
        .map(|row| row.measure.as_str())
        .collect();
    assert_eq!(
        measures,
        [
            "P99.9",
            "P50",
            "P99",
            "P99.9, median second",
            "Maximum",
            "Heap allocation rate",
            "CPU in service"
        ]
    );
}

#[test]
fn a_heap_that_missed_its_schedule_gives_lower_bounds() {
    let report = report(demo(&[NOOP, SYSTEM, POOL]));
    let sentence = &report.verdict().sentence;
    assert!(sentence.contains("from at least "), "{sentence}");
    assert!(
        sentence.contains("the system allocator missed it in 2 of 2"),
        "{sentence}"
    );
    let row = &report.comparison().expect("a heap and a pool").rows[0];
    assert!(
        row.before.starts_with("≥ ") && row.factor.starts_with("≥ "),
        "{row:?}"
    );
    let html = report.html();
    assert!(html.contains(r#"<td class="bad">MISSED 2 of 2</td>"#));
    assert!(html.contains("≥ marks a variant that missed its schedule"));
}

#[test]
fn a_single_run_concludes_nothing_but_shows_its_figures() {
    let once = ALL.iter().enumerate();
    let once = once.map(|(place, profile)| recording(profile, 1, place as u32, 3));
    let report = report(once.collect());
    assert_inconclusive(
        &report,
        "A single run cannot tell an effect from chance: P99.9 was",
    );
    assert!(report.comparison().is_some());
}

#[test]
fn a_machine_that_cannot_hold_the_rate_concludes_nothing() {
    let mut runs = demo(&ALL);
    change(&mut runs, "noop", |run| {
        run.meta.result.as_mut().expect("complete").schedule_kept = false;
    });
    assert_inconclusive(
        &report(runs),
        "the no-op control missed its schedule in 2 of 2 runs",
    );
}

#[test]
fn partial_recordings_conclude_nothing_and_are_named() {
    let mut runs = demo(&ALL);
    change(&mut runs[..5], "pool", |run| {
        run.meta.state = State::Partial;
        run.meta.state_reason = Some("interrupted".to_owned());
    });
    let report = report(runs);
    assert_inconclusive(
        &report,
        "1 of 2 runs with the pool was cut short (interrupted)",
    );
    assert!(report.html().contains("Incomplete or doubtful recordings"));
    assert!(report.summaries()["pool"].partial);
}

#[test]
fn different_results_are_not_the_same_service() {
    let mut runs = demo(&ALL);
    change(&mut runs, "pool", |run| {
        run.meta.result.as_mut().expect("complete").checksum = "dead".to_owned();
    });
    assert_inconclusive(&report(runs), "and the pool computed different results");

    let mut runs = demo(&ALL);
    change(&mut runs[..5], "pool", |run| {
        run.meta.result.as_mut().expect("complete").checksum = "dead".to_owned();
    });
    let report = report(runs);
    assert_inconclusive(&report, "the runs with the pool computed different results");
    assert_eq!(report.summaries()["pool"].checksum, "");
}

#[test]
fn different_rates_cannot_be_compared() {
    let mut runs = demo(&ALL);
    change(&mut runs, "pool", |run| run.meta.load.rate_target = 1e6);
    assert_inconclusive(&report(runs), "different rates, 1M/s to 2.4M/s");
}

#[test]
fn a_pool_that_is_worse_is_called_worse() {
    let mut runs = demo(&[NOOP, JEMALLOC, POOL]);
    for run in &mut runs {
        run.meta.variant = match run.meta.variant.as_str() {
            "pool" => "heap_jemalloc".to_owned(),
            "heap_jemalloc" => "pool".to_owned(),
            other => other.to_owned(),
        };
    }
    let worse = report(runs);
    assert_eq!(worse.verdict().outcome, Outcome::NotBetter);
    assert!(
        worse
            .verdict()
            .sentence
            .starts_with("The pool is worse: P99.9 was")
    );

    let mut runs = demo(&[NOOP, JEMALLOC, POOL]);
    change(&mut runs, "pool", |run| {
        run.meta.result.as_mut().expect("complete").schedule_kept = false;
    });
    let missed = report(runs);
    assert_eq!(missed.verdict().outcome, Outcome::NotBetter);
    let sentence = &missed.verdict().sentence;
    assert!(
        sentence.contains("missed its schedule in 2 of 2 runs"),
        "{sentence}"
    );
}

#[test]
fn overlapping_runs_tell_no_difference() {
    let mut runs = demo(&[NOOP, JEMALLOC, POOL]);
    let copy = runs
        .iter()
        .find(|run| run.meta.variant == "heap_jemalloc")
        .map(|run| run.intervals.clone())
        .expect("jemalloc ran");
    change(&mut runs[..3], "pool", |run| run.intervals = copy.clone());
    assert_inconclusive(&report(runs), "No difference can be told");
}

#[test]
fn nothing_to_compare_is_said_and_not_an_error() {
    assert_inconclusive(&report(demo(&[NOOP, POOL])), "no run with a heap allocator");
    assert_inconclusive(&report(demo(&[NOOP, JEMALLOC])), "no run of the pool");
    let mut runs = demo(&[JEMALLOC, POOL]);
    for run in &mut runs {
        run.intervals.clear();
    }
    let empty = report(runs);
    assert_inconclusive(&empty, "no run of the pool recorded anything");
    assert!(empty.html().contains("n/a"));
    assert!(matches!(
        Report::from_recordings(Vec::new()),
        Err(ReportError::Empty)
    ));
}

#[test]
fn a_floor_that_was_not_measured_is_missed() {
    let report = report(demo(&[JEMALLOC, POOL]));
    let notes = report.verdict().notes.join(" ");
    assert!(notes.contains("no no-op control run"), "{notes}");
}

#[test]
fn intervals_of_several_workers_are_one_second() {
    let mut run = recording(&POOL, 1, 0, 2);
    let again = run.intervals[0].clone();
    run.intervals.insert(1, again);
    let html = report(vec![run]).html();
    let runs = html
        .split("Highest P99.9")
        .nth(1)
        .and_then(|rest| rest.split("</tr>").nth(1))
        .expect("the table of runs");
    assert!(
        runs.contains("<th scope=\"row\">pool 1</th><td>2</td>"),
        "{runs}"
    );
}

#[test]
fn every_table_has_a_cell_for_every_column() {
    let report = report(demo(&ALL));
    for table in [
        report.table(),
        report.comparison_table().expect("comparable"),
    ] {
        assert!(table.rows.iter().all(|row| row.len() == table.header.len()));
    }
    assert_eq!(
        report.table().header,
        ["", "no-op", "system", "jemalloc", "mimalloc", "pool"]
    );
}

#[test]
fn json_has_every_promised_key() {
    let json = serde_json::to_value(report(demo(&ALL)).json()).expect("serialisable");
    assert_eq!(json["rate_target"], 2_400_000.0);
    assert_eq!(json["cores"], 2);
    for variant in [
        "noop",
        "heap_system",
        "heap_jemalloc",
        "heap_mimalloc",
        "pool",
    ] {
        for key in [
            "runs",
            "rate_target",
            "rate_achieved",
            "schedule_kept",
            "p50_ns",
            "p99_ns",
            "p999_ns",
            "p9999_ns",
            "max_ns",
            "p999_ns_median_of_seconds",
            "service_p50_ns",
            "service_p999_ns",
            "allocations_per_request",
            "bytes_per_second",
            "cpu_busy",
            "stalls_ms",
            "checksum",
            "partial",
        ] {
            assert!(!json["variants"][variant][key].is_null(), "{variant}.{key}");
        }
    }
    assert_eq!(json["variants"]["heap_system"]["schedule_kept"], false);
    assert_eq!(json["variants"]["pool"]["allocations_per_request"], 0.0);
}

#[test]
fn a_folder_is_searched_one_level_deep() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let nothing = Report::read_tree(dir.path())
        .expect_err("it is empty")
        .to_string();
    assert_eq!(
        nothing,
        format!(
            "no recording in {}: expected meta.json there or in its subfolders",
            dir.path().display()
        )
    );
    common::write_demo(dir.path(), 2, 1).expect("writable");
    let tree = Report::read_tree(dir.path()).expect("ten recordings");
    assert_eq!(tree.summaries()["pool"].runs, 2);
    let single = Report::read_tree(&dir.path().join("04-pool")).expect("one recording");
    assert_eq!(single.summaries()["pool"].runs, 1);
    assert!(matches!(
        Report::read_tree(&dir.path().join("nowhere")),
        Err(ReportError::Search { .. })
    ));
}

#[test]
fn reading_from_disk_and_from_memory_gives_the_same_page() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    common::write_demo(dir.path(), 1, 2).expect("writable");
    let memory = ALL.iter().enumerate();
    let memory = memory.map(|(place, profile)| recording(profile, 1, place as u32, 2));
    let from_disk = Report::read_tree(dir.path()).expect("five recordings");
    assert_eq!(from_disk.html(), report(memory.collect()).html());
}
