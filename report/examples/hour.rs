//! Makes a recording of an hour under 2.4 million requests a second, with all that a recording can
//! hold at its bound, to measure reports by: `hour FOLDER [seconds [requests a second]]`.
//!
//! 32 slow requests a second, as many as the engine keeps; half a million pauses, as many as the
//! probe keeps, and seven series of them. `tests/common` has the inventor, which the tests share.
//! Takes some seconds and 170 MB of disk for an hour.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

use common::traced::{probe_meta, traced};
use common::{Dice, JEMALLOC, RATE, SECOND, histogram, meta, recording, second, slow};
use hdrhistogram::Histogram;
use tailcut_report::recording::{Meta, PauseWriter, ProbeMeta, RESPONSE, SERVICE, State, Writer};

/// Slow requests of a second.
const SLOW: usize = 32;
/// Values that one value of the inventor's becomes.
const SPREAD: u64 = 24;
/// Pauses of a recording.
const PAUSES: usize = 500_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().ok_or("a folder is missing")?;
    let mut number = |usual: u64| match arguments.next() {
        Some(text) => text.to_string_lossy().parse(),
        None => Ok(usual),
    };
    let (seconds, rate) = (number(3_600)?, number(RATE as u64)?);
    let run = PathBuf::from(folder).join("run");

    let mut complete = meta(&JEMALLOC, 1, 0, seconds);
    complete.load.rate_target = rate as f64;
    if let Some(result) = &mut complete.result {
        result.offered = rate * seconds;
    }
    let mut writer = Writer::create(
        &run,
        &Meta {
            state: State::Running,
            result: None,
            ..complete.clone()
        },
    )?;
    let probe = probe_meta(&complete, seconds);
    let mut pause_writer = PauseWriter::create(
        &run,
        &ProbeMeta {
            state: State::Running,
            ..probe.clone()
        },
    )?;
    // Pauses look the same in each second; that they were invented once is of no matter to a reader.
    let one = traced(&recording(&JEMALLOC, 1, 0, 1), 1);
    let mut dice = Dice::new(7);
    let mut left = PAUSES;
    for index in 0..seconds {
        let start = complete.clock.monotonic_ns + (1 + index) * SECOND;
        let (response, service) = second(&JEMALLOC, index, &mut dice);
        let mut requests = Vec::new();
        while requests.len() < SLOW {
            requests.extend(slow(start, response.max(), 250, &mut dice));
        }
        requests.truncate(SLOW);
        writer.slow(&requests)?;
        for (series, histogram) in [(RESPONSE, &response), (SERVICE, &service)] {
            writer.interval(series, start, SECOND, &spread(histogram, rate, &mut dice))?;
        }
        for interval in &one.intervals {
            pause_writer.interval(&interval.series, start, SECOND, &interval.histogram)?;
        }
        let now = left.min(PAUSES.div_ceil(seconds as usize));
        left -= now;
        let pauses: Vec<_> = one
            .pauses
            .iter()
            .cycle()
            .take(now)
            .map(|pause| {
                let mut pause = pause.clone();
                let length = pause.length_ns();
                pause.start_ns = start + (dice.roll() * 0.9e9) as u64;
                pause.end_ns = pause.start_ns + length;
                pause
            })
            .collect();
        pause_writer.pauses(&pauses)?;
    }
    pause_writer.stacks(&one.stacks)?;
    pause_writer.finish(&probe)?;
    writer.finish(&complete)?;
    println!("{}", run.display());
    Ok(())
}

/// The same second at another rate, each of its values spread by some percent: a real second of
/// millions of requests fills thousands of places of a histogram, not the inventor's few hundred.
fn spread(of: &Histogram<u64>, rate: u64, dice: &mut Dice) -> Histogram<u64> {
    let mut wide = histogram();
    for step in of.iter_recorded() {
        let count = step.count_at_value() as f64 * rate as f64 / RATE;
        let parts = (count as u64).clamp(1, SPREAD);
        for _ in 0..parts {
            let value = step.value_iterated_to() as f64 * (0.8 + 0.4 * dice.roll());
            wide.saturating_record_n(value as u64, (count as u64 / parts).max(1));
        }
    }
    wide
}
