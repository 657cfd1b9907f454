//! What can go wrong between a process and its flame graph.
//!
//! A single stack or symbol never fails: it ends early, or bears the name of its module, and says
//! so in its result.

use std::io;

/// An error of [`stacks`](super).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StacksError {
    /// The process has gone, or may not be looked at.
    #[error(
        "cannot read the memory map of process {pid}: {source} (has it exited? reading another user's process needs root or CAP_SYS_PTRACE)"
    )]
    Maps {
        /// The process.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// A process without user memory, such as a kernel thread.
    #[error("process {pid} has no executable memory: it is a kernel thread, or it has just exited")]
    NoMemory {
        /// The process.
        pid: u32,
    },
    /// A flame graph of nothing.
    #[error(
        "no stack to draw: nothing of this kind was recorded with a {weight} above zero (lower the threshold, or record for longer)"
    )]
    NothingToDraw {
        /// What the widths should have shown.
        weight: &'static str,
    },
    /// The flame graph cannot be written.
    #[error("cannot write the flame graph: {0}")]
    Draw(#[from] io::Error),
}
