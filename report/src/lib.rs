//! Recordings of latency runs, their statistics, and the report made from them.
//!
//! A run writes a [`recording`], a probe its pauses into the same or one of its own; [`Report`]
//! reads any number of them and says what they show: as one HTML page, as a Markdown comment, as
//! JSON, as tables of text.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let report = tailcut_report::Report::read_tree("tailcut-demo".as_ref())?;
//! println!("{}", report.verdict().sentence);
//! std::fs::write("report.html", report.html())?;
//! # Ok(())
//! # }
//! ```
//!
//! Percentiles are always those of merged histograms, never averages of percentiles; a run, not a
//! request, is the replicate; the maximum is always shown; figures of a variant that missed its
//! schedule are marked as the lower bounds that they are.

mod alerts;
mod allocator;
mod before_after;
mod blame;
pub mod compare;
mod conditions;
mod contradictions;
mod digest;
mod error;
mod evidence;
pub mod export;
pub mod format;
pub mod gate;
mod heat;
mod html;
mod incident;
mod json;
mod load;
mod markdown;
mod measures;
mod pauses;
mod pool;
mod prefetch;
mod reading;
pub mod recording;
mod report;
mod sides;
mod slo;
pub mod statistics;
pub mod summary;
mod table;
mod text;
pub mod trend;
mod variant;
mod verdict;

pub use allocator::{
    AllocatorSummary, CallSiteSummary, LifetimeBand, LifetimeSummary, NotTraced, SizeClass,
    SizeSummary, SlowSiteSummary, StackDepth, TierBand, TierSummary,
};
pub use before_after::{BeforeAfter, BeforeAfterRow};
pub use blame::{BlameMode, BlameRow, BlameSummary, KindBlame, Spike, SpikePause, ThreadBlame};
pub use error::ReportError;
pub use export::ExportError;
pub use incident::{CollectorSummary, FormSummary, Incident, Owed};
pub use json::{Document, schema};
pub use load::{
    ExtraSeries, LoadSummary, MarkSummary, ObjectiveSummary, ResourceSummary, SeriesUnit,
};
pub use pauses::{LongPause, PauseSummary, SeriesSummary};
pub use pool::PoolSummary;
pub use reading::{Damage, recordings_in};
pub use report::Report;
pub use sides::Sides;
pub use slo::{BreakingPause, BrokenSecond, Health, HealthPart, Origin, ServiceClass, SloSummary};
pub use table::Table;
pub use text::{clean as printable_text, name as printable_name};
pub use variant::label;
pub use verdict::{Outcome, Verdict};
