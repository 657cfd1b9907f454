//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tailcut_loadgen::{Nanos, Rate, parse_count, parse_duration};
use tailcut_probe::catalogue::Selection;

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
    /// Loads a service open loop, within this process or over the network, and compares such runs.
    Load(Box<crate::load::LoadArguments>),
    /// Records allocator calls and pauses of a live process, by eBPF.
    Record(RecordArguments),
    /// Shows allocator calls and pauses of a live process while they happen.
    Top(TopArguments),
    /// Exports allocator calls and pauses of a live process to Prometheus, until it is stopped.
    Serve(ServeArguments),
    /// Makes a report of recordings: a self-contained page, Markdown, or JSON.
    Report(ReportArguments),
    /// Says, for CI, whether new runs may replace old ones: no significant regression, no broken objective.
    Gate(crate::gate::GateArguments),
    /// Says what can be traced on this host, what is missing, and the command that mends it.
    #[cfg(target_os = "linux")]
    Doctor(DoctorArguments),
    /// One run of the demo, in a process of its own; told what to do on standard input.
    #[command(hide = true)]
    RunVariant,
    /// Burns CPU, takes memory, or thaws what was frozen: a fault on purpose, in a process of its own.
    #[command(hide = true)]
    RunFault {
        /// What to do.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        deed: Vec<String>,
    },
    /// Becomes the program that is to be traced, as soon as the tracer says so.
    #[command(hide = true)]
    RunTraced {
        /// Where the word comes from.
        descriptor: i32,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<String>,
    },
}

const DEMO_EXAMPLES: &str = "\
Examples:
  tailcut demo                                  2.4M orders/s, every allocator and the pool, A B B A
  tailcut demo --rate 1M --allocator jemalloc   one allocator against the pool, at a lower rate
  tailcut demo --duration 30s --out before-after
  tailcut demo --json > demo.json               one JSON object, and nothing else, on standard output
  sudo tailcut demo --incident go               the original incident: the service in Go, its collector
                                                traced, before and after, beside Rust

Exit status: 0 done; 1 failed; 2 bad arguments, or no Go for --incident go; 4 the no-op, the pool or
Go's sync.Pool missed the schedule, so that nothing can be concluded at this rate; 130 interrupted
(what was recorded is kept, marked partial).";

#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub struct DemoArguments {
    /// Builds the order service in Go of the original incident with the Go found here, and measures its forms beside those
    /// in Rust, at the highest rate that its heap form holds.
    #[arg(long, value_enum, value_name = "LANGUAGE", conflicts_with = "handoff")]
    pub incident: Option<Incident>,
    /// Orders per second that the schedule holds, over all workers: 2.4M, 500k, 2_400_000 [default: 2.4M; with
    /// --incident searched, from 2.4M downwards].
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// Length of each measured run, after one second of warm-up.
    #[arg(long, default_value = "6s", value_name = "TIME", value_parser = run_length)]
    pub duration: Nanos,
    /// Runs of every variant, A B B A. More of them tell smaller differences [default: 2; with --incident 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: Option<u32>,
    /// The heap allocator to compare the pool with [default: all; with --incident jemalloc and mimalloc].
    #[arg(long, value_enum)]
    pub allocator: Option<AllocatorChoice>,
    /// Live orders, which are settled all at once when there are so many [default: 120000; with --incident 100000].
    #[arg(long, value_name = "ORDERS", value_parser = parse_count)]
    pub window: Option<u64>,
    /// Worker threads, each pinned to a core of its own [default: all cores but one, at least one].
    #[arg(long, value_name = "N")]
    pub workers: Option<u32>,
    /// Decodes orders on one core and settles them on another; needs two cores a worker.
    #[arg(long)]
    pub handoff: bool,
    /// Does not trace the kernel's pauses, which is done along with the runs if this is root.
    #[arg(long)]
    pub no_trace: bool,
    /// Where recordings and report go; must not exist, or be empty [default: tailcut-demo/TIME].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// An incident that the demo can reproduce as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Incident {
    /// Mark assist in an order service written in Go.
    Go,
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

/// Which process.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct TargetArguments {
    /// The process to trace.
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// The process of this name or executable; `*` stands for anything. More than one is an error
    /// that lists them.
    #[arg(short, long, value_name = "NAME")]
    pub name: Option<String>,
    /// The main process of this systemd unit.
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
}

/// What the commands that trace have in common.
#[derive(Debug, Args)]
pub struct TraceArguments {
    /// What to trace, separated by commas: malloc, free, slow-paths (calls, in short windows), faults,
    /// syscalls, sched, futex, kernel, tlb, pool, gc (pauses; gc in Go programs only), gc-detail, go-alloc
    /// (of Go programs, in short windows), default, all.
    #[arg(long, default_value = "default", value_name = "LIST")]
    pub series: Selection,
    /// From which length on a pause or call is recorded by itself, with its thread.
    #[arg(long, default_value = "100us", value_name = "TIME", value_parser = parse_duration)]
    pub threshold: Nanos,
    /// Records the stacks of such pauses and calls, too.
    #[arg(long)]
    pub stacks: bool,
    /// Share of the target's CPU time that tracing may cost, or of one CPU's if it uses less. 100% lets
    /// everything stay attached.
    #[arg(long, default_value = "1%", value_name = "SHARE", value_parser = share)]
    pub budget: f64,
    /// Traces the processes that the target forks, too.
    #[arg(long)]
    pub follow: bool,
}

const RECORD_EXAMPLES: &str = "\
Examples:
  sudo tailcut record -p 4711 -d 30s              pauses of process 4711 for half a minute
  sudo tailcut record -p 4711 -o before --stacks  with the stacks of those over 100 us
  sudo tailcut record --series default,malloc,free -p 4711   allocator calls, too, in short windows
  sudo tailcut record -- redis-server --port 7777 a program from its first instruction on
  tailcut report before                           what was recorded

Exit status: 0 done; 1 failed; 2 bad arguments; 130 interrupted before anything was recorded.
Ctrl-C ends a recording in order.";

#[derive(Debug, Args)]
#[command(after_help = RECORD_EXAMPLES)]
pub struct RecordArguments {
    #[command(flatten)]
    pub target: TargetArguments,
    /// Of several processes of that name, the one that was started last.
    #[arg(long, requires = "name")]
    pub newest: bool,
    /// How long [default: until it ends, or Ctrl-C].
    #[arg(short, long, value_name = "TIME", value_parser = seconds_or_duration)]
    pub duration: Option<Nanos>,
    /// Where the recording goes; must not exist, or be empty [default: tailcut-recording/TIME].
    #[arg(short, long = "out", value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub trace: TraceArguments,
    /// What the flame graph's widths mean: time, count or bytes. Needs --stacks.
    #[arg(long, default_value = "time", value_name = "WEIGHT")]
    pub flame_graph: FlameGraphBy,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
    /// A program to start and trace, with its arguments.
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["pid", "name", "unit"])]
    pub program: Vec<String>,
}

/// What a flame graph's widths mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FlameGraphBy {
    /// Time in slow events.
    Time,
    /// Number of slow events.
    Count,
    /// Bytes that they were about.
    Bytes,
}

const TOP_EXAMPLES: &str = "\
Examples:
  sudo tailcut top -p 4711                         pauses, live; q leaves, ? explains the keys
  sudo tailcut top -n redis-server --series default,malloc,free
  sudo tailcut top -p 4711 --once                  one table of text after one second
  sudo tailcut top -p 4711 --json | jq .series     one JSON object a second

Exit status: 0 left, or the target ended; 1 failed; 2 bad arguments.";

#[derive(Debug, Args)]
#[command(after_help = TOP_EXAMPLES)]
pub struct TopArguments {
    #[command(flatten)]
    pub target: TargetArguments,
    /// Of several processes of that name, the one that was started last.
    #[arg(long, requires = "name")]
    pub newest: bool,
    #[command(flatten)]
    pub trace: TraceArguments,
    /// Prints one table after one second, and ends.
    #[arg(long, conflicts_with = "json")]
    pub once: bool,
    /// Prints one JSON object a second, each on a line of its own.
    #[arg(long)]
    pub json: bool,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  sudo tailcut serve -p 4711                        http://127.0.0.1:9184/metrics, until it ends
  sudo tailcut serve -n order-service --newest      and the next one of that name after it
  sudo tailcut serve --unit orders.service --listen 127.0.0.1:9999

Prometheus' native histograms are given to who asks for them. Exit status: 0 stopped, or the process
of -p ended; 1 failed; 2 bad arguments.";

#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArguments {
    #[command(flatten)]
    pub target: TargetArguments,
    /// Of several processes of that name, the one that was started last.
    #[arg(long, requires = "name")]
    pub newest: bool,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value_t = tailcut_probe::export::DEFAULT_ADDRESS)]
    pub listen: std::net::SocketAddr,
    /// Allows an address that other machines can reach: whoever asks is given figures of the process.
    #[arg(long)]
    pub allow_remote: bool,
    #[command(flatten)]
    pub trace: TraceArguments,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  tailcut report tailcut-demo/2026-01-31T12-00-00
  tailcut report before/ after/ -o page.html      what one folder holds against what the other does
  tailcut report tailcut-demo/* --before jemalloc --after mimalloc
  tailcut report v1/ v2/ v3/ --trend              P99.9 from version to version
  tailcut report before-after --md > comment.md
  tailcut report before-after --csv figures --trace trace.json   for other programs; no page

Exit status: 0 done; 1 failed; 2 bad arguments; 5 done, but something of a recording could not be
read (what could be is shown, marked partial).";

#[derive(Debug, Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub struct ReportArguments {
    /// Recordings, or folders of recordings; each recording counts once.
    #[arg(value_name = "REC", required_unless_present = "schema")]
    pub recordings: Vec<PathBuf>,
    #[command(flatten)]
    pub sides: crate::sides::SidesArguments,
    #[command(flatten)]
    pub form: FormArguments,
    #[command(flatten)]
    pub exports: ExportArguments,
    /// Prints the JSON Schema of what --json prints, and does nothing else.
    #[arg(long, exclusive = true)]
    pub schema: bool,
}

/// In which form a report is made, and where it goes.
#[derive(Debug, Args)]
pub struct FormArguments {
    /// Where the report goes; `-` for standard output [default: for a page report.html in the folder of
    /// the recordings, or here if there are several; else standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Markdown instead of a page, for a comment on a change.
    #[arg(long, conflicts_with = "json")]
    pub md: bool,
    /// JSON instead of a page; --schema prints what is in it.
    #[arg(long)]
    pub json: bool,
}

/// What a report exports for other programs. With one of these and without -o there is no page.
#[derive(Debug, Args)]
#[command(next_help_heading = "Exports (no page is made beside them unless -o names one)")]
pub struct ExportArguments {
    /// Comma-separated values: seconds, percentiles, figures, single pauses.
    #[arg(long, value_name = "DIR")]
    pub csv: Option<PathBuf>,
    /// Percentile distributions as HdrHistogram's plotters read them, in microseconds.
    #[arg(long, value_name = "DIR")]
    pub hgrm: Option<PathBuf>,
    /// Slow requests and pauses on one timeline, for ui.perfetto.dev and chrome://tracing; `-` for
    /// standard output.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

impl ExportArguments {
    /// Whether any is asked for.
    pub fn any(&self) -> bool {
        self.csv.is_some() || self.hgrm.is_some() || self.trace.is_some()
    }
}

/// A number alone is of seconds, as in other tracers.
fn seconds_or_duration(text: &str) -> Result<Nanos, String> {
    let with_unit = match text.trim().parse::<f64>() {
        Ok(_) => format!("{}s", text.trim()),
        Err(_) => text.to_owned(),
    };
    parse_duration(&with_unit).map_err(|error| error.to_string())
}

/// `1%`, or `0.01`.
fn share(text: &str) -> Result<f64, String> {
    let refused = || format!("{text:?} is no share of CPU time: give 1%, or 0.01, up to 100%");
    let value = match text.trim().strip_suffix('%') {
        Some(number) => number.trim().parse::<f64>().map_err(|_| refused())? / 100.0,
        None => text.trim().parse().map_err(|_| refused())?,
    };
    (value > 0.0 && value <= 1.0)
        .then_some(value)
        .ok_or_else(refused)
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
            &["--incident", "java"],
            &["--incident", "go", "--handoff"],
        ] {
            let words = ["tailcut", "demo"].iter().chain(bad);
            assert!(Cli::try_parse_from(words).is_err(), "{bad:?} was accepted");
        }
    }
}
