//! The child's side: one run, told by standard input, answered on standard output.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tailcut_loadgen::scenario::WarmUp;
use tailcut_loadgen::{Form, Labels, Nanos, RunPlan, Service, count_requests, run};
use tailcut_pool::meter;

use super::WARMUP_SECONDS;
use super::order::{Answer, Measured, Order, Task, Variant};
use crate::allocator::Allocator;

/// At least so many requests are counted.
const COUNTED_REQUESTS: u64 = 200_000;

/// Reads an order, carries it out, and answers.
pub fn run_variant() -> Result<ExitCode> {
    die_with_the_parent();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot handle signals")?;
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("cannot read the order for this run")?;
    let order: Order = serde_json::from_str(&text).context(
        "this is a part of `tailcut demo`, which starts it with an order on standard input",
    )?;
    let (answer, code) = match carry_out(&order, &stop) {
        Ok(answer) => (answer, ExitCode::SUCCESS),
        Err(error) => (Answer::Failed(format!("{error:#}")), ExitCode::FAILURE),
    };
    say(&answer);
    Ok(code)
}

/// The demo's plan for an order. Nothing is touched yet.
pub fn plan(order: &Order, dir: &Path) -> Result<RunPlan> {
    let service = match order.variant {
        Variant::Noop => Service::Noop,
        Variant::Heap(_) => Service::Heap,
        Variant::Pool => Service::Pool,
    };
    Ok(RunPlan {
        form: if order.handoff {
            Form::Handoff
        } else {
            Form::Inline
        },
        rate: order.rate.parse()?,
        duration: Nanos(order.duration_ns),
        warmup: WarmUp::Fixed(Nanos(WARMUP_SECONDS * 1_000_000_000)),
        window: order.window,
        workers: order.workers,
        ..RunPlan::new(service, dir)
    })
}

fn carry_out(order: &Order, stop: &AtomicBool) -> Result<Answer> {
    match &order.task {
        Task::Count => {
            let plan = plan(order, Path::new(""))?;
            let counted = count_requests(&plan, COUNTED_REQUESTS, &|| meter::counts().into())?;
            Ok(Answer::Counted(counted))
        }
        Task::Measure {
            dir,
            run: repetition,
            sequence,
            allocations,
        } => {
            let mut plan = plan(order, dir)?;
            plan.allocations = allocations.clone();
            plan.labels = Labels {
                tool: format!("tailcut {}", env!("CARGO_PKG_VERSION")),
                variant: order.variant.key().to_owned(),
                label: String::new(),
                run: *repetition,
                sequence: *sequence,
                command: order.command.clone(),
                allocator: Allocator::current().description().to_owned(),
            };
            let outcome = run(&plan, stop, &mut |second| {
                say(&Answer::Second(second.into()));
            })?;
            Ok(Answer::Measured(Measured::of(&outcome)?))
        }
    }
}

/// One line, at once. If the parent is gone there is nobody to tell, and the run goes on to its
/// end: the recording is what counts.
fn say(answer: &Answer) {
    if let Ok(line) = serde_json::to_string(answer) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// If the demo is killed, its run must not go on spinning unseen.
fn die_with_the_parent() {
    // A kernel that refuses leaves us where we were.
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM);
}
