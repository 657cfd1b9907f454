//! Recordings with known figures, for commands that read them.
#![allow(dead_code)] // each test binary uses its own part

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use tailcut_report::recording::{
    ClockPair, Load, Meta, RESPONSE, RunResult, SCHEMA, State, Writer,
};

pub const SECOND: u64 = 1_000_000_000;

/// Recordings of one side, whose response times are scaled by a factor each.
pub fn record(dir: &Path, name: &str, factors: &[f64], change: impl Fn(&mut Meta)) -> Vec<PathBuf> {
    let made = factors.iter().enumerate().map(|(index, factor)| {
        let dir = dir.join(name).join(index.to_string());
        // In the order of the names: copies of one run would count twice.
        let first_two = name
            .bytes()
            .chain([0])
            .take(2)
            .fold(0, |so_far, byte| so_far * 256 + u64::from(byte));
        let clock = first_two * 100 * SECOND + index as u64 * SECOND;
        let mut meta = Meta {
            schema: SCHEMA,
            variant: name.to_owned(),
            clock: ClockPair {
                monotonic_ns: clock,
                unix_ns: clock,
            },
            load: Load {
                rate_target: 20_000.0,
                duration_ns: SECOND,
                target: "tcp://127.0.0.1:7000".to_owned(),
                ..Load::default()
            },
            ..Meta::default()
        };
        let mut writer = Writer::create(&dir, &meta).unwrap();
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 100 * SECOND, 3).unwrap();
        for request in 0..20_000_u64 {
            let ns = 100_000 + 5 * request + if request % 500 == 0 { 2_000_000 } else { 0 };
            histogram.saturating_record((ns as f64 * factor) as u64);
        }
        writer
            .interval(RESPONSE, clock + 1_000_000, SECOND, &histogram)
            .unwrap();
        meta.state = State::Complete;
        meta.result = Some(RunResult {
            offered: 20_000,
            completed: 20_000,
            rate_achieved: 20_000.0,
            schedule_kept: true,
            ..RunResult::default()
        });
        change(&mut meta);
        writer.finish(&meta).unwrap();
        dir
    });
    made.collect()
}
