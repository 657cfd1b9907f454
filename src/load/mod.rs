//! `tailcut load`: load on a service, of this process or over the network, and what is made of such runs.
//!
//! [`scenario`] holds the flags that say what to run; every command that runs something takes them, beside or
//! instead of a scenario file. Each command has a file of its own.

mod ceiling;
pub(crate) mod compare;
mod ending;
mod json;
mod live;
mod merge;
mod run;
mod scenario;
mod search;
mod series;
mod serve;
mod show;
mod sweep;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use tailcut_loadgen::Labels;

use crate::allocator::Allocator;

pub use scenario::ScenarioArguments;

const EXAMPLES: &str = "\
Examples:
  tailcut load run --target http://127.0.0.1:8080/ --rate 10k --slo 'p99.9<5ms,errors<0.1%'
  tailcut load run examples/scenarios/http-nginx.toml

Every command has its own --help, with examples and exit status.";

/// Bad arguments, in a flag or in a scenario file.
const EXIT_REFUSED: u8 = 2;
/// The run was interrupted.
const EXIT_INTERRUPTED: u8 = 130;

/// `tailcut load`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LoadArguments {
    #[command(subcommand)]
    command: LoadCommand,
}

/// What can be done with load.
#[derive(Debug, Subcommand)]
enum LoadCommand {
    /// Runs a scenario once: a file, flags, or flags over a file.
    Run(Box<run::RunArguments>),
    /// Finds the highest rate that holds the objectives.
    Search(Box<search::SearchArguments>),
    /// Runs a scenario over a grid of one or two parameters.
    Sweep(Box<sweep::SweepArguments>),
    /// Compares two sides: runs of both, interleaved, and what they show.
    Compare(Box<compare::CompareArguments>),
    /// Finds the generator's own ceiling on this machine, transport by transport.
    Ceiling(ceiling::CeilingArguments),
    /// Makes one recording of those of all shards of a load.
    Merge(merge::MergeArguments),
    /// Serves the order service over the network, as a target to load, until it is stopped.
    Serve(serve::ServeArguments),
}

/// Does it.
pub fn run(arguments: &LoadArguments) -> Result<ExitCode> {
    // Faults on purpose are done by this program again.
    if let Ok(program) = std::env::current_exe() {
        tailcut_loadgen::scenario::fault::register_helper(program);
    }
    match &arguments.command {
        LoadCommand::Run(arguments) => run::run(arguments),
        LoadCommand::Search(arguments) => search::run(arguments),
        LoadCommand::Sweep(arguments) => sweep::run(arguments),
        LoadCommand::Compare(arguments) => compare::run(arguments),
        LoadCommand::Ceiling(arguments) => ceiling::run(arguments),
        LoadCommand::Merge(arguments) => merge::run(arguments),
        LoadCommand::Serve(arguments) => serve::run(arguments),
    }
}

/// The end of a command whose arguments were found wrong: told as a bad flag would be.
fn refused(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(EXIT_REFUSED)
}

/// What a recording of this command says about itself.
fn labels(run: u32, sequence: u32) -> Labels {
    Labels {
        tool: format!("tailcut {}", env!("CARGO_PKG_VERSION")),
        variant: String::new(), // the scenario's name
        label: String::new(),
        run,
        sequence,
        command: std::iter::once("tailcut".to_owned())
            .chain(std::env::args().skip(1))
            .collect(),
        allocator: Allocator::current().description().to_owned(),
    }
}
