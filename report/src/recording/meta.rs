//! `meta.json`: what ran, where, and how it ended.
//!
//! Fields that a reader does not know are ignored, and those that a file lacks take their default,
//! so that a field can be added without a new [`SCHEMA`]. A change of meaning needs a new one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the format written by this crate, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// What a recording is of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the format: [`SCHEMA`] when written by this crate.
    pub schema: u32,
    /// The program that recorded, with its version: `tailcut 0.1.0`.
    #[serde(default)]
    pub tool: String,
    /// How far the recording has come.
    pub state: State,
    /// Why it is partial: `interrupted`, `disk full: ...`.
    #[serde(default)]
    pub state_reason: Option<String>,
    /// What was measured: `noop`, `heap_system`, `heap_jemalloc`, `heap_mimalloc`, `pool`.
    pub variant: String,
    /// Which version of it: a revision, a release, as whoever ran it says; empty if nobody did.
    #[serde(default)]
    pub label: String,
    /// Which repetition of the variant this is, from 1.
    #[serde(default = "first")]
    pub run: u32,
    /// Position among the runs of one session, from 0.
    #[serde(default)]
    pub sequence: u32,
    /// What ran, with its arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// The machine.
    #[serde(default)]
    pub host: Host,
    /// Ties the monotonic clock to wall time.
    #[serde(default)]
    pub clock: ClockPair,
    /// What was asked of the service.
    #[serde(default)]
    pub load: Load,
    /// What came of it; absent until the run ended.
    #[serde(default)]
    pub result: Option<RunResult>,
    /// What a separate counting run found, so that the timed run carries no counter.
    #[serde(default)]
    pub allocations: Option<Allocations>,
}

fn first() -> u32 {
    1
}

/// How far a recording has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being written. Found in a folder at rest it means that the writer was killed, and it is
    /// read as [`State::Partial`].
    #[default]
    Running,
    /// The run came to its end.
    Complete,
    /// The run was cut short; what is there is valid.
    Partial,
}

/// The machine that a recording was made on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Host {
    /// Operating system: `linux`.
    pub os: String,
    /// Kernel release: `6.18.0`.
    pub kernel: String,
    /// Instruction set: `x86_64`.
    pub arch: String,
    /// The CPU's own name for itself.
    pub cpu_model: String,
    /// CPUs that the process may use.
    pub cpus: u32,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// C library and version: `glibc 2.36`.
    pub libc: String,
    /// Allocator of the measured process: `jemalloc 5.3.0`.
    pub allocator: String,
    /// The kernel's setting: `always`, `madvise` or `never`.
    pub transparent_huge_pages: String,
    /// Whether the process had the rights to see what an ordinary user cannot.
    pub privileged: bool,
}

/// One instant on both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClockPair {
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub monotonic_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub unix_ns: u64,
}

/// What was asked of the service, and how it was asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Load {
    /// Requests per second that the schedule holds, over all workers.
    pub rate_target: f64,
    /// Length of the measured schedule, in nanoseconds.
    pub duration_ns: u64,
    /// Length of the unmeasured schedule before it, in nanoseconds.
    pub warmup_ns: u64,
    /// Live orders that are settled at once.
    pub window: u64,
    /// Worker threads, each pinned to one core.
    pub workers: u32,
    /// The cores that they were pinned to.
    pub worker_cpus: Vec<u32>,
    /// `inline` (one thread does all) or `handoff` (decoded on one core, settled on another).
    pub form: String,
    /// How the intended starts are spaced: `constant`, ...
    pub pacing: String,
    /// What told the time: `tsc` or `clock_gettime`.
    pub clock_source: String,
    /// What one reading of it costs, in nanoseconds.
    pub clock_cost_ns: f64,
    /// The pool's path: `rseq` or `portable`; absent when no pool was in use.
    pub pool_path: Option<String>,
    /// What was loaded: `tcp://127.0.0.1:7000`; empty for a service within the process.
    pub target: String,
    /// Connections of all workers together; 0 within the process.
    pub connections: u32,
    /// Requests that a connection carries at the same time; 0 within the process.
    pub pipeline: u32,
    /// From when on an unanswered request is given up, in nanoseconds; 0 within the process.
    pub timeout_ns: u64,
    /// What everything random was drawn from; equal seeds and settings mean equal schedules.
    pub seed: u64,
    /// How the end of the warm-up was decided: `1 s, fixed`, `auto: stationary after 3 s`.
    pub warmup_rule: String,
    /// Whether requests waited for answers instead of following a schedule: latencies then suffer
    /// coordinated omission.
    pub closed_loop: bool,
    /// Which part of a load made by several machines this is, from 0; absent when it is all.
    pub shard_index: Option<u32>,
    /// How many parts there are.
    pub shard_of: Option<u32>,
    /// The service level objectives, as they were written: `p99.9<1ms,errors<0.05%`.
    pub slo: Option<String>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunResult {
    /// Requests that the schedule held.
    pub offered: u64,
    /// Requests that the service finished.
    pub completed: u64,
    /// Of these, those finished by the schedule's end.
    pub completed_on_schedule: u64,
    /// Requests never served; they count in the response series at their age when the run was cut.
    pub unserved: u64,
    /// Requests that the service refused.
    pub rejected: u64,
    /// Requests finished by the schedule's end, per second of schedule.
    pub rate_achieved: f64,
    /// Whether the service kept up with the schedule.
    pub schedule_kept: bool,
    /// Digest of everything that the service computed: 16 hexadecimal digits.
    pub checksum: String,
    /// Windows settled.
    pub settled_windows: u64,
    /// Share of worker time spent inside the service, 0 to 1.
    pub cpu_busy: f64,
    /// Largest resident set, in bytes.
    pub max_rss_bytes: u64,
    /// Time that the machine took away.
    pub stalls: Stalls,
    /// Slow requests that were not kept, because their number is bounded.
    pub slow_dropped: u64,
    /// Requests that failed, by kind: `timeout`, `reset`, `status 503`. Refused ones ([`RunResult::rejected`])
    /// are among them.
    pub errors: BTreeMap<String, u64>,
    /// Of the unserved ones, those that could not even be sent. They are among `errors` only where they failed
    /// because no connection could be made.
    pub unsent: u64,
    /// Requests that did not succeed, each counted once: answered with a failure, or never answered. The
    /// share of errors is this over `offered`. (`errors` and `unserved` overlap.)
    pub failed: u64,
    /// What was wrong with an answer that broke the protocol: one example.
    pub last_protocol_error: Option<String>,
    /// Connections that were opened during the recorded part because others were lost or closed.
    pub reconnects: u64,
    /// How late the generator itself was, beside what the target made it wait; absent within the process.
    pub generator: Option<Generator>,
    /// Each objective and whether it held; empty when there was none.
    pub objectives: Vec<ObjectiveResult>,
    /// How large the pool should be by what it did in this run; absent without a pool.
    pub pool_sizing: Option<PoolSizing>,
    /// What the service's language runtime says of itself; absent where it has none that says anything.
    pub runtime: Option<Runtime>,
}

/// A language runtime that collects garbage, by its own account of a run.
///
/// Its figures are of the whole process over the measured time, as far as the runtime can tell that apart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Runtime {
    /// Which one, with its version: `go1.19.8`.
    pub name: String,
    /// Its settings: `GOMAXPROCS=2 GOGC=100 GOMEMLIMIT=off`.
    pub settings: String,
    /// Collections that it finished.
    pub gc_cycles: u64,
    /// Time that all its threads stood still for them, in nanoseconds.
    pub gc_pause_total_ns: u64,
    /// CPU time that allocating threads spent on the collector's work, in nanoseconds; null where it does not say.
    pub gc_assist_cpu_ns: Option<u64>,
    /// CPUs that its threads beside the workers kept busy: above all the collector's own. Measured from outside; null
    /// where the run was too short for that.
    pub other_threads_cpus: Option<f64>,
}

/// A recommended capacity, and what it was reckoned from.
///
/// Little's law: on average rate x time held objects are in use. Half as much again, rounded up to a power of two,
/// is the capacity; from 75% of it on, new work should be turned away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct PoolSizing {
    /// Objects taken per second.
    pub rate: f64,
    /// How long one was held on average, in nanoseconds.
    pub held_ns: u64,
    /// Their product: the mean number in use.
    pub in_use: f64,
    /// The recommended capacity.
    pub capacity: u64,
    /// With so many in use, new work should be turned away.
    pub back_pressure_at: u64,
    /// By the same rule from the most that were seen in use at once, instead of from the mean: where objects come
    /// back in bulk, or after a pause, the peak lies far above it. 0 where that is too many for any pool.
    pub capacity_for_peak: u64,
}

impl RunResult {
    /// Requests that failed or were never answered ([`RunResult::failed`]), as a share of those that the schedule
    /// held, 0 to 1; nothing when it held none.
    #[must_use]
    pub fn error_share(&self) -> Option<f64> {
        (self.offered > 0).then(|| (self.failed as f64 / self.offered as f64).min(1.0))
    }
}

/// The generator's own part in the figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Generator {
    /// Share of its workers' time in which they were not idle, 0 to 1.
    pub busy: f64,
    /// Lateness of sends that the target was not to blame for: from the later of intended start and a free
    /// place on a connection, to the send. Median, in nanoseconds.
    pub lateness_p50_ns: u64,
    /// Its 99.9th percentile.
    pub lateness_p999_ns: u64,
    /// The largest.
    pub lateness_max_ns: u64,
    /// Sends that waited because no connection had a free place: the target's part.
    pub waited_for_place: u64,
    /// Who was the bottleneck: `generator`, `target`, `machine` or `none`.
    pub bottleneck: String,
    /// Why so, in one sentence with figures.
    pub reason: String,
}

/// One service level objective, and what came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectiveResult {
    /// As it was written: `p99.9<1ms`.
    pub objective: String,
    /// What was measured: nanoseconds, a share, or requests per second.
    pub measured: f64,
    /// Whether it held.
    pub held: bool,
}

/// Time that the machine, not the service, took away from the workers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Stalls {
    /// All of it, in milliseconds.
    pub total_ms: f64,
    /// Gaps seen while a worker was idle, spinning towards the next intended start.
    pub idle_gaps: u64,
    /// Their sum, in milliseconds.
    pub idle_gap_ms: f64,
    /// The longest of them, in nanoseconds.
    pub idle_gap_max_ns: u64,
    /// Stalls attributed to the machine while a worker was inside the service.
    pub busy_stalls: u64,
    /// Their sum, in milliseconds.
    pub busy_stall_ms: f64,
    /// Time spent runnable but not running, in milliseconds.
    pub run_queue_wait_ms: f64,
    /// Time that the hypervisor gave to others, in milliseconds.
    pub steal_ms: f64,
    /// Times the scheduler took a worker off its core.
    pub involuntary_switches: u64,
    /// Page faults that waited for a device.
    pub major_faults: u64,
    /// Page faults that did not.
    pub minor_faults: u64,
}

/// What one request allocates on the heap, from the separate counting run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Allocations {
    /// Requests counted over, after warm-up.
    pub requests: u64,
    /// Allocations per request.
    pub allocations_per_request: f64,
    /// Frees per request.
    pub frees_per_request: f64,
    /// Bytes allocated per request.
    pub bytes_per_request: f64,
}
