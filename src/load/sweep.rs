//! `tailcut load sweep`: a grid of runs over one or two parameters.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use tailcut_loadgen::scenario::{Pacing, Scenario, Target};
use tailcut_loadgen::sweep::{Axis, Parameter, PointOrder, SweepPlan, SweepResult, draw, sweep};
use tailcut_loadgen::{Nanos, Rate, parse_duration};
use tailcut_report::format;

use super::series::{Series, refuse_single_runs};
use super::{ScenarioArguments, refused};
use crate::interrupt::Interrupt;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  tailcut load sweep -t http://127.0.0.1:8080/ -r 20k --over connections=1..64*2
  tailcut load sweep orders.toml --over connections=1,4,16 --over pipeline=1..64*4 --repeats 3
  tailcut load sweep -t in-process:heap -r 1M --over window=1000,10k,100k

Every combination is run, in an order drawn from the seed, so that drift does not look like an
effect. Parameters: workers, connections, pipeline, rate, window, pin
(0 or 1: whether threads are bound to cores). A star marks the Pareto front:
no other combination is at least as good in P99.9, rate and CPUs, and better in one. Every run
leaves a recording; sweep.json, sweep.csv and sweep.svg hold the results.

Exit status: 0 done; 1 failed; 2 bad arguments; 130 interrupted (what was recorded is kept).";

/// `tailcut load sweep`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SweepArguments {
    /// A scenario in TOML. Flags go over what it says, and the grid over both.
    #[arg(value_name = "SCENARIO.toml")]
    pub file: Option<PathBuf>,
    /// What is varied, and its values: a list or a range. One or two of them.
    #[arg(long, value_name = "PARAMETER=VALUES", required = true)]
    pub over: Vec<Axis>,
    /// How often each combination is run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeats: u32,
    /// How long the target is left alone between two runs.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_duration)]
    pub rest: Nanos,
    /// Where recordings and results go; must not exist, or be empty [default: tailcut-sweep/TIME].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub scenario: ScenarioArguments,
}

/// Sweeps.
pub fn run(arguments: &SweepArguments) -> Result<ExitCode> {
    let prepared = prepare(arguments).and_then(|prepared| {
        let dir = output::create_folder(arguments.out.as_deref(), "tailcut-sweep")?;
        Ok((prepared, dir))
    });
    let ((scenario, plan), dir) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(refused(&error)),
    };
    let interrupt = Interrupt::install()?;
    let total = plan.orders().len();
    eprintln!(
        "{}: {total} runs; recorded in {}",
        scenario.name,
        dir.display()
    );
    let rest = std::time::Duration::from_nanos(arguments.rest.0);
    let mut series = Series::new(&dir, rest, &interrupt);
    let swept = sweep(&plan, &mut |order| {
        let title = format!("[{}/{total}] {}", order.number, values(&order.values));
        // Found good before the first run.
        let one = with(&scenario, &order.values);
        let measured = series.run(&one, &folder(order), &title)?;
        if let Some(measured) = &measured {
            series.tell(&format!(
                "{title}: {}, P99.9 {}{}",
                format::rate(measured.rate_achieved),
                format::nanos(measured.response.p999),
                if measured.schedule_kept {
                    ""
                } else {
                    "  SCHEDULE MISSED"
                }
            ));
        }
        Ok(measured)
    });
    series.finish();
    let result = swept?;
    write(&dir, &scenario, &result)?;
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json(&scenario, &dir, &result))?
        );
    } else {
        println!("{}", table(&result));
        println!(
            "* Pareto front over P99.9, rate and CPUs (of generator and, where it was watched, target)"
        );
        println!("results: {}", dir.join("sweep.json").display());
    }
    Ok(if result.stopped {
        ExitCode::from(super::EXIT_INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    })
}

/// What is to be run, every combination checked.
fn prepare(arguments: &SweepArguments) -> Result<(Scenario, SweepPlan)> {
    let axes = arguments.over.clone();
    ensure!(
        axes.len() <= 2,
        "a sweep goes over one or two parameters; {} were given",
        axes.len()
    );
    if let [first, second] = axes.as_slice() {
        ensure!(
            first.parameter != second.parameter,
            "{} is swept twice: give all its values to one --over",
            first.parameter
        );
    }
    let mut flags = arguments.scenario.clone();
    for axis in &axes {
        // A scenario needs a rate; the grid has its own.
        if axis.parameter == Parameter::Rate && arguments.file.is_none() && flags.rate.is_none() {
            flags.rate = rate(axis.values[0]);
        }
    }
    let scenario = flags.scenario(arguments.file.as_deref())?;
    refuse_single_runs(&scenario, "sweep")?;
    for axis in &axes {
        let in_process = matches!(scenario.target, Target::InProcess { .. });
        let of_one_kind = match axis.parameter {
            Parameter::Connections | Parameter::Pipeline => !in_process,
            Parameter::Window => in_process,
            Parameter::Rate => scenario.pacing != Pacing::Closed,
            Parameter::Workers | Parameter::Pin => true,
        };
        ensure!(
            of_one_kind,
            "{} means nothing for {}: its values would all be the same run",
            axis.parameter,
            scenario.name
        );
    }
    let plan = SweepPlan {
        axes,
        repeats: arguments.repeats,
        seed: scenario.seed,
    };
    for order in plan.orders() {
        with(&scenario, &order.values)
            .check()
            .with_context(|| format!("with {}", values(&order.values)))?;
    }
    Ok((scenario, plan))
}

fn rate(value: f64) -> Option<Rate> {
    format!("{value}").parse().ok()
}

/// The scenario of one combination.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // axes hold whole numbers up to 2^32
fn with(scenario: &Scenario, values: &[(Parameter, f64)]) -> Scenario {
    let mut changed = scenario.clone();
    for &(parameter, value) in values {
        match (parameter, &mut changed.target, &mut changed.pacing) {
            (Parameter::Workers, ..) => changed.workers = value as u32,
            (Parameter::Pin, ..) => changed.pin = value > 0.0,
            (Parameter::Connections, ..) => changed.connections = value as u32,
            (Parameter::Pipeline, ..) => changed.pipeline = value as u32,
            (Parameter::Window, Target::InProcess { window, .. }, _) => *window = value as u64,
            (Parameter::Rate, _, Pacing::Open { rate: of_all, .. }) => {
                *of_all = rate(value).unwrap_or(*of_all);
            }
            (Parameter::Window | Parameter::Rate, ..) => {} // refused before
        }
    }
    changed
}

fn values(values: &[(Parameter, f64)]) -> String {
    let texts: Vec<String> = values
        .iter()
        .map(|(parameter, value)| format!("{parameter} {}", format::count(*value)))
        .collect();
    texts.join(", ")
}

fn folder(order: &PointOrder) -> String {
    let texts: Vec<String> = order
        .values
        .iter()
        .map(|(parameter, value)| format!("{parameter}-{value}"))
        .collect();
    format!(
        "run-{:03}-{}-{}",
        order.number,
        texts.join("-"),
        order.repeat
    )
}

fn table(result: &SweepResult) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let names = result
        .parameters
        .iter()
        .map(|parameter| parameter.name().to_owned());
    let rest = ["P99.9", "max", "achieved", "CPUs", "errors", ""];
    table.set_header(names.chain(rest.map(str::to_owned)));
    for point in &result.points {
        let values = point.values.iter().map(|(_, value)| format::count(*value));
        let missed = if point.schedule_kept {
            ""
        } else {
            " schedule missed"
        };
        let star = if point.pareto { "*" } else { "" };
        table.add_row(values.chain([
            format::nanos(point.p999_ns),
            format::nanos(point.max_ns),
            format::rate(point.rate),
            format!("{:.2}", point.cpus),
            format::share(point.errors),
            format!("{star}{missed}"),
        ]));
    }
    let figures = result.parameters.len() + 5;
    for column in table.column_iter_mut().take(figures) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn json(scenario: &Scenario, dir: &Path, result: &SweepResult) -> serde_json::Value {
    serde_json::json!({
        "schema": 1,
        "name": scenario.name,
        "out": dir,
        "result": result,
    })
}

fn write(dir: &Path, scenario: &Scenario, result: &SweepResult) -> Result<()> {
    let text = serde_json::to_string_pretty(&json(scenario, dir, result))?;
    output::write_whole(&dir.join("sweep.json"), &text)?;
    output::write_whole(&dir.join("sweep.csv"), &result.csv())?;
    let title = format!("{}: P99.9 over the grid", scenario.name);
    let picture = draw(&title, result).map_err(anyhow::Error::msg);
    if let Some(picture) = picture.context("the grid cannot be drawn")? {
        output::write_whole(&dir.join("sweep.svg"), &picture)?;
    }
    Ok(())
}
