//! What a session has seen in one interval: what `record` writes, `top` shows and `serve` exports.

use hdrhistogram::Histogram;

use crate::catalogue::Series;

/// Values of a series, in its unit.
pub type Values = Histogram<u64>;

/// What can be lost, by the names that [`Tick::lost`] uses.
pub const LOSSES: [&str; 7] = [
    "events beyond the rate that is sent",
    "events that found the buffer full",
    "stacks",
    "threads",
    "call sites",
    "sampled objects",
    "returns without a beginning",
];

/// One interval, about a second.
#[derive(Debug, Clone, Default)]
pub struct Tick {
    /// When it began: `CLOCK_MONOTONIC`, in nanoseconds.
    pub start_ns: u64,
    /// How long it was, in nanoseconds.
    pub length_ns: u64,
    /// What each series counted in it. Series that are attached but saw nothing are there, with
    /// empty histograms.
    pub series: Vec<SeriesTick>,
    /// Slow events that ended in it, in the order of their ends.
    pub events: Vec<SlowEvent>,
    /// The busiest call sites since the session began, by calls.
    pub call_sites: Vec<CallSite>,
    /// What tracing cost in it.
    pub cost: Cost,
    /// Threads of the target that have been seen, and are alive.
    pub threads: u32,
    /// CPU time that the target used in it, in nanoseconds.
    pub target_cpu_ns: u64,
    /// Resident memory of the target at its end, in bytes.
    pub target_rss_bytes: u64,
    /// Events, stacks, threads and the like that were lost in it, by name ([`LOSSES`]).
    pub lost: Vec<(&'static str, u64)>,
    /// Windows of tracing that ended in it.
    pub windows: Vec<Window>,
    /// What happened to the target: threads made and ended, another program executed.
    pub lives: Vec<String>,
    /// The target has ended; this is the last interval.
    pub ended: bool,
}

/// One series in one interval.
#[derive(Debug, Clone)]
pub struct SeriesTick {
    /// Which one.
    pub series: Series,
    /// Its name with the allocator's, if there are several: `malloc`, `malloc@jemalloc`.
    pub name: String,
    /// Values, within 1.6%.
    pub histogram: Histogram<u64>,
    /// Sum of the values.
    pub total: u64,
    /// Sum of the bytes that belonged to them.
    pub bytes: u64,
    /// Share of the interval in which its hooks were attached, 0 to 1. Counts and sums are what was
    /// seen; divide by it for an estimate of the whole. Percentiles need no such correction.
    pub sampled: f64,
    /// Values below it are mostly the cost of the probe itself: read as "less than this".
    pub floor_ns: u64,
    /// Values that were below it.
    pub under_floor: u64,
}

impl SeriesTick {
    /// Events per second, scaled to the whole interval by [`SeriesTick::sampled`]; `None` if its
    /// hooks were not attached in it.
    pub fn rate(&self, length_ns: u64) -> Option<f64> {
        let seconds = length_ns as f64 * 1e-9 * self.sampled;
        (seconds > 0.0).then(|| self.histogram.len() as f64 / seconds)
    }
}

/// A call or pause that took at least its series' threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowEvent {
    /// Number of its series.
    pub series: u32,
    /// Name of its series.
    pub name: String,
    /// Whether it stops a request.
    pub pause: bool,
    /// The process.
    pub process: u32,
    /// The thread.
    pub thread: u32,
    /// CPU that it was noticed on.
    pub cpu: u32,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub start_ns: u64,
    /// Likewise.
    pub end_ns: u64,
    /// Its detail, as the catalogue says.
    pub detail: u64,
    /// Bytes that it was about, if it was about some.
    pub bytes: Option<u64>,
    /// Who took the CPU (`name/thread`), or the name of the system call.
    pub by: Option<String>,
    /// Return address of the call, if known.
    pub caller: Option<u64>,
    /// Its stack, by number in the session's table, if one was sent.
    pub stack: Option<u32>,
}

impl SlowEvent {
    /// How long it took, in nanoseconds.
    pub fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// A place in the code that allocates or frees.
#[derive(Debug, Clone, PartialEq)]
pub struct CallSite {
    /// Name of the series: `malloc`, `free`, `lifetime`.
    pub series: String,
    /// Return address.
    pub address: u64,
    /// Function, with its module, as far as symbols are known.
    pub symbol: String,
    /// Calls seen.
    pub calls: u64,
    /// Bytes asked for in them.
    pub bytes: u64,
    /// Nanoseconds in them.
    pub total_ns: u64,
    /// Mean lifetime in nanoseconds of sampled objects from here, if any died.
    pub mean_lifetime_ns: Option<u64>,
}

/// What tracing costs the machine and the target.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Runs of our programs, on behalf of any process.
    pub runs: u64,
    /// Time in them, in nanoseconds, as the kernel accounts it.
    pub programs_ns: u64,
    /// Hits of probe sites in user space.
    pub hits: u64,
    /// Time that their traps took, in nanoseconds: hits times the cost measured on this host.
    pub traps_ns: u64,
    /// Both, as a share of the target's CPU time in the interval, or of one CPU's if the target used
    /// less; 0 to 1.
    pub share: f64,
    /// The share that may not be exceeded.
    pub budget: f64,
    /// CPU time of this program itself, in nanoseconds.
    pub own_cpu_ns: u64,
    /// Its resident memory, in bytes.
    pub own_rss_bytes: u64,
}

/// A time in which windowed series were attached.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// What was attached.
    pub series: String,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub start_ns: u64,
    /// Likewise.
    pub end_ns: u64,
    /// Hits in it.
    pub hits: u64,
    /// `hits`, `time` or `cost`.
    pub ended_by: &'static str,
}
