//! The program from outside: what it cannot know or should not be asked.
//!
//! Its workers spin while they wait for the next request, so that the CPU time of the process says nothing of what the
//! service needs. What the *other* threads use does: in a runtime with a collector of its own that is the collector.

use crate::clock::{Nanos, monotonic_ns};
use crate::resources::{Sampler, cpu_beside, peak_resident_bytes};
use tailcut_report::recording::ResourceSample;

/// How often the program's resources are sampled.
const EVERY: Nanos = Nanos::from_millis(100);

/// Watches one process.
#[derive(Debug)]
pub(super) struct Watch {
    process: u32,
    workers: Vec<u32>,
    /// Absent where it may not be looked at, or has ended.
    sampler: Option<Sampler>,
    peak_bytes: u64,
    /// When it was first looked at, and last while its workers were there, with the CPU time of the other threads.
    first: Option<(u64, u64)>,
    last: Option<(u64, u64)>,
}

impl Watch {
    /// Looks at it at once: the warm-up, which is the same load, counts too, or a run of a second or two would tell nothing.
    pub(super) fn new(process: u32, workers: Vec<u32>) -> Watch {
        let mut watch = Watch {
            process,
            workers,
            sampler: Sampler::start(&[process], EVERY).ok(),
            peak_bytes: 0,
            first: None,
            last: None,
        };
        watch.look();
        watch
    }

    /// Looks at it, at the end of a measured second.
    pub(super) fn look(&mut self) {
        self.peak();
        if let Some(cpu_ns) = cpu_beside(self.process, &self.workers) {
            let now = (monotonic_ns(), cpu_ns);
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
    }

    /// Looks at its memory alone. The figure only grows, so that the last one there is stands for all.
    pub(super) fn peak(&mut self) {
        if let Some(bytes) = peak_resident_bytes(self.process) {
            self.peak_bytes = self.peak_bytes.max(bytes);
        }
    }

    /// The samples since the last call.
    pub(super) fn samples(&self) -> Vec<ResourceSample> {
        self.sampler.as_ref().map(Sampler::take).unwrap_or_default()
    }

    /// The largest resident set, in bytes; 0 where it could not be seen.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// CPUs that its threads beside the workers kept busy; nothing where it ended at once.
    #[allow(clippy::cast_precision_loss)] // 2^53 ns are 104 days
    pub(super) fn other_threads_cpus(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.first?, self.last?);
        (to > from).then(|| after.saturating_sub(before) as f64 / (to - from) as f64)
    }
}
