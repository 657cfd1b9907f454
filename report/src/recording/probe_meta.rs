//! `probe.json`: what was traced, how, at what cost, and what is missing.
//!
//! The probe's own metadata, apart from `meta.json`, because in a run under load another writer
//! owns that file. Here too fields that a reader does not know are ignored, and those that a file
//! lacks take their default.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClockPair, Host, Meta, SCHEMA, State};

/// What the probe did to make a recording's pauses.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProbeMeta {
    /// Version of the format: [`SCHEMA`] when written by this crate.
    pub schema: u32,
    /// The program that traced, with its version: `tailcut 0.1.0`.
    pub tool: String,
    /// How far the tracing has come.
    pub state: State,
    /// Why it is partial: `the target ended`, `disk full: ...`.
    pub state_reason: Option<String>,
    /// What ran, with its arguments.
    pub command: Vec<String>,
    /// The machine.
    pub host: Host,
    /// Ties the monotonic clock to wall time; places the intervals of `pauses.hlog`.
    pub clock: ClockPair,
    /// When tracing began, in `CLOCK_MONOTONIC` nanoseconds; 0 when not yet.
    pub start_ns: u64,
    /// When it ended, or of the last update, in `CLOCK_MONOTONIC` nanoseconds; 0 when not yet.
    pub end_ns: u64,
    /// What was traced.
    pub target: Target,
    /// What was recorded of it.
    pub series: Vec<SeriesMeta>,
    /// The spans in which probes stood that are too dear to stand always.
    pub windows: Vec<TraceWindow>,
    /// What tracing cost.
    pub cost: ProbeCost,
    /// What one hit of each probe costs on this host: nothing shorter can be measured there.
    pub floor: Vec<FloorEntry>,
    /// What was seen and not recorded.
    pub dropped: Vec<Dropped>,
    /// What a reader must know to judge the figures, one sentence each.
    pub notes: Vec<String>,
    /// Series that were asked for and cannot be had here, and why: one sentence each.
    pub left_out: Vec<String>,
    /// The busiest places in the code that allocate or free, by calls: a few dozen.
    pub call_sites: Vec<CallSite>,
}

impl ProbeMeta {
    /// The `meta.json` of a recording that nobody but the probe writes: the target as variant, no
    /// load, no result.
    pub(super) fn as_meta(&self) -> Meta {
        Meta {
            schema: SCHEMA,
            tool: self.tool.clone(),
            state: self.state,
            state_reason: self.state_reason.clone(),
            variant: match self.target.name.as_str() {
                "" => format!("process {}", self.target.process),
                name => name.to_owned(),
            },
            run: 1,
            command: self.command.clone(),
            host: self.host.clone(),
            clock: self.clock,
            ..Meta::default()
        }
    }
}

/// The process that was traced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Target {
    /// Its number on the host.
    pub process: u32,
    /// Its name for itself: whatever it likes.
    pub name: String,
    /// The path of its executable.
    pub executable: String,
    /// Its arguments.
    pub command: Vec<String>,
    /// The allocators found in it: `jemalloc 5.3.0`, `glibc 2.36`.
    pub allocators: Vec<String>,
    /// Its threads when tracing ended.
    pub threads: u32,
}

/// One series of `pauses.hlog`.
///
/// All figures are those of events that were seen; a reader scales totals by
/// [`SeriesMeta::sampling`], and leaves percentiles alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SeriesMeta {
    /// The tag in `pauses.hlog` and the kind in `pauses.jsonl`: `off_cpu`, `malloc@jemalloc`.
    pub name: String,
    /// What it measures, in one line.
    pub what: String,
    /// The unit of its values.
    pub unit: Unit,
    /// Whether time in it is time in which a request of that thread stands still.
    pub pause: bool,
    /// Whether all threads of the process stand still in it, not only the one that it is recorded on: a
    /// collector's stop of the world.
    pub process_wide: bool,
    /// Whether waits for other threads that begin within it are part of it, not causes of their own: who is
    /// stopped by a collector, or works for one, waits for it.
    pub owns_waits: bool,
    /// From which length on a pause is in `pauses.jsonl`, in nanoseconds.
    pub threshold_ns: u64,
    /// Where the probes stand: `raw_tracepoint:sched_switch`, `libc.so.6:free+9`.
    pub hooks: Vec<String>,
    /// Share of the time, or of the events, that was seen: above 0, up to 1 for all.
    pub sampling: f64,
    /// Events seen, those under the floor too.
    pub events: u64,
    /// Their times added up over all threads, in nanoseconds; 0 where the unit is another.
    pub total_ns: u64,
    /// Their sizes added up, in bytes.
    pub bytes: u64,
    /// Events that took no longer than the probe's own hit. They are in the histograms too, at
    /// values up to the floor, so that ranks are right; the values say nothing.
    pub under_floor: u64,
    /// The floor of this series, in nanoseconds; 0 where nothing stands in the measured path.
    pub floor_ns: u64,
    /// What [`Pause::detail`](super::Pause::detail) means in it: `bytes unmapped`.
    pub detail: Option<String>,
    /// Calls by what they asked for: the n-th number is of those of at least 2^n bytes and less than twice that.
    /// Empty where sizes are not known.
    pub sizes: Vec<u64>,
}

/// A place in the target's code that allocates or frees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CallSite {
    /// The series: `malloc@jemalloc`, `free`, `lifetime`.
    pub series: String,
    /// The function, with its module as far as that is known: whatever the program's files say.
    pub place: String,
    /// Calls that were seen.
    pub calls: u64,
    /// Bytes that these asked for.
    pub bytes: u64,
    /// Time in them, in nanoseconds.
    pub total_ns: u64,
    /// How long sampled objects from here lived on average, in nanoseconds; absent if none ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_lifetime_ns: Option<u64>,
}

impl Default for SeriesMeta {
    fn default() -> SeriesMeta {
        SeriesMeta {
            name: String::new(),
            what: String::new(),
            unit: Unit::default(),
            pause: false,
            process_wide: false,
            owns_waits: false,
            threshold_ns: 0,
            hooks: Vec::new(),
            sampling: 1.0,
            events: 0,
            total_ns: 0,
            bytes: 0,
            under_floor: 0,
            floor_ns: 0,
            detail: None,
            sizes: Vec::new(),
        }
    }
}

/// The unit of a series' values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Time.
    #[default]
    Nanoseconds,
    /// Sizes.
    Bytes,
    /// Plain numbers; also how a unit is read that this reader does not know.
    #[serde(other)]
    Count,
}

/// A span in which the probes of a series stood.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TraceWindow {
    /// The series' name.
    pub series: String,
    /// From the start of attaching, in `CLOCK_MONOTONIC` nanoseconds.
    pub start_ns: u64,
    /// To the end of detaching, in `CLOCK_MONOTONIC` nanoseconds.
    pub end_ns: u64,
    /// Hits in it.
    pub hits: u64,
    /// `hit count`, `time`, `the end of the recording`.
    pub why_ended: String,
}

/// What tracing cost the target and the machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProbeCost {
    /// Time inside the BPF programs, as the kernel counts it, in nanoseconds.
    pub cpu_ns_in_programs: u64,
    /// How often a program ran.
    pub hits: u64,
    /// Time that entering and leaving the probes took, by calibration, in nanoseconds.
    pub trap_ns_estimated: u64,
    /// Both of these over the target's own CPU time in the same span, 0 to 1.
    pub share_of_target_cpu: f64,
    /// The share that the probe was held to, 0 to 1; 0 for no limit.
    pub budget: f64,
    /// CPU time of tailcut's own process, in nanoseconds.
    pub tailcut_cpu_ns: u64,
    /// Its largest resident set, in bytes.
    pub tailcut_rss_bytes: u64,
}

/// The cost of one hit at one place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FloorEntry {
    /// The place: `libc.so.6:free+9, push`.
    pub site: String,
    /// What a hit costs there, in nanoseconds.
    pub ns: u64,
}

/// Something that was seen and not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dropped {
    /// `pauses over the limit of a second`, `stacks`.
    pub what: String,
    /// How many.
    pub count: u64,
}
