//! Whatever happens to the files of a recording, a report says so; and it takes no other with it.

mod common;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use common::network::load;
use common::traced::{traced, write_traced};
use common::{JEMALLOC, POOL, SECOND, recording, write};
use proptest::prelude::*;
use tailcut_report::recording::{Recording, State};
use tailcut_report::{Report, ReportError, export};

const FILES: [&str; 9] = [
    "meta.json",
    "latency.hlog",
    "slow.jsonl",
    "marks.jsonl",
    "resources.jsonl",
    "probe.json",
    "pauses.hlog",
    "pauses.jsonl",
    "stacks.json",
];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A load on a server that was traced: every file that a recording can have. Invented once.
fn whole(dir: &Path) {
    static FILES_OF_IT: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let dir = folder();
        let run = load("checkout", 0, 2, Some(SECOND / 2));
        write(dir.path(), &run).expect("writable");
        write_traced(dir.path(), &traced(&run, 2), false).expect("writable");
        let read = |file: &&str| fs::read(dir.path().join(file)).expect("it was just written");
        FILES.iter().map(read).collect()
    });
    fs::create_dir_all(dir).expect("a folder can be made");
    for (file, bytes) in FILES.iter().zip(FILES_OF_IT.iter()) {
        fs::write(dir.join(file), bytes).expect("writable");
    }
}

/// Every form of a report; none may panic.
fn all_forms(report: &Report, out: &Path) -> String {
    let _ = (report.markdown(), report.table(), report.pause_table());
    let json = serde_json::to_value(report.json()).expect("it is JSON");
    assert!(json["variants"].is_object());
    export::csv(report, out).expect("writable");
    export::percentile_distributions(report, out).expect("writable");
    let mut trace = Vec::new();
    export::trace(report, &mut trace).expect("a Vec takes everything");
    serde_json::from_slice::<serde_json::Value>(&trace).expect("it is JSON");
    report.html()
}

/// A message, or a page; a page of a file that lacks something says that it does.
fn message_or_page(dir: &Path, out: &Path) -> Option<Report> {
    match Report::read_tree(dir) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
        Ok(report) => {
            let page = all_forms(&report, out);
            if !report.damage().is_empty() {
                assert!(page.contains("Incomplete or doubtful recordings"));
                assert!(
                    report
                        .json()
                        .variants
                        .values()
                        .any(|variant| variant.partial)
                );
            }
            Some(report)
        }
    }
}

#[test]
fn a_file_cut_anywhere_gives_a_partial_page_or_a_message_that_names_it() {
    let dir = folder();
    let run = dir.path().join("run");
    whole(&run);
    for file in FILES {
        let path = run.join(file);
        let bytes = fs::read(&path).expect("it was just written");
        for cut in [0, 1, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).expect("writable");
            let Some(report) = message_or_page(dir.path(), &dir.path().join("out")) else {
                assert_eq!(file, "meta.json", "cut at {cut}: only this must be whole");
                continue;
            };
            // What ends at a line's end, or lacks but the last line end of one object, is whole.
            let whole_lines = cut == 0 || bytes[cut - 1] == b'\n';
            if file.ends_with("l") || file.ends_with("g") {
                let summary = &report.summaries()["checkout"];
                let partial = match (&summary.pauses, file.starts_with("pauses")) {
                    (Some(pauses), true) => pauses.probes[0].state != State::Complete,
                    _ => summary.partial,
                };
                assert_eq!(partial, !whole_lines, "{file} cut at {cut}");
                assert_eq!(
                    report.alerts().is_empty(),
                    whole_lines,
                    "{file} cut at {cut}"
                );
            } else if cut < bytes.len() - 1 {
                assert!(!report.damage().is_empty(), "{file} cut at {cut}");
            }
        }
        fs::write(&path, &bytes).expect("writable");
    }
}

#[test]
fn what_lies_before_the_damage_is_shown_and_the_rest_is_named() {
    let dir = folder();
    let run = dir.path().join("run");
    write(&run, &recording(&POOL, 1, 0, 5)).expect("writable");
    let path = run.join("latency.hlog");
    let text = fs::read_to_string(&path).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    // Response and service of each second; the fourth second's response is damaged.
    let first = lines
        .iter()
        .position(|line| line.starts_with("Tag="))
        .expect("there are some");
    lines[first + 6] = "Tag=response,4.000,1.000,1,HISTFAAA!";
    fs::write(&path, lines.join("\n") + "\n").expect("writable");
    let report = Report::read_tree(&run).expect("the rest can be read");
    let summary = &report.summaries()["pool"];
    assert!(summary.partial);
    let three: u64 = Recording::read(&{
        let sound = dir.path().join("sound");
        write(&sound, &recording(&POOL, 1, 0, 5)).expect("writable");
        sound
    })
    .expect("readable")
    .series("response")
    .take(3)
    .map(|interval| interval.histogram.len())
    .sum();
    assert_eq!(summary.requests, three);
    let [damage] = report.damage() else {
        panic!("{:?}", report.damage());
    };
    assert!(!damage.lost);
    assert!(
        damage
            .reason
            .contains(&format!("latency.hlog, line {}", first + 7)),
        "{damage:?}"
    );
    assert!(report.html().contains("latency.hlog, line"));
    assert!(report.markdown().contains("latency.hlog, line"));
}

#[test]
fn a_recording_that_cannot_be_read_leaves_the_others_and_is_named_in_every_form() {
    let dir = folder();
    for (place, profile) in [JEMALLOC, POOL].iter().enumerate() {
        write(
            &dir.path().join(profile.variant),
            &recording(profile, 1, place as u32, 1),
        )
        .expect("writable");
    }
    let bad = dir.path().join("future");
    fs::create_dir(&bad).expect("a folder can be made");
    fs::write(bad.join("meta.json"), r#"{"schema": 99}"#).expect("writable");
    let report = Report::read_tree(dir.path()).expect("two of three are readable");
    assert_eq!(report.summaries().len(), 2);
    assert!(matches!(report.damage(), [damage] if damage.lost && damage.dir == bad));
    for text in [
        report.html(),
        report.markdown(),
        format!("{:?}", report.json()),
    ] {
        assert!(text.contains("schema 99"), "{text}");
        assert!(text.contains("1 of 3 recordings could not be read"));
    }
    fs::remove_dir_all(dir.path().join("pool")).expect("there");
    fs::remove_dir_all(dir.path().join("heap_jemalloc")).expect("there");
    let error = Report::read_tree(dir.path()).expect_err("nothing is left");
    assert!(matches!(error, ReportError::Recording(_)));
    assert!(error.to_string().contains("schema 99"), "{error}");
}

#[test]
fn what_contradicts_itself_is_shown_and_said() {
    let dir = folder();
    let mut runs = [recording(&POOL, 1, 0, 2), recording(&POOL, 2, 1, 2)];
    runs[0].meta.load.rate_target = 0.0;
    // The log twice: as if somebody had put two files together.
    let again = runs[0].intervals.clone();
    runs[0].intervals.extend(again);
    let mut reversed = runs[0].slow[0];
    std::mem::swap(&mut reversed.intended_ns, &mut reversed.end_ns);
    runs[0].slow.push(reversed);
    if let Some(result) = &mut runs[0].meta.result {
        result.cpu_busy = -3.0;
    }
    for (place, run) in runs.iter().enumerate() {
        write(&dir.path().join(place.to_string()), run).expect("writable");
    }
    let report = Report::read_tree(dir.path()).expect("readable");
    let all = report.alerts().join("\n");
    for said in [
        "0 requests/s were asked for",
        "2 of its 4 intervals lie over others",
        "and its schedule only",
        "1 of its slow requests end before they begin",
        "cpu_busy is -3",
        "different rates",
    ] {
        assert!(all.contains(said), "{said}: {all}");
    }
    assert!(message_or_page(dir.path(), &dir.path().join("out")).is_some());
}

#[test]
fn a_sound_recording_raises_no_alert() {
    let dir = folder();
    whole(&dir.path().join("a"));
    write(&dir.path().join("b"), &recording(&POOL, 1, 1, 2)).expect("writable");
    let report = Report::read_tree(dir.path()).expect("readable");
    assert_eq!(report.alerts(), Vec::<String>::new());
    assert!(report.damage().is_empty());
}

#[test]
fn a_recording_without_a_line_is_a_page() {
    let dir = folder();
    let run = dir.path().join("run");
    write(&run, &recording(&POOL, 1, 0, 1)).expect("writable");
    for file in ["latency.hlog", "slow.jsonl"] {
        fs::write(run.join(file), "").expect("writable");
    }
    let report = message_or_page(dir.path(), &dir.path().join("out")).expect("it is a recording");
    assert_eq!(report.summaries()["pool"].requests, 0);
    assert_eq!(
        Recording::read(&run).expect("readable").meta.state,
        State::Complete
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_damage_to_any_file_makes_a_report_panic(
        file in 0..FILES.len(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        doubled in any::<bool>(),
    ) {
        let dir = folder();
        let run = dir.path().join("runs/run");
        whole(&run);
        let path = run.join(FILES[file]);
        let mut bytes = fs::read(&path).expect("it was just written");
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if doubled {
            bytes.extend_from_within(..);
        }
        fs::write(&path, bytes).expect("writable");
        message_or_page(&dir.path().join("runs"), &dir.path().join("out"));
    }
}
