//! `tailcut`: proves that memory allocation causes a latency tail, removes it, and proves that it
//! is gone.
//!
//! This file only dispatches. [`demo`] runs the whole loop; [`load`] makes load; [`render`] makes a report of
//! recordings; [`gate`] says whether one set of them may replace another; [`tracing`] watches a live process; [`doctor`] says what can be traced here;
//! [`allocator`] is why one executable can run on any allocator.

mod allocator;
mod cli;
mod demo;
#[cfg(target_os = "linux")]
mod doctor;
mod gate;
mod interrupt;
mod load;
mod output;
mod render;
mod sides;
mod tracing;

use std::process::ExitCode;

use clap::Parser;

/// As a shell counts it: 128 and the number of SIGPIPE.
const EXIT_NOBODY_READS: u8 = 141;

/// Ends the program quietly when whoever read its standard output has gone (`| head`), which the standard
/// library takes for a panic.
fn end_when_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        if message.is_some_and(|text| text.starts_with("failed printing to stdout: Broken pipe")) {
            std::process::exit(EXIT_NOBODY_READS.into());
        }
        usual(panic);
    }));
}

fn main() -> ExitCode {
    end_when_nobody_reads();
    let result = match cli::Cli::parse().command {
        cli::Command::Demo(arguments) => demo::run(&arguments),
        cli::Command::Load(arguments) => load::run(&arguments),
        cli::Command::Report(arguments) => render::run(&arguments),
        cli::Command::Gate(arguments) => gate::run(&arguments),
        cli::Command::Record(arguments) => tracing::record(&arguments),
        cli::Command::Top(arguments) => tracing::top(&arguments),
        cli::Command::Serve(arguments) => tracing::serve(&arguments),
        #[cfg(target_os = "linux")]
        cli::Command::Doctor(arguments) => doctor::run(&arguments),
        cli::Command::RunVariant => demo::run_variant(),
        cli::Command::RunFault { deed } => Ok(tailcut_loadgen::scenario::fault::run_helper(&deed)),
        cli::Command::RunTraced {
            descriptor,
            program,
        } => tracing::run_traced(descriptor, &program),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
