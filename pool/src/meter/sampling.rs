//! Shows a sample of all allocations to a profiler outside the process.
//!
//! A probe on every allocation costs a microsecond each, which no service can spare. So the
//! process samples, and fires a static probe for the sampled ones alone; the profiler takes the
//! call stack there. What is fired follows the contract of OpenTelemetry's eBPF profiler (its
//! design document 00003, memory profiling).
//!
//! **The sample.** Points lie on the sequence of all bytes that a thread asks for, at random and
//! on average one in `mean_bytes`; an allocation on one or more of them is sampled. Of `size`
//! bytes, that has the probability `p = 1 - exp(-size / mean_bytes)`, and the allocation stands
//! for `size / p` bytes: the sum over the sample is right on average, for every call stack.
//! Distances are drawn from the exponential distribution, which has no memory, so that a point
//! further inside a sampled allocation need not be kept (as in tcmalloc, docs/sampling.md, and
//! jemalloc, doc_internal/PROFILING_INTERNALS.md).
//!
//! **The frees** of sampled blocks are told apart by their address, in a table: see `live.rs`.

use super::live::Live;
use super::random::Random;
use crate::sdt::{probe_in_argument_registers, semaphore};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The usual distance of samples: 512 KiB, as in tcmalloc, jemalloc and Go.
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{ByteSampled, DEFAULT_MEAN_BYTES, Metered};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System, ByteSampled> =
///     Metered::sampling(System, DEFAULT_MEAN_BYTES / 4); // a small service: more samples
/// ```
pub const DEFAULT_MEAN_BYTES: u64 = 512 * 1024;

/// How a [`Metered`](super::Metered) allocator samples: [`Unsampled`] or [`ByteSampled`].
///
/// ```
/// use std::alloc::{GlobalAlloc, System};
/// use tailcut_pool::meter::{Metered, Sampling};
///
/// fn works<S: Sampling>(_: &Metered<System, S>)
/// where
///     Metered<System, S>: GlobalAlloc,
/// {
/// }
/// works(&Metered::new(System));
/// works(&Metered::sampling(System, 1 << 20));
/// ```
pub trait Sampling: sealed::Sampling {}

impl Sampling for Unsampled {}
impl Sampling for ByteSampled {}

mod sealed {
    pub trait Sampling {
        /// A block was allocated, or, if null, was not.
        fn allocated(&self, block: *mut u8, size: usize);
        /// A block is about to be freed.
        fn freed(&self, block: *mut u8);
    }
}

/// Shows nothing to profilers, and costs nothing.
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{Metered, Unsampled};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System, Unsampled> = Metered::new(System);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsampled;

impl sealed::Sampling for Unsampled {
    #[inline(always)]
    fn allocated(&self, _: *mut u8, _: usize) {}

    #[inline(always)]
    fn freed(&self, _: *mut u8) {}
}

/// Samples allocations by bytes, and shows them to profilers as the static probes
///
/// | probe | fires | arguments |
/// |---|---|---|
/// | `otel_memory:alloc` | on a sampled allocation | address, bytes asked for, bytes it stands for |
/// | `otel_memory:free` | before a sampled block is freed | address |
///
/// all of 8 bytes, and in the registers where a call has its arguments. A `realloc` is a free
/// and an allocation. Like a profiler, bpftrace can tell who allocates:
///
/// ```text
/// bpftrace -p PID -e 'usdt:*:otel_memory:alloc { @[ustack] = sum(arg2); }'
/// ```
///
/// (bpftrace walks stacks by frame pointers: build with `-C force-frame-pointers=yes` for it.)
///
/// **Cost**: nobody attached, a load and a branch at each alloc and at each free (0.5 ns a pair).
/// Sampling begins when a tracer attaches to `alloc`: then a subtraction at each alloc, a look
/// into a table of 64 KiB at each free (another 0.3 to 0.7 ns a pair, if the table is in cache),
/// and about a microsecond for each sampled one. 576 KiB of address space, of which only what is
/// used is backed by memory.
///
/// **Limits**: about 30,000 sampled blocks can be alive at a time (15 GiB of heap, at 512 KiB);
/// beyond, some are left out, which [`samples_dropped`] tells. Of blocks allocated before a
/// tracer attached, nothing is known. Linux on x86-64 and AArch64 only; elsewhere, nothing fires.
#[derive(Debug, Clone, Copy)]
pub struct ByteSampled {
    mean_bytes: u64,
}

impl ByteSampled {
    pub(super) const fn every(mean_bytes: u64) -> Self {
        assert!(mean_bytes > 0, "samples need a distance");
        ByteSampled { mean_bytes }
    }

    #[cold]
    #[inline(never)]
    fn point_reached(&self, mut countdown: Countdown, block: *mut u8, size: usize) {
        let weighted = countdown.point_reached(size as u64, self.mean_bytes);
        COUNTDOWN.set(countdown);
        let Some(weighted) = weighted else { return };
        if LIVE.insert(block.addr()) {
            let address = block.addr() as u64;
            probe_in_argument_registers!(
                otel_memory, alloc, address, size as u64, weighted; ALLOC
            );
        } else {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

semaphore! {
    /// Raised while a tracer is attached to `alloc`.
    ALLOC
}
semaphore! {
    /// Raised while a tracer is attached to `free`. Nobody asks it: what was shown being
    /// allocated must leave the table in any case.
    FREE
}

/// The sampled blocks that are not freed yet.
static LIVE: Live = Live::new();

static DROPPED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // No destructor: see `COUNTS`.
    static COUNTDOWN: Cell<Countdown> = const {
        Cell::new(Countdown { left: 0, random: Random::UNSEEDED })
    };
}

/// How many samples were left out because too many sampled blocks were alive, in all threads.
///
/// ```
/// use tailcut_pool::meter;
///
/// let dropped = meter::samples_dropped();
/// if dropped > 0 {
///     println!("the profile lacks {dropped} samples: choose a larger distance");
/// }
/// # assert_eq!(dropped, 0);
/// ```
#[must_use]
pub fn samples_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

impl sealed::Sampling for ByteSampled {
    #[inline]
    fn allocated(&self, block: *mut u8, size: usize) {
        if !ALLOC.is_raised() || block.is_null() {
            return;
        }
        let mut countdown = COUNTDOWN.get();
        countdown.left -= size as i64; // a Layout has at most isize::MAX bytes
        if countdown.left >= 0 {
            COUNTDOWN.set(countdown);
        } else {
            self.point_reached(countdown, block, size);
        }
    }

    #[inline]
    fn freed(&self, block: *mut u8) {
        if LIVE.remove(block.addr()) {
            shown_free(block.addr() as u64);
        }
    }
}

#[cold]
#[inline(never)]
fn shown_free(address: u64) {
    probe_in_argument_registers!(otel_memory, free, address; FREE);
}

/// One thread's way to its next point.
#[derive(Debug, Clone, Copy)]
struct Countdown {
    /// Whole bytes before the point; below zero, it has been reached.
    left: i64,
    /// Unseeded before the first draw.
    random: Random,
}

impl Countdown {
    /// To be called when `left` fell below zero by an allocation of `size` bytes: the bytes it
    /// stands for, or nothing if the thread had not yet drawn its first point and this one turns
    /// out to lie beyond.
    fn point_reached(&mut self, size: u64, mean_bytes: u64) -> Option<u64> {
        if !self.random.is_seeded() {
            self.random = Random::seeded();
            self.left = self.draw(mean_bytes).saturating_sub_unsigned(size);
            if self.left >= 0 {
                return None;
            }
        }
        self.left = self.draw(mean_bytes);
        let size = size as f64;
        let probability = -(-size / mean_bytes as f64).exp_m1();
        Some((size / probability).round() as u64)
    }

    /// A distance from the exponential distribution, rounded down: an allocation of n bytes
    /// reaches a point less than n away.
    fn draw(&mut self, mean_bytes: u64) -> i64 {
        (-self.random.uniform().ln() * mean_bytes as f64) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::{Countdown, DEFAULT_MEAN_BYTES, Random};

    /// Allocates `count` times `size` bytes: how many were sampled, and what they stand for.
    fn sampled(size: u64, count: u64, mean_bytes: u64) -> (u64, u64) {
        let mut countdown = Countdown {
            left: 0,
            random: Random::fixed(),
        };
        countdown.left = countdown.draw(mean_bytes);
        let (mut samples, mut bytes) = (0, 0);
        for _ in 0..count {
            countdown.left -= size as i64;
            if countdown.left < 0 {
                let weighted = countdown.point_reached(size, mean_bytes).unwrap();
                samples += 1;
                bytes += weighted;
            }
        }
        (samples, bytes)
    }

    #[test]
    fn samples_stand_for_all_bytes_whatever_their_size() {
        // The seed is fixed. The bounds are at four standard deviations of 2,500 samples.
        for size in [1, 64, 4096, 100_000, 512 * 1024, 8 << 20] {
            let count = (4_000 * 4096 / size).max(4_000);
            let (samples, bytes) = sampled(size, count, 4096);
            let probability = 1.0 - (-(size as f64) / 4096.0).exp();
            for ratio in [
                samples as f64 / (count as f64 * probability),
                bytes as f64 / (size * count) as f64,
            ] {
                assert!((0.92..1.08).contains(&ratio), "{size}: {ratio}");
            }
        }
    }

    #[test]
    fn a_large_allocation_is_sampled_and_stands_for_itself() {
        let size = 64 * DEFAULT_MEAN_BYTES;
        assert_eq!(sampled(size, 10, DEFAULT_MEAN_BYTES), (10, 10 * size));
    }

    #[test]
    fn a_small_allocation_stands_for_the_mean_distance() {
        let (samples, bytes) = sampled(64, 1_000_000, DEFAULT_MEAN_BYTES);
        assert!(samples > 0);
        assert_eq!(bytes / samples, DEFAULT_MEAN_BYTES + 32);
    }

    #[test]
    fn the_first_allocation_of_a_thread_is_not_sampled_more_often_than_others() {
        let first = (0..10_000).filter(|_| {
            let mut fresh = Countdown {
                left: -64,
                random: Random::UNSEEDED,
            };
            fresh.point_reached(64, DEFAULT_MEAN_BYTES).is_some()
        });
        assert!(first.count() < 20); // 1.2 expected
    }
}
