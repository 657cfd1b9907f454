//! Static probes of the pool, for bpftrace, perf and any other tracer of USDT.
//!
//! ```text
//! bpftrace -p PID -e 'usdt:*:tailcut_pool:steal { @[arg1, arg2] = sum(arg3); }'
//! ```
//!
//! | probe | fires when | arguments |
//! |---|---|---|
//! | `built` | a pool was built | pool, capacity, path (0: rseq, 1: portable) |
//! | `closed` | a pool's last part was dropped | pool |
//! | `refill` | a magazine took a batch from the depot | pool, CPU, objects |
//! | `spill` | a magazine gave a batch to the depot | pool, CPU, objects |
//! | `steal` | a CPU took from another's magazine | pool, CPU, the other CPU, objects |
//! | `grow` | objects were made | pool, objects made, objects in all |
//! | `shrink` | free objects were dropped | pool, objects dropped, objects in all |
//! | `exhausted` | a get found no object | pool, capacity |
//! | `wait_begin` | a get starts to wait for an object | pool |
//! | `wait_end` | it no longer waits | pool, nanoseconds waited, whether it got one (0 or 1) |
//! | `discard` | an object was rejected instead of recycled | pool, object |
//! | `get` | an object was taken (a sample) | pool, object |
//! | `put` | an object was given back (a sample) | pool, object, nanoseconds in use |
//!
//! A pool and an object are given by their addresses: 8 bytes, as are counts of objects in all
//! and nanoseconds. CPUs, batches, the path and the outcome are 4 bytes. A pool's address is the
//! same in all of its probes, and may be another pool's after `closed`.
//!
//! `get` and `put` fire in pools that [sample lifetimes](crate::Builder::sample_lifetimes), for the
//! sampled objects.
//!
//! Those of the allocator's wrappers, `otel_memory:*` and `tailcut_alloc:*`, are in
//! [`meter`](crate::meter).
//!
//! **Cost.** All stand on slow paths; nobody attached, each is one `nop`. `wait_end` has a semaphore:
//! what it reports is not even measured until a tracer attaches. Attached, a hit costs about a
//! microsecond.
//!
//! **Where.** Linux on x86-64 and on AArch64. Elsewhere, and under Miri and the model checker,
//! there are none. Names and arguments are part of the interface; new arguments come last.

use crate::sdt::{probe, semaphore};

semaphore! {
    /// Raised while a tracer is attached to `wait_end`.
    WAIT_END
}

/// A pool was built.
#[inline(always)]
pub(crate) fn built(pool: usize, capacity: u64, path: u32) {
    probe!(tailcut_pool, built, pool => usize, capacity => u64, path => u32);
}

/// A pool's last part was dropped.
#[inline(always)]
pub(crate) fn closed(pool: usize) {
    probe!(tailcut_pool, closed, pool => usize);
}

/// The magazine of `cpu` took a batch from the depot.
#[inline(always)]
pub(crate) fn refill(pool: usize, cpu: u32, objects: u32) {
    probe!(tailcut_pool, refill, pool => usize, cpu => u32, objects => u32);
}

/// The magazine of `cpu` gave a batch to the depot.
#[inline(always)]
pub(crate) fn spill(pool: usize, cpu: u32, objects: u32) {
    probe!(tailcut_pool, spill, pool => usize, cpu => u32, objects => u32);
}

/// `cpu` took from the magazine of `victim`.
#[inline(always)]
pub(crate) fn steal(pool: usize, cpu: u32, victim: u32, objects: u32) {
    probe!(tailcut_pool, steal, pool => usize, cpu => u32, victim => u32, objects => u32);
}

/// Objects were made: the pool now has `total`.
#[inline(always)]
pub(crate) fn grow(pool: usize, made: u64, total: u64) {
    probe!(tailcut_pool, grow, pool => usize, made => u64, total => u64);
}

/// Free objects were dropped: the pool still has `total`.
#[inline(always)]
pub(crate) fn shrink(pool: usize, dropped: u64, total: u64) {
    probe!(tailcut_pool, shrink, pool => usize, dropped => u64, total => u64);
}

/// A get found no object.
#[inline(always)]
pub(crate) fn exhausted(pool: usize, capacity: u64) {
    probe!(tailcut_pool, exhausted, pool => usize, capacity => u64);
}

/// A get starts to wait.
#[inline(always)]
pub(crate) fn wait_begin(pool: usize) {
    probe!(tailcut_pool, wait_begin, pool => usize);
}

/// Whether the clock should be read for [`wait_end`].
#[inline(always)]
pub(crate) fn wait_end_is_traced() -> bool {
    WAIT_END.is_raised()
}

/// A get no longer waits; `got` is 1 if it has an object, else 0.
#[inline(always)]
pub(crate) fn wait_end(pool: usize, waited_ns: u64, got: u32) {
    probe!(tailcut_pool, wait_end, pool => usize, waited_ns => u64, got => u32; WAIT_END);
}

/// An object was rejected instead of recycled.
#[inline(always)]
pub(crate) fn discard(pool: usize, object: usize) {
    probe!(tailcut_pool, discard, pool => usize, object => usize);
}

/// An object was taken: of a pool that samples lifetimes.
#[inline(always)]
pub(crate) fn get(pool: usize, object: usize) {
    probe!(tailcut_pool, get, pool => usize, object => usize);
}

/// An object of such a sample was given back after `lifetime_ns` in use.
#[inline(always)]
pub(crate) fn put(pool: usize, object: usize, lifetime_ns: u64) {
    probe!(tailcut_pool, put, pool => usize, object => usize, lifetime_ns => u64);
}
