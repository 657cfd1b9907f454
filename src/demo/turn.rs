//! One run of one variant of the service in Rust: started, traced, told of, and what came of it.

use std::path::Path;

use anyhow::{Result, bail};
use tailcut_report::recording::Allocations;

use super::child;
use super::order::{Answer, Order, Task};
use super::progress::Progress;
use super::traced::Tracing;
use crate::interrupt::Interrupt;

/// What one request allocates; `None` if somebody interrupted.
///
/// # Errors
/// A run that cannot be made.
pub fn count(
    order: &Order,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Option<Allocations>> {
    progress.counting(order.variant.key());
    match child::run(order, interrupt, |_| {}, |_| {}) {
        Ok(Answer::Counted(_)) if interrupt.requested() => Ok(None),
        Ok(Answer::Counted(counted)) => Ok(Some(counted)),
        Err(_) if interrupt.requested() => Ok(None),
        Ok(other) => bail!("a counting run answered {other:?}"),
        Err(error) => Err(error),
    }
}

/// Measures `order`, which is to be recorded in `dir`; `None` if somebody interrupted.
///
/// # Errors
/// A run that cannot be made, or not recorded to its end.
pub fn measure(
    order: &Order,
    dir: &Path,
    tracing: &Tracing,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> Result<Option<Measured>> {
    debug_assert!(matches!(order.task, Task::Measure { .. }));
    let name = order.variant.key();
    progress.begin(name);
    let mut traced = None;
    let answer = child::run(
        order,
        interrupt,
        |pid| traced = tracing.start(pid, dir),
        |answer| {
            if let Answer::Second(second) = answer {
                progress.second(name, second);
            }
        },
    );
    tracing.end(traced, dir);
    let answer = match answer {
        Err(_) if interrupt.requested() => return Ok(None),
        answer => answer?,
    };
    let Answer::Measured(measured) = answer else {
        bail!("a measured run answered {answer:?}");
    };
    finish(name, measured, interrupt, progress)
}

/// What is told of a run that has ended, whatever it was of.
///
/// # Errors
/// One that was cut short, and not by whoever interrupted.
pub fn finish(
    name: &str,
    measured: Measured,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Option<Measured>> {
    progress.end(name, &measured);
    if interrupt.requested() {
        return Ok(None);
    }
    match &measured.partial {
        Some(reason) => {
            bail!("the run of {name} could not be recorded to its end: {reason}")
        }
        None => Ok(Some(measured)),
    }
}

pub use super::order::Measured;
