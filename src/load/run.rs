//! `tailcut load run`: a scenario, once.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{ScenarioArguments, refused};

/// `tailcut load run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// A scenario in TOML. Flags go over what it says.
    #[arg(value_name = "SCENARIO.toml")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub scenario: ScenarioArguments,
}

/// Runs it.
pub fn run(arguments: &RunArguments) -> Result<ExitCode> {
    let _scenario = match arguments.scenario.scenario(arguments.file.as_deref()) {
        Ok(scenario) => scenario,
        Err(error) => return Ok(refused(&error.into())),
    };
    Ok(ExitCode::SUCCESS)
}
