//! `tailcut top`: a live process on the screen, as a table, or as JSON lines.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Result;
use tailcut_probe::live::{Theme, TopError, TopOptions, run_top, top_json, top_once};
use tailcut_probe::stop::Stop;

use super::record::options;
use super::target;
use crate::cli::TopArguments;

/// Shows a process until somebody leaves, or once.
pub fn top(arguments: &TopArguments) -> Result<ExitCode> {
    if !arguments.once && !arguments.json && !io::stdout().is_terminal() {
        return Err(TopError::<tailcut_probe::SessionError>::NotATerminal.into());
    }
    super::give_up_privileges()?;
    let pid = target::find(&arguments.target, arguments.newest)?;
    let mut session = super::attach(pid, options(&arguments.trace))?;
    let stop = Stop::on_signals()?;
    let ended = if arguments.json {
        top_json(&mut session, &mut io::stdout().lock(), &stop)
    } else if arguments.once {
        top_once(&mut session, &mut io::stdout().lock(), &stop)
    } else {
        run_top(
            &mut session,
            TopOptions {
                theme: Theme::from_environment(),
                stop,
            },
        )
    };
    ended?;
    Ok(ExitCode::SUCCESS)
}
