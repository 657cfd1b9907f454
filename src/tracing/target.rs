//! Which process is meant.

use anyhow::{Result, bail};
use tailcut_probe::target_choice::{ProcessTable, Several, TargetChoice};

use crate::cli::TargetArguments;

/// Whom the arguments name, and what to do if that is several.
pub fn choice(arguments: &TargetArguments, newest: bool) -> Result<(TargetChoice, Several)> {
    let choice = match arguments {
        TargetArguments { pid: Some(pid), .. } => TargetChoice::Pid(*pid),
        TargetArguments {
            name: Some(name), ..
        } => TargetChoice::Name(name.parse()?),
        TargetArguments {
            unit: Some(unit), ..
        } => TargetChoice::Unit(unit.parse()?),
        _ => bail!("which process? -p PID, -n NAME or --unit UNIT; `ps -e` lists those there are"),
    };
    let several = if newest {
        Several::Newest
    } else {
        Several::Refuse
    };
    Ok((choice, several))
}

/// The number of the process that the arguments name.
pub fn find(arguments: &TargetArguments, newest: bool) -> Result<u32> {
    let (choice, several) = choice(arguments, newest)?;
    Ok(choice.find(&ProcessTable::here(), several)?.pid)
}
