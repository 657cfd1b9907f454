//! `tailcut serve`: a live process as metrics for Prometheus.

use std::process::ExitCode;

use anyhow::Result;
use tailcut_probe::Session;
use tailcut_probe::export::{self, ServeOptions};
use tailcut_probe::stop::Stop;

use super::record::options;
use super::target;
use crate::cli::ServeArguments;

/// Exports until somebody stops it, or the process that was named by number ends.
pub fn serve(arguments: &ServeArguments) -> Result<ExitCode> {
    super::give_up_privileges()?;
    let (choice, several) = target::choice(&arguments.target, arguments.newest)?;
    let served = ServeOptions {
        listen: arguments.listen,
        allow_remote: arguments.allow_remote,
        several,
        ..ServeOptions::new(choice, Stop::on_signals()?)
    };
    let traced = options(&arguments.trace);
    export::serve(
        &served,
        |process| Session::attach(process.pid, traced.clone()),
        |event| eprintln!("{event}"),
    )?;
    Ok(ExitCode::SUCCESS)
}
