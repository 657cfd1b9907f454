//! What can be traced in a process: `cargo run --example survey -- PID`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let pid = std::env::args()
        .nth(1)
        .ok_or("usage: survey PID")?
        .parse()?;
    for line in tailcut_probe::binary::survey(pid)?.lines() {
        println!("{line}");
    }
    Ok(())
}
