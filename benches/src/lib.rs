//! tailcut-pool against allocators and other pools.
//!
//! `cargo run --release -p tailcut-benches --bin pool-table` prints a table per [`workload`]: one
//! line per row of [`rows`], each a [`source`] of objects. [`rounds`] measures the rows in turn;
//! [`results`] are printed, written as JSON, and checked against the [`targets`].
//!
//! `cargo bench -p tailcut-benches` does another job: criterion compares tailcut's own rows with
//! their last run, to see what a change did.

pub mod allocator;
pub mod alone;
pub mod companion;
pub mod facts;
pub mod order;
pub mod placement;
pub mod print;
pub mod results;
pub mod rounds;
pub mod rows;
pub mod source;
pub mod targets;
pub mod tracer;
pub mod workload;
pub mod workloads;
