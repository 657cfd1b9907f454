//! Makes two sample reports of loads on a server from invented recordings, to look at:
//! `sample_load [folder [seconds]]`. In `one` the server is frozen for 1.4 s, in `several` three
//! loads stand beside each other, one of them in closed loop. `tests/common` has the inventor, which
//! the tests share.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

use common::network::{closed, load};
use common::{SECOND, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join("tailcut-sample-load"),
        PathBuf::from,
    );
    let seconds = std::env::args()
        .nth(2)
        .map_or(Ok(10), |text| text.parse())?;
    let frozen = Some(3 * SECOND);
    write(
        &dir.join("one/checkout"),
        &load("checkout", 0, seconds, frozen),
    )?;
    let several = dir.join("several");
    write(&several.join("frozen"), &load("frozen", 0, seconds, frozen))?;
    write(
        &several.join("left-alone"),
        &load("left alone", 1, seconds, None),
    )?;
    write(&several.join("ceiling"), &closed("ceiling", 2, seconds))?;
    for part in ["one", "several"] {
        let folder = dir.join(part);
        let report = tailcut_report::Report::read_tree(&folder)?;
        std::fs::write(folder.join("report.html"), report.html())?;
        std::fs::write(folder.join("report.md"), report.markdown())?;
        println!("{}", folder.join("report.html").display());
    }
    Ok(())
}
