//! An open-loop load generator, free of coordinated omission.
//!
//! Requests are due at instants that were fixed before the run; response time is measured from
//! there, not from when a busy service got round to it. A service that stalls for a second at a
//! million requests a second has a million late requests, and all of them are in the figures.
//!
//! [`run`] runs a [`RunPlan`] and leaves a recording (see `tailcut_report::recording`):
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use tailcut_loadgen::{RunPlan, Service, run};
//!
//! let plan = RunPlan { rate: "2.4M".parse()?, ..RunPlan::new(Service::Pool, "recording") };
//! let outcome = run(&plan, &AtomicBool::new(false), &mut |second| {
//!     eprintln!("{} done", second.completed);
//! })?;
//! println!("P99.9: {} ns", outcome.response.value_at_quantile(0.999));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! What it costs: 23 ns of a worker's time per request on an EPYC guest, 32 when every request is
//! slower than the last, of which 10 are the one reading of the clock (`examples/drive.rs`). Nothing
//! is allocated, locked or asked of the kernel while requests are served.
//!
//! Limits: Linux only. A worker spins while it waits, so each takes a whole core. Latencies over
//! 100 s are recorded as 100 s.

pub mod clock;
pub mod compare;
mod counting;
mod engine;
mod error;
pub mod external;
pub mod host;
pub mod measured;
mod memory;
pub mod merge;
pub mod network;
pub mod order;
mod plan;
pub mod proxy;
pub mod quantity;
pub mod resources;
pub mod scenario;
pub mod schedule;
pub mod search;
pub mod serve;
mod services;
pub mod sweep;
pub mod workload;

pub use clock::Nanos;
pub use counting::{AllocationCounts, count_requests, expected_checksum};
pub use engine::placement::{available_cpus, default_workers};
pub use engine::{LivePercentiles, LiveSecond, RunOutcome, run, run_workload};
pub use error::LoadError;
pub use host::describe as describe_host;
pub use memory::estimate as estimated_memory;
pub use plan::{Form, Labels, RunPlan, Service};
pub use quantity::{Bytes, QuantityError, Rate, parse_bytes, parse_count, parse_duration};
