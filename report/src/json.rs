//! The object behind `--json`, and its schema.
//!
//! The schema is derived from the types and their comments, so it cannot fall behind them; the copy
//! in `report/schema/` is for readers without the tool, and a test compares it.

use indexmap::IndexMap;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;

use crate::before_after::BeforeAfter;
use crate::incident::Incident;
use crate::report::Report;
use crate::summary::VariantSummary;
use crate::trend::Trend;
use crate::verdict::Verdict;

/// The JSON Schema (draft 2020-12) of what a [`Document`] serialises to, as text with a line end.
///
/// Later versions may add keys, so that it allows such as it does not know.
pub fn schema() -> String {
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Document>();
    schema.insert(
        "title".to_owned(),
        format!("tailcut report --json, version {}", Document::VERSION).into(),
    );
    format!("{:#}\n", schema.as_value())
}

/// All figures of a report, for a program.
#[derive(Debug, Clone, Serialize, JsonSchema)]
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
    /// Before and after, as text; null where nothing is compared.
    pub comparison: Option<BeforeAfter>,
    /// Forms of one service in Go and in Rust side by side; null where nothing ran in Go, or nothing beside it.
    pub incident: Option<Incident>,
    /// P99.9 from version to version; null without several.
    pub trend: Option<Trend>,
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
            comparison: report.comparison.clone(),
            incident: report.incident.clone(),
            trend: report.trend.clone(),
            alerts: report.alerts(),
        }
    }
}
