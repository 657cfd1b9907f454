//! What is left out at the beginning of a run, by a rule that is stated.

use crate::clock::Nanos;

/// How long the unrecorded beginning is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUp {
    /// So long.
    Fixed(Nanos),
    /// Until latency is stationary, in whole seconds, at most so long.
    Auto {
        /// The recorded part then begins, and the recording says that it was not stationary.
        at_most: Nanos,
    },
}
