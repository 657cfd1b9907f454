//! `tailcut load merge`: the recordings of many machines, as one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tailcut_loadgen::measured::Percentiles;
use tailcut_loadgen::merge::{MergeError, MergeOutcome, merge};
use tailcut_report::format;

use super::refused;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  machine 0:  tailcut load run orders.toml --shard 0/2 --start-at 2026-01-31T12:00:00Z --warmup 5s -o part-0
  machine 1:  tailcut load run orders.toml --shard 1/2 --start-at 2026-01-31T12:00:00Z --warmup 5s -o part-1
  then:       tailcut load merge part-0 part-1 -o whole && tailcut report whole

Histograms of each second are added, so the percentiles are those of all requests; none is averaged.
Objectives are judged again. All shards must be given, each once. examples/kubernetes has the same as
an indexed Job.

Exit status: 0 done; 1 failed; 2 bad arguments, or recordings that do not belong together; 3 an
objective is broken; 4 a shard missed its schedule.";

const EXIT_SLO_BROKEN: u8 = 3;
const EXIT_SCHEDULE_MISSED: u8 = 4;

/// `tailcut load merge`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArguments {
    /// The recordings of all shards.
    #[arg(value_name = "DIR", required = true)]
    pub parts: Vec<PathBuf>,
    /// Where the whole goes; must not exist, or be empty [default: tailcut-merged/TIME].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Merges.
pub fn run(arguments: &MergeArguments) -> Result<ExitCode> {
    let existed = arguments.out.as_ref().is_some_and(|out| out.exists());
    let out = match output::create_folder(arguments.out.as_deref(), "tailcut-merged") {
        Ok(out) => out,
        Err(error) => return Ok(refused(&error)),
    };
    let outcome = match merge(&arguments.parts, &out) {
        Ok(outcome) => outcome,
        Err(error) => {
            if !existed {
                // Only if nothing was written.
                let _ = std::fs::remove_dir(&out);
            }
            return match error {
                MergeError::Recording(_) => Err(error.into()),
                _ => Ok(refused(&error.into())),
            };
        }
    };
    let result = outcome.meta.result.clone().unwrap_or_default();
    if arguments.json {
        let object = serde_json::json!({
            "schema": 1,
            "recording": outcome.dir,
            "shards": outcome.shards,
            "hosts": outcome.hosts,
            "skew_ns": outcome.skew.0,
            "state": outcome.meta.state,
            "response_ns": Percentiles::of(&outcome.response),
            "load": outcome.meta.load,
            "result": result,
        });
        println!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        print!("{}", text(&outcome));
    }
    let broken = result.objectives.iter().any(|objective| !objective.held);
    Ok(match (result.schedule_kept, broken) {
        (false, _) => ExitCode::from(EXIT_SCHEDULE_MISSED),
        (true, true) => ExitCode::from(EXIT_SLO_BROKEN),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn text(outcome: &MergeOutcome) -> String {
    let result = outcome.meta.result.clone().unwrap_or_default();
    let response = Percentiles::of(&outcome.response);
    let [p50, p99, p999, p9999, max] = [
        response.p50,
        response.p99,
        response.p999,
        response.p9999,
        response.max,
    ]
    .map(format::nanos);
    let mut lines = vec![
        format!(
            "{} shards on {}; they began {} apart, by their own clocks",
            outcome.shards,
            outcome.hosts.join("; "),
            outcome.skew
        ),
        format!(
            "{} of {} requests answered: {} of {}",
            result.completed,
            result.offered,
            format::rate(result.rate_achieved),
            format::rate(outcome.meta.load.rate_target)
        ),
        format!("P50 {p50}  P99 {p99}  P99.9 {p999}  P99.99 {p9999}  max {max}"),
    ];
    for (kind, count) in &result.errors {
        lines.push(format!("failed: {kind} {count}"));
    }
    for objective in &result.objectives {
        let held = if objective.held { "held   " } else { "BROKEN " };
        lines.push(format!("{held} {}", objective.objective));
    }
    if !result.schedule_kept {
        lines.push("the schedule was missed: these latencies are lower bounds".to_owned());
    }
    if let Some(reason) = &outcome.meta.state_reason {
        lines.push(format!("partial: {reason}"));
    }
    let dir = outcome.dir.display();
    lines.push(format!(
        "recording: {dir}  (tailcut report {dir} makes a page of it)"
    ));
    lines.join("\n") + "\n"
}
