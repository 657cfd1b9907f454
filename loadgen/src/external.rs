//! Recording another program's own measurements.
//!
//! A service in a language of its own can be loaded within its own process, where no network hides what its memory
//! does: the program keeps the schedule and the histograms itself, says on standard output what it measured, and
//! [`record`] makes an ordinary recording of that, which reports and comparisons take like any other. The order service
//! in Go (`examples/go-orders`) is such a program.
//!
//! # What the program prints
//! One JSON object a line, each written out at once. All instants are `CLOCK_MONOTONIC` nanoseconds, all spans
//! nanoseconds. Members that are not named here are ignored.
//!
//! 1. First, as soon as it is ready, and before the warm-up or during it:
//!    ```json
//!    {"kind":"started","process":4711,"go":"go1.19.8","gomaxprocs":2,"gogc":"100","gomemlimit":"off",
//!     "workers":[{"worker":0,"thread":4713}],"start_ns":81234567890}
//!    ```
//!    `start_ns`: the intended start of the first request after the warm-up. `workers`: the threads that serve, each of
//!    which must stay the same operating-system thread. `go` names the runtime, and `gomaxprocs`, `gogc`, `gomemlimit`
//!    how it is set; all of these may be missing.
//! 2. A line for each second of the schedule after the warm-up, in their order, counted from 0:
//!    ```json
//!    {"kind":"second","index":0,"start_ns":81234567890,"due":2400000,"done":2400000,
//!     "response":[[410,1200000],[415,1200000]],"service":[[380,2400000]],
//!     "slow":[[81234569000,81234569400,81236569000,4713]],"late_ns_max":12000}
//!    ```
//!    A request belongs to the second in which it was **due**. `due`: requests of this second; `done`: those of them that
//!    were served, however late. `response` (intended start to end) and `service` (start to end): pairs of a value and how
//!    many requests had it, values ascending, each the highest of its bucket at three significant digits. A request that
//!    was never served may stand in `response` at the age that it had when the run was cut, as in
//!    the runs of this crate. `slow`: the slowest of them, at most [`MOST_SLOW`]: intended start, start, end, thread.
//! 3. Last, when all is over:
//!    ```json
//!    {"kind":"ended","requests":2400000,"unserved":0,"late":0,"refused":0,"settled_windows":24,
//!     "checksum":"8f3a61d20c9e4b75","schedule_kept":true,
//!     "gc":{"cycles":93,"pause_total_ns":9300000,"assist_cpu_ns":null},"mallocs":26400000,"allocated_bytes":4100000000,
//!     "mallocs_per_request":1.1,"bytes_per_request":170.5}
//!    ```
//!    `requests`: those served after the warm-up; `late`: those of them that ended after the end of the schedule;
//!    `unserved`: those that never were; `refused`: those that were answered with a refusal. `checksum`: a digest of what
//!    was computed. `gc`, `mallocs` and `allocated_bytes`: the runtime's own account of the same time; may be missing.
//!    `mallocs_per_request`, `bytes_per_request`: averages over all that was ever served, since in the time that is
//!    recorded a program that lags behind serves the warm-up's requests as well; else they follow from the totals.
//!    `partial`: why the run was cut short, if it was.
//!
//! A program that ends without a last line leaves a partial recording.
//!
//! # What is believed
//! The program is anybody's. A line longer than [`LONGEST_LINE`], numbers that contradict each other, a second that is not
//! the next one, a process that is not the one that was started: the reading ends there, the error names the line and the
//! reason, and what was recorded before it stays, marked partial.
//!
//! | file | what |
//! |---|---|
//! | `lines.rs` | a line of text as what it says, under limits |
//! | `check.rs` | whether it goes with what was said before |
//! | `record.rs` | lines in, a recording out |
//! | `watch.rs` | the program from outside: memory, and CPUs beside the workers |
//!
//! Cost: a line of a second is about 20 KB and takes a millisecond to read and write; memory does not grow.

mod check;
mod lines;
mod record;
mod watch;

pub use lines::{LONGEST_LINE, MOST_SLOW};
pub use record::{About, record};

use std::io;

use tailcut_report::recording::RecordingError;

/// Why a program's measurements could not be recorded to their end.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// It ended, or closed its standard output, before it said that it had started.
    #[error("the program ended before it said anything")]
    Silent,
    /// What it said cannot be used.
    #[error("line {line} of what the program printed {reason}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Its output cannot be read.
    #[error("cannot read what the program prints: {0}")]
    Read(#[from] io::Error),
    /// The recording could not be made or ended.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}
