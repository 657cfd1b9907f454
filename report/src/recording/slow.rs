//! `slow.jsonl`: some of the slowest requests, with the three times that tell waiting from work.

use serde::{Deserialize, Serialize};

/// One slow request; a line of `slow.jsonl`. All times are `CLOCK_MONOTONIC` nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SlowRequest {
    /// When the schedule meant it to start.
    pub intended_ns: u64,
    /// When the service took it up; later than intended when a backlog stood in front of it.
    pub start_ns: u64,
    /// When the service was done with it.
    pub end_ns: u64,
    /// The worker thread that served it.
    pub thread: u32,
    /// Its number in the schedule.
    pub request: u64,
}

impl SlowRequest {
    /// Intended start to end, in nanoseconds: what the client saw.
    pub fn response_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.intended_ns)
    }

    /// Start to end, in nanoseconds: what the service itself took.
    pub fn service_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// Intended start to start, in nanoseconds: time spent behind others.
    pub fn backlog_ns(&self) -> u64 {
        self.start_ns.saturating_sub(self.intended_ns)
    }
}
