//! What the target of a load uses meanwhile: CPU, memory, faults, switches, and how long its threads
//! waited for a core.
//!
//! | file | what |
//! |---|---|
//! | `listener.rs` | which processes listen at an address of this machine |
//! | `process.rs` | one process, read from `/proc`: texts of the kernel, parsed under limits |
//! | `sampler.rs` | several processes as one target, sampled by a thread of its own |
//! | `limits.rs` | how many CPUs they may use: affinity and cgroup quota |
//! | `bottleneck.rs` | which resource was at its limit, as a pure function of samples |
//!
//! Everything is read from outside and takes no lock of the target that could delay it: resident memory
//! comes from `stat`, whose count may lag by some hundred kilobytes, and not from `smaps_rollup`,
//! which holds the target's address space still while it walks it.
//!
//! Cost: 50 us of CPU for one sample, and 30 us more for each thread of the target beyond the first (measured
//! on a busy EPYC guest); the sampler stretches its interval so that it never uses more than a hundredth of a core.
//!
//! Linux only. Processes of other users, and such in other network namespaces, are not found.

mod bottleneck;
mod limits;
mod listener;
mod process;
mod sampler;

pub use bottleneck::{Strain, TargetUse, explain};
pub use listener::{Listening, find_listener, find_listeners};
pub use process::is_alive;
pub(crate) use process::{cpu_beside, peak_resident_bytes};
pub use sampler::Sampler;

use std::io;

/// Why the target's resources cannot be sampled.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// There is no such process, or it ended.
    #[error("there is no process {0}: give the process id of a target that runs")]
    NoProcess(u32),
    /// It is there, but may not be looked at.
    #[error("process {process} cannot be looked at: {cause}; run as its user, or as root")]
    Refused {
        /// The process.
        process: u32,
        /// The system's reason.
        cause: io::Error,
    },
    /// No process was named.
    #[error("no process to sample was named")]
    Nobody,
    /// A file of the kernel cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// The sampling thread cannot be made.
    #[error("cannot start the sampling thread: {0}")]
    Thread(io::Error),
}
