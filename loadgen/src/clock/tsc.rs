//! The invariant time stamp counter, converted to `CLOCK_MONOTONIC` by one multiplication.
//!
//! The counter is taken only if the processor says that it ticks at one rate in every power state
//! (CPUID, leaf 0x80000007, EDX bit 8) *and* the kernel itself keeps time by it: the kernel watches
//! the counter against other timers and demotes it when cores disagree, which no check from user
//! space could see.
//!
//! `rdtsc` is read without a fence. `lfence; rdtsc` and `rdtscp` were measured at 18.5 ns against
//! 9.6 here; what the fence would buy is that a read cannot move by the few tens of nanoseconds
//! that the core executes ahead, and such a move takes from one request what it gives to the next.

use super::{Clock, Nanos, Ticks, monotonic_ns};

/// How the counter was matched with `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calibration {
    base_ticks: u64,
    base_ns: u64,
    /// Nanoseconds per tick, as a 32.32 fixed-point number.
    ns_per_tick: u64,
}

/// How far the counter's time lay from the kernel's at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Counter time minus kernel time. Positive: the counter runs fast.
    pub nanos: i64,
    /// The same per elapsed time, in parts per million.
    pub parts_per_million: f64,
}

impl Calibration {
    /// How long a calibration takes. Runs of some seconds then ended within 60 ns of the kernel's
    /// clock here: 0.01 ppm, nothing to speak of in a latency.
    pub const SPAN: Nanos = Nanos::from_millis(100);

    fn between(first: Pair, second: Pair) -> Calibration {
        let ticks = u128::from(second.ticks - first.ticks).max(1);
        let nanos = u128::from(second.ns - first.ns);
        let ns_per_tick = u64::try_from((nanos << 32) / ticks).unwrap_or(u64::MAX);
        Calibration {
            base_ticks: first.ticks,
            base_ns: first.ns,
            ns_per_tick,
        }
    }

    /// The 128-bit product cannot overflow, and is one instruction. Readings earlier than the base
    /// are not meaningful: the base lies at least [`Calibration::SPAN`] before any clock built on
    /// it.
    #[inline(always)]
    fn nanos(&self, ticks: u64) -> u64 {
        let elapsed = ticks.wrapping_sub(self.base_ticks);
        #[allow(clippy::cast_possible_truncation)] // the upper half is zero for 500 years
        let nanos = ((u128::from(elapsed) * u128::from(self.ns_per_tick)) >> 32) as u64;
        self.base_ns + nanos
    }
}

/// The calibrated time stamp counter.
#[derive(Debug, Clone, Copy)]
pub struct TscClock {
    calibration: Calibration,
}

impl TscClock {
    /// Checks that the counter can be trusted, and calibrates it in [`Calibration::SPAN`].
    ///
    /// # Errors
    /// Says in words why the counter cannot be used.
    pub fn calibrate() -> Result<TscClock, &'static str> {
        trusted()?;
        let first = Pair::read();
        std::thread::sleep(std::time::Duration::from_nanos(Calibration::SPAN.0));
        let second = Pair::read();
        if second.ticks <= first.ticks || second.ns <= first.ns {
            return Err("the time stamp counter did not advance while it was calibrated");
        }
        Ok(TscClock {
            calibration: Calibration::between(first, second),
        })
    }
}

impl Clock for TscClock {
    #[inline(always)]
    fn now(&self) -> Ticks {
        Ticks(read_counter())
    }

    #[inline(always)]
    fn nanos(&self, ticks: Ticks) -> Nanos {
        Nanos(self.calibration.nanos(ticks.0))
    }

    fn drift(&self) -> Option<Drift> {
        let now = Pair::read();
        let counted = self.calibration.nanos(now.ticks);
        let nanos = counted.cast_signed().wrapping_sub(now.ns.cast_signed());
        let elapsed = now.ns.saturating_sub(self.calibration.base_ns).max(1);
        #[allow(clippy::cast_precision_loss)] // reported to a few digits
        let parts_per_million = nanos as f64 / elapsed as f64 * 1e6;
        Some(Drift {
            nanos,
            parts_per_million,
        })
    }
}

/// Both clocks, read as nearly together as possible.
#[derive(Debug, Clone, Copy)]
struct Pair {
    ticks: u64,
    ns: u64,
}

impl Pair {
    /// The tightest of many brackets: interrupts and steal only ever widen one.
    fn read() -> Pair {
        let bracket = || {
            let before = read_counter();
            let ns = monotonic_ns();
            let width = read_counter().wrapping_sub(before);
            (
                width,
                Pair {
                    ticks: before + width / 2,
                    ns,
                },
            )
        };
        let mut best = bracket();
        for _ in 0..200 {
            let next = bracket();
            if next.0 < best.0 {
                best = next;
            }
        }
        best.1
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn read_counter() -> u64 {
    // SAFETY: every x86-64 processor has `rdtsc`; where an operating system forbids it to user
    // space, `trusted` has refused already (Linux then does not use the counter itself).
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn read_counter() -> u64 {
    unreachable!("`trusted` refuses on this architecture")
}

#[cfg(target_arch = "x86_64")]
fn trusted() -> Result<(), &'static str> {
    const LEAF: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    let highest = core::arch::x86_64::__cpuid(0x8000_0000).eax;
    if highest < LEAF || core::arch::x86_64::__cpuid(LEAF).edx & INVARIANT == 0 {
        return Err("the processor does not say that its time stamp counter is invariant");
    }
    let current =
        std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
            .map_err(|_| "the kernel's clock source cannot be read")?;
    match current.trim() {
        "tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page" => Ok(()),
        _ => Err("the kernel does not keep time by the time stamp counter"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn trusted() -> Result<(), &'static str> {
    Err("no time stamp counter is supported on this architecture")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_over_a_day_is_good_to_a_part_in_a_thousand_million() {
        let first = Pair {
            ticks: 1_000,
            ns: 5_000,
        };
        // 2.5 GHz: 0.4 ns a tick.
        let second = Pair {
            ticks: 1_000 + 2_500_000_000,
            ns: 5_000 + 1_000_000_000,
        };
        let calibration = Calibration::between(first, second);
        let day_ticks = 86_400 * 2_500_000_000_u64;
        let off = calibration
            .nanos(1_000 + day_ticks)
            .abs_diff(5_000 + 86_400_000_000_000);
        // 32 bits of fraction: half a part in 10^9.
        assert!(off <= 86_400_000_000_000 / 1_000_000_000, "{off} ns");
        assert_eq!(calibration.nanos(1_000), 5_000);
    }
}
