//! Measures tailcut-pool beside allocators and other pools, and prints a table per workload.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde::Serialize;
use tailcut_benches::allocator::Chosen;
use tailcut_benches::alone::Task;
use tailcut_benches::companion;
use tailcut_benches::facts::Facts;
use tailcut_benches::placement::Placement;
use tailcut_benches::print;
use tailcut_benches::results::WorkloadResult;
use tailcut_benches::rounds::{Effort, measure};
use tailcut_benches::rows::{GoBinary, REFERENCE};
use tailcut_benches::source::Kind;
use tailcut_benches::targets::{self, Checked};
use tailcut_benches::workload::{Context, Row, Workload, all};
use tailcut_benches::workloads::traced;

/// Measures tailcut-pool beside allocators and other pools.
///
/// Rows are measured in turn, round by round, and their medians compared. Tables go to standard
/// output, progress to standard error.
#[derive(Debug, Parser)]
#[command(name = "pool-table", after_help = EXAMPLES)]
struct Cli {
    /// Where to write all figures and the machine's facts.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/tailcut-bench/pool.json"
    )]
    json: PathBuf,
    /// Fewer and shorter rounds: to see that all works, not to quote.
    #[arg(long)]
    quick: bool,
    /// Only what matches: part of a workload's name, or WORKLOAD/ROW. The rows that the others
    /// are compared with are always measured.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// Names the workloads and ends.
    #[arg(long)]
    list: bool,
    /// What the program starts itself with, for a row that needs a process of its own.
    #[arg(long, value_name = "TASK", hide = true)]
    alone: Option<String>,
    /// Measures the slow path whenever asked: what the program starts itself with, for a row that
    /// a tracer is attached to.
    #[arg(long, hide = true)]
    answer: bool,
    /// How often, with `--alone`.
    #[arg(long, value_name = "N", hide = true, default_value_t = 1)]
    repetitions: u64,
}

/// Rows of whole orders need a process that runs on one allocator throughout.
#[global_allocator]
static GLOBAL: Chosen = Chosen;

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench pool                                everything: three to six minutes
  cargo xtask bench pool -- --quick                     everything, figures not fit to quote
  cargo xtask bench pool -- --only one-thread           one table
  cargo xtask bench pool -- --only /malloc              every table, with the rows named so
  cargo xtask bench pool -- --only handoff/jemalloc --json handoff.json

Exit status: 0 measured, whether targets were met or not; 1 failed; 2 bad arguments.";

/// Some pools make whole pages of 64 KiB objects on the stack.
const STACK: usize = 256 << 20;

#[derive(Serialize)]
struct Report<'r> {
    schema: u32,
    unix_time: u64,
    quick: bool,
    facts: &'r Facts,
    workloads: &'r [WorkloadResult],
    targets: Vec<Checked>,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(task) = cli.alone {
        return alone(&task, cli.repetitions);
    }
    if cli.answer {
        return answer();
    }
    let (wanted, row) = cli
        .only
        .as_deref()
        .map_or(("", ""), |only| only.split_once('/').unwrap_or((only, "")));
    let workloads: Vec<_> = all()
        .into_iter()
        .filter(|workload| matches(workload.name, wanted))
        .collect();
    ensure!(
        !workloads.is_empty(),
        "no workload is named like '{wanted}': `--list` names them"
    );
    if cli.list {
        workloads
            .iter()
            .for_each(|workload| println!("{:13} {}", workload.name, workload.title));
        return Ok(ExitCode::SUCCESS);
    }
    let folder = cli.json.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;

    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let context = Context {
        placement: Placement::of_this_process(),
        go: GoBinary::build(scratch.path()),
    };
    let facts = Facts::gather(&context.placement, context.go.as_ref());
    let effort = if cli.quick {
        Effort {
            rounds: 5,
            length: 0.2,
        }
    } else {
        Effort {
            rounds: 21,
            length: 1.0,
        }
    };
    head(&facts, effort, cli.quick);
    let mut results = vec![];
    for (done, workload) in workloads.iter().enumerate() {
        eprintln!(
            "measuring {} ({} of {})",
            workload.name,
            done + 1,
            workloads.len()
        );
        let Some(result) = run(workload, &context, row, effort)? else {
            continue;
        };
        println!("\n{}", print::table(&result));
        results.push(result);
        // After each table, so that an interrupted run leaves what it had.
        write(&cli.json, &report(cli.quick, &facts, &results))?;
    }
    ensure!(!results.is_empty(), "no row is named like '{row}'");
    let checked = targets::check(&results);
    if !checked.is_empty() {
        println!("\n{}", print::targets(&checked));
    }
    eprintln!("all figures: {}", cli.json.display());
    Ok(ExitCode::SUCCESS)
}

/// One measurement in this process; prints the number and nothing else.
fn alone(task: &str, repetitions: u64) -> Result<ExitCode> {
    let task = Task::parse(task).with_context(|| format!("no task is named '{task}'"))?;
    let number = task.perform(repetitions).map_err(anyhow::Error::msg)?;
    println!("{number}");
    Ok(ExitCode::SUCCESS)
}

/// Measures the slow path until nobody asks any more.
fn answer() -> Result<ExitCode> {
    let measure = traced::slow_path().map_err(anyhow::Error::msg)?;
    companion::answer(io::stdin().lock(), io::stdout().lock(), measure)?;
    Ok(ExitCode::SUCCESS)
}

fn matches(name: &str, pattern: &str) -> bool {
    name.to_lowercase().contains(&pattern.to_lowercase())
}

fn head(facts: &Facts, effort: Effort, quick: bool) {
    let host = &facts.host;
    println!(
        "{}, {} CPUs, {}, Linux {}, {}",
        host.cpu_model, host.cpus, host.os, host.kernel, host.libc
    );
    println!(
        "{}{}",
        facts.rustc,
        facts
            .go
            .as_ref()
            .map_or_else(String::new, |go| format!(", {go}"))
    );
    println!(
        "rows in turn, {} rounds, medians; cores used {:?}",
        effort.rounds, facts.cores
    );
    if quick {
        println!("QUICK: these figures show that it works; do not quote them");
    }
    if facts.load_average > 0.5 {
        println!(
            "NOTE: load average {}: the machine was not idle",
            facts.load_average
        );
    }
}

/// Measures one workload on a thread of its own; `None` if no row is asked for.
fn run(
    workload: &Workload,
    context: &Context,
    only: &str,
    effort: Effort,
) -> Result<Option<WorkloadResult>> {
    let cores = context.placement.cores().len();
    if cores < workload.cores {
        println!(
            "\n{} [{}]\n  not measured: it needs {} cores, there is {cores}",
            workload.title, workload.name, workload.cores
        );
        return Ok(None);
    }
    let measured = thread::scope(|scope| {
        let measuring = || {
            if workload.pinned {
                context.placement.pin(0);
            }
            let mut rows = (workload.rows)(context);
            let asked = |row: &Row| matches(row.name, only);
            if !rows.iter().any(asked) {
                return None;
            }
            // What the others are compared with stays.
            rows.retain(|row| asked(row) || row.name == REFERENCE || row.kind == Kind::Control);
            let result = WorkloadResult::new(workload, measure(workload, rows, effort));
            Some(WorkloadResult {
                every_row: only.is_empty(),
                ..result
            })
        };
        let thread = thread::Builder::new()
            .name(workload.name.to_owned())
            .stack_size(STACK);
        let thread = thread
            .spawn_scoped(scope, measuring)
            .context("cannot start a thread")?;
        Ok::<_, anyhow::Error>(thread.join())
    })?;
    measured.map_err(|_| anyhow::anyhow!("{}: a row panicked (see above)", workload.name))
}

fn report<'r>(quick: bool, facts: &'r Facts, workloads: &'r [WorkloadResult]) -> Report<'r> {
    let unix_time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    Report {
        schema: 2,
        unix_time,
        quick,
        facts,
        workloads,
        targets: targets::check(workloads),
    }
}

fn write(file: &Path, report: &Report<'_>) -> Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}
