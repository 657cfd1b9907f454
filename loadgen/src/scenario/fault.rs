//! What goes wrong on purpose during a run.
//!
//! | file | what |
//! |---|---|
//! | `notation.rs` | `freeze@3s+1400ms`: how a fault is written |
//! | `faults.rs` | [`Faults`]: begins and ends each of them in time, and says what really happened |
//! | `deeds.rs` | what is done, and undone by being dropped |
//! | `process.rs` | a process that can be stopped and never be mistaken for another |
//! | `helper.rs` | the process beside ours that burns CPU, takes memory, or thaws what we froze if we die |
//!
//! **Undone, whatever happens.** What is under way ends when the run does, by an error or a panic too.
//! When this process is killed, helpers end with it (their standard input closes, and the kernel kills
//! those that burn or take), and a helper that does nothing else continues what was frozen.
//!
//! Faults begin within about a millisecond of their time on a machine that is not itself short of
//! CPU; marks say when they really did.

mod deeds;
mod faults;
mod helper;
mod notation;
mod process;

pub use deeds::SetDelay;
pub use faults::{FaultTargets, Faults};
pub use helper::{HELPER_COMMAND, register_helper, run_helper};

use std::io;

use crate::clock::Nanos;
use crate::quantity::Bytes;

/// One fault, at a time relative to the start of the recorded part.
///
/// Written `KIND[=AMOUNT]@AT+LASTS`: `freeze@3s+1400ms`, `hog-cpu=2@1s+2s`, `hog-memory=1GiB@0s+5s`,
/// `delay=5ms~2ms@1s+2s` (5 ms, and up to 2 ms more). [`std::fmt::Display`] writes what
/// [`std::str::FromStr`] reads back, exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// When it begins.
    pub at: Nanos,
    /// How long it lasts.
    pub lasts: Nanos,
    /// What it is.
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// The target stands still: SIGSTOP, then SIGCONT.
    Freeze,
    /// So many threads of another process burn CPU.
    HogCpu {
        /// How many.
        threads: u32,
    },
    /// So many bytes are taken and touched by another process.
    HogMemory {
        /// How many.
        bytes: u64,
    },
    /// Everything from and to the target is late, by a proxy on loopback: TCP only.
    Delay {
        /// By how much in each direction.
        by: Nanos,
        /// And up to this much more, drawn at random.
        jitter: Nanos,
    },
}

/// Why a fault cannot be done. Found before the run.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// There is nobody to freeze.
    #[error(
        "the fault {0} needs a process of this machine to stop, and none is known: watch the target's process id"
    )]
    NoProcess(Fault),
    /// The process is not there any more, or never was.
    #[error("the fault {fault}: there is no process {process}")]
    Gone {
        /// What was to be done.
        fault: Fault,
        /// The process.
        process: u32,
    },
    /// It belongs to somebody else.
    #[error(
        "the fault {fault}: process {process} may not be stopped: {cause}; run as its user, or as root"
    )]
    Refused {
        /// What was to be done.
        fault: Fault,
        /// The process.
        process: u32,
        /// The system's reason.
        cause: io::Error,
    },
    /// It would stop ourselves, or the machine.
    #[error("the fault {fault} would stop {what}: the target must be a process of its own")]
    Ourselves {
        /// What was to be done.
        fault: Fault,
        /// Who.
        what: &'static str,
    },
    /// So much memory would take the machine down, and the run with it.
    #[error(
        "the fault {fault}: only {available} of memory are available, and {reserve} of them stay for the \
         machine; take less"
    )]
    Memory {
        /// What was to be done.
        fault: Fault,
        /// What the kernel says is available.
        available: Bytes,
        /// What is never taken.
        reserve: Bytes,
    },
    /// There is no proxy in front of the target.
    #[error("the fault {0} needs a proxy in front of the target, and there is none")]
    NoProxy(Fault),
    /// The program has no part that does it.
    #[error("the fault {0} is done by a process beside this one, which this program cannot start")]
    NoHelper(Fault),
    /// The process beside ours could not be started.
    #[error("the fault {fault}: cannot start the process that does it: {cause}")]
    Helper {
        /// What was to be done.
        fault: Fault,
        /// The system's reason.
        cause: io::Error,
    },
    /// The thread that keeps the time could not be made.
    #[error("cannot start the thread that does faults: {0}")]
    Thread(io::Error),
}
