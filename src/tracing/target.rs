//! Which process is meant.

use anyhow::{Result, bail};
use tailcut_probe::target_choice::{ProcessTable, Several, TargetChoice};

use crate::cli::TargetArguments;

/// The number of the process that the arguments name.
///
/// # Errors
/// Nobody is meant, or several are.
pub fn find(arguments: &TargetArguments) -> Result<u32> {
    let choice = match (arguments.pid, &arguments.name) {
        (Some(pid), _) => TargetChoice::Pid(pid),
        (None, Some(name)) => TargetChoice::Name(name.parse()?),
        (None, None) => bail!("which process? -p PID, or -n NAME; `ps -e` lists those there are"),
    };
    Ok(choice.find(&ProcessTable::here(), Several::Refuse)?.pid)
}
