//! Which process to trace: by its number, by its name, or as a systemd unit.
//!
//! Reads `/proc` (and asks `systemctl` for a unit's main process where there is one); needs no
//! privileges for one's own processes. Looking at a process takes about 0.1 ms.
//!
//! One session traces one process. Several matches are refused with a list, unless the newest is
//! asked for. A name is what a process says of itself: on a machine with hostile users, a pattern
//! may find theirs; a number or a unit cannot be forged.

mod process;
mod unit;

use std::fmt;
use std::str::FromStr;

pub use process::{Process, ProcessTable};
pub use unit::UnitName;

use crate::live::fit;

/// Which process to trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetChoice {
    /// The process of this number.
    Pid(u32),
    /// A process of such a name.
    Name(NamePattern),
    /// The main process of a systemd unit.
    Unit(UnitName),
}

/// What to do when several processes match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Several {
    /// An error lists them.
    #[default]
    Refuse,
    /// The one that was started last.
    Newest,
}

impl TargetChoice {
    /// The process to trace, as of now.
    ///
    /// # Errors
    ///
    /// Nobody matches, several do and `several` refuses them, or the one that matches cannot be
    /// traced: a thread, a kernel thread, ourselves.
    pub fn find(&self, table: &ProcessTable, several: Several) -> Result<Process, ChoiceError> {
        match self {
            TargetChoice::Pid(pid) => by_number(table, *pid),
            TargetChoice::Name(pattern) => {
                let matching = table.all()?.into_iter();
                let matching = matching.filter(|process| process.pid != std::process::id());
                one_of(
                    matching
                        .filter(|process| pattern.matches(process))
                        .collect(),
                    self,
                    several,
                )
            }
            TargetChoice::Unit(unit) => {
                if let Some(pid) = unit.main_pid() {
                    return by_number(table, pid);
                }
                one_of(unit.first_processes(table)?, self, several)
            }
        }
    }
}

impl fmt::Display for TargetChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetChoice::Pid(pid) => write!(f, "the number {pid}"),
            TargetChoice::Name(pattern) => write!(f, "the name {pattern}"),
            TargetChoice::Unit(unit) => write!(f, "the unit {unit}"),
        }
    }
}

fn by_number(table: &ProcessTable, pid: u32) -> Result<Process, ChoiceError> {
    let process = table.read(pid).ok_or(ChoiceError::NoSuchProcess { pid })?;
    if process.group != pid {
        return Err(ChoiceError::IsThread {
            thread: pid,
            process: process.group,
        });
    }
    if process.is_kernel_thread {
        return Err(ChoiceError::IsKernelThread {
            pid,
            name: fit(&process.name, 32).into_owned(),
        });
    }
    if process.has_ended {
        return Err(ChoiceError::HasEnded { pid });
    }
    Ok(process)
}

fn one_of(
    mut matching: Vec<Process>,
    what: &TargetChoice,
    several: Several,
) -> Result<Process, ChoiceError> {
    // The number decides between two of the same hundredth of a second.
    matching.sort_by_key(|process| (process.started, process.pid));
    let count = matching.len();
    let Some(newest) = matching.pop() else {
        return Err(ChoiceError::NobodyMatches {
            what: what.to_string(),
        });
    };
    if count == 1 || several == Several::Newest {
        return Ok(newest);
    }
    matching.push(newest);
    Err(ChoiceError::SeveralMatch {
        what: what.to_string(),
        count,
        list: list(&matching),
    })
}

/// The newest ten, one a line.
fn list(processes: &[Process]) -> String {
    const LINES: usize = 10;
    let newest = processes.iter().rev().take(LINES);
    let mut text: String = newest
        .map(|process| {
            let command = fit(&process.command, 60);
            format!(
                "\n  {:>7} {} {command}",
                process.pid,
                fit(&process.name, 16)
            )
        })
        .collect();
    if processes.len() > LINES {
        text.push_str("\n  ...");
    }
    text
}

/// A pattern for names, as a shell has them for files: `redis-server`, `redis*`, `java`,
/// `/opt/*/bin/server`.
///
/// It must match the whole of the short name that the kernel keeps (cut after 15 bytes), the file
/// name of the executable, or the first word of the command line; with a `/` in it, the path of the
/// executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(glob::Pattern);

impl NamePattern {
    /// Whether `process` is meant.
    pub fn matches(&self, process: &Process) -> bool {
        if process.is_kernel_thread || process.has_ended {
            return false;
        }
        if self.0.as_str().contains('/') {
            return process
                .executable
                .as_deref()
                .is_some_and(|path| self.0.matches(path));
        }
        let file = |path: &str| {
            let name = path.rsplit('/').next();
            name.is_some_and(|name| self.0.matches(name))
        };
        self.0.matches(&process.name)
            || process.executable.as_deref().is_some_and(file)
            || process.command.split(' ').next().is_some_and(file)
    }
}

impl FromStr for NamePattern {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<NamePattern, ChoiceError> {
        let bad = |why: &str| ChoiceError::BadPattern {
            pattern: fit(text, 60).into_owned(),
            why: why.to_owned(),
        };
        if text.is_empty() || text.len() > 4096 {
            return Err(bad("it must have 1 to 4096 bytes"));
        }
        let pattern = glob::Pattern::new(text).map_err(|error| bad(error.msg))?;
        Ok(NamePattern(pattern))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_str())
    }
}

/// Why no process was chosen.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// There is no process of this number.
    #[error("there is no process {pid}; `ps -e` lists those there are")]
    NoSuchProcess {
        /// The number.
        pid: u32,
    },
    /// The number is that of a thread.
    #[error("{thread} is a thread of process {process}; trace the process: -p {process}")]
    IsThread {
        /// The number that was given.
        thread: u32,
        /// The number to give instead.
        process: u32,
    },
    /// The kernel's own threads have no user space to trace.
    #[error(
        "{pid} ({name}) is a thread of the kernel: it calls no allocator; choose a process of user space"
    )]
    IsKernelThread {
        /// The number.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// The process is a zombie.
    #[error("process {pid} has ended; only its parent has not yet noticed")]
    HasEnded {
        /// The number.
        pid: u32,
    },
    /// No process is what was asked for.
    #[error("no process runs under {what}; `ps -e` lists those there are, --pid takes a number")]
    NobodyMatches {
        /// What was asked for.
        what: String,
    },
    /// More than one is.
    #[error(
        "{count} processes run under {what}; one can be traced at a time: give its number (-p PID), or ask for the newest \
         (--newest):{list}"
    )]
    SeveralMatch {
        /// What was asked for.
        what: String,
        /// How many there are.
        count: usize,
        /// The newest of them, one a line.
        list: String,
    },
    /// Not a pattern of names.
    #[error(
        "{pattern:?} is no pattern for names: {why}; examples: redis-server, 'redis*', '/opt/*/bin/server'"
    )]
    BadPattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not a name of a unit.
    #[error("{name:?} is no name of a systemd unit; example: nginx.service")]
    BadUnit {
        /// What was given.
        name: String,
    },
    /// `/proc` cannot be read.
    #[error("cannot list the processes in {path}: {source}; is /proc mounted?")]
    Unreadable {
        /// The folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests;
