//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tailcut_loadgen::{Nanos, Rate, parse_count, parse_duration};

/// Proves that memory allocation causes a latency tail, removes it, and proves that it is gone.
#[derive(Debug, Parser)]
#[command(name = "tailcut", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reproduces the spike with an order service on this machine, removes it, shows the difference.
    Demo(DemoArguments),
    /// Makes a report of recordings: a self-contained page, Markdown, or JSON.
    Report(ReportArguments),
    /// Says what can be traced on this host, what is missing, and the command that mends it.
    #[cfg(target_os = "linux")]
    Doctor(DoctorArguments),
    /// One run of the demo, in a process of its own; told what to do on standard input.
    #[command(hide = true)]
    RunVariant,
}

const DEMO_EXAMPLES: &str = "\
Examples:
  tailcut demo                                  2.4M orders/s, every allocator and the pool, A B B A
  tailcut demo --rate 1M --allocator jemalloc   one allocator against the pool, at a lower rate
  tailcut demo --duration 30s --out before-after
  tailcut demo --json > demo.json               one JSON object, and nothing else, on standard output

Exit status: 0 done; 1 failed; 2 bad arguments; 4 the no-op or the pool missed the schedule, so that
nothing can be concluded at this rate; 130 interrupted (what was recorded is kept, marked partial).";

#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub struct DemoArguments {
    /// Orders per second that the schedule holds, over all workers: 2.4M, 500k, 2_400_000.
    #[arg(long, default_value = "2.4M", value_name = "RATE")]
    pub rate: Rate,
    /// Length of each measured run. Every variant runs twice, after one second of warm-up.
    #[arg(long, default_value = "6s", value_name = "TIME", value_parser = run_length)]
    pub duration: Nanos,
    /// The heap allocator to compare the pool with.
    #[arg(long, value_enum, default_value_t = AllocatorChoice::All)]
    pub allocator: AllocatorChoice,
    /// Live orders, which are settled all at once when there are so many.
    #[arg(long, default_value = "120000", value_name = "ORDERS", value_parser = parse_count)]
    pub window: u64,
    /// Worker threads, each pinned to a core of its own [default: all cores but one, at least one].
    #[arg(long, value_name = "N")]
    pub workers: Option<u32>,
    /// Decodes orders on one core and settles them on another; needs two cores a worker.
    #[arg(long)]
    pub handoff: bool,
    /// Where recordings and report go; must not exist, or be empty [default: tailcut-demo/TIME].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Which heap allocators the demo compares the pool with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AllocatorChoice {
    /// The C library's own.
    System,
    /// jemalloc, at its default settings.
    Jemalloc,
    /// mimalloc, at its default settings.
    Mimalloc,
    /// All three.
    All,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  tailcut report tailcut-demo/2026-01-31T12-00-00
  tailcut report before-after -o page.html
  tailcut report before-after --md > comment.md";

#[derive(Debug, Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub struct ReportArguments {
    /// A recording, or a folder of recordings.
    #[arg(value_name = "DIR")]
    pub recordings: PathBuf,
    /// Where the page goes [default: report.html in the folder of the recordings].
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["md", "json"])]
    pub output: Option<PathBuf>,
    /// Prints Markdown instead of writing a page.
    #[arg(long, conflicts_with = "json")]
    pub md: bool,
    /// Prints JSON instead of writing a page.
    #[arg(long)]
    pub json: bool,
}

#[cfg(target_os = "linux")]
const DOCTOR_EXAMPLES: &str = "\
Examples:
  sudo tailcut doctor
  sudo tailcut doctor -p $(pgrep -o redis-server)
  tailcut doctor --json | jq '.checks[] | select(.outcome != \"yes\")'

It measures what one hit of a user probe costs here, by probing functions of its own, which takes
about a quarter of a second. Marks: ok; warn (something is left out); no (nothing can be traced);
? (could not be found out); - (absent, and not used).

Exit status: 0 everything that tracing needs is there; 1 something is missing; 2 bad arguments.";

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
#[command(after_help = DOCTOR_EXAMPLES)]
pub struct DoctorArguments {
    /// A process that is to be traced: says whether it can be.
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// A run has at least one whole second, the unit of its percentiles over time.
fn run_length(text: &str) -> Result<Nanos, String> {
    const SECOND: u64 = 1_000_000_000;
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    match length {
        Nanos(short) if short < SECOND => Err(format!(
            "a run of {text} has no whole second, the unit of percentiles over time; give 1s or more"
        )),
        length => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bad_values_are_refused_before_anything_runs() {
        for bad in [
            &["--rate", "0"][..],
            &["--rate", "-5"],
            &["--rate", "fast"],
            &["--rate", "99e99"],
            &["--duration", "0s"],
            &["--duration", "10ms"],
            &["--window", "0"],
            &["--workers", "many"],
            &["--allocator", "tlsf"],
        ] {
            let words = ["tailcut", "demo"].iter().chain(bad);
            assert!(Cli::try_parse_from(words).is_err(), "{bad:?} was accepted");
        }
    }
}
