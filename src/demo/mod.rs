//! `tailcut demo`: the whole loop on this machine.
//!
//! Counts the allocations of a request on each variant, then measures every variant twice, in the
//! order A B B A, each run in a process of its own ([`child`]); makes the report from the
//! recordings alone.

mod child;
mod order;
mod progress;
mod variant_run;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use tailcut_report::recording::Allocations;
use tailcut_report::{Report, Table as Figures};

use self::order::{Answer, Order, Task, Variant};
use self::progress::Progress;
use crate::allocator::Allocator;
use crate::cli::{AllocatorChoice, DemoArguments};
use crate::interrupt::Interrupt;
use crate::output;

pub use self::variant_run::run_variant;

/// The no-op or the pool did not keep the schedule.
const EXIT_SCHEDULE_MISSED: u8 = 4;
const EXIT_INTERRUPTED: u8 = 130;
/// As for a bad flag.
const EXIT_REFUSED: u8 = 2;
const WARMUP_SECONDS: u64 = 1;

/// Runs the demo and shows what came of it.
pub fn run(arguments: &DemoArguments) -> Result<ExitCode> {
    let session = Session::new(arguments)?;
    // Refused like a bad flag, before anything has started.
    let prepared = session
        .check()
        .and_then(|()| output::create_folder(arguments.out.as_deref(), "tailcut-demo"));
    let out = match prepared {
        Ok(out) => out,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
    };
    let interrupt = Interrupt::install()?;
    eprintln!("{}", session.announcement(&out));

    let ended = session.measure(&out, &interrupt);
    // Even if a run failed: what was recorded before it stays readable, and is reported.
    let reported = report(arguments, &out);
    match (ended?, reported) {
        (_, Err(error)) if interrupt.requested() => {
            eprintln!("interrupted before anything was recorded ({error:#})");
            Ok(ExitCode::from(EXIT_INTERRUPTED))
        }
        (_, Err(error)) => Err(error),
        (_, Ok(_)) if interrupt.requested() => {
            eprintln!(
                "interrupted: what was recorded until then is in {}, marked partial",
                out.display()
            );
            Ok(ExitCode::from(EXIT_INTERRUPTED))
        }
        (Ended::NoopMissed { achieved }, Ok(_)) => {
            let rate = arguments.rate.as_f64();
            eprintln!(
                "error: this machine cannot hold {rate} requests/s even when the service does nothing (it held \
                 {achieved:.0}/s): nothing can be concluded at this rate. Try --rate {:.0}; a service that does \
                 something needs it lower still",
                round_down(achieved * 0.5)
            );
            Ok(ExitCode::from(EXIT_SCHEDULE_MISSED))
        }
        (Ended::AllRuns, Ok(report)) => {
            let missed = report.summaries().iter().any(|(variant, summary)| {
                !summary.schedule_kept
                    && [Variant::Noop.key(), Variant::Pool.key()].contains(&variant.as_str())
            });
            Ok(if missed {
                ExitCode::from(EXIT_SCHEDULE_MISSED)
            } else {
                ExitCode::SUCCESS
            })
        }
    }
}

/// How the measuring came to its end.
enum Ended {
    AllRuns,
    NoopMissed { achieved: f64 },
}

/// What is to be run, decided and checked before anything starts.
struct Session {
    variants: Vec<Variant>,
    /// Every run is this one, but for its variant and task.
    template: Order,
}

impl Session {
    fn new(arguments: &DemoArguments) -> Result<Session> {
        // The handoff form takes its cores in pairs.
        let default_workers = match (arguments.handoff, tailcut_loadgen::default_workers()) {
            (false, workers) => workers,
            (true, workers) => workers.next_multiple_of(2),
        };
        let heaps = Allocator::ALL
            .into_iter()
            .filter(|allocator| match arguments.allocator {
                AllocatorChoice::All => true,
                AllocatorChoice::System => *allocator == Allocator::System,
                AllocatorChoice::Jemalloc => *allocator == Allocator::Jemalloc,
                AllocatorChoice::Mimalloc => *allocator == Allocator::Mimalloc,
            });
        let variants = [Variant::Noop]
            .into_iter()
            .chain(heaps.map(Variant::Heap))
            .chain([Variant::Pool])
            .collect();
        let template = Order {
            variant: Variant::Noop,
            task: Task::Count,
            rate: arguments.rate.to_string(),
            duration_ns: arguments.duration.0,
            window: arguments.window,
            workers: arguments.workers.unwrap_or(default_workers),
            handoff: arguments.handoff,
            command: std::iter::once("tailcut".to_owned())
                .chain(std::env::args().skip(1))
                .collect(),
        };
        Ok(Session { variants, template })
    }

    /// Refuses, before anything starts, what could not be run.
    fn check(&self) -> Result<()> {
        for &variant in &self.variants {
            let order = Order {
                variant,
                ..self.template.clone()
            };
            variant_run::plan(&order, Path::new(""))?
                .check()
                .with_context(|| format!("cannot run {}", variant.key()))?;
        }
        Ok(())
    }

    fn announcement(&self, out: &Path) -> String {
        let Order {
            rate,
            window,
            workers,
            duration_ns,
            ..
        } = &self.template;
        let cores = if *workers >= tailcut_loadgen::available_cpus() {
            "The workers take every core, so whatever else runs on this machine will stall them.\n"
        } else {
            ""
        };
        let root = if nix::unistd::geteuid().is_root() {
            "All figures come from inside the process; tracing the kernel's pauses is not part of this version."
        } else {
            "No privileges needed: all figures come from inside the process. (Root would add tracing of the \
             kernel's pauses, which is not part of this version.)"
        };
        format!(
            "{rate} orders/s, settled {window} at a time, {workers} worker{}; {} runs of {} s, A B B A, recorded in {}\n{cores}{root}",
            if *workers == 1 { "" } else { "s" },
            2 * self.variants.len(),
            duration_ns / 1_000_000_000,
            out.display()
        )
    }

    fn measure(&self, out: &Path, interrupt: &Interrupt) -> Result<Ended> {
        let runs = 2 * self.variants.len();
        let seconds = self.template.duration_ns.div_ceil(1_000_000_000) + WARMUP_SECONDS;
        let mut progress = Progress::new(runs, runs as u64 * seconds);
        let ended = self.measure_all(out, interrupt, &mut progress);
        progress.finish();
        ended
    }

    fn measure_all(
        &self,
        out: &Path,
        interrupt: &Interrupt,
        progress: &mut Progress,
    ) -> Result<Ended> {
        let mut allocations: Vec<Option<Allocations>> = Vec::new();
        for &variant in &self.variants {
            let order = Order {
                variant,
                ..self.template.clone()
            };
            progress.counting(&order);
            match child::run(&order, interrupt, |_| {}) {
                Ok(Answer::Counted(counted)) => allocations.push(Some(counted)),
                Err(_) if interrupt.requested() => return Ok(Ended::AllRuns),
                Ok(other) => bail!("a counting run answered {other:?}"),
                Err(error) => return Err(error),
            }
            if interrupt.requested() {
                return Ok(Ended::AllRuns);
            }
        }
        let there = self.variants.iter().copied().enumerate();
        let and_back = there.clone().rev();
        let turns = there
            .map(|turn| (1, turn))
            .chain(and_back.map(|turn| (2, turn)));
        for (sequence, (run, (index, variant))) in turns.enumerate() {
            let dir = out.join(format!("{sequence:02}-{}-{run}", variant.key()));
            let task = Task::Measure {
                dir,
                run,
                sequence: sequence as u32,
                allocations: allocations[index].clone(),
            };
            let order = Order {
                variant,
                task,
                ..self.template.clone()
            };
            progress.begin(&order);
            let answer = child::run(&order, interrupt, |answer| {
                if let Answer::Second(second) = answer {
                    progress.second(&order, second);
                }
            });
            let answer = match answer {
                Err(_) if interrupt.requested() => return Ok(Ended::AllRuns),
                answer => answer?,
            };
            progress.end(&order, &answer);
            if interrupt.requested() {
                return Ok(Ended::AllRuns);
            }
            match answer {
                Answer::Measured {
                    partial: Some(reason),
                    ..
                } => {
                    bail!(
                        "the run of {} could not be recorded to its end: {reason}",
                        variant.key()
                    )
                }
                Answer::Measured {
                    schedule_kept: false,
                    rate_achieved,
                    ..
                } if sequence == 0 => {
                    return Ok(Ended::NoopMissed {
                        achieved: rate_achieved,
                    });
                }
                _ => {}
            }
        }
        Ok(Ended::AllRuns)
    }
}

/// Reads the recordings back, writes the page, prints the result.
fn report(arguments: &DemoArguments, out: &Path) -> Result<Report> {
    let report = Report::read_tree(out)?;
    let page = out.join("report.html");
    output::write_whole(&page, &report.html())?;
    check_results(&report)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report.json())?);
    } else {
        print_results(&report);
    }
    eprintln!("report: {}", page.display());
    Ok(report)
}

/// The variants must have computed the same: otherwise they are not forms of one service.
fn check_results(report: &Report) -> Result<()> {
    let summaries = report.summaries();
    let mut services = summaries
        .iter()
        .filter(|(variant, summary)| *variant != Variant::Noop.key() && !summary.partial);
    if let Some((first, expected)) = services.next() {
        for (variant, summary) in services {
            ensure!(
                summary.checksum == expected.checksum,
                "{variant} computed {} where {first} computed {}: they are not the same service, so nothing here can \
                 be compared. This is a bug in tailcut.",
                summary.checksum,
                expected.checksum
            );
        }
    }
    Ok(())
}

fn print_results(report: &Report) {
    println!("{}\n", as_text(&report.table()));
    if let Some(comparison) = report.comparison_table() {
        println!("{}\n", as_text(&comparison));
    }
    println!("{}", report.verdict().sentence);
    for note in &report.verdict().notes {
        println!("- {note}");
    }
}

fn as_text(figures: &Figures) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(&figures.header);
    table.add_rows(&figures.rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Two leading digits, so that the advice reads as advice.
fn round_down(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.max(1.0).log10().floor() - 1.0);
    (rate / unit).floor() * unit
}
