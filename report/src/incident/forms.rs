//! One row per form: latency, CPU, memory, allocations, collector.

use schemars::JsonSchema;
use serde::Serialize;

use super::CollectorSummary;
use super::collector::runtime;
use crate::digest::RunDigest;
use crate::statistics::median_of;
use crate::variant::{Variant, form};

/// One form of the service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FormSummary {
    /// Its variant, by its name in the recordings.
    pub variant: String,
    /// What it is called: `Go, sync.Pool`.
    pub form: String,
    /// Requests per second of its schedule.
    pub rate_target: f64,
    /// Whether every run kept it. If not, the response times are lower bounds that grow with the run's duration.
    pub schedule_kept: bool,
    /// Response time, in nanoseconds.
    pub p50_ns: u64,
    /// Response time, in nanoseconds.
    pub p99_ns: u64,
    /// Response time, in nanoseconds.
    pub p999_ns: u64,
    /// The longest response time, in nanoseconds.
    pub max_ns: u64,
    /// CPUs in use: the workers' time in service, and what the process's other threads used, the collector's above all.
    /// Workers that wait spin, which is not counted. Null where no run tells.
    pub cores_in_use: Option<f64>,
    /// The largest resident set of any run, in bytes; null where it could not be seen.
    pub peak_resident_bytes: Option<u64>,
    /// Heap allocations per request.
    pub allocations_per_request: Option<f64>,
    /// Bytes allocated per second.
    pub allocated_bytes_per_second: Option<f64>,
    /// What the collector did; null for a form without one.
    pub collector: Option<CollectorSummary>,
}

impl FormSummary {
    pub(super) fn of(variant: &Variant, all: &[RunDigest]) -> FormSummary {
        let summary = &variant.summary;
        let runs: Vec<&RunDigest> = variant.runs.iter().map(|run| &all[*run]).collect();
        let cores: Vec<f64> = runs.iter().filter_map(|run| cores_in_use(run)).collect();
        FormSummary {
            variant: variant.name.clone(),
            form: form(&variant.name),
            rate_target: summary.rate_target,
            schedule_kept: summary.schedule_kept,
            p50_ns: summary.p50_ns,
            p99_ns: summary.p99_ns,
            p999_ns: summary.p999_ns,
            max_ns: summary.max_ns,
            cores_in_use: (!cores.is_empty()).then(|| median_of(&cores)),
            peak_resident_bytes: Some(summary.max_rss_bytes).filter(|bytes| *bytes > 0),
            allocations_per_request: summary.allocations_per_request,
            allocated_bytes_per_second: summary.bytes_per_second,
            collector: CollectorSummary::of(&runs),
        }
    }
}

/// CPUs that a run's service used, spinning left out; `None` where it does not tell.
pub(crate) fn cores_in_use(run: &RunDigest) -> Option<f64> {
    let result = run.meta.result.as_ref()?;
    let workers = f64::from(run.meta.load.workers.max(1));
    let others = match runtime(run) {
        // Without these it would look like half of the truth.
        Some(runtime) => runtime.other_threads_cpus?,
        None => 0.0,
    };
    let cores = result.cpu_busy * workers + others;
    (cores.is_finite() && cores > 0.0).then_some(cores)
}
