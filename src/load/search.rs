//! `tailcut load search`: the highest rate that holds the objectives.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use tailcut_loadgen::scenario::{Arrivals, Pacing, Scenario, Target};
use tailcut_loadgen::search::{
    Limit, Phase, Probe, ProbeOrder, SearchPlan, SearchResult, draw_curve, search,
};
use tailcut_loadgen::{Nanos, Rate, parse_duration};
use tailcut_report::format;

use super::series::{Series, refuse_single_runs};
use super::{ScenarioArguments, refused};
use crate::interrupt::Interrupt;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  tailcut load search -t http://127.0.0.1:8080/ --slo 'p99.9<5ms,errors<0.1%'
  tailcut load search orders.toml --from 100k --to 2M --precision 1%
  tailcut load search -t in-process:pool --slo 'p99.9<1ms' --duration 3s

The rate is doubled until an objective or the schedule breaks, then bisected; what was found is
confirmed by a longer run, whose figures are the result. A rate that breaks is tried again: two of
three runs decide. Every run leaves a recording; search.json and curve.svg hold the latency over
the rate.

Exit status: 0 found and confirmed; 1 failed; 2 bad arguments; 3 not even the lowest rate holds, or
nothing could be confirmed; 130 interrupted (what was recorded is kept).";

const EXIT_NOTHING_HELD: u8 = 3;

/// `tailcut load search`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchArguments {
    /// A scenario in TOML. Flags go over what it says; its rate is where the search begins.
    #[arg(value_name = "SCENARIO.toml")]
    pub file: Option<PathBuf>,
    /// The first rate that is tried [default: the scenario's, else 1000].
    #[arg(long, value_name = "RATE")]
    pub from: Option<Rate>,
    /// The lowest rate worth trying.
    #[arg(long, value_name = "RATE", default_value = "1")]
    pub least: Rate,
    /// The highest rate worth trying.
    #[arg(long, value_name = "RATE", default_value = "100M")]
    pub to: Rate,
    /// How close to the limit the result comes.
    #[arg(long, value_name = "SHARE", default_value = "2%", value_parser = precision)]
    pub precision: f64,
    /// Length of the confirming run [default: three times the duration].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub confirm: Option<Nanos>,
    /// How long the target is left alone between two runs.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_duration)]
    pub rest: Nanos,
    /// Where recordings and results go; must not exist, or be empty [default: tailcut-search/TIME].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub scenario: ScenarioArguments,
}

/// Searches.
pub fn run(arguments: &SearchArguments) -> Result<ExitCode> {
    let prepared = prepare(arguments).and_then(|prepared| {
        let dir = output::create_folder(arguments.out.as_deref(), "tailcut-search")?;
        Ok((prepared, dir))
    });
    let ((scenario, plan), dir) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(refused(&error)),
    };
    let interrupt = Interrupt::install()?;
    let slo = scenario.slo.as_ref().map(ToString::to_string);
    let wanted = slo.unwrap_or_else(|| "the schedule".to_owned());
    eprintln!(
        "{}: searching for the highest rate that holds {wanted}, from {}, to {} of the limit; recorded in {}",
        scenario.name,
        format::rate(plan.start.as_f64()),
        format::share(plan.precision),
        dir.display()
    );
    let rest = std::time::Duration::from_nanos(arguments.rest.0);
    let mut series = Series::new(&dir, rest, &interrupt);
    let found = search(
        &plan,
        &mut |order| {
            let title = format!(
                "[{}] {} at {}",
                order.number,
                order.phase.name(),
                format::rate(order.rate.as_f64())
            );
            series.run(&at(&scenario, order), &folder(order), &title)
        },
        &mut |probe| eprintln!("{}", line(probe)),
    );
    series.finish();
    let result = found?;
    write(&dir, &scenario, &wanted, &result)?;
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json(&scenario, &wanted, &dir, &result))?
        );
    } else {
        println!("{}", table(&result.probes));
        println!("{}", sentence(&wanted, &result));
        println!("curve: {}", dir.join("curve.svg").display());
    }
    Ok(match result.limit {
        Limit::Stopped => ExitCode::from(super::EXIT_INTERRUPTED),
        _ if result.rate.is_none() => ExitCode::from(EXIT_NOTHING_HELD),
        _ => ExitCode::SUCCESS,
    })
}

/// What is to be searched for, checked.
fn prepare(arguments: &SearchArguments) -> Result<(Scenario, SearchPlan)> {
    let mut flags = arguments.scenario.clone();
    ensure!(
        !flags.closed,
        "a closed loop has no rate to search for: leave out --closed"
    );
    // A scenario needs a rate; the search has its own.
    let start = arguments.from.or(flags.rate);
    flags.rate = start.or_else(|| arguments.file.is_none().then(first_rate));
    let scenario = flags.scenario(arguments.file.as_deref())?;
    let Pacing::Open { rate, .. } = &scenario.pacing else {
        anyhow::bail!("a closed loop has no rate to search for: leave out closed = true");
    };
    refuse_single_runs(&scenario, "search")?;
    ensure!(
        arguments.least <= arguments.to,
        "--least {} is more than --to {}",
        arguments.least,
        arguments.to
    );
    let plan = SearchPlan {
        start: start.unwrap_or(*rate),
        least: arguments.least,
        most: arguments.to,
        precision: arguments.precision,
        probe: scenario.duration,
        confirm: arguments
            .confirm
            .unwrap_or(Nanos(scenario.duration.0.saturating_mul(3))),
    };
    Ok((scenario, plan))
}

fn first_rate() -> Rate {
    Rate::per_second(1000).unwrap_or_else(|_| unreachable!("neither zero nor absurd"))
}

/// The scenario of one run.
fn at(scenario: &Scenario, order: &ProbeOrder) -> Scenario {
    let arrivals = match &scenario.pacing {
        Pacing::Open { arrivals, .. } => arrivals.clone(),
        Pacing::Closed => Arrivals::Constant,
    };
    Scenario {
        pacing: Pacing::Open {
            rate: order.rate,
            arrivals,
        },
        duration: order.duration,
        ..scenario.clone()
    }
}

fn folder(order: &ProbeOrder) -> String {
    format!("probe-{:02}-{}", order.number, order.rate)
}

/// What one run came to.
fn line(probe: &Probe) -> String {
    let measured = &probe.measured;
    let broken = if probe.held() {
        "held".to_owned()
    } else {
        format!("BROKEN: {}", probe.broken_by.join(", "))
    };
    format!(
        "[{}] {} {}: {broken}; P99.9 {}, max {}",
        probe.number,
        probe.phase.name(),
        format::rate(measured.rate_target),
        format::nanos(measured.response.p999),
        format::nanos(measured.response.max)
    )
}

fn table(probes: &[Probe]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "rate", "achieved", "P50", "P99", "P99.9", "max", "errors", "", "",
    ]);
    let mut sorted: Vec<&Probe> = probes.iter().collect();
    sorted.sort_by(|a, b| a.measured.rate_target.total_cmp(&b.measured.rate_target));
    for probe in sorted {
        let measured = &probe.measured;
        let response = &measured.response;
        let phase = if probe.phase == Phase::Confirm {
            "confirming"
        } else {
            ""
        };
        table.add_row([
            format::rate(measured.rate_target),
            format::rate(measured.rate_achieved),
            format::nanos(response.p50),
            format::nanos(response.p99),
            format::nanos(response.p999),
            format::nanos(response.max),
            format::share(measured.errors),
            if probe.held() {
                "held".to_owned()
            } else {
                probe.broken_by.join(", ")
            },
            phase.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().take(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The result in one sentence.
fn sentence(wanted: &str, result: &SearchResult) -> String {
    let Some(rate) = result.rate else {
        return match result.limit {
            Limit::Stopped => "interrupted: nothing was confirmed".to_owned(),
            Limit::NothingHeld => format!("not even the lowest rate holds {wanted}"),
            _ => format!(
                "no rate that holds {wanted} could be confirmed: what held for one run broke in the next; the machine \
                 or the target is unsteady"
            ),
        };
    };
    let mut text = format!(
        "the highest rate that holds {wanted} is {}",
        format::rate(rate)
    );
    if let Some(confirmed) = result
        .confirmed_by
        .and_then(|place| result.probes.get(place))
    {
        let _ = write!(
            text,
            " (confirmed by a run of its own: P99.9 {}, max {})",
            format::nanos(confirmed.measured.response.p999),
            format::nanos(confirmed.measured.response.max)
        );
    }
    match result.limit {
        Limit::Most => text += "; no higher one was to be tried",
        Limit::Generator => {
            text +=
                "; beyond it the generator is the bottleneck, not the target, which may hold more";
        }
        _ => {
            if let Some(broken) = result.broken_rate {
                let _ = write!(text, "; {} broke it", format::rate(broken));
            }
        }
    }
    text
}

fn json(scenario: &Scenario, wanted: &str, dir: &Path, result: &SearchResult) -> serde_json::Value {
    serde_json::json!({
        "schema": 1,
        "name": scenario.name,
        "target": target(scenario),
        "objectives": wanted,
        "out": dir,
        "sentence": sentence(wanted, result),
        "result": result,
    })
}

fn target(scenario: &Scenario) -> String {
    match &scenario.target {
        Target::InProcess { .. } => format!("in-process ({})", scenario.name),
        Target::Network(target) => target.to_string(),
    }
}

fn write(dir: &Path, scenario: &Scenario, wanted: &str, result: &SearchResult) -> Result<()> {
    let text = serde_json::to_string_pretty(&json(scenario, wanted, dir, result))?;
    output::write_whole(&dir.join("search.json"), &text)?;
    let title = format!("{}: response time over rate", scenario.name);
    let picture = draw_curve(&title, result).map_err(anyhow::Error::msg);
    if let Some(picture) = picture.context("the curve cannot be drawn")? {
        output::write_whole(&dir.join("curve.svg"), &picture)?;
    }
    Ok(())
}

/// `2%` or `0.02`, from a thousandth to a half.
fn precision(text: &str) -> Result<f64, String> {
    let refused = || format!("{text:?} is no precision: give for example 2%, from 0.1% to 50%");
    let value = match text.trim().strip_suffix('%') {
        Some(number) => number.trim().parse::<f64>().map_err(|_| refused())? / 100.0,
        None => text.trim().parse().map_err(|_| refused())?,
    };
    (0.001..=0.5)
        .contains(&value)
        .then_some(value)
        .ok_or_else(refused)
}
