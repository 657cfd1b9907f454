//! What goes wrong on purpose during a run.

use crate::clock::Nanos;

/// One fault, at a time relative to the start of the recorded part.
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
