//! `tailcut load compare`: is B faster than A, by how much, and how sure is that?
//!
//! Each run is a process of its own (this executable, as `tailcut load run`), so that what is decided once in the
//! life of a process differs from run to run; so is each server that is started for one. The figures are read back
//! from the recordings, by the same way by which earlier recordings are compared.

mod child;
mod plan;
mod progress;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tailcut_loadgen::Nanos;
use tailcut_loadgen::compare::session::{self, Ended};
use tailcut_report::compare::verdict::fewest_runs;
use tailcut_report::compare::{
    CompareError, Comparison, Options, Outcome, Percentile, Run, compare,
};

use self::plan::Plan;
use self::progress::Progress;
use super::{EXIT_INTERRUPTED, ScenarioArguments, refused};
use crate::interrupt::Interrupt;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  tailcut load compare heap.toml pool.toml                 two scenarios, 5 runs of each, A B B A ...
  tailcut load compare http.toml --a '--pipeline 1' --b '--pipeline 8'
  tailcut load compare -t http://127.0.0.1:8080/ -r 10k -d 20s \\
      --start-a './server-v1 --port 8080' --start-b './server-v2 --port 8080'
  tailcut load compare before/ after/                      earlier recordings: a folder of them each
  tailcut load compare --recordings out/*-a-* -- out/*-b-* the same, one by one
  tailcut load compare old.toml new.toml --fail-if-worse 5%   for CI

A run is one measurement, not a request: P99.9 of a million requests is one number, and it differs
from run to run. The verdict is about the percentiles of --judge, at a level of 5% for all of them
together, by a rank sum test with Holm's correction. 3 + 3 runs can never show a difference; one
percentile needs 4 + 4, three need 5 + 5. Intervals are bootstrap intervals over runs.

Exit status: 0 done, whatever was found; 1 failed; 2 bad arguments, or sides that cannot be compared;
3 B is worse (with --fail-if-worse); 4 a side missed its schedule; 130 interrupted (what was recorded
is kept). 4 goes before 3.";

/// As for a bad flag.
const EXIT_WORSE: u8 = 3;
const EXIT_SCHEDULE_MISSED: u8 = 4;

/// `tailcut load compare`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompareArguments {
    /// Two scenarios, A and B; one for both, with --a and --b or --start-a and --start-b; none, with the flags
    /// below; or two folders of recordings.
    #[arg(value_name = "SIDE", num_args = 0..=2)]
    pub sides: Vec<PathBuf>,
    /// Runs of each side.
    #[arg(short = 'n', long, value_name = "RUNS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Where the recordings go; must not exist, or be empty [default: tailcut-compare/TIME].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
    /// The percentiles that the verdict is about, separated by commas. The more there are, the more runs it
    /// takes.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "p50,p99,p99.9"
    )]
    pub judge: Vec<Percentile>,
    /// Exit status 3 if B is worse than A: by more than this share in the median of the runs, if one is given.
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0%", value_parser = share)]
    pub fail_if_worse: Option<f64>,
    /// Flags of A alone, in one argument: those below.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub a: Option<String>,
    /// Flags of B alone.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub b: Option<String>,
    /// Starts A's server, before each run of A, and stops it after it. Runs in a shell.
    #[arg(long, value_name = "COMMAND")]
    pub start_a: Option<String>,
    /// Starts B's server.
    #[arg(long, value_name = "COMMAND")]
    pub start_b: Option<String>,
    /// Which version A is: a revision, a release. Goes into its recordings, for reports over several versions.
    #[arg(long, value_name = "VERSION")]
    pub label_a: Option<String>,
    /// Which version B is.
    #[arg(long, value_name = "VERSION")]
    pub label_b: Option<String>,
    /// How long such a server may take until it accepts connections.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = tailcut_loadgen::parse_duration)]
    pub start_within: Nanos,
    /// What is waited between two runs, so that what one leaves behind does not burden the next.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = tailcut_loadgen::parse_duration)]
    pub pause: Nanos,
    /// Compares recordings instead of making runs: those of A; those of B after `--`.
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["sides", "out", "a", "b", "start_a", "start_b", "label_a", "label_b"])]
    pub recordings: Vec<PathBuf>,
    /// Recordings of B, with --recordings.
    #[arg(last = true, value_name = "DIR_B")]
    pub recordings_b: Vec<PathBuf>,
    #[command(flatten, next_help_heading = "Scenario, of both sides")]
    pub scenario: ScenarioArguments,
}

/// Compares.
pub fn run(arguments: &CompareArguments) -> Result<ExitCode> {
    let options = Options {
        judged: arguments.judge.clone(),
        ..Options::default()
    };
    match recordings(arguments) {
        Err(error) => Ok(refused(&error)),
        Ok(Some([a, b])) => compare_recordings(arguments, &options, &a, &b),
        Ok(None) => compare_runs(arguments, &options),
    }
}

/// The recordings that are to be compared, if runs are not to be made.
fn recordings(arguments: &CompareArguments) -> Result<Option<[Vec<PathBuf>; 2]>> {
    if !arguments.recordings.is_empty() {
        ensure!(
            !arguments.recordings_b.is_empty(),
            "--recordings needs those of B as well, after `--`"
        );
        let all = |dirs: &[PathBuf]| -> Result<Vec<PathBuf>> {
            let found: Result<Vec<_>> = dirs.iter().map(|dir| recordings_in(dir)).collect();
            Ok(found?.concat())
        };
        return Ok(Some([
            all(&arguments.recordings)?,
            all(&arguments.recordings_b)?,
        ]));
    }
    ensure!(
        arguments.recordings_b.is_empty(),
        "what follows `--` are recordings of B, and go with --recordings"
    );
    match arguments.sides.as_slice() {
        [a, b] if a.is_dir() && b.is_dir() => Ok(Some([recordings_in(a)?, recordings_in(b)?])),
        [one] if one.is_dir() => bail!(
            "{} is a folder: two of them are needed, one of A's recordings and one of B's, or see --recordings",
            one.display()
        ),
        [a, b] if a.is_dir() || b.is_dir() => {
            bail!(
                "one side is a folder of recordings and the other is none: give two folders or two scenarios"
            )
        }
        _ => Ok(None),
    }
}

/// The folder if it is a recording, else the recordings directly in it.
pub(crate) fn recordings_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let is_recording = |dir: &Path| dir.join("meta.json").is_file();
    if is_recording(dir) {
        return Ok(vec![dir.to_path_buf()]);
    }
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", dir.display()))?
            .path();
        if is_recording(&path) {
            found.push(path);
        }
    }
    found.sort();
    ensure!(
        !found.is_empty(),
        "{} holds no recording, nor do the folders in it",
        dir.display()
    );
    Ok(found)
}

fn compare_recordings(
    arguments: &CompareArguments,
    options: &Options,
    a: &[PathBuf],
    b: &[PathBuf],
) -> Result<ExitCode> {
    type Sides = Result<[Vec<Run>; 2], CompareError>;
    let read = |dirs: &[PathBuf]| -> Result<Vec<Run>, CompareError> {
        dirs.iter().map(|dir| Run::read(dir)).collect()
    };
    let sides: Sides = read(a).and_then(|a| Ok([a, read(b)?]));
    match sides.and_then(|[a, b]| compare(&a, &b, options)) {
        Ok(comparison) => {
            print(arguments, &comparison)?;
            Ok(ExitCode::from(exit_status(arguments, &comparison)))
        }
        Err(error) => Ok(refused(&error.into())),
    }
}

fn compare_runs(arguments: &CompareArguments, options: &Options) -> Result<ExitCode> {
    let prepared = Plan::of(arguments).and_then(|plan| {
        let out = output::create_folder(arguments.out.as_deref(), "tailcut-compare")?;
        Ok((plan, out))
    });
    let (plan, out) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(refused(&error)),
    };
    let interrupt = Interrupt::install()?;
    eprintln!("{}", plan.announcement(&out));
    let needed = fewest_runs(options.judged.len(), options.level);
    if (arguments.runs as usize) < needed {
        eprintln!(
            "warning: {} + {} runs cannot show any difference, however large; that takes -n {needed}, or fewer percentiles \
             in --judge",
            arguments.runs, arguments.runs
        );
    }
    plan.write_scenarios(&out)?;
    let mut progress = Progress::new(&plan);
    let session = session::run(plan.runs, &out, interrupt.flag(), |turn, dir| {
        child::run_once(&plan, turn, dir, &interrupt, &mut progress)
    });
    progress.finish();

    let comparison = compare(&session.a, &session.b, options);
    let made = match &comparison {
        Ok(comparison) => {
            let json = serde_json::to_string_pretty(comparison)?;
            output::write_whole(&out.join("comparison.json"), &json)?;
            Some(comparison)
        }
        Err(_) => None,
    };
    let kept = || {
        eprintln!(
            "{} of A and {} of B are kept in {}",
            several(session.a.len()),
            session.b.len(),
            out.display()
        );
    };
    match session.ended {
        Ended::Complete => {
            let comparison = comparison?;
            print(arguments, &comparison)?;
            eprintln!("recordings: {}", out.display());
            Ok(ExitCode::from(exit_status(arguments, &comparison)))
        }
        Ended::Interrupted => {
            // What is there says what it can.
            if let Some(comparison) = made {
                print(arguments, comparison)?;
            }
            eprintln!("interrupted");
            kept();
            Ok(ExitCode::from(EXIT_INTERRUPTED))
        }
        Ended::Failed { turn, cause } => {
            kept();
            Err(cause.context(format!("run {} of {} failed", turn.repetition, turn.side)))
        }
        Ended::CutShort { turn, reason } => {
            kept();
            bail!(
                "run {} of {} could not be recorded to its end: {reason}",
                turn.repetition,
                turn.side
            )
        }
    }
}

fn several(runs: usize) -> String {
    format!("{runs} run{}", if runs == 1 { "" } else { "s" })
}

fn print(arguments: &CompareArguments, comparison: &Comparison) -> Result<()> {
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(comparison)?);
    } else {
        anstream::print!("{}", show::result(comparison));
    }
    Ok(())
}

fn exit_status(arguments: &CompareArguments, comparison: &Comparison) -> u8 {
    if comparison.a.schedules_missed + comparison.b.schedules_missed > 0 {
        return EXIT_SCHEDULE_MISSED;
    }
    let Some(tolerated) = arguments.fail_if_worse else {
        return 0;
    };
    let worse = matches!(comparison.verdict.outcome, Outcome::Worse | Outcome::Mixed)
        && comparison.rows.iter().any(|row| {
            !row.stars().is_empty() && row.superiority > 0.5 && row.ratio > 1.0 + tolerated
        });
    if worse { EXIT_WORSE } else { 0 }
}

/// `5%`, or `0.05`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let refused = || format!("'{text}' is no share; write for example 5% or 0.05");
    let value = match text.trim().strip_suffix('%') {
        Some(number) => number.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.trim().parse(),
    };
    value
        .ok()
        .filter(|value| (0.0..=100.0).contains(value))
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests;
