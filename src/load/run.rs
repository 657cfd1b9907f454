//! `tailcut load run`: a scenario, once.
//!
//! Everything that can be refused is refused before the first request: with exit status 2, and nothing left
//! behind. What the run says goes to standard output when it is over, everything before that to standard error.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tailcut_loadgen::scenario::{self, Scenario};
use tailcut_loadgen::{Labels, LiveSecond, LoadError, RunOutcome};

use super::ending::Ending;
use super::live::Live;
use super::{ScenarioArguments, json, labels, refused, show};
use crate::interrupt::Interrupt;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  tailcut load run --target http://127.0.0.1:8080/ --rate 10k --duration 30s
  tailcut load run orders.toml --rate 400k                  flags go over the file
  tailcut load run orders.toml --slo 'p99.9<1ms,errors<0.05%'
  tailcut load run -t in-process:pool --rate 2.4M           no network: the service itself
  tailcut load run -t tcp://127.0.0.1:7000 --closed         a server's ceiling, not its latency
  tailcut load run orders.toml --fault freeze@3s+1400ms     the target stands still in between
  tailcut load run orders.toml --print-scenario             what would run, everything decided
  tailcut load run orders.toml --json | jq .latency_ns.response

Response time counts from the instant at which a request was due. What could not be sent counts,
too. Percentiles that less than one request lies beyond are left out: they would be the maximum.

Exit status: 0 done; 1 failed; 2 bad arguments or a bad scenario; 3 an objective of --slo is
broken; 4 the schedule was missed; 130 interrupted (what was recorded is kept, marked partial).
4 goes before 3: a run that missed its schedule is no run at that rate, and its
latencies are lower bounds.";

/// `tailcut load run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArguments {
    /// A scenario in TOML. Flags go over what it says.
    #[arg(value_name = "SCENARIO.toml")]
    pub file: Option<PathBuf>,
    /// Where the recording goes; must not exist, or be empty [default: tailcut-load/TIME].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
    /// Prints the scenario that would run, as TOML with everything decided, and runs nothing.
    #[arg(long, conflicts_with_all = ["json", "out"])]
    pub print_scenario: bool,
    /// Which repetition of the scenario this is: of a comparison, which makes its runs by this command.
    #[arg(long, value_name = "N", default_value_t = 1, hide = true)]
    pub repetition: u32,
    /// Its place among all runs of the comparison.
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    pub sequence: u32,
    /// Which version is loaded: a revision, a release. Reports over several of them show the trend.
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "",
        hide_default_value = true
    )]
    pub label: String,
    #[command(flatten)]
    pub scenario: ScenarioArguments,
}

/// Runs it.
pub fn run(arguments: &RunArguments) -> Result<ExitCode> {
    let decided = arguments
        .scenario
        .scenario(arguments.file.as_deref())
        .map_err(anyhow::Error::from);
    let scenario = match decided {
        Ok(scenario) => scenario,
        Err(error) => return Ok(refused(&error)),
    };
    if arguments.print_scenario {
        print!("{}", scenario.to_toml()?);
        return Ok(ExitCode::SUCCESS);
    }
    let existed = arguments.out.as_ref().is_some_and(|out| out.exists());
    let dir = match output::create_folder(arguments.out.as_deref(), "tailcut-load") {
        Ok(dir) => dir,
        Err(error) => return Ok(refused(&error)),
    };
    let interrupt = Interrupt::install()?;
    let ran = watched(arguments, &scenario, &dir, &mut |dir, labels, on_second| {
        scenario::run(&scenario, dir, labels, interrupt.flag(), on_second)
    });
    match ran {
        Ok(_) if interrupt.requested() => Ok(ExitCode::from(super::EXIT_INTERRUPTED)),
        Ok(ending) => Ok(ExitCode::from(ending.exit_status())),
        Err(error) => {
            if !existed {
                // Only if nothing was recorded: a folder that holds something stays.
                let _ = std::fs::remove_dir(&dir);
                if let (None, Some(parent)) = (&arguments.out, dir.parent()) {
                    let _ = std::fs::remove_dir(parent);
                }
            }
            match error.downcast_ref::<LoadError>() {
                Some(LoadError::Scenario(_) | LoadError::Fault(_) | LoadError::Resource(_)) => {
                    Ok(refused(&error))
                }
                _ => Err(error),
            }
        }
    }
}

/// Something that runs the scenario into a folder.
type Runs<'r> =
    dyn FnMut(&Path, &Labels, &mut dyn FnMut(&LiveSecond)) -> Result<RunOutcome, LoadError> + 'r;

/// Announces the run, shows it while it goes on, and prints what came of it.
fn watched(
    arguments: &RunArguments,
    scenario: &Scenario,
    dir: &Path,
    runs: &mut Runs<'_>,
) -> Result<Ending> {
    eprintln!("{}", show::announcement(scenario, dir));
    let mut live = Live::new(scenario);
    let ran = runs(
        dir,
        &Labels {
            label: arguments.label.clone(),
            ..labels(arguments.repetition, arguments.sequence)
        },
        &mut |second| live.second(second),
    );
    live.finish();
    let outcome = ran?;
    let ending = Ending::of(scenario, &outcome);
    if arguments.json {
        println!("{}", json::text(scenario, &outcome, &ending)?);
    } else {
        anstream::print!("{}", show::result(scenario, &outcome, &ending));
    }
    Ok(ending)
}
