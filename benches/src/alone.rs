//! Measurements in a process of their own: this very program, started again for one row.
//!
//! Two kinds of row need it: those whose whole process must run on one allocator ([`allocator`]),
//! and those for which only a fresh process is cold. Each round starts a new process; the rows
//! still take turns. What starting costs is not measured: the process prints the nanoseconds of
//! its own measured part.

use std::process::Command;

use crate::allocator::{self, Allocator};
use crate::rounds::{RETRIES, preemptions};
use crate::workload::Run;
use crate::workloads::{cold, order};

/// What such a process is asked for: the argument of the program's `--alone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// [`cold::first_get`] of the row with this name.
    Cold(String),
    /// [`order::alone`] of this form.
    Order(order::Form),
    /// [`allocator::glibc_growth`] while a thousand boxes are made: which allocator is it?
    Growth,
}

impl Task {
    /// As an argument.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Task::Cold(row) => format!("cold/{row}"),
            Task::Order(form) => format!("order/{}", form.name()),
            Task::Growth => "growth".to_owned(),
        }
    }

    /// From an argument; `None` if it is no task.
    #[must_use]
    pub fn parse(text: &str) -> Option<Task> {
        match text.split_once('/') {
            Some(("cold", row)) => Some(Task::Cold(row.to_owned())),
            Some(("order", form)) => order::Form::ALL
                .into_iter()
                .find(|known| known.name() == form)
                .map(Task::Order),
            None if text == "growth" => Some(Task::Growth),
            _ => None,
        }
    }

    /// Does it, in the process that was started for it. A measurement during which the kernel
    /// preempted the process is made again, as in [`rounds`](crate::rounds); a cold one cannot be.
    ///
    /// # Errors
    /// Why it cannot be measured.
    pub fn perform(&self, repetitions: u64) -> Result<f64, String> {
        match self {
            Task::Cold(row) => cold::first_get(row),
            Task::Growth => {
                let boxes = || (0..1000).map(|_| Box::new([0_u8; 500])).collect::<Vec<_>>();
                Ok(allocator::glibc_growth(boxes) as f64)
            }
            Task::Order(form) => undisturbed(|| order::alone(*form, repetitions)),
        }
    }
}

/// Measures again while the kernel preempts this process, as [`rounds`](crate::rounds) does.
pub(crate) fn undisturbed(mut measure: impl FnMut() -> Result<f64, String>) -> Result<f64, String> {
    for _ in 0..RETRIES {
        let before = preemptions();
        let nanoseconds = measure()?;
        if preemptions() == before {
            return Ok(nanoseconds);
        }
    }
    measure()
}

/// A row's measurement in a new process, on `allocator`.
#[must_use]
pub fn run(task: &Task, allocator: Allocator) -> Run {
    let task = task.text();
    Box::new(move |repetitions| {
        // This program, even if another one was built in its place meanwhile.
        let mut program = Command::new("/proc/self/exe");
        program
            .args(["--alone", &task, "--repetitions", &repetitions.to_string()])
            .env(allocator::VARIABLE, allocator.name());
        number_printed_by(program)
    })
}

/// Runs a program that measures something, and reads the number that it prints.
///
/// # Errors
/// It cannot be run, fails, or prints something else than a number.
pub fn number_printed_by(mut program: Command) -> Result<f64, String> {
    let name = program.get_program().to_string_lossy().into_owned();
    let output = program.output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let printed = printed.trim();
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("Error: ");
    match printed.parse() {
        Ok(number) if output.status.success() => Ok(number),
        _ if said.is_empty() => Err(format!("{name} printed no number: '{printed}'")),
        _ => Err(said.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_survives_the_command_line() {
        let orders = order::Form::ALL.map(Task::Order);
        let others = [Task::Cold("opool Pool, boxed".to_owned()), Task::Growth];
        for task in orders.into_iter().chain(others) {
            assert_eq!(Task::parse(&task.text()), Some(task));
        }
        assert_eq!(Task::parse("order/nobody"), None);
    }

    #[test]
    fn a_program_that_fails_is_quoted_and_its_number_is_not_believed() {
        let shell = |script: &str| {
            let mut program = Command::new("sh");
            program.args(["-c", script]);
            number_printed_by(program)
        };
        assert_eq!(shell("echo 12.5"), Ok(12.5));
        assert_eq!(
            shell("echo 12.5; echo 'Error: it broke' >&2; exit 1"),
            Err("it broke".to_owned())
        );
        assert!(shell("echo twelve").unwrap_err().contains("twelve"));
    }
}
