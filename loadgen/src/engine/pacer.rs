//! Holds a thread to the schedule: waits for each request's intended start, never past it.
//!
//! The thread that serves also waits (inline pacing). A generator thread beside it would keep a
//! second core spinning, and on a small machine that core's absence is what would be measured. The
//! loop stays open: the intended starts were fixed before, and a late request moves none of them.

use super::stalls::{IDLE_GAP, StallMeter};
use crate::clock::{Clock, Nanos};
use crate::schedule::Lane;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many requests pass between two looks at the halt flag while there is no idle time.
pub(crate) const POLL_EVERY: u32 = 1024;

/// A request whose time has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) request: u64,
    pub(crate) intended: Nanos,
    /// When the thread turned to it.
    pub(crate) start: Nanos,
}

/// Why the pacer stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every request was started.
    Schedule,
    /// The grace ran out first, at this instant.
    Cut(Nanos),
    /// Somebody asked to halt, at this instant.
    Halted(Nanos),
}

/// What is next.
pub(crate) enum Next {
    Due(Due),
    Ended(Ended),
}

/// One thread's walk along its lane.
pub(crate) struct Pacer<'a, L> {
    pub(crate) lane: L,
    end: Nanos,
    cut: Nanos,
    halt: &'a AtomicBool,
    until_poll: u32,
}

impl<'a, L: Lane> Pacer<'a, L> {
    /// Up to `end`, in any case only until `cut`.
    pub(crate) fn new(lane: L, end: Nanos, cut: Nanos, halt: &'a AtomicBool) -> Pacer<'a, L> {
        Pacer {
            lane,
            end,
            cut,
            halt,
            until_poll: POLL_EVERY,
        }
    }

    /// Sets how far the walk goes.
    pub(crate) fn until(&mut self, end: Nanos, cut: Nanos) {
        (self.end, self.cut) = (end, cut);
    }

    /// Waits for `instant`, without any request.
    #[cold]
    pub(crate) fn idle_until<C: Clock>(
        &self,
        clock: &C,
        instant: Nanos,
        meter: &mut StallMeter,
    ) -> Result<(), Ended> {
        let now = clock.now_ns();
        if now < instant {
            self.wait(clock, now, instant, meter)?;
        }
        Ok(())
    }

    /// The next request, once it is due. `now` is the thread's last reading of the clock.
    #[inline(always)]
    pub(crate) fn next<C: Clock>(&mut self, clock: &C, now: Nanos, meter: &mut StallMeter) -> Next {
        let intended = self.lane.intended();
        if intended >= self.end {
            return Next::Ended(Ended::Schedule);
        }
        let start = if now < intended {
            match self.wait(clock, now, intended, meter) {
                Ok(start) => start,
                Err(halted) => return Next::Ended(halted),
            }
        } else {
            if now >= self.cut {
                return Next::Ended(Ended::Cut(self.cut));
            }
            now
        };
        self.until_poll -= 1;
        if self.until_poll == 0 {
            self.until_poll = POLL_EVERY;
            if self.halt.load(Ordering::Relaxed) {
                return Next::Ended(Ended::Halted(start));
            }
        }
        let request = self.lane.request();
        self.lane.advance();
        Next::Due(Due {
            request,
            intended,
            start,
        })
    }

    /// Spins until `intended`; the first reading not before it.
    #[inline(always)]
    fn wait<C: Clock>(
        &self,
        clock: &C,
        mut now: Nanos,
        intended: Nanos,
        meter: &mut StallMeter,
    ) -> Result<Nanos, Ended> {
        loop {
            clock.relax();
            let read = clock.now_ns();
            let gap = read.saturating_sub(now);
            if gap > IDLE_GAP {
                meter.idle_gap(gap, read);
            }
            now = read;
            if now >= intended {
                return Ok(now);
            }
            if self.halt.load(Ordering::Relaxed) {
                return Err(Ended::Halted(now));
            }
        }
    }
}
