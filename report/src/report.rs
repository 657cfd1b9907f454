//! [`Report`]: recordings in, figures out.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::alerts::alerts;
use crate::blame;
use crate::compare::{Comparison, compare};
use crate::digest::RunDigest;
use crate::error::ReportError;
use crate::html;
use crate::json::Document;
use crate::load::{self, Story};
use crate::markdown;
use crate::pauses::{only_traced, tables};
use crate::reading::{self, Damage, recordings_in};
use crate::recording::Recording;
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
    pub(crate) comparison: Option<Comparison>,
    pub(crate) verdict: Verdict,
    pub(crate) damage: Vec<Damage>,
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
    /// direct subfolders that are. As [`Report::read`].
    ///
    /// # Errors
    /// Those of [`Report::read`].
    pub fn read_tree(dir: &Path) -> Result<Report, ReportError> {
        Report::read(&[dir.to_path_buf()], &|_, _| {})
    }

    /// Makes a report of all recordings in some folders ([`recordings_in`]), and says after each
    /// how many of how many have been read, on whichever thread that was.
    ///
    /// What can be read of a damaged recording is used and marked partial; one of which nothing
    /// can be read is left out. [`Report::damage`] names both, and so does every form of the report.
    ///
    /// Reads one interval and one pause at a time, recordings side by side on all cores.
    ///
    /// # Errors
    /// Those of [`recordings_in`], and [`ReportError::Recording`] when nothing can be read of any
    /// recording.
    pub fn read(
        folders: &[PathBuf],
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Report, ReportError> {
        let found = recordings_in(folders)?;
        let (digests, damage) = reading::read(&found, &|done| progress(done, found.len()))?;
        let mut report = Report::from_digests(digests)?;
        report.leave_out(damage);
        Ok(report)
    }

    /// What could not be read of the recordings.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Says in the verdict what was left out, since that may change it.
    fn leave_out(&mut self, damage: Vec<Damage>) {
        let lost = damage.iter().filter(|damage| damage.lost).count();
        if lost > 0 {
            let note = format!(
                "{lost} of {} recordings could not be read, and what they show is not in these figures.",
                lost + self.runs.len()
            );
            self.verdict.notes.insert(0, note);
        }
        self.damage = damage;
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
            damage: Vec::new(),
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

    /// What is wrong with the recordings: those that were cut short or damaged, and those that
    /// contradict themselves or each other. A sentence each, fit to be printed.
    pub fn alerts(&self) -> Vec<String> {
        alerts(self)
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
    pub fn comparison(&self) -> Option<&Comparison> {
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

    /// Why the slow requests were slow, as text: a row per kind of pause, a column per variant;
    /// `None` where no traced run kept slow requests.
    pub fn blame_table(&self) -> Option<Table> {
        blame::tables::shares(self)
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
