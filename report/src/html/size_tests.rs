//! The page grows with seconds, not with requests, and an hour stays small.

use crate::digest::{RunDigest, Second};
use crate::heat::ROWS;
use crate::recording::{Meta, Recording, State};
use crate::report::Report;

/// A run whose seconds all differ in every figure, which is the worst case for size.
fn hour(variant: &str, sequence: u32) -> RunDigest {
    let mut digest = RunDigest::of_recording(Recording {
        dir: variant.into(),
        meta: Meta {
            schema: 1,
            variant: variant.to_owned(),
            run: 1,
            sequence,
            state: State::Complete,
            ..Meta::default()
        },
        intervals: Vec::new(),
        slow: Vec::new(),
        marks: Vec::new(),
        resources: Vec::new(),
        pool: Vec::new(),
        not_read: 0,
        torn: false,
        pauses: None,
    });
    digest.response.saturating_record(1);
    digest.seconds = (0..3600)
        .map(|second: u64| Second {
            start_ns: second * 1_000_000_000,
            length_ns: 1_000_000_000,
            requests: 2_400_000,
            p50_ns: 1_034_567_890 + second * 1_048_576,
            p99_ns: 1_134_567_890 + second * 1_048_576,
            p999_ns: 1_234_567_890 + second * 1_048_576,
            max_ns: 9_234_567_890 + second * 1_048_576,
            heat: (0..ROWS as u8)
                .map(|row| (row, second * 97 + u64::from(row)))
                .collect(),
        })
        .collect();
    digest
}

#[test]
fn an_hour_of_five_variants_stays_under_5_mb() {
    let variants = [
        "noop",
        "heap_system",
        "heap_jemalloc",
        "heap_mimalloc",
        "pool",
    ];
    let runs = variants
        .iter()
        .zip(0..)
        .map(|(name, place)| hour(name, place));
    let report = Report::from_digests(runs.collect()).expect("five runs");
    let html = report.html();
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    // Nothing was left out: every second of every run is in the data.
    assert_eq!(html.matches("1234567890").count(), variants.len());
    assert_eq!(html.matches("5008392914").count(), variants.len());
}
