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
//! A [`Pool`] owns a number of objects in one slab. Free ones wait in a **magazine** per CPU, and
//! between the CPUs in a **depot** of full batches. Where Linux and glibc offer restartable
//! sequences ([`Path::Rseq`]) a get or put is some ten plain instructions on the CPU's own
//! magazine; elsewhere ([`Path::Portable`]) it is some more on a magazine of the thread's, still
//! without a locked one. Memory is bounded by the capacity and the number of CPUs, never by the
//! number of threads.
//!
//! # What it costs
//!
//! A get plus a put of a 256-byte object takes 2.2 ns on the machine of `BENCHMARKS.md` (3.7 ns on
//! the portable path), where jemalloc's alloc plus free takes 3.8; see there for the table against
//! every allocator and pool crate, and `cargo xtask bench pool` to measure your own machine.
//! [`Window::release`] gives any number of objects back in O(1).
//!
//! # What it guarantees
//!
//! - **The capacity is exact.** Everything can be in use at once; a refusal means that at some
//!   moment of the call nothing was free on any core.
//! - **Nothing is allocated** after the build: a get, a put, a wait, a refusal and a bulk return
//!   never touch the global allocator under [`Refuse`] and [`Wait`]. (What your recycler does is
//!   yours; a rejected object is [replaced](Recycler::is_reusable), which takes what the maker
//!   takes.) [`meter::assert_no_alloc`] shows the same of your own hot path, and names the line that
//!   breaks it.
//! - **A panic costs one object at the most.** A recycler that panics has its object discarded and
//!   replaced; a maker that panics leaves the pool with one object less; nothing leaks.
//! - **Guards are ordinary values.** They may be dropped on any thread, forgotten, or, if
//!   [owned](OwnedGuard), outlive their pool.
//!
//! # What there is
//!
//! | for | see |
//! |---|---|
//! | taking one object, or many at once | [`Pool::try_get`], [`try_get_array`](Pool::try_get_array), [`put_all`](Pool::put_all) |
//! | refusing, waiting or growing when all are in use | [`Refuse`], [`Wait`] ([`get_timeout`](Pool::get_timeout), [`get_async`](Pool::get_async)), [`Grow`] |
//! | objects that live together and end together | [`Window`] |
//! | tasks and structs without lifetimes, a pool that ends first | [`OwnedGuard`] |
//! | parts of objects, trait objects | [`Guard::map`], [`Guard::split`] |
//! | foreign code | [`Guard::into_raw`], [`Pool::from_raw`] |
//! | large objects, made where they stay | [`Pool::builder_in_place`], [`Pool::try_get_with`] |
//! | what happens between two uses | [`Recycle`], [`Within`], [`ReusableIf`], [`KeepVec`], [`Builder::on_return`] |
//! | huge pages, NUMA nodes, alignment, locked memory | [`HugePages`], [`Node`], [`Builder::align`], [`Builder::lock_memory`] |
//! | changing the size in use | [`Pool::resize`], [`Pool::decay`], [`decay`] |
//! | byte buffers by size class, shared without copying | [`Buffers`] |
//! | choosing a size | [`sizing`] |
//! | replacing a pool in use | `swap` (feature) |
//! | seeing what it does | [`Pool::statistics`], [`Pool::lifetimes`], [`export`], [`probes`] |
//! | finding who holds what, and misuse | [`Checks`] |
//! | counting and forbidding allocations | [`meter`] |
//!
//! # When it helps, and when not
//!
//! - It removes the allocator's **tail**: slow paths, page faults, bulk frees. If your P99.9 is
//!   fine, you gain a few nanoseconds a request and take on a capacity to plan.
//! - It does not make an object's own work cheaper. A cold object costs cache misses whoever hands
//!   it out. The pool hands out the object given back last on this CPU, while it has one.
//!
//! # Pitfalls
//!
//! `cargo run --release -p tailcut-examples --example pitfalls` shows each with figures of your
//! machine.
//!
//! - **Objects that are not preshaped.** An object whose recycling frees its parts has only moved
//!   its allocations: `Vec<String>::clear` frees every string. Keep buffers inside the object, with
//!   their capacity grown; [`KeepVec`] keeps its elements, too.
//! - **A dirty object.** Recycling is **lazy**: it runs when an object is next taken, so that giving
//!   back 120,000 of them touches none. What an object held stays in memory until then;
//!   [`Builder::on_return`] cleans at once, at a price. [`AsIs`] never cleans.
//! - **One huge request** leaves a huge buffer in its object for ever, unless recycled
//!   [`Within`] a limit.
//! - **Giving many back one by one** touches cold memory for each: milliseconds for 120,000, as bad
//!   as the spike that the pool is to cure. Use a [`Window`].
//! - **Get on one core, put on the other** makes the object's cache lines travel. The pool moves
//!   objects in batches, so that it adds little; but the object's own lines are yours.
//! - **A capacity chosen by feel.** See [`sizing`], and [`Statistics::high_water`] of a real run.
//!
//! # Limits
//!
//! - At most 256 GiB of objects, each padded to whole cache lines of 64 bytes.
//! - Restartable sequences are used on x86-64 Linux with a dynamically linked glibc 2.35 or newer;
//!   [`Pool::path`] says which path a pool uses and why, and one line goes to the `log` facade.
//! - If a sandbox forbids `membarrier` after a pool was built, objects in other CPUs' magazines
//!   are out of reach: a get may refuse, or wait, although they are free.
//! - A maker, a recycler or a destructor must not wait for an object of the same pool, nor resize it.
//! - A signal handler must not use a pool: it may have interrupted its own thread in the middle of an
//!   exchange that it would then wait for.
//! - Code that used a pool must not be unloaded (`dlclose`): the kernel may still look at the
//!   descriptor of a thread's last restartable sequence.
//! - After `fork`, the child has its own copy of each pool. Objects that other threads held at that
//!   moment, or had on their way between two cores, are lost to it: they count as in use for ever. If
//!   another thread was in a pool's maker, the child's copy of that pool makes no more objects; if one
//!   was just looking at a pool by way of a `Swap`, that copy never ends; and a child that used a
//!   `Swap` hung once in some forty runs of a test, for a reason not found yet. [`decay`] and [`export`]
//!   threads do not follow. `fork` must not be called in a signal handler, and the child of a bare
//!   `clone` must leave the pools alone.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `log` (default) | one line when the portable path is taken; leaks of checked pools |
//! | `bumpalo` | pooled per-request arenas that keep their chunks |
//! | `bytes` | pooled buffers as `bytes::Bytes`, and back |
//! | `metrics` | statistics by way of the `metrics` facade (Prometheus text needs no feature) |
//! | `swap` | a pool that is replaced by another while it is in use |
//! | `zeroize` | objects that hold secrets: wiped when next taken, or when given back |
//! | `call-sites` | [`meter::assert_no_alloc`] names the function and line that allocated |

#[cfg(feature = "bumpalo")]
mod arena;
mod attendant;
pub mod buffers;
mod builder;
pub mod checks;
mod counter;
pub mod decay;
pub mod export;
mod fallback;
mod fork;
mod free;
mod guard;
mod inventory;
mod lifetimes;
mod maker;
mod memory;
pub mod meter;
mod overload;
mod panics;
mod percpu;
mod periodic;
mod plain;
mod pool;
pub mod probes;
mod recycle;
mod sdt;
pub mod sizing;
mod slab;
mod statistics;
mod stock;
#[cfg(feature = "swap")]
pub mod swap;
mod sync;
mod waiting;
mod window;

use fallback::log_line;

#[cfg(feature = "bumpalo")]
pub use arena::Arena;
pub use buffers::{Buffer, Buffers, FrozenBuffer};
pub use builder::{BuildError, Builder};
#[cfg(feature = "bumpalo")]
pub use bumpalo;
#[cfg(feature = "bytes")]
pub use bytes;
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
#[cfg(feature = "swap")]
pub use swap::Swap;
pub use waiting::GetAsync;
pub use window::Window;
