//! The page with pauses: what it shows, that nothing in a trace can act on it, that it stays small.

mod common;

use common::hostile::poison;
use common::traced::{THREAD, traced, write_traced};
use common::{JEMALLOC, POOL, Profile, SECOND, recording, write};
use tailcut_report::recording::{Interval, Pause, Pauses, Recording, SeriesMeta};
use tailcut_report::{Outcome, Report};

fn report(recordings: Vec<Recording>) -> Report {
    Report::from_recordings(recordings).expect("there are recordings")
}

/// A run under load that was traced.
fn loaded(profile: &Profile, run: u32, sequence: u32) -> Recording {
    let mut recording = recording(profile, run, sequence, 2);
    recording.pauses = Some(traced(&recording, 2));
    recording
}

/// A process that was traced without load, as `PauseWriter::create_alone` records it.
fn alone(pauses: Pauses) -> Recording {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = dir.path().join("run");
    write_traced(&run, &pauses, true).expect("writable");
    Recording::read(&run).expect("it was just written")
}

fn redis() -> Pauses {
    traced(&recording(&JEMALLOC, 1, 0, 2), 2)
}

#[test]
fn a_page_shows_what_paused_where_and_for_how_long() {
    let report = report(vec![loaded(&JEMALLOC, 1, 0), loaded(&POOL, 1, 1)]);
    let html = report.html();
    for part in [
        "<h2 id=\"pauses-title\">Pauses</h2>",
        "inside munmap",
        "by stress-ng/812",
        "munmap ← extent_dalloc_wrapper ← je_arena_decay",
        "<h2 id=\"blame-title\">Why the slow requests were slow</h2>",
        "malloc@jemalloc",
        "data-chart=\"pause-p999\"",
        "data-keys=\"marks\"",
        "0.78% of the target&#39;s CPU (budget 1%)",
        "jemalloc, pool: 12 pauses over the limit of a second",
        "compaction: this kernel has no such tracepoint",
        "One thread was created while probes were attached.",
    ] {
        let escaped = part.replace("&#39;", "'");
        assert!(html.contains(part) || html.contains(&escaped), "{part}");
    }
    let markdown = report.markdown();
    for part in ["Pauses:", "jemalloc: munmap", "Left out: compaction"] {
        assert!(markdown.contains(part), "{part}");
    }
    let table = report.pause_table().expect("there were pauses");
    assert!(table.rows.iter().all(|row| row.len() == table.header.len()));
}

#[test]
fn every_chart_of_pauses_has_words_and_its_data_are_bounded_json() {
    let html = report(vec![loaded(&JEMALLOC, 1, 0), loaded(&POOL, 1, 1)]).html();
    let charts = html.matches("class=\"chart").count();
    assert_eq!(
        charts,
        3 + 2 + 2,
        "latency, heat map and service level, two of pauses"
    );
    // The colour scale has words too.
    assert_eq!(
        html.matches("role=\"img\" aria-label=\"").count(),
        charts + 1
    );
    let data = data_of(&html);
    let pauses = &data["pauses"];
    assert_eq!(pauses["runs"].as_array().map(Vec::len), Some(2));
    let kinds = pauses["kinds"].as_array().expect("a list").len();
    let max = pauses["runs"][0]["max"].as_array().expect("a list");
    assert_eq!(max.len(), kinds, "a line for each kind");
    for mark in pauses["over"][0]["marks"].as_array().expect("a list") {
        let second = mark[1].as_f64().expect("a number");
        assert!((0.0..=2.0).contains(&second), "{mark}");
        let longest = recording_longest(&loaded(&JEMALLOC, 1, 0));
        assert!(mark[2].as_u64().expect("ns") <= longest, "{mark}");
    }
    // In each second one window of 20 ms, a third into it.
    let windows = pauses["over"][0]["windows"].as_array().expect("a list");
    assert_eq!(windows.len(), 2);
    assert_eq!(windows[1][0].as_f64(), Some(1.3333));
}

fn recording_longest(recording: &Recording) -> u64 {
    let pauses = &recording.pauses.as_ref().expect("it was traced").pauses;
    pauses.iter().map(Pause::length_ns).max().expect("some")
}

fn data_of(html: &str) -> serde_json::Value {
    let data = html
        .split("<script type=\"application/json\" id=\"data\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next())
        .expect("the page has data");
    serde_json::from_str(data).expect("valid JSON")
}

#[test]
fn a_process_traced_without_load_has_a_page_of_its_own() {
    let report = report(vec![alone(redis())]);
    let verdict = report.verdict();
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(
        verdict.sentence,
        "Nothing to compare: redis-server was traced, and no load of ours ran."
    );
    let note = &verdict.notes[0];
    assert!(note.contains("the longest pause was"), "{note}");
    assert!(!note.contains("no-op"), "{note}");
    let html = report.html();
    assert!(html.contains("<h1>Pauses of redis-server</h1>"));
    for absent in [
        "Response time by percentile",
        "Rate achieved",
        "0 requests/s",
        "0 ns a run",
    ] {
        assert!(!html.contains(absent), "{absent}");
    }
    assert_eq!(html.matches("class=\"chart").count(), 2);
    assert!(report.comparison().is_none());
    assert!(report.table().rows.is_empty());
}

#[test]
fn nothing_in_a_trace_becomes_markup_or_steers_a_terminal() {
    let hostile = |profile: &Profile, sequence: u32| {
        let mut run = loaded(profile, 1, sequence);
        poison(run.pauses.as_mut().expect("it was traced"));
        run
    };
    let mut only_traced = redis();
    poison(&mut only_traced);
    let report = report(vec![
        hostile(&JEMALLOC, 0),
        hostile(&POOL, 1),
        alone(only_traced),
    ]);
    let html = report.html();
    assert!(!html.contains("<script>alert") && !html.contains("<img"));
    assert_eq!(html.matches("<script").count(), 3);
    assert_eq!(html.matches("</script").count(), 3);
    let drawn = data_of(&html)["pauses"]["over"].to_string();
    assert!(drawn.contains("</script>"), "the text itself is kept");

    let markdown = report.markdown();
    assert!(!markdown.contains("<script") && !markdown.contains("<img"));
    assert!(!markdown.contains("[x]("));

    let table = report.pause_table().expect("there were pauses");
    let json = serde_json::to_string(&report.json()).expect("serialisable");
    let printed = [
        table.rows.concat().concat(),
        report.verdict().sentence.clone() + &report.verdict().notes.concat(),
        markdown.replace('\n', ""),
        json.replace("\\u001b", "\u{1b}"),
    ];
    for text in printed {
        let steers = |letter: char| letter.is_control() || "\u{202e}\u{2028}".contains(letter);
        let found = text
            .find(steers)
            .map(|at| text[at..].chars().take(40).collect::<String>());
        assert_eq!(found, None);
    }
    // Read without load, the process' name is the report's title.
    let mut alone_only = redis();
    poison(&mut alone_only);
    let sentence = self::report(vec![alone(alone_only)])
        .verdict()
        .sentence
        .clone();
    assert!(
        !sentence.contains('\u{1b}') && sentence.contains("alert(1)"),
        "{sentence}"
    );
}

#[test]
fn reading_from_disk_and_from_memory_gives_the_same_page() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runs = [loaded(&JEMALLOC, 1, 0), loaded(&POOL, 1, 1)];
    for run in &runs {
        let folder = dir.path().join(&run.dir);
        write(&folder, run).expect("writable");
        write_traced(&folder, run.pauses.as_ref().expect("traced"), false).expect("writable");
    }
    let from_disk = Report::read_tree(dir.path()).expect("two recordings");
    assert_eq!(from_disk.html(), report(runs.to_vec()).html());
}

#[test]
fn an_hour_of_eight_series_and_many_pauses_stays_a_page() {
    let mut pauses = redis();
    let start_ns = pauses.meta.start_ns;
    let template = pauses.intervals[0].clone();
    let second = |index: u64| start_ns + index * SECOND;
    pauses.meta.end_ns = second(3_600);
    pauses.meta.series = (0..8)
        .map(|index| SeriesMeta {
            name: format!("series_{index}"),
            pause: true,
            ..SeriesMeta::default()
        })
        .collect();
    // Small histograms, so that the test is about the page and not about memory.
    let mut small = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 4_000_000_000, 1)
        .expect("the bounds are valid");
    small.saturating_record(3_456_789_012);
    pauses.intervals = (0..3_600u64)
        .flat_map(|index| (0..8).map(move |series| (index, series)))
        .map(|(index, series)| Interval {
            series: format!("series_{series}"),
            start_monotonic_ns: second(index),
            histogram: small.clone(),
            ..template.clone()
        })
        .collect();
    pauses.pauses = (0..100_000u64)
        .map(|index| Pause {
            kind: format!("series_{}", index % 8),
            thread: THREAD,
            start_ns: start_ns + index * 36_000_000,
            end_ns: start_ns + index * 36_000_000 + 1_000_000 + index,
            ..Pause::default()
        })
        .collect();
    let mut run = recording(&POOL, 1, 0, 1);
    let of_a_second = run.intervals[0].clone();
    run.intervals = (0..3_600)
        .map(|index| Interval {
            start_monotonic_ns: second(index),
            histogram: small.clone(),
            ..of_a_second.clone()
        })
        .collect();
    run.pauses = Some(pauses);
    let html = report(vec![run]).html();
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    let data = data_of(&html);
    let marks = data["pauses"]["over"][0]["marks"]
        .as_array()
        .expect("a list");
    assert_eq!(marks.len(), 1_000);
    assert!(html.contains("99k shorter ones are not"));
    let line = data["pauses"]["runs"][0]["max"][7]
        .as_array()
        .expect("a list");
    assert_eq!(line.len(), 3_600);
}
