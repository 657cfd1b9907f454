//! Blame: why the slow requests were slow.
//!
//! Each slow request that was kept has three instants: when it was due, when the service took it
//! up, when it was done. Every nanosecond from the first to the last gets exactly one cause, so
//! the shares add up to the request's time:
//!
//! 1. **A pause of its own thread**, at whatever instant one is going on: while the request was in
//!    service, or while it stood behind another that was. Where pauses lie within each other (a page
//!    fault inside `munmap` inside `free`), the innermost has the instant, because there the thread
//!    really was; of pauses of one thread the innermost is the one that began last (of two that
//!    began together the one that ends first), as the calls that make them nest.
//!    A pause of the whole process (a collector's stop of the world) is one of each of its threads. Who is
//!    stopped by a collector, or works for one, may park meanwhile: such a wait is the collector's time.
//! 2. **The backlog that pauses left.** Waiting in which the thread was at work, on requests that
//!    should have been done long ago: owed to the pauses before, the latest first, and never more of
//!    it than they lasted (a queue without a pause of length L makes nobody wait less by more than
//!    L). How much of that is still owed when a request becomes due: see [`backlog`].
//! 3. **Its own service**: time in service without a pause.
//! 4. **Unexplained**: waiting that no pause covers and no backlog of one explains, as of a burst, of a
//!    load that is more than the service can bear, or of what was not traced.
//!
//! Nothing else is ever blamed: no pause of another thread alone, no time of a request outside the traced
//! time. Pauses shorter than the probe's threshold are not listed one by one; their time is in
//! 3 and 4.
//!
//! That is the rule for a service within the process, whose worker threads are those of the
//! requests. Requests over a **network** are recorded on the threads of the load generator, the
//! server's pauses on others, and nothing says which thread served which request. There blame is
//! weaker, and says so: a request's time [coincides](BlameMode::Coincides) with a pause when any
//! thread of the server is in one. Waiting for another thread (`futex`) is left out, since workers
//! without work wait like that; backlog is not followed, own service cannot be told; and a kind
//! counts only if slow requests meet it more than they would at other moments ([`chance`]). With
//! one busy thread that is as good as certain, with many it is a hint.
//!
//! | file | what |
//! |---|---|
//! | `spans.rs` | the pauses of a run, bounded |
//! | `cover.rs` | the innermost pause at each instant; how much of a time is covered |
//! | `backlog.rs` | how much of a request's waiting is owed to pauses before it |
//! | `attribution.rs` | the causes of one thread's requests |
//! | `chance.rs` | whether requests over a network meet a kind of pause more than by chance |
//! | `spike.rs` | the five longest, each as a story |
//! | `run.rs` | one run: pauses in, blame out |
//! | `summary.rs` | a variant over all its runs |
//! | `tables.rs` | these as text |
//!
//! Cost: 32 bytes for each pause of a thread with slow requests, at most [`spans::MOST`] of a run,
//! and about 100 more while that thread is looked at; time grows as n log n. An hour with 115,000
//! slow requests and 500,000 pauses takes under half a second.

mod attribution;
mod backlog;
mod chance;
mod cover;
mod run;
pub(crate) mod spans;
mod spike;
mod summary;
pub(crate) mod tables;

#[cfg(test)]
mod simulated;

pub(crate) use run::{BlameBuilder, BlameInput, Known, RunBlame};
pub use spike::{Spike, SpikePause};
pub use summary::{BlameMode, BlameRow, BlameSummary, KindBlame, ThreadBlame};
