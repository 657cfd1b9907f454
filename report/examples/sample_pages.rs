//! Makes the pages that `cargo xtask check-page` opens in a browser: `sample_pages FOLDER`.
//!
//! | page | what |
//! |---|---|
//! | `traced` | all variants, two runs of seven seconds each, traced |
//! | `load` | a load on a server that is frozen for 1.4 s, with objectives |
//! | `alone` | a process that was traced without load |
//! | `hour` | five variants of an hour each, one of them traced |
//! | `hostile` | recordings whose every text tries to become markup |
//!
//! All are invented by `tests/common`, which the tests share; the hour is written a second at a time.

#[path = "../tests/common/mod.rs"]
mod common;

use std::error::Error;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use tailcut_report::Report;
use tailcut_report::recording::{Meta, Pause, PauseWriter, RESPONSE, State, Writer};

use common::hostile::{HOSTILE, hostile, poison};
use common::network::load;
use common::traced::{THREAD, traced, write_traced};
use common::{ALL, Dice, JEMALLOC, POOL, Profile, SECOND, meta, recording, write};

const HOUR: u64 = 3_600;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(
        std::env::args_os()
            .nth(1)
            .ok_or("which folder? sample_pages FOLDER")?,
    );
    for (sequence, profile) in ALL.iter().chain(ALL.iter().rev()).enumerate() {
        let run = 1 + (sequence / ALL.len()) as u32;
        let recording = recording(profile, run, sequence as u32, 7);
        let folder = dir.join(format!("traced/{sequence:02}"));
        write(&folder, &recording)?;
        write_traced(&folder, &traced(&recording, 7), false)?;
    }
    let frozen = load("checkout", 0, 10, Some(3 * SECOND));
    write(&dir.join("load/run"), &frozen)?;
    let one = recording(&ALL[2], 1, 0, 7);
    write_traced(&dir.join("alone/run"), &traced(&one, 7), true)?;
    for (sequence, profile) in ALL.iter().enumerate() {
        hour(
            &dir.join(format!("hour/{sequence:02}")),
            profile,
            sequence as u32,
        )?;
    }
    for part in ["traced", "load", "alone", "hour"] {
        page(&dir, part, &Report::read_tree(&dir.join(part))?)?;
    }
    let mut recordings = Vec::new();
    for (sequence, profile) in [JEMALLOC, POOL].iter().enumerate() {
        let mut run = hostile(profile, 1, sequence as u32);
        let mut pauses = traced(&recording(profile, 1, sequence as u32, 1), 1);
        poison(&mut pauses);
        run.pauses = Some(pauses);
        recordings.push(run);
    }
    let mut run = load(HOSTILE, 2, 3, Some(SECOND));
    run.meta.load.target = HOSTILE.to_owned();
    run.meta.load.slo = Some(format!("p99<1ms,{HOSTILE}"));
    for mark in &mut run.marks {
        mark.kind = HOSTILE.to_owned();
        mark.detail = HOSTILE.to_owned();
    }
    recordings.push(run);
    page(&dir, "hostile", &Report::from_recordings(recordings)?)
}

fn page(dir: &Path, name: &str, report: &Report) -> Result<(), Box<dyn Error>> {
    let file = dir.join(format!("{name}.html"));
    std::fs::write(&file, report.html())?;
    println!("{}", file.display());
    Ok(())
}

/// An hour of one variant, a second at a time: histograms of two digits, which show the same and
/// take a tenth of the time.
fn hour(dir: &Path, profile: &Profile, sequence: u32) -> Result<(), Box<dyn Error>> {
    let whole = meta(profile, 1, sequence, HOUR);
    let running = Meta {
        state: State::Running,
        result: None,
        ..whole.clone()
    };
    let mut writer = Writer::create(dir, &running)?;
    let mut dice = Dice::new(u64::from(sequence) + 1);
    let begin = whole.clock.monotonic_ns + SECOND;
    let mut pauses = Vec::new();
    for second in 0..HOUR {
        let start_ns = begin + second * SECOND;
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 100 * SECOND, 2)?;
        histogram.saturating_record_n(200 + (300.0 * dice.roll()) as u64, 2_300_000);
        // Each second has a tail of its own length, now and then a long one.
        let longest =
            40_000.0 * (1.0 - dice.roll()).powf(-1.1) * f64::from(1 + sequence * sequence);
        for step in 1..=60u64 {
            histogram.saturating_record_n(1 + (longest * step as f64 / 60.0) as u64, 1_600);
        }
        writer.interval(RESPONSE, start_ns, SECOND, &histogram)?;
        let length_ns = (longest * 0.9) as u64;
        if length_ns > 100_000 {
            pauses.push(Pause {
                kind: ["munmap", "run_queue"][usize::from(dice.roll() > 0.7)].to_owned(),
                process: 4_711,
                thread: THREAD + (dice.roll() * 3.0) as u32,
                start_ns: start_ns + 100_000_000,
                end_ns: start_ns + 100_000_000 + length_ns,
                ..Pause::default()
            });
        }
    }
    writer.finish(&whole)?;
    if profile.variant != JEMALLOC.variant {
        return Ok(());
    }
    let mut described = traced(&recording(profile, 1, sequence, 1), 1).meta;
    described.start_ns = begin;
    described.end_ns = begin + HOUR * SECOND;
    let mut writer = PauseWriter::create(dir, &described)?;
    for second in 0..HOUR {
        let start_ns = begin + second * SECOND;
        let of_second = |pause: &&Pause| pause.start_ns / SECOND == start_ns / SECOND;
        for kind in ["munmap", "run_queue"] {
            let mut histogram = Histogram::<u64>::new_with_bounds(1, 100 * SECOND, 2)?;
            histogram.saturating_record_n(9_000, 40);
            let first = pauses.partition_point(|pause| pause.start_ns < start_ns);
            for pause in pauses[first..].iter().take(1).filter(of_second) {
                if pause.kind == kind {
                    histogram.saturating_record(pause.length_ns());
                }
            }
            writer.interval(kind, start_ns, SECOND, &histogram)?;
        }
    }
    writer.pauses(&pauses)?;
    writer.finish(&described)?;
    Ok(())
}
