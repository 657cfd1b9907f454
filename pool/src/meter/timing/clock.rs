//! A clock for a single call of some ten nanoseconds, to be read inside an allocator.
//!
//! On x86-64 that is the time stamp counter, if the processor says that it ticks at one rate in
//! every power state (CPUID, leaf 0x80000007, EDX bit 8); elsewhere, the system's monotonic clock.
//! Only the span between two readings of one thread is ever used. So nobody asks the kernel
//! whether the cores' counters agree: that would take system calls, which an allocator must not
//! make in a program that may be confined. Where a span turns out negative, it is dropped.
//!
//! **Fences.** `lfence` before `rdtsc` waits until all earlier instructions are done, and one
//! after it holds back all later ones (Intel SDM vol. 2B, RDTSC; on AMD since Linux makes `lfence`
//! wait, too). So the call alone stands between the two readings, from its first instruction to
//! its last: its latency, with nothing overlapped before or after.
//!
//! **Cost**: two readings, which [`Clock::floor`] measures (22 ns on an EPYC under KVM, where the
//! counter moves by 10 ns at a time). The first use in a process takes [`SPAN_NS`] to find the rate.
//!
//! The load generator has a clock on the same counter. It matches instants of several threads with
//! the kernel's, and may take 100 ms and a heap to prepare; this one may not.

use std::sync::atomic::{AtomicU64, Ordering};

/// How long the counter is compared with the system's clock, spinning. Of 400 rates found so, all
/// were within 0.022% of the one over seconds: a step of the counter. Histograms are not finer
/// than 1%.
const SPAN_NS: u64 = 50_000;

/// How many empty readings [`Clock::floor`] takes: two microseconds.
const FLOOR_READINGS: usize = 64;

/// How this process reads the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// The time stamp counter: nanoseconds per tick, as a 32.32 fixed-point number.
    Counter { ns_per_tick: u64 },
    /// The system's monotonic clock, whose ticks are nanoseconds.
    System,
}

/// Two readings of one thread, in ticks of the clock that took them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: u64,
    pub(super) end: u64,
}

impl Clock {
    /// The clock of this process. The first caller finds out which, and how fast it ticks; others
    /// that come meanwhile do so, too, with the same result. One word holds it all, so that a
    /// child of `fork` finds it whole or not at all.
    pub(super) fn get() -> Clock {
        const UNKNOWN: u64 = 0;
        const SYSTEM: u64 = u64::MAX;
        static FOUND: AtomicU64 = AtomicU64::new(UNKNOWN);
        match FOUND.load(Ordering::Relaxed) {
            UNKNOWN => {
                let clock = Clock::find();
                let found = match clock {
                    Clock::Counter { ns_per_tick } => ns_per_tick,
                    Clock::System => SYSTEM,
                };
                FOUND.store(found, Ordering::Relaxed);
                clock
            }
            SYSTEM => Clock::System,
            ns_per_tick => Clock::Counter { ns_per_tick },
        }
    }

    #[cold]
    fn find() -> Clock {
        if !counter::is_steady() {
            return Clock::System;
        }
        let first = Pair::read();
        while system_ns().wrapping_sub(first.ns) < SPAN_NS {
            std::hint::spin_loop();
        }
        match Pair::read().rate_since(first) {
            Some(ns_per_tick) => Clock::Counter { ns_per_tick },
            None => Clock::System,
        }
    }

    /// Runs `call` and nothing else between two readings.
    #[inline(always)]
    pub(super) fn time<R>(self, call: impl FnOnce() -> R) -> (R, Span) {
        let start = match self {
            Clock::Counter { .. } => counter::read_before(),
            Clock::System => system_ns(),
        };
        let result = call();
        let end = match self {
            Clock::Counter { .. } => counter::read_after(),
            Clock::System => system_ns(),
        };
        (result, Span { start, end })
    }

    /// The length of a span in nanoseconds, rounded; nothing if it ends before it starts, which
    /// happens if the thread moved between cores whose counters disagree.
    pub(super) fn ns(self, span: Span) -> Option<u64> {
        let ticks = span.end.checked_sub(span.start)?;
        Some(match self {
            Clock::Counter { ns_per_tick } => {
                let ns = (u128::from(ticks) * u128::from(ns_per_tick) + (1 << 31)) >> 32;
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
            Clock::System => ticks,
        })
    }

    /// Whether at least a second lies between two readings.
    pub(super) fn is_a_second(self, start: u64, end: u64) -> bool {
        self.ns(Span { start, end })
            .is_some_and(|ns| ns >= 1_000_000_000)
    }

    /// Measures what a call that does nothing seems to take, now and on this core.
    pub(super) fn floor(self) -> Floor {
        let mut readings = [0; FLOOR_READINGS];
        for reading in &mut readings {
            let ((), span) = self.time(|| ());
            *reading = span.end.saturating_sub(span.start);
        }
        Floor::of(self, &mut readings)
    }
}

/// What the reading of a clock itself takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Floor {
    /// This much of each span is the reading: a mean, since a median would be a whole number of
    /// steps. What disturbs a reading only makes it longer, so the slowest eighth is left out.
    pub(super) ns: u64,
    /// By how much the clock steps: the least by which two of the readings differ, or 0 if none do.
    pub(super) step_ns: u64,
}

impl Floor {
    fn of(clock: Clock, readings: &mut [u64; FLOOR_READINGS]) -> Floor {
        readings.sort_unstable(); // in place, as against `sort`
        let usual = &readings[..FLOOR_READINGS / 8 * 7];
        let mean = usual.iter().sum::<u64>() / usual.len() as u64;
        let steps = usual.windows(2).map(|pair| pair[1] - pair[0]);
        let step = steps.filter(|&step| step > 0).min().unwrap_or(0);
        let ns = |ticks| {
            let span = Span {
                start: 0,
                end: ticks,
            };
            clock.ns(span).unwrap_or(0)
        };
        Floor {
            ns: ns(mean),
            // What is too fine for a nanosecond is a step all the same.
            step_ns: ns(step).max(u64::from(step > 0)),
        }
    }
}

/// Both clocks, read as nearly together as possible.
#[derive(Debug, Clone, Copy)]
struct Pair {
    ticks: u64,
    ns: u64,
}

impl Pair {
    /// The tightest of some brackets: whatever comes between only widens one.
    fn read() -> Pair {
        let mut best = (u64::MAX, Pair { ticks: 0, ns: 0 });
        for _ in 0..16 {
            let before = counter::read_before();
            let ns = system_ns();
            let width = counter::read_after().wrapping_sub(before);
            if width < best.0 {
                let ticks = before.wrapping_add(width / 2);
                best = (width, Pair { ticks, ns });
            }
        }
        best.1
    }

    /// Nanoseconds per tick, as a 32.32 fixed-point number; nothing if that is no rate at which
    /// a processor's counter may tick (10 MHz to 100 GHz), because one of the clocks was set.
    fn rate_since(self, first: Pair) -> Option<u64> {
        let ticks = self.ticks.checked_sub(first.ticks)?;
        let ns = self.ns.checked_sub(first.ns)?;
        let rate = (u128::from(ns) << 32).checked_div(u128::from(ticks))?;
        let rate = u64::try_from(rate).ok()?;
        ((1 << 32) / 100..=100 << 32)
            .contains(&rate)
            .then_some(rate)
    }
}

/// The system's monotonic clock, in nanoseconds.
#[cfg(target_os = "linux")]
fn system_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec to be filled. For this clock the call cannot fail, and so
    // leaves `errno` as it was; it neither allocates nor locks.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

/// Without static probes nobody asks for the time.
#[cfg(not(target_os = "linux"))]
fn system_ns() -> u64 {
    0
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod counter {
    use std::arch::{asm, x86_64};

    /// Whether the time stamp counter ticks at one rate.
    pub(super) fn is_steady() -> bool {
        const HIGHEST: u32 = 0x8000_0000;
        const POWER: u32 = 0x8000_0007;
        const INVARIANT: u32 = 1 << 8;
        #[allow(unused_unsafe, reason = "safe in newer compilers")]
        // SAFETY: every x86-64 processor has `cpuid`.
        unsafe {
            x86_64::__cpuid(HIGHEST).eax >= POWER && x86_64::__cpuid(POWER).edx & INVARIANT != 0
        }
    }

    /// Reads the counter once all before is done and before anything after begins.
    #[inline(always)]
    pub(super) fn read_before() -> u64 {
        let (low, high): (u64, u64);
        // SAFETY: every x86-64 processor has both instructions; `rdtsc` writes two registers. Not
        // `nomem`, so that the compiler, too, moves no access to memory across.
        unsafe {
            asm!(
                "lfence", "rdtsc", "lfence",
                out("rax") low, out("rdx") high,
                options(nostack, preserves_flags)
            );
        }
        high << 32 | low
    }

    /// Reads the counter once all before is done.
    #[inline(always)]
    pub(super) fn read_after() -> u64 {
        let (low, high): (u64, u64);
        // SAFETY: as in `read_before`.
        unsafe {
            asm!(
                "lfence", "rdtsc",
                out("rax") low, out("rdx") high,
                options(nostack, preserves_flags)
            );
        }
        high << 32 | low
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod counter {
    pub(super) fn is_steady() -> bool {
        false
    }

    /// Nobody reads a counter that is not steady.
    pub(super) fn read_before() -> u64 {
        0
    }

    pub(super) fn read_after() -> u64 {
        0
    }
}

#[cfg(all(test, not(any(loom, miri)), target_os = "linux"))]
mod tests {
    use super::{Clock, FLOOR_READINGS, Floor, Pair, Span, system_ns};
    use std::time::Duration;

    fn pair(ticks: u64, ns: u64) -> Pair {
        Pair { ticks, ns }
    }

    #[test]
    fn ticks_become_nanoseconds_to_the_nearest() {
        // 2.5 GHz: 0.4 ns a tick.
        let rate = pair(1_000 + 2_500_000, 5_000 + 1_000_000).rate_since(pair(1_000, 5_000));
        let clock = Clock::Counter {
            ns_per_tick: rate.unwrap(),
        };
        for (ticks, ns) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (50, 20),
            (2_500_000_000, 1_000_000_000),
        ] {
            let start = 1 << 60;
            let end = start + ticks;
            assert_eq!(clock.ns(Span { start, end }), Some(ns), "{ticks}");
        }
    }

    #[test]
    fn a_span_that_ends_before_it_starts_has_no_length() {
        let backwards = Span { start: 2, end: 1 };
        assert_eq!(Clock::System.ns(backwards), None);
        assert_eq!(
            Clock::Counter {
                ns_per_tick: 1 << 31
            }
            .ns(backwards),
            None
        );
    }

    #[test]
    fn clocks_that_do_not_fit_give_no_rate() {
        for (ticks, ns) in [
            (0, 1_000),
            (1_000, 0),
            (999, 2_000),
            (1_001, 1_000_000),
            (100_000_000, 1_001),
        ] {
            assert_eq!(
                pair(ticks, ns).rate_since(pair(1_000, 1_000)),
                None,
                "{ticks}, {ns}"
            );
        }
        assert!(pair(u64::MAX, u64::MAX).rate_since(pair(0, 0)).is_some());
    }

    #[test]
    fn a_span_is_as_long_as_the_systems_clock_says() {
        // Between what that clock says inside the span and what it says around it, and so whatever
        // interrupts. A part in 200 is left for the rate.
        let clock = Clock::get();
        for _ in 0..5 {
            let before = system_ns();
            let (inside, span) = clock.time(|| {
                let start = system_ns();
                std::thread::sleep(Duration::from_millis(5));
                system_ns() - start
            });
            let around = system_ns() - before;
            let ns = clock.ns(span).unwrap();
            assert!(ns >= inside - inside / 200, "{ns} {inside}");
            assert!(ns <= around + around / 200, "{ns} {around}");
        }
    }

    #[test]
    fn the_floor_is_finer_than_a_step_and_free_of_interruptions() {
        let mut readings = [20; FLOOR_READINGS];
        readings[..14].fill(30);
        readings[14] = 1_000_000;
        let floor = Floor::of(Clock::System, &mut readings);
        assert_eq!((floor.ns, floor.step_ns), ((50 * 20 + 6 * 30) / 56, 10));
        let floor = Floor::of(Clock::System, &mut [7; FLOOR_READINGS]);
        assert_eq!((floor.ns, floor.step_ns), (7, 0));
    }

    #[test]
    fn both_clocks_know_what_their_reading_takes() {
        for clock in [Clock::get(), Clock::System] {
            let floor = clock.floor();
            let (_, full) = clock.time(|| std::thread::sleep(Duration::from_millis(1)));
            assert!(floor.ns > 0, "{clock:?}");
            assert!(clock.ns(full).unwrap() > floor.ns, "{clock:?} {floor:?}");
        }
    }
}
