//! The incident itself: the order service in Go beside the one in Rust.
//!
//! The service (`examples/go-orders`) travels within this executable as source text, and is built by the Go that is on the
//! PATH, so that what is measured is what an engineer would run. Its results must be those of the service in Rust, or
//! nothing is measured. It keeps its schedule by itself, as the runs in Rust do, and its recording is made of what
//! it prints ([`tailcut_loadgen::external`]).
//!
//! | file | what |
//! |---|---|
//! | `toolchain.rs` | Go: found, and new enough |
//! | `build.rs` | the service: written out, built |
//! | `go_run.rs` | one run of one form |
//! | `rate.rs` | the highest rate at which the heap form can be driven |

mod build;
mod go_run;
mod rate;
mod toolchain;

use anyhow::{Result, ensure};
use tailcut_loadgen::{Nanos, Rate, expected_checksum};

use super::order::Measured;
use super::progress::Progress;
use super::session::Session;
use super::traced::Tracing;
use super::{turn, variant_run};
use crate::cli::DemoArguments;
use crate::interrupt::Interrupt;

pub use self::build::GoService;
pub use self::go_run::{GoForm, GoRun, PROCESSORS};
pub use self::toolchain::Toolchain;

/// The rate of the demo, from which the search begins.
pub const HIGHEST_RATE: &str = "2.4M";
/// A rate that any form holds anywhere: the checksum is looked at before the rate is searched.
const LOW_RATE: u64 = 10_000;

/// Builds the service, holds its results against those of the one in Rust, and finds the rate if none was asked for.
///
/// Returns early, without an error, when somebody interrupts.
///
/// # Errors
/// A service that cannot be built, that computes something else, or that holds no rate at all.
pub fn prepare(
    toolchain: &Toolchain,
    arguments: &DemoArguments,
    session: &mut Session,
    interrupt: &Interrupt,
) -> Result<()> {
    let progress = Progress::preparing();
    progress.line(&format!(
        "building the service in Go with {} ({})",
        toolchain.version(),
        toolchain.program().display()
    ));
    let service = GoService::build(toolchain, interrupt, &|seconds| {
        progress.note(&format!("building the service in Go: {seconds} s"));
    })?;
    let Some(service) = service else {
        return Ok(());
    };
    progress.note("holding its results against the service in Rust");
    check_results(session, &service, interrupt)?;
    if interrupt.requested() {
        return Ok(());
    }
    let searched = match arguments.rate {
        Some(_) => None,
        None => rate::search(session, &service, interrupt, &progress)?,
    };
    progress.finish();
    session.with_go(service, searched);
    Ok(())
}

/// The forms must have computed the same: otherwise they are not forms of one service.
fn check_results(session: &Session, service: &GoService, interrupt: &Interrupt) -> Result<()> {
    let plan = variant_run::plan(&session.reference(), std::path::Path::new(""))?;
    let expected = expected_checksum(&plan)?;
    for form in GoForm::ALL {
        let run = session
            .go_run(form, form.key())
            .at(Rate::per_second(LOW_RATE)?)
            .lasting(Nanos::SECOND, Nanos(0));
        let outcome = run.trial(service, interrupt)?;
        if interrupt.requested() {
            return Ok(());
        }
        let found = outcome.meta.result.map(|result| result.checksum);
        let found = found.unwrap_or_default();
        ensure!(
            found == expected,
            "the service in Go ({}) computed {found} where the one in Rust computed {expected}: they are not the same \
             service, so nothing can be compared. This is a bug in tailcut.",
            form.key(),
        );
    }
    Ok(())
}

/// Measures one form, traced; `None` if somebody interrupted.
///
/// # Errors
/// A run that cannot be made, or not recorded to its end.
pub fn measure(
    service: &GoService,
    run: &GoRun,
    tracing: &Tracing,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> Result<Option<Measured>> {
    let name = run.variant();
    progress.begin(name);
    let mut traced = None;
    let outcome = run.carry_out(
        service,
        interrupt,
        |pid| traced = tracing.start(pid, run.dir()),
        &mut |second| progress.second(name, &second.into()),
    );
    tracing.end(traced, run.dir());
    let outcome = match outcome {
        Err(_) if interrupt.requested() => return Ok(None),
        outcome => outcome?,
    };
    turn::finish(name, Measured::of(&outcome)?, interrupt, progress)
}

/// The heap form at the rate that it cannot hold: what the search found, as a recording of its own.
pub fn saturated(session: &Session) -> GoRun {
    let rate: Rate = HIGHEST_RATE.parse().expect("a rate");
    let variant = format!("{}_at_{HIGHEST_RATE}", GoForm::Heap.key());
    session.go_run(GoForm::Heap, &variant).at(rate)
}
