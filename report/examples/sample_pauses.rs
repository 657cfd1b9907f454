//! Makes two sample reports with pauses from invented recordings, to look at:
//! `sample_pauses [folder [seconds]]`. In `load` runs of all variants were traced, in `alone` one
//! process without load. `tests/common` has the inventor, which the tests share.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

use common::traced::{traced, write_traced};
use common::{ALL, recording, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join("tailcut-sample-pauses"),
        PathBuf::from,
    );
    let seconds = std::env::args().nth(2).map_or(Ok(7), |text| text.parse())?;
    for (sequence, profile) in ALL.iter().chain(ALL.iter().rev()).enumerate() {
        let run = 1 + (sequence / ALL.len()) as u32;
        let recording = recording(profile, run, sequence as u32, seconds);
        let folder = dir.join("load").join(format!("{sequence:02}"));
        write(&folder, &recording)?;
        write_traced(&folder, &traced(&recording, seconds), false)?;
    }
    let one = recording(&ALL[2], 1, 0, seconds);
    write_traced(&dir.join("alone/run"), &traced(&one, seconds), true)?;
    for part in ["load", "alone"] {
        let folder = dir.join(part);
        let report = tailcut_report::Report::read_tree(&folder)?;
        std::fs::write(folder.join("report.html"), report.html())?;
        std::fs::write(folder.join("report.md"), report.markdown())?;
        println!("{}", folder.join("report.html").display());
    }
    Ok(())
}
