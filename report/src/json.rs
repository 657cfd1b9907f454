//! The object behind `--json`.

use indexmap::IndexMap;
use serde::Serialize;

use crate::before_after::BeforeAfter;
use crate::report::Report;
use crate::summary::VariantSummary;
use crate::trend::Trend;
use crate::verdict::Verdict;

/// All figures of a report, for a program.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    /// Requests per second that the schedules held; the first run's, should they differ.
    pub rate_target: f64,
    /// CPUs of the machine that the process could use.
    pub cores: u32,
    /// The figures by variant: `noop`, `heap_system`, `heap_jemalloc`, `heap_mimalloc`, `pool`.
    pub variants: IndexMap<String, VariantSummary>,
    /// What they show.
    pub verdict: Verdict,
    /// Before and after, as text; null where nothing is compared.
    pub comparison: Option<BeforeAfter>,
    /// P99.9 from version to version; null without several.
    pub trend: Option<Trend>,
}

impl Document {
    pub(crate) fn of(report: &Report) -> Document {
        let first = report.runs.first().map(|run| &run.meta);
        Document {
            rate_target: first.map_or(0.0, |meta| meta.load.rate_target),
            cores: first.map_or(0, |meta| meta.host.cpus),
            variants: report.summaries(),
            verdict: report.verdict.clone(),
            comparison: report.comparison.clone(),
            trend: report.trend.clone(),
        }
    }
}
