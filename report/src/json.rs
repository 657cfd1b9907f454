//! The object behind `--json`.

use indexmap::IndexMap;
use serde::Serialize;

use crate::report::Report;
use crate::summary::VariantSummary;
use crate::verdict::Verdict;

/// All figures of a report, for a program.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    /// Version of this format: [`Document::VERSION`].
    pub schema_version: u32,
    /// Requests per second that the schedules held; the first run's, should they differ.
    pub rate_target: f64,
    /// CPUs of the machine that the process could use.
    pub cores: u32,
    /// The figures by variant: `noop`, `heap_system`, `heap_jemalloc`, `heap_mimalloc`, `pool`.
    pub variants: IndexMap<String, VariantSummary>,
    /// What they show.
    pub verdict: Verdict,
    /// What is wrong with the recordings: partial, damaged, or at odds with themselves or each other.
    pub alerts: Vec<String>,
}

impl Document {
    /// Rises when a key disappears or changes its meaning; new keys may come at any time.
    pub const VERSION: u32 = 1;

    pub(crate) fn of(report: &Report) -> Document {
        let first = report.runs.first().map(|run| &run.meta);
        Document {
            schema_version: Document::VERSION,
            rate_target: first.map_or(0.0, |meta| meta.load.rate_target),
            cores: first.map_or(0, |meta| meta.host.cpus),
            variants: report.summaries(),
            verdict: report.verdict.clone(),
            alerts: report.alerts(),
        }
    }
}
