//! Samples of a pool: written, read, cut, and what a report says of them.

mod common;

use std::fs;

use common::sections::{CAPACITY, PEAK, with_pool};
use common::{JEMALLOC, POOL, recording, write};
use tailcut_report::Report;
use tailcut_report::recording::{PoolSample, Reader, Recording, RecordingError, State};

fn pooled(seconds: u64) -> Recording {
    with_pool(recording(&POOL, 1, 1, seconds), seconds)
}

fn report(recordings: Vec<Recording>) -> Report {
    Report::from_recordings(recordings).expect("there are recordings")
}

#[test]
fn samples_that_were_written_are_read_and_a_torn_last_one_is_dropped() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = dir.path().join("run");
    let original = pooled(3);
    write(&run, &original).expect("writable");
    assert_eq!(Recording::read(&run).expect("sound").pool, original.pool);
    let reader = Reader::open(&run).expect("sound");
    assert_eq!(reader.pool().count(), original.pool.len());

    let path = run.join("pool.jsonl");
    let whole = fs::read(&path).expect("it was just written");
    fs::write(&path, &whole[..whole.len() - 2]).expect("writable");
    let read = Recording::read(&run).expect("a torn line is no error");
    assert_eq!(read.pool.len(), original.pool.len() - 1);
    assert_eq!((read.torn, read.meta.state), (true, State::Partial));
}

#[test]
fn a_damaged_sample_is_an_error_that_names_its_line_and_too_many_are_counted() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = dir.path().join("run");
    write(&run, &pooled(1)).expect("writable");
    let path = run.join("pool.jsonl");
    fs::write(&path, "\n{\"gets\": \"many\"}\n").expect("writable");
    match Recording::read(&run) {
        Err(RecordingError::Corrupt {
            line: 2, reason, ..
        }) => {
            assert!(reason.contains("no sample of a pool"), "{reason}");
        }
        other => panic!("expected Corrupt, found {other:?}"),
    }
    fs::write(&path, "{}\n".repeat(Recording::MOST_POOL_SAMPLES + 5)).expect("writable");
    let read = Recording::read(&run).expect("readable");
    assert_eq!(read.pool.len(), Recording::MOST_POOL_SAMPLES);
    assert_eq!(read.not_read, 5);
}

#[test]
fn a_report_says_what_was_in_use_and_whether_the_capacity_fits() {
    let report = report(vec![recording(&JEMALLOC, 1, 0, 2), pooled(3)]);
    let summaries = report.summaries();
    let pool = &summaries["pool"].pools[0];
    assert_eq!((pool.capacity, pool.high_water), (CAPACITY, PEAK + 64));
    // Three seconds and 9 ms with 7.2M gets.
    assert!(
        (pool.gets_per_second - 2_392_822.0).abs() < 1.0,
        "{}",
        pool.gets_per_second
    );
    assert!((59_000.0..=61_000.0).contains(&pool.in_use_mean));
    assert_eq!(
        pool.advice,
        [
            "2.4M objects a second, each held for 25 ms on average, are 60,000 in use (Little's law). Half as much again, \
             up to a power of two, is a capacity of 131,072, with back-pressure from 98,304 on.",
            "Its capacity is 131,072, and at most 120,064 were in use: 91.6%, over the back-pressure threshold of 75% \
             (98,304).",
            "The peak is 2× the mean, as where objects come back all at once or after a pause: size by the peak, not by \
             the mean. By the same rule from the peak, it is 262,144.",
        ]
    );
    let html = report.html();
    for part in [
        "<h2 id=\"pool-title\">Pool</h2>",
        "data-chart=\"pool-use\"",
        "120,064 (91.6%)",
        "Recommended capacity",
        "Batches: refills from the depot",
    ] {
        assert!(html.contains(part), "{part}");
    }
    // It never waited, missed or grew.
    assert!(!html.contains("Longest queue seen"));
    let markdown = report.markdown();
    assert!(
        markdown.contains("| High-water mark (of the capacity) | 120,064 (91.6%) |"),
        "{markdown}"
    );
    let json = serde_json::to_value(report.json()).expect("serialisable");
    assert_eq!(
        json["variants"]["pool"]["pools"][0]["sizing"]["capacity"],
        131_072
    );
    assert!(json["variants"]["heap_jemalloc"].get("pools").is_none());
}

#[test]
fn a_pool_without_a_recommendation_is_shown_and_shortage_is_named() {
    let mut run = pooled(2);
    run.meta.result.as_mut().expect("it ended").pool_sizing = None;
    for (place, sample) in run.pool.iter_mut().enumerate() {
        sample.misses = 1_500 * place as u64;
        sample.waiting = 7;
    }
    let report = report(vec![run]);
    let pool = &report.summaries()["pool"].pools[0];
    assert_eq!(pool.advice.len(), 2, "{:?}", pool.advice);
    assert!(pool.advice[1].starts_with("3,000 times no object was to be had"));
    let html = report.html();
    assert!(html.contains("Longest queue seen") && !html.contains("sizing-title"));
}

#[test]
fn a_recording_without_a_pool_has_no_such_section_and_none_is_made_up() {
    let html = report(vec![recording(&JEMALLOC, 1, 0, 2)]).html();
    assert!(!html.contains("pool-title") && !html.contains("data-chart=\"pool-use\""));
}

#[test]
fn hostile_names_and_contradictory_figures_harm_nothing() {
    const HOSTILE: &str = "</script><img src=x onerror=alert(2)>\u{202e}|`[x](y)\n";
    let mut run = pooled(2);
    let absurd = |at_ns: u64, gets: u64| PoolSample {
        at_ns,
        pool: HOSTILE.to_owned(),
        gets,
        in_use: u64::MAX,
        in_use_mean: -1e308,
        in_use_max: u64::MAX,
        high_water: u64::MAX,
        looks: u64::MAX,
        refills: u64::MAX,
        ..PoolSample::default()
    };
    run.pool.push(absurd(0, 0));
    run.pool.push(absurd(u64::MAX, u64::MAX));
    run.pool.push(absurd(5, 5));
    if let Some(sizing) = run
        .meta
        .result
        .as_mut()
        .and_then(|result| result.pool_sizing.as_mut())
    {
        sizing.capacity = 0;
        sizing.rate = f64::INFINITY;
    }
    let report = report(vec![run]);
    let html = report.html();
    assert!(!html.contains("<img") && !html.contains('\u{202e}'));
    assert_eq!(html.matches("</script").count(), 3);
    assert!(!report.markdown().contains("<img"));
    assert_eq!(report.summaries()["pool"].pools.len(), 2);
}

#[test]
fn reading_from_disk_and_from_memory_gives_the_same_page() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = pooled(2);
    write(&dir.path().join(&run.dir), &run).expect("writable");
    let from_disk = Report::read_tree(dir.path()).expect("a recording");
    assert_eq!(from_disk.html(), report(vec![run]).html());
}
