//! Time that the machine took from a thread, told apart from time that the service took.
//!
//! Two measures, both free until something is wrong:
//! - **Idle gaps.** A waiting thread reads the clock every 40 ns. Two reads more than [`IDLE_GAP`]
//!   apart mean that it did not run between them; no service ran either, so the gap is the
//!   machine's: an interrupt, another thread, the hypervisor. Measured here over 8 s of spinning,
//!   gaps lie either below 0.4 us or above 1.5 us (timer interrupts), hardly any between.
//! - **Busy stalls.** When a request was served for longer than [`BUSY_CHECK`], the thread's CPU
//!   time is compared with the clock (two system calls). What it did not get
//!   while it never gave the CPU up by itself was taken from it. On kernels with paravirtual time
//!   accounting this includes steal.
//!
//! Neither is ever subtracted from a latency.

use crate::clock::{Nanos, clock_ns};

/// From here on a gap between two reads of an idle thread is the machine's.
pub(crate) const IDLE_GAP: Nanos = Nanos(1_000);

/// From here on a service time is looked into. Of the order
/// service's requests 99.9% take less than 1 us from the pool and 16 us from glibc's heap; a heap's
/// settlement takes milliseconds and is looked into each time.
pub(crate) const BUSY_CHECK: Nanos = Nanos(20_000);

/// Counts one thread's stalls from the start of the recording on.
#[derive(Debug)]
pub(crate) struct StallMeter {
    pub(crate) found: Found,
    /// Stalls before this instant are warm-up.
    pub(crate) from: Nanos,
    last: Standing,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found {
    pub(crate) idle_gaps: u64,
    pub(crate) idle_gap: Nanos,
    pub(crate) idle_gap_max: Nanos,
    pub(crate) busy_stalls: u64,
    pub(crate) busy_stall: Nanos,
}

impl Found {
    pub(crate) fn add(&mut self, other: &Found) {
        let &Found {
            idle_gaps,
            idle_gap,
            idle_gap_max,
            busy_stalls,
            busy_stall,
        } = other;
        self.idle_gaps += idle_gaps;
        self.idle_gap += idle_gap;
        self.idle_gap_max = self.idle_gap_max.max(idle_gap_max);
        self.busy_stalls += busy_stalls;
        self.busy_stall += busy_stall;
    }
}

impl StallMeter {
    /// A meter for the calling thread.
    pub(crate) fn new(from: Nanos) -> StallMeter {
        StallMeter {
            found: Found::default(),
            from,
            last: Standing::read(),
        }
    }

    /// An idle thread did not run for `gap`, up to `now`.
    #[cold]
    #[inline(never)]
    pub(crate) fn idle_gap(&mut self, gap: Nanos, now: Nanos) {
        if now >= self.from {
            self.found.idle_gaps += 1;
            self.found.idle_gap += gap;
            self.found.idle_gap_max = self.found.idle_gap_max.max(gap);
        }
        if gap > BUSY_CHECK {
            // So that this gap is not found again in the next slow request.
            self.last = Standing::read();
        }
    }

    /// A request due at `intended` was served for `service`, which is longer than [`BUSY_CHECK`].
    #[cold]
    #[inline(never)]
    pub(crate) fn long_service(&mut self, service: Nanos, intended: Nanos) {
        let now = Standing::read();
        let before = std::mem::replace(&mut self.last, now);
        if now.gave_up != before.gave_up {
            return; // the service waited for something: its own time
        }
        let stall = now.off_cpu.saturating_sub(before.off_cpu).min(service);
        if stall > IDLE_GAP && intended >= self.from {
            self.found.busy_stalls += 1;
            self.found.busy_stall += stall;
        }
    }
}

/// How much of its time the thread did not get so far.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// Clock time minus CPU time, from an arbitrary zero.
    off_cpu: Nanos,
    /// How often the thread gave up the CPU by itself.
    gave_up: i64,
}

impl Standing {
    fn read() -> Standing {
        let wall = clock_ns(libc::CLOCK_MONOTONIC);
        let cpu = clock_ns(libc::CLOCK_THREAD_CPUTIME_ID);
        Standing {
            off_cpu: Nanos(wall.saturating_sub(cpu)),
            gave_up: super::machine::rusage_of_thread().ru_nvcsw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_before_the_recording_are_not_counted() {
        let mut meter = StallMeter::new(Nanos(1_000_000));
        meter.idle_gap(Nanos(5_000), Nanos(999_999));
        meter.idle_gap(Nanos(7_000), Nanos(1_000_000));
        meter.idle_gap(Nanos(3_000), Nanos(1_500_000));
        assert_eq!(
            (meter.found.idle_gaps, meter.found.idle_gap),
            (2, Nanos(10_000))
        );
        assert_eq!(meter.found.idle_gap_max, Nanos(7_000));
    }

    #[test]
    fn a_service_that_sleeps_by_itself_is_not_called_a_stall_of_the_machine() {
        let mut meter = StallMeter::new(Nanos(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
        meter.long_service(Nanos(5_000_000), Nanos(0));
        assert_eq!(meter.found.busy_stalls, 0);
    }

    #[test]
    fn a_stall_is_never_longer_than_the_service_time_it_is_found_in() {
        let mut meter = StallMeter::new(Nanos(0));
        let spun_until = clock_ns(libc::CLOCK_MONOTONIC) + 30_000_000;
        while clock_ns(libc::CLOCK_MONOTONIC) < spun_until {}
        meter.long_service(Nanos(2_000), Nanos(0));
        assert!(meter.found.busy_stall <= Nanos(2_000));
    }
}
