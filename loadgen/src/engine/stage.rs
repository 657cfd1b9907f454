//! What the threads of a run share, and how they start together.

use super::interval::Timeline;
use super::machine::thread_id;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Shared by all threads of one run.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Set to end the run: every thread stops at its next look.
    pub(crate) halt: AtomicBool,
    /// The kernel's ids of the threads that are ready, zero where one is not yet.
    ready: Vec<AtomicU32>,
    timeline: OnceLock<Timeline>,
    /// Requests completed, per service.
    pub(crate) progress: Vec<AtomicU64>,
}

impl Stage {
    pub(crate) fn new(threads: usize, services: usize) -> Stage {
        Stage {
            halt: AtomicBool::new(false),
            ready: (0..threads).map(|_| AtomicU32::new(0)).collect(),
            timeline: OnceLock::new(),
            progress: (0..services).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Thread `index` is ready: waits for the timeline. Nothing, if the run is halted instead.
    pub(crate) fn wait(&self, index: usize) -> Option<Timeline> {
        self.ready[index].store(thread_id(), Ordering::Release);
        loop {
            if self.halt.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(timeline) = self.timeline.get() {
                return Some(*timeline);
            }
            // The start lies some milliseconds after the timeline is set: time to wake up in.
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
