//! `pauses.jsonl`: single pauses, each with its thread and its two times.

use serde::{Deserialize, Serialize};

/// One pause over its series' threshold; a line of `pauses.jsonl`.
///
/// Text in it is as hostile as the traced process: a reader shows it only after cleaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Pause {
    /// The series that it belongs to: `off_cpu`, `munmap`, `free@jemalloc`.
    pub kind: String,
    /// The process (thread group), as the recording's host numbers it.
    #[serde(default)]
    pub process: u32,
    /// The thread that paused, as the host numbers it; the same numbers as in `slow.jsonl`.
    pub thread: u32,
    /// The CPU on which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// When it began, in `CLOCK_MONOTONIC` nanoseconds.
    pub start_ns: u64,
    /// When it ended, in `CLOCK_MONOTONIC` nanoseconds.
    pub end_ns: u64,
    /// Where in the program: the number of a [`Stack`](super::Stack) in `stacks.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<u32>,
    /// Bytes, an address, a task: what it means stands in
    /// [`SeriesMeta::detail`](super::SeriesMeta::detail).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<u64>,
    /// Who had the CPU, or the lock, meanwhile: `stress-ng/4711`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Pause {
    /// Its length in nanoseconds; 0 for one that ends before it starts.
    pub fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}
