//! A lock-free per-core object pool that replaces heap allocation on hot paths.
//!
//! ```
//! use tailcut_pool::Pool;
//!
//! #[derive(Default)]
//! struct Order { account: u64, items: Vec<u64> }
//!
//! // At start-up: every object is made once.
//! let orders = Pool::builder(|| Order { account: 0, items: Vec::with_capacity(8) })
//!     .capacity(10_000)
//!     .recycle_with(|order| order.items.clear())
//!     .build()?;
//!
//! // On the hot path: no allocation, no atomic instruction, no call.
//! let mut order = orders.try_get()?;
//! order.account = 7;
//! order.items.push(42);
//! drop(order);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it is
//!
//! A [`Pool`] owns a fixed number of objects in one slab. Free ones wait in a **magazine** per
//! CPU, and between the CPUs in a **depot** of full batches. Where Linux and glibc offer
//! restartable sequences ([`Path::Rseq`]) a get or put is some ten plain instructions on the
//! CPU's own magazine; elsewhere ([`Path::Portable`]) it is one compare-and-exchange. Memory is
//! bounded by the capacity and the number of CPUs, never by the number of threads.
//!
//! # What it costs
//!
//! A get plus a put of a 256-byte object takes 2.2 ns on the machine of `BENCHMARKS.md`, where
//! jemalloc's alloc plus free takes 3.7; see there for the table against every allocator
//! and pool crate, and `cargo xtask bench pool` to measure your own machine.
//! [`Window::release`] gives any number of objects back in O(1).
//!
//! # When it helps, and when not
//!
//! - It removes the allocator's **tail**: slow paths, page faults, bulk frees. If your P99.9 is
//!   fine, you gain a few nanoseconds a request and take on a capacity to plan.
//! - Objects should be **preshaped**: buffers inside the object, or with their capacity grown.
//!   An object whose recycling frees its parts has only moved its allocations.
//! - The capacity is **exact** and never grows: when all objects are in use, a get refuses
//!   ([`Exhausted`]) or, if the pool was built with [`Builder::wait`], waits.
//! - Recycling is **lazy**: an object keeps its contents until it is next taken.
//! - A cold object costs cache misses whoever hands it out. The pool hands out the object given
//!   back last on this CPU, while it has one.
//!
//! # Limits
//!
//! - Guards borrow the pool; put it where it outlives them (a scope, a `static`, a leaked box).
//! - At most 256 GiB of objects, each padded to whole cache lines of 64 bytes.
//! - Restartable sequences are used on x86-64 Linux with a dynamically linked glibc 2.35 or newer.
//! - If a sandbox forbids `membarrier` after a pool was built, objects in other CPUs' magazines
//!   are out of reach: a get may refuse, or wait, although they are free.
//! - Code that used a pool must not be unloaded (`dlclose`): the kernel may still look at the
//!   descriptor of a thread's last restartable sequence.
//! - After `fork`, a child must not use a pool that other threads of the parent were using.

#[cfg(feature = "bumpalo")]
mod arena;
mod attendant;
mod builder;
pub mod checks;
mod counter;
pub mod decay;
mod fallback;
mod free;
mod guard;
mod inventory;
mod lifetimes;
mod maker;
mod memory;
pub mod meter;
mod overload;
mod percpu;
mod plain;
mod pool;
pub mod probes;
mod recycle;
mod sdt;
pub mod sizing;
mod slab;
mod statistics;
mod stock;
mod sync;
mod waiting;
mod window;

use fallback::log_line;

#[cfg(feature = "bumpalo")]
pub use arena::Arena;
pub use builder::{BuildError, Builder};
#[cfg(feature = "bumpalo")]
pub use bumpalo;
pub use checks::{Checks, InUse};
pub use guard::{Guard, MappedGuard, OwnedGuard, OwnedMappedGuard, SplitGuard};
pub use lifetimes::Lifetimes;
pub use maker::{Filled, InPlace, Maker, Slot};
pub use memory::{HugePages, Node, Pages};
pub use overload::{Grow, Refuse, Wait};
pub use percpu::{Fallback, Path};
pub use pool::{Exhausted, Pool};
pub use recycle::{AsIs, ByTrait, KeepVec, Recycle, Recycler, ReusableIf, With, Within};
#[cfg(feature = "zeroize")]
pub use recycle::{Wiped, wipe};
pub use sizing::Sizing;
pub use statistics::{CoreStatistics, Statistics};
pub use waiting::GetAsync;
pub use window::Window;
