//! The reader meets files that nobody wrote on purpose: it may refuse them, but never panics.

mod common;

use std::fs;

use common::network::load;
use common::{POOL, SECOND, recording, write};
use proptest::prelude::*;
use tailcut_report::Report;
use tailcut_report::recording::{Mark, Recording, ResourceSample};

const FILES: [&str; 5] = [
    "meta.json",
    "latency.hlog",
    "slow.jsonl",
    "marks.jsonl",
    "resources.jsonl",
];

/// Reads a sound recording with one file replaced by what `change` makes of it.
fn read_with(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = dir.path().join("run");
    write(&run, &load("checkout", 0, 1, Some(SECOND / 2))).expect("writable");
    let path = run.join(file);
    let changed = change(fs::read(&path).expect("it was just written"));
    fs::write(&path, changed).expect("writable");
    if let Ok(recording) = Recording::read(&run) {
        let report = Report::from_recordings(vec![recording]).expect("one is enough");
        let _ = (report.html(), report.markdown(), report.table());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn arbitrary_bytes_never_make_the_reader_panic(
        file in 0..5usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        read_with(FILES[file], |_| bytes);
    }

    #[test]
    fn changed_bytes_never_make_the_reader_panic(
        file in 0..5usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        read_with(FILES[file], |mut bytes| {
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        });
    }

    #[test]
    fn lines_that_look_like_intervals_never_make_the_reader_panic(
        line in r"(Tag=[a-z=]{0,4},)?[0-9.]{0,24},[0-9.]{0,24},[0-9eE.+naif-]{0,12},[A-Za-z0-9+/=]{0,60}\r?\n",
    ) {
        read_with("latency.hlog", |mut bytes| {
            bytes.extend_from_slice(line.as_bytes());
            bytes
        });
    }

    #[test]
    fn absurd_numbers_in_meta_never_make_the_report_panic(
        rate in any::<f64>(),
        duration in any::<u64>(),
        completed in any::<u64>(),
        clock in any::<u64>(),
    ) {
        let mut recording = recording(&POOL, 1, 0, 1);
        recording.meta.load.rate_target = rate;
        recording.meta.load.duration_ns = duration;
        recording.meta.clock.unix_ns = clock;
        recording.meta.host.memory_bytes = completed;
        if let Some(result) = &mut recording.meta.result {
            result.completed_on_schedule = completed;
            result.unserved = completed;
            result.cpu_busy = rate;
            result.stalls.total_ms = rate;
        }
        let report = Report::from_recordings(vec![recording.clone(), recording])
            .expect("two are enough");
        let _ = (report.html(), report.markdown(), serde_json::to_string(&report.json()));
    }

    #[test]
    fn absurd_marks_and_samples_never_make_the_report_panic(
        numbers in proptest::collection::vec(any::<u64>(), 16),
        kind in ".{0,40}",
        detail in ".{0,40}",
    ) {
        let mut recording = load("checkout", 0, 1, Some(SECOND / 2));
        for pair in numbers.chunks_exact(2) {
            recording.marks.push(Mark {
                start_ns: pair[0],
                end_ns: pair[1],
                kind: kind.clone(),
                detail: detail.clone(),
            });
            recording.resources.push(ResourceSample {
                at_ns: pair[0],
                process: 4711,
                cpu_ns: pair[1],
                rss_bytes: pair[1],
                run_queue_wait_ns: pair[0],
                minor_faults: pair[1],
                ..ResourceSample::default()
            });
        }
        let report = Report::from_recordings(vec![recording]).expect("one is enough");
        let _ = (report.html(), report.markdown(), report.table());
    }
}
