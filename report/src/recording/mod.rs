//! A recording: the folder in which one run is kept, and the only thing that the tools share.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `meta.json` | what ran, where, and how it ended | replaced as a whole (temporary file, then rename) |
//! | `latency.hlog` | HdrHistogram interval log, V2 compressed, one line per interval and series | appended |
//! | `slow.jsonl` | some of the slowest requests, one JSON object a line | appended |
//! | `marks.jsonl` | what happened beside the requests (faults on purpose), one JSON object a line; absent when nothing did | appended |
//! | `resources.jsonl` | the target's use of resources, sampled; absent when nobody's was | appended |
//! | `pool.jsonl` | what a pool holds and has done, once a second; absent without a pool | appended |
//! | `probe.json` | what was traced, at what cost, and what is missing | replaced as a whole |
//! | `pauses.hlog` | as `latency.hlog`, with the probe's series | appended |
//! | `pauses.jsonl` | single pauses over a threshold, one JSON object a line | appended |
//! | `stacks.json` | the call stacks that these point to | replaced as a whole |
//!
//! The first six are a load generator's ([`Writer`]), the others a probe's ([`PauseWriter`]).
//! Both may write into one folder at the same time, in any order, without knowing of each other; a
//! probe alone writes `meta.json` as well.
//!
//! The folder is valid at every moment of its life. Each line is written by one call, so whatever
//! kills the writer (a signal, a full disk, a power cut) leaves at most one torn line at the end of
//! a file, which [`Recording::read`] drops and reports in [`Recording::torn`]. A recording whose
//! writer never came to [`Writer::finish`] says [`State::Running`] on disk and is read as
//! [`State::Partial`].
//!
//! `latency.hlog` is readable by HistogramLogAnalyzer and by the Java, Python and Go ports: values
//! are nanoseconds, the `Interval_Max` column is in milliseconds (the ports' convention), interval
//! starts are relative to `BaseTime` and have the format's resolution of one millisecond.
//!
//! Cost (release build, a second of 2.4 million values): 5 KB on disk and 0.1 ms to write when all
//! lie within a factor of forty, 27 KB and 2.3 ms when they spread over six decades; 0.2 to 0.4 ms
//! to read. [`Reader`] holds one histogram and the slow requests in memory; [`Recording::read`] holds
//! every interval (230 KB each), which suits seconds and minutes rather than hours.

mod appender;
mod beside;
mod error;
mod hlog;
mod intervals;
mod lines;
mod mark;
mod meta;
mod pause;
mod pause_reader;
mod pause_writer;
mod payload;
mod pool_sample;
mod probe_meta;
mod reader;
mod slow;
mod stack_table;
mod whole_file;
mod writer;

pub use beside::{Listed, Marks, PoolSamples, Resources};
pub use error::RecordingError;
pub use hlog::{Interval, merged};
pub(crate) use hlog::{add, empty};
pub use intervals::Intervals;
pub use mark::{Mark, ResourceSample};
pub use meta::{
    Allocations, ClockPair, Generator, Host, Load, Meta, ObjectiveResult, PoolSizing, RunResult,
    Runtime, SCHEMA, Stalls, State,
};
pub use pause::Pause;
pub use pause_reader::{PauseList, PauseReader, Pauses};
pub use pause_writer::PauseWriter;
pub use pool_sample::PoolSample;
pub use probe_meta::{
    CallSite, Dropped, FloorEntry, ProbeCost, ProbeMeta, SeriesMeta, Target, TraceWindow, Unit,
};
pub use reader::{Reader, Recording};
pub use slow::SlowRequest;
pub use stack_table::{Frame, Stack, StackTable};
pub(crate) use whole_file::create_anew;
pub use writer::{Writer, rewrite_meta};

/// Tag of the series that measures from a request's intended start to its end.
pub const RESPONSE: &str = "response";

/// Tag of the series that measures from the service's start on a request to its end.
pub const SERVICE: &str = "service";

/// Tag of the series that measures from a request's send to the first byte of its answer.
pub const FIRST_BYTE: &str = "first_byte";

/// Tag of the series that measures how long connections took to be made, TLS included.
pub const CONNECT: &str = "connect";

/// Tag of the series that measures how late the generator itself sent ([`Generator::lateness_p50_ns`]).
pub const SEND_LATENESS: &str = "send_lateness";

/// Tag of the series that counts, at each send, the requests under way on that connection: no time.
pub const QUEUE_DEPTH: &str = "queue_depth";

/// Name of the file that says what ran; a folder that holds one is a recording.
pub(crate) const META_FILE: &str = "meta.json";
/// Name of the interval log.
pub(crate) const LATENCY_FILE: &str = "latency.hlog";
/// Name of the list of slow requests.
pub(crate) const SLOW_FILE: &str = "slow.jsonl";
/// Name of the list of marks.
pub(crate) const MARK_FILE: &str = "marks.jsonl";
/// Name of the list of resource samples.
pub(crate) const RESOURCE_FILE: &str = "resources.jsonl";
/// Name of the list of what a pool holds.
pub(crate) const POOL_FILE: &str = "pool.jsonl";
/// Name of the probe's own metadata.
const PROBE_FILE: &str = "probe.json";
/// Name of the interval log of the probe's series.
const PAUSE_LOG_FILE: &str = "pauses.hlog";
/// Name of the list of pauses.
const PAUSE_LIST_FILE: &str = "pauses.jsonl";
/// Name of the table of stacks.
const STACK_FILE: &str = "stacks.json";
/// The largest `meta.json`, in bytes.
const META_LIMIT: u64 = 16 << 20;
/// The largest `probe.json`, in bytes: room for 100,000 windows.
const PROBE_LIMIT: u64 = 16 << 20;
/// The largest `stacks.json`, in bytes.
const STACK_LIMIT: u64 = 64 << 20;
