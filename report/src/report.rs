//! [`Report`]: recordings in, figures out.

use std::fs;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::before_after::{BeforeAfter, compare};
use crate::digest::RunDigest;
use crate::error::ReportError;
use crate::html;
use crate::json::Document;
use crate::load::{self, Story};
use crate::markdown;
use crate::pauses::{only_traced, tables};
use crate::recording::{META_FILE, Reader, Recording};
use crate::summary::VariantSummary;
use crate::table::Table;
use crate::variant::Variant;
use crate::verdict::{Verdict, verdict};

/// What a set of recordings shows, ready to be printed in any form.
///
/// Holds no intervals: a few kilobytes per recorded second.
#[derive(Debug, Clone)]
pub struct Report {
    /// In the order in which they were made.
    pub(crate) runs: Vec<RunDigest>,
    /// What ran under load, in the order in which they are shown.
    pub(crate) variants: Vec<Variant>,
    /// What was traced without a load of ours.
    pub(crate) traced: Vec<Variant>,
    pub(crate) story: Story,
    pub(crate) comparison: Option<BeforeAfter>,
    pub(crate) verdict: Verdict,
}

impl Report {
    /// Makes a report of recordings in memory, in any order.
    ///
    /// # Errors
    /// [`ReportError::Empty`] without a recording. Recordings that are partial, empty or at odds
    /// with each other are no error: the verdict says so.
    pub fn from_recordings(recordings: Vec<Recording>) -> Result<Report, ReportError> {
        Report::from_digests(
            recordings
                .into_iter()
                .map(RunDigest::of_recording)
                .collect(),
        )
    }

    /// Makes a report of all recordings in a folder: the folder itself if it is one, and its
    /// direct subfolders that are.
    ///
    /// Reads one interval and one pause at a time: five recordings of an hour each take 2 s and
    /// 35 MiB; ten of twenty minutes each with seven series of pauses 3 s and 54 MB.
    ///
    /// # Errors
    /// [`ReportError::NoRecording`] when there is none, [`ReportError::Search`] when the folder
    /// cannot be listed, and [`ReportError::Recording`] when one of them cannot be read.
    pub fn read_tree(dir: &Path) -> Result<Report, ReportError> {
        let found = recordings_in(dir)?;
        if found.is_empty() {
            return Err(ReportError::NoRecording {
                dir: dir.to_path_buf(),
            });
        }
        let digests = found
            .iter()
            .map(|dir| RunDigest::of_reader(&Reader::open(dir)?))
            .collect::<Result<_, _>>()?;
        Report::from_digests(digests)
    }

    pub(crate) fn from_digests(mut runs: Vec<RunDigest>) -> Result<Report, ReportError> {
        if runs.is_empty() {
            return Err(ReportError::Empty);
        }
        runs.sort_by(|a, b| {
            let key = |run: &RunDigest| (run.meta.sequence, run.meta.run, run.meta.clock.unix_ns);
            key(a).cmp(&key(b)).then_with(|| a.dir.cmp(&b.dir))
        });
        let (traced, variants): (Vec<Variant>, Vec<Variant>) = Variant::group(&runs)
            .into_iter()
            .partition(|variant| variant.runs.iter().all(|run| runs[*run].only_traced()));
        let story = Story::of(&variants, &runs);
        Ok(Report {
            story,
            comparison: match story {
                Story::BeforeAfter => compare(&variants),
                Story::Load => None,
            },
            verdict: match story {
                _ if variants.is_empty() => only_traced(&traced),
                Story::BeforeAfter => verdict(&variants, &runs),
                Story::Load => load::verdict(&variants, &runs),
            },
            runs,
            variants,
            traced,
        })
    }

    /// One self-contained page: opens offline, asks for nothing outside itself. 120 KB for a demo
    /// (170 KB where it was traced), 0.8 MB for five recordings of an hour each, 2.4 MB for ten of
    /// twenty minutes each that were traced.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// The verdict and the tables, for a comment on a change.
    pub fn markdown(&self) -> String {
        markdown::comment(self)
    }

    /// The object behind `--json`; serialise it with `serde_json`.
    pub fn json(&self) -> Document {
        Document::of(self)
    }

    /// All variants: what ran under load, then what was only traced.
    pub(crate) fn all_variants(&self) -> impl Iterator<Item = &Variant> + Clone {
        self.variants.iter().chain(&self.traced)
    }

    /// The figures by variant: the no-op, the heaps, the pool, any others, then processes that were
    /// traced without load.
    pub fn summaries(&self) -> IndexMap<String, VariantSummary> {
        self.all_variants()
            .map(|variant| (variant.name.clone(), variant.summary.clone()))
            .collect()
    }

    /// What the runs show.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The best heap allocator against the pool; `None` when one of them is missing.
    pub fn comparison(&self) -> Option<&BeforeAfter> {
        self.comparison.as_ref()
    }

    /// The comparison as text: measure, before, after, change, factor.
    pub fn comparison_table(&self) -> Option<Table> {
        self.comparison.as_ref().map(Table::of_comparison)
    }

    /// The pauses as text: a row per kind and variant; `None` when there were none.
    pub fn pause_table(&self) -> Option<Table> {
        tables::pauses(self)
    }

    /// The service level objectives as text: measured, held; `None` without any.
    pub fn objective_table(&self) -> Option<Table> {
        load::tables::objectives(self)
    }

    /// All figures as text: a row per measure, a column per variant that ran under load.
    pub fn table(&self) -> Table {
        Table::of_variants(&self.variants, self.story)
    }
}

/// The folders that hold a recording, in the order of their names.
fn recordings_in(dir: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let search = |source| ReportError::Search {
        dir: dir.to_path_buf(),
        cause: source,
    };
    let mut found = Vec::new();
    if dir.join(META_FILE).is_file() {
        found.push(dir.to_path_buf());
    }
    for entry in fs::read_dir(dir).map_err(search)? {
        let path = entry.map_err(search)?.path();
        if path.join(META_FILE).is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
