//! Makes a sample report with the sections on allocator and pool from invented recordings, to look at:
//! `sample_sections [folder [seconds]]`. `tests/common` has the inventor, which the tests share.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

use common::sections::{allocating, with_pool};
use common::traced::write_traced;
use common::{JEMALLOC, NOOP, POOL, recording, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join("tailcut-sample-sections"),
        PathBuf::from,
    );
    let seconds = std::env::args().nth(2).map_or(Ok(7), |text| text.parse())?;
    for (sequence, profile) in [NOOP, JEMALLOC, POOL, POOL, JEMALLOC, NOOP]
        .iter()
        .enumerate()
    {
        let run = 1 + sequence as u32 / 3;
        let mut recording = recording(profile, run, sequence as u32, seconds);
        if profile.variant == "pool" {
            recording = with_pool(recording, seconds);
        }
        let folder = dir.join(format!("{sequence:02}"));
        write(&folder, &recording)?;
        if profile.variant == "heap_jemalloc" {
            write_traced(&folder, &allocating(&recording, seconds), false)?;
        }
    }
    let report = tailcut_report::Report::read_tree(&dir)?;
    std::fs::write(dir.join("report.html"), report.html())?;
    std::fs::write(dir.join("report.md"), report.markdown())?;
    println!("{}", dir.join("report.html").display());
    Ok(())
}
