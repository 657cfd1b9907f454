//! [`VariantSummary`]: the figures of one variant over all its runs.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use crate::allocator::AllocatorSummary;
use crate::blame::BlameSummary;
use crate::digest::RunDigest;
use crate::load::LoadSummary;
use crate::pauses::PauseSummary;
use crate::pool::PoolSummary;
use crate::recording::Stalls;
use crate::slo::SloSummary;
use crate::statistics::{maximum, mean, median, quantile, total};

/// The figures of one variant over all its runs.
///
/// Serialises to the object that stands under the variant's name in `--json`. Percentiles come
/// from the runs' merged histograms; when [`VariantSummary::schedule_kept`] is false they are lower
/// bounds that grow with the run's duration.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VariantSummary {
    /// Runs that the figures are of.
    pub runs: u32,
    /// Requests per second that the schedule held.
    pub rate_target: f64,
    /// Requests finished by the schedule's end, per second of schedule, over all runs.
    pub rate_achieved: f64,
    /// Whether every run kept its schedule; false too when a run ended before that could be told.
    pub schedule_kept: bool,
    /// Response time, in nanoseconds.
    pub p50_ns: u64,
    /// Response time, in nanoseconds.
    pub p99_ns: u64,
    /// Response time, in nanoseconds.
    pub p999_ns: u64,
    /// Response time, in nanoseconds.
    pub p9999_ns: u64,
    /// The longest response time, in nanoseconds.
    pub max_ns: u64,
    /// Median over all seconds of all runs of each second's P99.9, in nanoseconds: what an ordinary
    /// second looks like, however bad the worst is.
    pub p999_ns_median_of_seconds: u64,
    /// Service time, in nanoseconds.
    pub service_p50_ns: u64,
    /// Service time, in nanoseconds.
    pub service_p999_ns: u64,
    /// Heap allocations per request, from the counting run; null when there was none.
    pub allocations_per_request: Option<f64>,
    /// Bytes allocated per second at the rate achieved; null without a counting run.
    pub bytes_per_second: Option<f64>,
    /// Share of worker time inside the service, 0 to 1: the mean over runs.
    pub cpu_busy: f64,
    /// Time that the machine, not the service, took away, in milliseconds: the sum over runs.
    pub stalls_ms: f64,
    /// What the service computed, when all complete runs agree; empty when they do not, or when
    /// none is complete.
    pub checksum: String,
    /// Whether a run was cut short.
    pub partial: bool,

    /// Requests in the response series.
    pub requests: u64,
    /// Runs that missed their schedule.
    pub missed_runs: u32,
    /// Whether the complete runs computed the same.
    pub checksums_agree: bool,
    /// Each run's own P99.9, in the order of the runs, in nanoseconds.
    pub p999_ns_by_run: Vec<u64>,
    /// Each run's own P50 and P99, likewise: what a verdict may be about besides.
    #[serde(skip)]
    pub(crate) lower_by_run: [Vec<u64>; 2],
    /// Requests never served, over all runs.
    pub unserved: u64,
    /// Requests refused, over all runs.
    pub rejected: u64,
    /// The largest resident set of any run, in bytes.
    pub max_rss_bytes: u64,
    /// The stalls in detail: sums over the runs, the longest gap as it is.
    pub stalls: Stalls,
    /// What a probe saw meanwhile; null when no run was traced.
    pub pauses: Option<PauseSummary>,
    /// Why its slow requests were slow; null where no run was traced that kept any.
    pub blame: Option<BlameSummary>,
    /// What a load generator recorded beside response times; absent where there is nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadSummary>,
    /// The service level, second by second, and the health score; null where no second was measured.
    pub slo: Option<SloSummary>,
    /// What a probe saw of the allocator; absent where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocator: Option<AllocatorSummary>,
    /// What its pools held and did; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolSummary>,
}

impl VariantSummary {
    pub(crate) fn of(
        runs: &[&RunDigest],
        response: &Histogram<u64>,
        service: &Histogram<u64>,
    ) -> VariantSummary {
        let results = || runs.iter().filter_map(|run| run.meta.result.as_ref());
        let seconds = runs
            .iter()
            .flat_map(|run| run.seconds.iter().map(|second| second.p999_ns));
        let duration_s = total(runs.iter().map(|run| run.duration_ns())) as f64 / 1e9;
        let finished = total(runs.iter().map(|run| run.completed_on_schedule()));
        let rate_achieved = if duration_s > 0.0 {
            finished as f64 / duration_s
        } else {
            0.0
        };
        // The counting run is one for all; the first that was recorded speaks for the variant.
        let allocations = runs.iter().find_map(|run| run.meta.allocations.as_ref());
        let mut checksums: Vec<&str> = runs.iter().filter_map(|run| run.checksum()).collect();
        checksums.dedup();
        let stalls = results().fold(Stalls::default(), |sum, result| {
            add_stalls(sum, &result.stalls)
        });
        VariantSummary {
            runs: runs.len() as u32,
            rate_target: runs.first().map_or(0.0, |run| run.meta.load.rate_target),
            rate_achieved,
            schedule_kept: runs.iter().all(|run| run.schedule_kept() == Some(true)),
            p50_ns: quantile(response, 0.5),
            p99_ns: quantile(response, 0.99),
            p999_ns: quantile(response, 0.999),
            p9999_ns: quantile(response, 0.9999),
            max_ns: maximum(response),
            p999_ns_median_of_seconds: median(seconds),
            service_p50_ns: quantile(service, 0.5),
            service_p999_ns: quantile(service, 0.999),
            allocations_per_request: allocations.map(|found| found.allocations_per_request),
            bytes_per_second: allocations.map(|found| found.bytes_per_request * rate_achieved),
            cpu_busy: mean(results().map(|result| result.cpu_busy)),
            stalls_ms: stalls.total_ms,
            checksum: match checksums.as_slice() {
                [one] => (*one).to_owned(),
                _ => String::new(),
            },
            partial: runs.iter().any(|run| run.partial()),
            requests: response.len(),
            missed_runs: runs
                .iter()
                // A closed loop has no schedule to miss.
                .filter(|run| run.schedule_kept() == Some(false) && !run.meta.load.closed_loop)
                .count() as u32,
            checksums_agree: checksums.len() <= 1,
            p999_ns_by_run: runs
                .iter()
                .map(|run| quantile(&run.response, 0.999))
                .collect(),
            lower_by_run: [0.5, 0.99].map(|level| {
                let of = |run: &&RunDigest| quantile(&run.response, level);
                runs.iter().map(of).collect()
            }),
            unserved: total(results().map(|result| result.unserved)),
            rejected: total(results().map(|result| result.rejected)),
            max_rss_bytes: results()
                .map(|result| result.max_rss_bytes)
                .max()
                .unwrap_or(0),
            stalls,
            pauses: PauseSummary::of(runs),
            blame: BlameSummary::of(runs),
            load: LoadSummary::of(runs),
            slo: SloSummary::of(runs),
            allocator: AllocatorSummary::of(runs),
            pools: PoolSummary::of(runs),
        }
    }
}

impl VariantSummary {
    /// A judged percentile of each run, in nanoseconds: P50, P99 or P99.9.
    pub(crate) fn percentile_by_run(&self, level: f64) -> &[u64] {
        match level {
            median if median <= 0.5 => &self.lower_by_run[0],
            p99 if p99 <= 0.99 => &self.lower_by_run[1],
            _ => &self.p999_ns_by_run,
        }
    }
}

/// Exhaustive, so that a new field cannot be forgotten here.
fn add_stalls(sum: Stalls, run: &Stalls) -> Stalls {
    let Stalls {
        total_ms,
        idle_gaps,
        idle_gap_ms,
        idle_gap_max_ns,
        busy_stalls,
        busy_stall_ms,
        run_queue_wait_ms,
        steal_ms,
        involuntary_switches,
        major_faults,
        minor_faults,
    } = *run;
    Stalls {
        total_ms: sum.total_ms + total_ms,
        idle_gaps: sum.idle_gaps.saturating_add(idle_gaps),
        idle_gap_ms: sum.idle_gap_ms + idle_gap_ms,
        idle_gap_max_ns: sum.idle_gap_max_ns.max(idle_gap_max_ns),
        busy_stalls: sum.busy_stalls.saturating_add(busy_stalls),
        busy_stall_ms: sum.busy_stall_ms + busy_stall_ms,
        run_queue_wait_ms: sum.run_queue_wait_ms + run_queue_wait_ms,
        steal_ms: sum.steal_ms + steal_ms,
        involuntary_switches: sum
            .involuntary_switches
            .saturating_add(involuntary_switches),
        major_faults: sum.major_faults.saturating_add(major_faults),
        minor_faults: sum.minor_faults.saturating_add(minor_faults),
    }
}
