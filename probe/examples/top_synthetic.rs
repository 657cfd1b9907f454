//! The live view of a synthetic target: a look at `tailcut top` without privileges.
//!
//! ```text
//! cargo run -p tailcut-probe --example top_synthetic                the screen; q leaves
//! cargo run -p tailcut-probe --example top_synthetic -- --once      one table
//! cargo run -p tailcut-probe --example top_synthetic -- --json      one object a second
//! cargo run -p tailcut-probe --example top_synthetic -- --end 10    the target ends after 10 s
//! ```

use std::error::Error;
use std::io::stdout;
use std::process::ExitCode;

use tailcut_probe::live::{SyntheticTarget, Theme, TopOptions, run_top, top_json, top_once};
use tailcut_probe::stop::Stop;

fn main() -> ExitCode {
    match look() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn look() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let mut source = SyntheticTarget::new().in_real_time();
    if let Some(place) = arguments.iter().position(|argument| argument == "--end") {
        let seconds = arguments.get(place + 1).ok_or("--end needs seconds")?;
        source = source.ending_after(seconds.parse()?);
    }
    let stop = Stop::on_signals()?;
    if has("--once") {
        top_once(&mut source, &mut stdout(), &stop)?;
    } else if has("--json") {
        top_json(&mut source, &mut stdout(), &stop)?;
    } else {
        let theme = Theme::from_environment();
        run_top(&mut source, TopOptions { theme, stop })?;
    }
    Ok(())
}
