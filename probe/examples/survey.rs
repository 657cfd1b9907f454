//! What can be traced in a process: `cargo run --example survey -- PID`, with `--full` for the
//! reasons behind each site.

use std::error::Error;
use tailcut_probe::binary::survey::{Detail, survey};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let pid = arguments.next().ok_or("usage: survey PID [--full]")?;
    let detail = match arguments.next().as_deref() {
        Some("--full") => Detail::Full,
        _ => Detail::Brief,
    };
    for line in survey(pid.parse()?)?.lines(detail) {
        println!("{line}");
    }
    Ok(())
}
