//! `tailcut demo`: the whole loop on this machine.
//!
//! Counts the allocations of a request on each variant, then measures every variant as often as asked for, in the
//! order A B B A, each run in a process of its own ([`child`]); makes the report from the
//! recordings alone.
//!
//! With `--incident go` the order service in Go is built first, and stands beside ([`incident`]).
//!
//! | file | what |
//! |---|---|
//! | `session.rs` | which forms, in which order |
//! | `turn.rs`, `child.rs`, `order.rs`, `variant_run.rs` | a run of the service in Rust: from this side, and from its own |
//! | `traced.rs` | the probe beside a run |
//! | `incident/` | the service in Go: found, built, checked, its rate searched, run |
//! | `progress.rs`, `results.rs` | what is seen meanwhile, and at the end |

mod child;
mod incident;
mod order;
mod progress;
mod results;
mod session;
mod traced;
mod turn;
mod variant_run;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use tailcut_report::Report;

use self::incident::{GoForm, Toolchain};
use self::order::Variant;
use self::session::{Ended, Session};
use crate::cli::{DemoArguments, Incident};
use crate::interrupt::Interrupt;
use crate::output;

pub use self::variant_run::run_variant;

/// The no-op, or a form that a claim rests on, did not keep the schedule.
const EXIT_SCHEDULE_MISSED: u8 = 4;
const EXIT_INTERRUPTED: u8 = 130;
/// As for a bad flag.
const EXIT_REFUSED: u8 = 2;
const WARMUP_SECONDS: u64 = 1;

/// Runs the demo and shows what came of it.
pub fn run(arguments: &DemoArguments) -> Result<ExitCode> {
    // Refused like a bad flag, before anything has started.
    let prepared = prepare(arguments).and_then(|(session, toolchain)| {
        let out = output::create_folder(arguments.out.as_deref(), "tailcut-demo")?;
        Ok((session, toolchain, out))
    });
    let (mut session, toolchain, out) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
    };
    let interrupt = Interrupt::install()?;
    if let Some(toolchain) = &toolchain {
        let ready = incident::prepare(toolchain, arguments, &mut session, &interrupt);
        if interrupt.requested() {
            eprintln!("interrupted before anything was recorded");
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
        ready?;
    }
    eprintln!("{}", session.announcement(&out));

    let ended = session.measure(&out, &interrupt);
    // Even if a run failed: what was recorded before it stays readable, and is reported.
    let reported = results::report(arguments, &out);
    if interrupt.requested() {
        return Ok(interrupted(reported, &out));
    }
    conclude(&session, ended?, &reported?)
}

/// What is to be run, and with what; checked, but nothing started.
fn prepare(arguments: &DemoArguments) -> Result<(Session, Option<Toolchain>)> {
    let session = Session::new(arguments);
    session.check()?;
    let toolchain = match arguments.incident {
        Some(Incident::Go) => Some(Toolchain::find()?),
        None => None,
    };
    Ok((session, toolchain))
}

fn interrupted(reported: Result<Report>, out: &Path) -> ExitCode {
    match reported {
        Err(error) => eprintln!("interrupted before anything was recorded ({error:#})"),
        Ok(_) => eprintln!(
            "interrupted: what was recorded until then is in {}, marked partial",
            out.display()
        ),
    }
    ExitCode::from(EXIT_INTERRUPTED)
}

fn conclude(session: &Session, ended: Ended, report: &Report) -> Result<ExitCode> {
    if let Ended::NoopMissed { achieved } = ended {
        eprintln!(
            "error: this machine cannot hold {} requests/s even when the service does nothing (it held \
             {achieved:.0}/s): nothing can be concluded at this rate. Try --rate {:.0}; a service that does \
             something needs it lower still",
            session.rate().as_f64(),
            round_down(achieved * 0.5)
        );
        return Ok(ExitCode::from(EXIT_SCHEDULE_MISSED));
    }
    let relied_on = [
        Variant::Noop.key(),
        Variant::Pool.key(),
        GoForm::SyncPool.key(),
    ];
    let missed = report
        .summaries()
        .iter()
        .any(|(variant, summary)| !summary.schedule_kept && relied_on.contains(&variant.as_str()));
    Ok(if missed {
        ExitCode::from(EXIT_SCHEDULE_MISSED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Two leading digits, so that the advice reads as advice.
fn round_down(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.max(1.0).log10().floor() - 1.0);
    (rate / unit).floor() * unit
}
