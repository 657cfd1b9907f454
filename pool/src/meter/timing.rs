//! Times one allocator call in N inside the process, and shows it to a tracer outside.
//!
//! A tracer's probe costs half a microsecond to a microsecond, so it cannot see how long a call of
//! 20 ns takes: it would measure itself. Inside the process, the same takes two readings of the
//! processor's counter ([`clock`]), and the tracer is hit only once the time is known.
//!
//! Which calls are timed is in [`turn`]. Nothing here allocates, locks, makes a system call (save
//! for the clock of processors without a counter), or has a destructor. A wrapped allocator that
//! calls the global one again is served: its turn is drawn before the call is timed.
//!
//! Rejected: a third parameter of [`Metered`](super::Metered) beside its sampling. As an allocator
//! of its own it also stands alone, without the meter's counting, and what stands outside of it
//! cannot be in its measurements.

mod clock;
mod turn;

use crate::sdt::{Semaphore, probe, semaphore};
use clock::{Clock, Span};
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::LocalKey;
use turn::Turns;

/// The usual share of calls that [`Timed`] times: one in 1000. While a tracer is attached, a hit of
/// a microsecond then costs each call a nanosecond.
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{DEFAULT_ONE_IN, Timed};
///
/// #[global_allocator]
/// static ALLOCATOR: Timed<System> = Timed::new(System, DEFAULT_ONE_IN);
/// ```
pub const DEFAULT_ONE_IN: u32 = 1000;

/// Times one call in N of the allocator it wraps, and shows the times as the static probes
///
/// | probe | fires after | arguments |
/// |---|---|---|
/// | `tailcut_alloc:malloc` | a timed alloc, alloc_zeroed or realloc | nanoseconds, bytes asked for (of a realloc, the new size), calls it stands for |
/// | `tailcut_alloc:free` | a timed dealloc | nanoseconds, calls it stands for |
/// | `tailcut_alloc:floor` | one of these, if it did not for a second | nanoseconds that the reading takes, nanoseconds by which the clock steps |
///
/// all of 8 bytes. Names and arguments are part of the interface; new arguments come last.
///
/// ```text
/// bpftrace -p PID -e 'usdt:*:tailcut_alloc:malloc { @ns = hist(arg0); @calls = sum(arg2); }'
/// ```
///
/// Alone it is a global allocator; within a [`Metered`](super::Metered) one, it is timed without
/// the metering:
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{ByteSampled, DEFAULT_MEAN_BYTES, DEFAULT_ONE_IN, Metered, Timed};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<Timed<System>, ByteSampled> =
///     Metered::sampling(Timed::new(System, DEFAULT_ONE_IN), DEFAULT_MEAN_BYTES);
/// ```
///
/// # What the times are
///
/// - **Nothing is subtracted.** A time holds the reading of the clock itself, about 20 ns, which
///   `floor` reports: the mean of 56 calls of nothing, timed in the same way in a row, the slowest
///   eighth of 64 left out. The tracer's own cost is in no time.
/// - **In steps of the clock**: some processors' counters move by many ticks at once (by 10 ns on
///   an EPYC). Then a single time is right to a step, and a mean of many to far less; `floor`
///   reports the step, or 0 if it saw none.
/// - **Latency, alone.** The clock waits until all earlier instructions are done, and is read when
///   all of the call's are. In a loop of nothing else, calls overlap, and take less each.
/// - **By the clock on the wall**: a thread that was interrupted or took a page fault in the call
///   has that in its time.
/// - **What a call stands for** is the number of calls since the last timed one of its kind and
///   thread, itself included, while the probe was attached. Their sum is the number of calls. Each
///   call has the same chance, so that percentiles need no weights.
/// - Calls that fail are timed like others.
///
/// # Cost
///
/// For an alloc and a free of 64 bytes, 7.9 ns with glibc, at [`DEFAULT_ONE_IN`]: nobody attached,
/// 0.5 ns more, a load and a branch each; a tracer attached to both probes, 2.8 ns more on average,
/// of which a decrement is paid by each call and two microseconds by a timed pair. The hit follows
/// the timed call, and is in no time. The first timed call of a process takes 50 us more, in which
/// the counter's rate is found. (`cargo run --release --example sampled compare` measures yours.)
///
/// # Limits
///
/// - Linux on x86-64 and AArch64; elsewhere nothing is timed and nothing fires. On AArch64, and on
///   x86-64 processors whose counter changes its rate, the time is the system's monotonic clock.
/// - The counter's rate is found once: a virtual machine that moves to a host with another rate,
///   unhelped by its hypervisor, has wrong times until the process ends.
/// - A program that forbids itself to read the counter (`PR_SET_TSC`) must not be attached to.
/// - Where the wrapped allocator calls the global one, the outer call's time holds the inner one's
///   hit.
/// - A child forked while a tracer is attached goes on timing for nobody: the kernel lowers the
///   semaphores of the process that was attached to, and the child has a copy. So it is with every
///   probe's semaphore; `exec` ends it.
#[derive(Debug, Clone, Copy)]
pub struct Timed<A> {
    allocator: A,
    one_in: u32,
}

impl<A> Timed<A> {
    /// Wraps `allocator`: of its calls, one in `one_in` is timed while a tracer is attached
    /// ([`DEFAULT_ONE_IN`] is usual).
    ///
    /// ```
    /// use std::alloc::System;
    /// use tailcut_pool::meter::{Metered, Timed};
    ///
    /// // Few allocations: all are worth a microsecond.
    /// #[global_allocator]
    /// static ALLOCATOR: Metered<Timed<System>> = Metered::new(Timed::new(System, 1));
    /// ```
    ///
    /// # Panics
    /// If `one_in` is zero; in a static, that fails to compile.
    pub const fn new(allocator: A, one_in: u32) -> Self {
        assert!(one_in > 0, "one call in none cannot be timed");
        Timed { allocator, one_in }
    }
}

semaphore! {
    /// Raised while a tracer is attached to `malloc`.
    MALLOC
}
semaphore! {
    /// Raised while a tracer is attached to `free`.
    FREE
}
semaphore! {
    /// Raised while a tracer is attached to `floor`.
    FLOOR
}

thread_local! {
    // No destructors: see `COUNTS`.
    static MALLOCS: Turns = const { Turns::new() };
    static FREES: Turns = const { Turns::new() };
}

// SAFETY: every call goes to the wrapped allocator unchanged and once, whose contract therefore
// holds; what is around it neither allocates nor unwinds, and touches no memory of the caller's.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Timed<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let call = move || unsafe { self.allocator.alloc(layout) };
        if is_next(&MALLOC, &MALLOCS) {
            return self.malloc(layout.size(), call);
        }
        call()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let call = move || unsafe { self.allocator.alloc_zeroed(layout) };
        if is_next(&MALLOC, &MALLOCS) {
            return self.malloc(layout.size(), call);
        }
        call()
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let call = move || unsafe { self.allocator.realloc(ptr, layout, new_size) };
        if is_next(&MALLOC, &MALLOCS) {
            return self.malloc(new_size, call);
        }
        call()
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe {
            if is_next(&FREE, &FREES) {
                self.free(ptr, layout);
            } else {
                self.allocator.dealloc(ptr, layout);
            }
        }
    }
}

/// Whether the call may be one to time. Untraced, nothing but the semaphore is looked at.
#[inline(always)]
fn is_next(semaphore: &Semaphore, turns: &'static LocalKey<Turns>) -> bool {
    if !semaphore.is_raised() {
        return false;
    }
    unlikely();
    turns.with(Turns::is_next)
}

/// Moves the branch that it stands in out of the way of the others.
#[cold]
#[inline]
fn unlikely() {}

impl<A: GlobalAlloc> Timed<A> {
    #[cold]
    #[inline(never)]
    fn malloc(&self, bytes: usize, call: impl FnOnce() -> *mut u8) -> *mut u8 {
        let Some(calls) = MALLOCS.with(|turns| turns.take(self.one_in)) else {
            return call();
        };
        let clock = Clock::get();
        let (block, span) = clock.time(call);
        show_malloc(clock, span, bytes as u64, calls.into());
        block
    }

    /// # Safety
    /// As for [`GlobalAlloc::dealloc`].
    // No closure from outside, unlike `malloc`: its captures were spilled whether it ran or not.
    #[cold]
    #[inline(never)]
    unsafe fn free(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        let call = || unsafe { self.allocator.dealloc(ptr, layout) };
        let Some(calls) = FREES.with(|turns| turns.take(self.one_in)) else {
            return call();
        };
        let clock = Clock::get();
        let ((), span) = clock.time(call);
        show_free(clock, span, calls.into());
    }
}

#[inline(never)]
fn show_malloc(clock: Clock, span: Span, bytes: u64, calls: u64) {
    if let Some(ns) = clock.ns(span) {
        probe!(tailcut_alloc, malloc, ns => u64, bytes => u64, calls => u64; MALLOC);
    }
    show_floor(clock, span.end);
}

#[inline(never)]
fn show_free(clock: Clock, span: Span, calls: u64) {
    if let Some(ns) = clock.ns(span) {
        probe!(tailcut_alloc, free, ns => u64, calls => u64; FREE);
    }
    show_floor(clock, span.end);
}

/// Shows what the reading takes, if someone listens and nothing was shown for a second before
/// `now`. It is measured anew each time: cores and their frequencies differ.
fn show_floor(clock: Clock, now: u64) {
    static SHOWN: AtomicU64 = AtomicU64::new(0);
    if !FLOOR.is_raised() {
        return;
    }
    let shown = SHOWN.load(Ordering::Relaxed);
    let is_due = clock.is_a_second(shown, now)
        && SHOWN
            .compare_exchange(shown, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
    if is_due {
        let floor = clock.floor();
        probe!(tailcut_alloc, floor, floor.ns => u64, floor.step_ns => u64; FLOOR);
    }
}

#[cfg(test)]
mod tests {
    use super::{FREES, MALLOCS, Timed, Turns};
    use std::alloc::{GlobalAlloc, Layout, System};

    #[test]
    fn without_a_tracer_nothing_is_counted_let_alone_timed() {
        let timed = Timed::new(System, 1);
        let layout = Layout::new::<[u64; 8]>();
        for _ in 0..1000 {
            // SAFETY: the layout has a size, and each block is freed once as it was last sized.
            unsafe {
                let block = timed.alloc(layout);
                assert!(!block.is_null());
                let block = timed.realloc(block, layout, 2 * layout.size());
                assert!(!block.is_null());
                timed.dealloc(block, Layout::new::<[u64; 16]>());
            }
        }
        assert!(MALLOCS.with(Turns::untouched));
        assert!(FREES.with(Turns::untouched));
    }
}
