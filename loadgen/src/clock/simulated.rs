//! A clock that tests advance by hand, to drive the engine's own loop deterministically.

use super::{Clock, Nanos, Ticks};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Time stands still except while a thread waits (one step per look) and when the test advances it.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedClock {
    now: Arc<AtomicU64>,
    step: u64,
}

impl SimulatedClock {
    pub(crate) fn new(start: Nanos, step: Nanos) -> SimulatedClock {
        SimulatedClock {
            now: Arc::new(AtomicU64::new(start.0)),
            step: step.0,
        }
    }

    pub(crate) fn advance(&self, by: Nanos) {
        self.now.fetch_add(by.0, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Ticks {
        Ticks(self.now.load(Ordering::Relaxed))
    }

    fn nanos(&self, ticks: Ticks) -> Nanos {
        Nanos(ticks.0)
    }

    fn relax(&self) {
        self.advance(Nanos(self.step));
    }
}
