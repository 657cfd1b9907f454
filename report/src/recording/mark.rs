//! What happened beside the requests: marks in time, and the target's use of resources.

use serde::{Deserialize, Serialize};

/// Something that happened during a run and that a reader must know of: a fault on purpose, the warm-up's
/// end, a connection storm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mark {
    /// Its beginning on `CLOCK_MONOTONIC`, in nanoseconds.
    pub start_ns: u64,
    /// Its end; equal to the beginning for an instant.
    pub end_ns: u64,
    /// `freeze`, `hog_cpu`, `hog_memory`, `delay`, `warm_up`, ...
    pub kind: String,
    /// For people: `target 4711 frozen by SIGSTOP`.
    pub detail: String,
}

/// What a process has used so far, and has now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceSample {
    /// When, on `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// Whose: the process id.
    pub process: u32,
    /// CPU time of all its threads since it began, in nanoseconds.
    pub cpu_ns: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// Page faults that did not wait for a device, since it began.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
    /// Times that a thread of it gave its CPU away, since it began.
    pub voluntary_switches: u64,
    /// Times that a CPU was taken from a thread of it.
    pub involuntary_switches: u64,
    /// Time its threads were ready to run but did not, since it began, in nanoseconds.
    pub run_queue_wait_ns: u64,
    /// Threads.
    pub threads: u32,
    /// Open file descriptors; 0 where that may not be seen.
    pub descriptors: u32,
    /// CPU time of the thread that used most of it since sampling began, in nanoseconds: one thread at its
    /// limit is a limit, however many CPUs are free.
    pub busiest_thread_ns: u64,
    /// CPU that it may use by its affinity and its control group's quota, in thousandths of a CPU; 0 where
    /// that is not known.
    pub allowed_millicpus: u32,
}
