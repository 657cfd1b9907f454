//! Makes a sample report from invented recordings, to look at: `sample [folder [runs [seconds]]]`.
//!
//! The figures are those that design.md's prototype measured: a no-op floor of about 30 µs, a pool
//! at about 80 µs, jemalloc and mimalloc with pauses of about 100 ms, and a system allocator that
//! cannot hold the rate. `tests/common` has the inventor, which the tests share.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join("tailcut-sample"),
        PathBuf::from,
    );
    let number = |nth: usize, default: u64| {
        std::env::args()
            .nth(nth)
            .map_or(Ok(default), |text| text.parse())
    };
    common::write_demo(&dir, u32::try_from(number(2, 2)?)?, number(3, 7)?)?;
    let report = tailcut_report::Report::read_tree(&dir)?;
    std::fs::write(dir.join("report.html"), report.html())?;
    std::fs::write(dir.join("report.md"), report.markdown())?;
    println!("{}", report.markdown());
    println!("{}", dir.join("report.html").display());
    Ok(())
}
