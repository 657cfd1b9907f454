//! Reading the time, some millions of times a second.
//!
//! Two sources, chosen once per run ([`Source::detect`]) and compiled into the engine as types, so
//! that no read branches or goes through a table:
//! - [`TscClock`]: the invariant time stamp counter, calibrated against `CLOCK_MONOTONIC`. About 10
//!   ns a read on a KVM guest, where `clock_gettime` costs 25 to 40.
//! - [`MonotonicClock`]: `clock_gettime(CLOCK_MONOTONIC)`, wherever the counter cannot be trusted.
//!
//! Every instant outside this module is [`Nanos`] of `CLOCK_MONOTONIC`, whatever was read, so that
//! it can be joined with what the kernel or a probe recorded.

mod tsc;

pub use tsc::{Calibration, Drift, TscClock};

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// Nanoseconds: an instant of `CLOCK_MONOTONIC`, or the span between two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// One second.
    pub const SECOND: Nanos = Nanos(1_000_000_000);

    /// The span in whole milliseconds given.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Nanos {
        Nanos(milliseconds * 1_000_000)
    }

    /// The span in seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // 2^53 ns are 104 days
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span in milliseconds.
    #[must_use]
    pub fn as_millis_f64(self) -> f64 {
        self.as_secs_f64() * 1e3
    }

    /// `self - other`, or zero where `other` is later.
    #[must_use]
    pub const fn saturating_sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

impl Add for Nanos {
    type Output = Nanos;
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0 + other.0)
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Nanos) {
        self.0 += other.0;
    }
}

impl Sub for Nanos {
    type Output = Nanos;
    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0 - other.0)
    }
}

impl fmt::Display for Nanos {
    /// The largest unit in which the number is at least one: `1.5 s`, `20 ms`, `416 ns`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            1_000_000_000.. => (1e9, "s"),
            1_000_000.. => (1e6, "ms"),
            1_000.. => (1e3, "us"),
            _ => (1.0, "ns"),
        };
        let value = self.as_secs_f64() * 1e9 / unit;
        let rounded = (value * 100.0).round() / 100.0;
        write!(f, "{rounded} {name}")
    }
}

/// What a clock reads before conversion; only the clock that read it can say what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(pub u64);

/// A source of time. The engine is generic over it: a simulated clock drives the very same loop in
/// tests.
pub trait Clock: Clone + Send + Sync {
    /// Reads the clock.
    fn now(&self) -> Ticks;

    /// The `CLOCK_MONOTONIC` nanoseconds of a reading.
    fn nanos(&self, ticks: Ticks) -> Nanos;

    /// Reads the clock as `CLOCK_MONOTONIC` nanoseconds.
    #[inline(always)]
    fn now_ns(&self) -> Nanos {
        self.nanos(self.now())
    }

    /// What a waiting thread does between two reads: tells the core that it spins.
    #[inline(always)]
    fn relax(&self) {
        std::hint::spin_loop();
    }

    /// How far this clock has gone from `CLOCK_MONOTONIC` since it was calibrated; `None` if it is
    /// that clock.
    fn drift(&self) -> Option<Drift> {
        None
    }
}

/// `clock_gettime(CLOCK_MONOTONIC)`: right everywhere, two to four times the cost of the counter.
#[derive(Debug, Clone, Copy, Default)]
pub struct MonotonicClock;

impl Clock for MonotonicClock {
    #[inline(always)]
    fn now(&self) -> Ticks {
        Ticks(monotonic_ns())
    }

    #[inline(always)]
    fn nanos(&self, ticks: Ticks) -> Nanos {
        Nanos(ticks.0)
    }
}

/// `CLOCK_MONOTONIC` now, in nanoseconds.
#[inline(always)]
pub(crate) fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Any of the kernel's clocks now, in nanoseconds.
#[inline(always)]
pub(crate) fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec for the kernel to fill; the call cannot fail for the
    // clocks used here, and would leave zero if it did.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    #[allow(clippy::cast_sign_loss)] // these clocks count up from boot or from 1970
    {
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

/// The clock that this machine allows.
#[derive(Debug, Clone)]
pub enum Source {
    /// The calibrated time stamp counter.
    Tsc(TscClock),
    /// `clock_gettime`, and why the counter was refused.
    Monotonic(MonotonicClock, &'static str),
}

impl Source {
    /// Takes the counter where processor and kernel both vouch for it, else `clock_gettime`.
    ///
    /// Calibrating takes [`Calibration::SPAN`] (100 ms).
    #[must_use]
    pub fn detect() -> Source {
        match TscClock::calibrate() {
            Ok(clock) => Source::Tsc(clock),
            Err(reason) => Source::Monotonic(MonotonicClock, reason),
        }
    }

    /// The name that a recording carries: `tsc` or `clock_gettime`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Source::Tsc(_) => "tsc",
            Source::Monotonic(..) => "clock_gettime",
        }
    }

    /// What one read costs here, in nanoseconds; see [`cost_ns`].
    #[must_use]
    pub fn cost_ns(&self) -> f64 {
        match self {
            Source::Tsc(clock) => cost_ns(clock),
            Source::Monotonic(clock, _) => cost_ns(clock),
        }
    }
}

/// What one read of `clock` costs here, in nanoseconds: the best of several batches, because
/// whatever disturbs a batch only makes it longer. Takes a few milliseconds.
pub fn cost_ns<C: Clock>(clock: &C) -> f64 {
    const READS: u32 = 20_000;
    let batch = || {
        let start = monotonic_ns();
        for _ in 0..READS {
            std::hint::black_box(clock.now_ns());
        }
        #[allow(clippy::cast_precision_loss)] // far below 2^53
        let spent = (monotonic_ns() - start) as f64;
        spent / f64::from(READS)
    };
    (0..5).map(|_| batch()).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
pub(crate) mod simulated;

#[cfg(test)]
mod tests {
    use super::*;

    fn never_goes_back<C: Clock>(clock: &C) {
        let mut last = clock.now_ns();
        for _ in 0..100_000 {
            let now = clock.now_ns();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn neither_clock_goes_back() {
        never_goes_back(&MonotonicClock);
        if let Source::Tsc(clock) = Source::detect() {
            never_goes_back(&clock);
        }
    }

    #[test]
    fn the_counter_reads_the_same_time_as_the_kernels_clock() {
        let Source::Tsc(clock) = Source::detect() else {
            return;
        };
        // Bracketed by kernel reads, so that a stall of this thread widens the bracket instead of
        // failing the test; a microsecond is left for calibration.
        for _ in 0..1000 {
            let before = monotonic_ns();
            let read = clock.now_ns().0;
            let after = monotonic_ns();
            assert!(
                read + 1000 >= before && read <= after + 1000,
                "{before} <= {read} <= {after}"
            );
        }
    }

    #[test]
    fn spans_are_printed_in_the_unit_that_fits() {
        for (nanos, text) in [
            (416, "416 ns"),
            (1_500, "1.5 us"),
            (20_000_000, "20 ms"),
            (1_400_000_000, "1.4 s"),
        ] {
            assert_eq!(Nanos(nanos).to_string(), text);
        }
    }
}
