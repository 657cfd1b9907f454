//! The exporter on a synthetic target: what `tailcut serve` gives a scraper, without privileges.
//!
//! ```text
//! cargo run -p tailcut-probe --example serve_synthetic -- PID [ADDRESS]
//! ```
//!
//! The process only has to exist; nothing of it is looked at.

use std::error::Error;
use std::process::ExitCode;

use tailcut_probe::export::{ServeOptions, serve};
use tailcut_probe::live::SyntheticTarget;
use tailcut_probe::stop::Stop;
use tailcut_probe::target_choice::TargetChoice;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let process = arguments
        .next()
        .ok_or("give the number of a process")?
        .parse()?;
    let mut options = ServeOptions::new(TargetChoice::Pid(process), Stop::on_signals()?);
    if let Some(address) = arguments.next() {
        options.listen = address.parse()?;
    }
    let attach = |_: &_| Ok(SyntheticTarget::new().in_real_time());
    serve(&options, attach, |event| eprintln!("{event}"))?;
    Ok(())
}
