//! A run in a process of its own, seen from the parent.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};

use super::order::{Answer, Order, Task};
use crate::allocator::{ALLOCATOR_VARIABLE, COUNT_VARIABLE};
use crate::interrupt::Interrupt;

/// Runs `order` in a new process on its allocator and shows every answer to `on_answer`, the last
/// one excepted, which is returned. A [`Answer::Failed`] becomes an error.
pub fn run(
    order: &Order,
    interrupt: &Interrupt,
    mut on_answer: impl FnMut(&Answer),
) -> Result<Answer> {
    let mut child = start(order)?;
    interrupt
        .child
        .store(child.id().cast_signed(), Ordering::SeqCst);
    let last = converse(order, &mut child, &mut on_answer);
    let status = child.wait();
    interrupt.child.store(0, Ordering::SeqCst);
    match (last?, status.context("cannot wait for the run's process")?) {
        (Some(Answer::Failed(message)), _) => bail!("{message}"),
        (Some(answer), status) if status.success() => Ok(answer),
        (_, status) => bail!(
            "the process of {} ended before its run did: {status}",
            order.variant.key()
        ),
    }
}

fn start(order: &Order) -> Result<Child> {
    let this = std::env::current_exe().context("cannot find this program's own executable")?;
    let mut command = Command::new(this);
    command
        .arg("run-variant")
        .env(ALLOCATOR_VARIABLE, order.variant.allocator().name())
        .env_remove(COUNT_VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if matches!(order.task, Task::Count) {
        command.env(COUNT_VARIABLE, "1");
    }
    command.spawn().context("cannot start a process for a run")
}

fn converse(
    order: &Order,
    child: &mut Child,
    on_answer: &mut impl FnMut(&Answer),
) -> Result<Option<Answer>> {
    let mut stdin = child
        .stdin
        .take()
        .context("the run's process has no standard input")?;
    serde_json::to_writer(&stdin, order)?;
    stdin.flush()?;
    drop(stdin);
    let stdout = child
        .stdout
        .take()
        .context("the run's process has no standard output")?;
    let mut last = None;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read what the run's process says")?;
        let answer = serde_json::from_str(&line)
            .with_context(|| format!("the run's process said: {line}"))?;
        on_answer(&answer);
        last = Some(answer);
    }
    Ok(last)
}
