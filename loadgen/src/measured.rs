//! What one run comes down to when it is one point among many: of a search, of a sweep.

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde::Serialize;
use tailcut_report::recording::{ObjectiveResult, Reader};

use crate::engine::RunOutcome;

/// The figures of one run that searches, sweeps and their tables show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The recording's folder.
    pub dir: PathBuf,
    /// Requests per second that were due.
    pub rate_target: f64,
    /// Requests finished by the schedule's end, per second of the schedule.
    pub rate_achieved: f64,
    /// Whether the target kept up with the schedule. Of a closed loop, which has none, always.
    pub schedule_kept: bool,
    /// Response time in nanoseconds.
    pub response: Percentiles,
    /// Requests that failed or were never served, as a share of those due, 0 to 1.
    pub errors: f64,
    /// Each objective and whether it held; empty when there was none.
    pub objectives: Vec<ObjectiveResult>,
    /// Who was the bottleneck: `generator`, `target`, `machine` or `none`; absent within the process.
    pub bottleneck: Option<String>,
    /// CPUs that the generator kept busy. Within the process that is the service, too.
    pub generator_cpus: f64,
    /// CPUs that the target kept busy, where it was watched.
    pub target_cpus: Option<f64>,
    /// Why the recording is partial, if it is.
    pub partial: Option<String>,
}

/// Of response time, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// 99.99th percentile.
    pub p9999: u64,
    /// The slowest.
    pub max: u64,
}

impl Percentiles {
    /// Those of a histogram; zeros of an empty one.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Percentiles {
        if histogram.is_empty() {
            return Percentiles::default();
        }
        let at = |quantile| histogram.value_at_quantile(quantile);
        Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }
}

impl Measured {
    /// Of a run that has ended. Reads what was sampled of the target from the recording.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // shares and rates, shown to a few digits
    pub fn of(outcome: &RunOutcome) -> Measured {
        let load = &outcome.meta.load;
        let result = outcome.meta.result.clone().unwrap_or_default();
        let failed = result.errors.values().sum::<u64>() + result.unserved;
        let workers = f64::from(load.workers);
        let generator = result.generator.as_ref();
        Measured {
            dir: outcome.dir.clone(),
            rate_target: load.rate_target,
            rate_achieved: result.rate_achieved,
            schedule_kept: result.schedule_kept || load.closed_loop,
            response: Percentiles::of(&outcome.response),
            errors: failed.min(result.offered) as f64 / result.offered.max(1) as f64,
            objectives: result.objectives.clone(),
            bottleneck: generator.map(|generator| generator.bottleneck.clone()),
            generator_cpus: workers * generator.map_or(result.cpu_busy, |generator| generator.busy),
            target_cpus: target_cpus(&outcome.dir),
            partial: outcome.meta.state_reason.clone(),
        }
    }

    /// All CPUs that the run took, as far as is known.
    #[must_use]
    pub fn cpus(&self) -> f64 {
        self.generator_cpus + self.target_cpus.unwrap_or(0.0)
    }
}

/// CPUs that the watched process kept busy between its first and its last sample.
#[allow(clippy::cast_precision_loss)] // shown to two digits
fn target_cpus(dir: &Path) -> Option<f64> {
    let reader = Reader::open(dir).ok()?;
    let mut samples = reader.resources();
    let first = samples.next()?.ok()?;
    let last = samples.map_while(Result::ok).last()?;
    let elapsed = last.at_ns.checked_sub(first.at_ns).filter(|&ns| ns > 0)?;
    Some(last.cpu_ns.saturating_sub(first.cpu_ns) as f64 / elapsed as f64)
}
