//! What the threads of a run share, and how they start together.

use super::interval::Timeline;
use super::machine::thread_id;
use super::pacer::{Ended, Pacer};
use super::stalls::StallMeter;
use super::warmup::{self, Decision};
use crate::clock::{Clock, Nanos, monotonic_ns};
use crate::schedule::Lane;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How long before the schedule begins its threads stop sleeping.
const WAKE_UP: Nanos = Nanos(20_000_000);

/// Shared by all threads of one run.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Set to end the run: every thread stops at its next look.
    pub(crate) halt: AtomicBool,
    /// The kernel's ids of the threads that are ready, zero where one is not yet.
    ready: Vec<AtomicU32>,
    timeline: OnceLock<Timeline>,
    /// Where that is left open: when the recorded part begins.
    pub(crate) decision: Decision,
    /// Requests completed, per service.
    pub(crate) progress: Vec<AtomicU64>,
}

impl Stage {
    pub(crate) fn new(threads: usize, services: usize) -> Stage {
        Stage {
            halt: AtomicBool::new(false),
            ready: (0..threads).map(|_| AtomicU32::new(0)).collect(),
            timeline: OnceLock::new(),
            decision: Decision::default(),
            progress: (0..services).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Thread `index` is ready: waits for the timeline, and sleeps until shortly before it begins. Nothing, if
    /// the run is halted instead.
    pub(crate) fn wait(&self, index: usize) -> Option<Timeline> {
        self.ready[index].store(thread_id(), Ordering::Release);
        loop {
            if self.halt.load(Ordering::Relaxed) {
                return None;
            }
            let near = Nanos(monotonic_ns()) + WAKE_UP;
            if let Some(timeline) = self.timeline.get()
                && near >= timeline.begin
            {
                return Some(*timeline);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The threads, once all of them are ready.
    pub(crate) fn all_ready(&self) -> Option<Vec<u32>> {
        let threads = self
            .ready
            .iter()
            .map(|thread| thread.load(Ordering::Acquire));
        threads
            .map(|thread| (thread != 0).then_some(thread))
            .collect()
    }

    /// Walks `pacer` by `serve` to where it is known when the recorded part begins: nowhere, where it is known
    /// already. The whole timeline; or why the walk ended before.
    pub(crate) fn through_warm_up<C: Clock, L: Lane>(
        &self,
        clock: &C,
        pacer: &mut Pacer<'_, L>,
        timeline: &Timeline,
        meter: &mut StallMeter,
        serve: impl FnMut(&mut Pacer<'_, L>, &mut StallMeter) -> Ended,
    ) -> Result<Timeline, Ended> {
        if timeline.is_decided() {
            return Ok(*timeline);
        }
        warmup::walk(clock, pacer, timeline, &self.decision, meter, serve)
    }

    /// Lets the threads begin.
    pub(crate) fn begin(&self, timeline: Timeline) {
        let _ = self.timeline.set(timeline);
    }

    pub(crate) fn halt(&self) {
        self.halt.store(true, Ordering::Relaxed);
    }

    /// Halts the run if the holder panics: threads that wait for each other would wait for ever.
    pub(crate) fn halt_on_panic(&self) -> HaltOnPanic<'_> {
        HaltOnPanic(self)
    }
}

/// See [`Stage::halt_on_panic`].
pub(crate) struct HaltOnPanic<'a>(&'a Stage);

impl Drop for HaltOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.halt();
        }
    }
}
