//! What one child process is told to do, and what it answers: one JSON object a line.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tailcut_loadgen::{LiveSecond, RunOutcome};
use tailcut_report::recording::{Allocations, State};

use crate::allocator::Allocator;

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Variant {
    /// The engine and the machine alone: the floor.
    Noop,
    /// The service as it is usually written, on a heap allocator.
    Heap(Allocator),
    /// The service on the pool. What little else it allocates comes from the system's allocator.
    Pool,
}

impl Variant {
    /// The key in JSON and in recordings.
    pub fn key(self) -> &'static str {
        match self {
            Variant::Noop => "noop",
            Variant::Heap(Allocator::System) => "heap_system",
            Variant::Heap(Allocator::Jemalloc) => "heap_jemalloc",
            Variant::Heap(Allocator::Mimalloc) => "heap_mimalloc",
            Variant::Pool => "pool",
        }
    }

    /// The allocator that its process runs on.
    pub fn allocator(self) -> Allocator {
        match self {
            Variant::Heap(allocator) => allocator,
            Variant::Noop | Variant::Pool => Allocator::System,
        }
    }
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub variant: Variant,
    pub task: Task,
    /// As the command line takes it.
    pub rate: String,
    pub duration_ns: u64,
    pub window: u64,
    pub workers: u32,
    pub handoff: bool,
    /// The command line of the demo, for the recording.
    pub command: Vec<String>,
}

/// What a run is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Task {
    /// Counts allocations per request, unpaced.
    Count,
    /// Measures latency and writes a recording.
    Measure {
        dir: PathBuf,
        /// Which repetition of the variant, from 1.
        run: u32,
        /// Position in the interleaving, from 0.
        sequence: u32,
        allocations: Option<Allocations>,
    },
}

/// What a child says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// A second of the schedule is over.
    Second(Second),
    /// The counting run is done.
    Counted(Allocations),
    /// The measured run is done and its recording closed.
    Measured(Measured),
    /// It cannot be done.
    Failed(String),
}

/// What came of a measured run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub rate_achieved: f64,
    pub schedule_kept: bool,
    pub p999_ns: u64,
    pub max_ns: u64,
    /// Why it was cut short, if it was.
    pub partial: Option<String>,
}

impl Measured {
    /// Of a recording that has been closed.
    ///
    /// # Errors
    /// A run that has no result.
    pub fn of(outcome: &RunOutcome) -> Result<Measured> {
        let meta = &outcome.meta;
        let partial = (meta.state != State::Complete).then(|| {
            let reason = meta.state_reason.clone();
            reason.unwrap_or_else(|| "cut short".to_owned())
        });
        let result = meta
            .result
            .as_ref()
            .context("a run ended without a result")?;
        Ok(Measured {
            rate_achieved: result.rate_achieved,
            schedule_kept: result.schedule_kept,
            p999_ns: outcome.response.value_at_quantile(0.999),
            max_ns: outcome.response.max(),
            partial,
        })
    }
}

/// Live figures of one second.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Second {
    pub warming_up: bool,
    /// Completed per second.
    pub rate: f64,
    /// Of response time: P50, P99.9 and the maximum, in nanoseconds. Nothing during warm-up.
    pub response: Option<[u64; 3]>,
}

impl From<&LiveSecond> for Second {
    fn from(second: &LiveSecond) -> Second {
        Second {
            warming_up: second.warming_up,
            rate: second.rate,
            response: second
                .response
                .map(|response| [response.p50.0, response.p999.0, response.max.0]),
        }
    }
}
