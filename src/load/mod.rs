//! `tailcut load`: load on a service, of this process or over the network, and what is made of such runs.
//!
//! Each command has a file of its own.

mod serve;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// `tailcut load`.
#[derive(Debug, Args)]
pub struct LoadArguments {
    #[command(subcommand)]
    command: LoadCommand,
}

/// What can be done with load.
#[derive(Debug, Subcommand)]
enum LoadCommand {
    /// Serves the order service over the network, as a target to load, until it is stopped.
    Serve(serve::ServeArguments),
}

/// Does it.
pub fn run(arguments: &LoadArguments) -> Result<ExitCode> {
    match &arguments.command {
        LoadCommand::Serve(arguments) => serve::run(arguments),
    }
}
