//! [`Report`]: recordings in, figures out.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::alerts::alerts;
use crate::before_after::{BeforeAfter, before_after};
use crate::blame;
use crate::digest::RunDigest;
use crate::error::ReportError;
use crate::evidence::Evidence;
use crate::html;
use crate::incident::{self, Incident};
use crate::json::Document;
use crate::load::{self, Story};
use crate::markdown;
use crate::pauses::{only_traced, tables};
use crate::reading::{self, Damage, recordings_in};
use crate::recording::Recording;
use crate::sides::{self, Pair, Sides};
use crate::summary::VariantSummary;
use crate::table::Table;
use crate::trend::{self, Trend};
use crate::variant::Variant;
use crate::verdict::{Outcome, Verdict, verdict};

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
    pub(crate) incident: Option<Incident>,
    pub(crate) trend: Option<Trend>,
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

    /// Takes note of what could not be read.
    fn leave_out(&mut self, damage: Vec<Damage>) {
        self.damage = damage;
        self.tell_what_is_lost();
    }

    /// Says in the verdict what was left out, since that may change it.
    fn tell_what_is_lost(&mut self) {
        let lost = self.damage.iter().filter(|damage| damage.lost).count();
        if lost > 0 {
            let note = format!(
                "{lost} of {} recordings could not be read, and what they show is not in these figures.",
                lost + self.runs.len()
            );
            self.verdict.notes.insert(0, note);
        }
    }

    pub(crate) fn from_digests(mut runs: Vec<RunDigest>) -> Result<Report, ReportError> {
        if runs.is_empty() {
            return Err(ReportError::Empty);
        }
        runs.sort_by(|a, b| {
            let key = |run: &RunDigest| (run.meta.sequence, run.meta.run, run.meta.clock.unix_ns);
            key(a).cmp(&key(b)).then_with(|| a.dir.cmp(&b.dir))
        });
        let mut report = Report {
            runs,
            variants: Vec::new(),
            traced: Vec::new(),
            story: Story::Load,
            comparison: None,
            incident: None,
            trend: None,
            verdict: only_traced(&[]),
            damage: Vec::new(),
        };
        report.arrange();
        Ok(report)
    }

    /// Groups the runs by the names they have, and judges what is usually judged.
    fn arrange(&mut self) {
        (self.traced, self.variants) = Variant::group(&self.runs)
            .into_iter()
            .partition(|variant| variant.runs.iter().all(|run| self.runs[*run].only_traced()));
        self.story = Story::of(&self.variants, &self.runs);
        self.comparison = None;
        self.incident = Incident::of(&self.variants, &self.runs);
        match self.story {
            _ if self.variants.is_empty() => self.verdict = only_traced(&self.traced),
            Story::BeforeAfter => match incident::usual(&self.variants) {
                Some(pair) => {
                    self.judge(Some(pair));
                    self.tell_of_the_incident();
                }
                None => self.judge(Pair::usual(&self.variants)),
            },
            Story::Load => self.verdict = load::verdict(&self.variants, &self.runs),
        }
    }

    /// The same runs with the trend of their P99.9 from version to version: of runs with a label
    /// ([`Meta::label`](crate::recording::Meta::label)) that is the version, of others the one of these folders in which
    /// they lie. Runs of one variant and several versions are then variants of their own.
    ///
    /// Without two versions of anything nothing changes.
    #[must_use]
    pub fn with_trend(mut self, folders: &[PathBuf]) -> Report {
        let sets = trend::separate(&mut self.runs, folders);
        let Some(trend) = Trend::of(sets) else {
            return self;
        };
        self.arrange();
        self.verdict = Verdict::new(Outcome::Measured, &trend.sentence(), &trend.notes);
        self.trend = Some(trend);
        self.tell_what_is_lost();
        self
    }

    /// Whether the runs say of which versions they are, and these are several.
    #[must_use]
    pub fn has_versions(&self) -> bool {
        let label = |run: &RunDigest| run.meta.label.clone();
        let loaded = self.runs.iter().filter(|run| !run.only_traced());
        let mut labels: Vec<String> = loaded
            .map(label)
            .filter(|label| !label.is_empty())
            .collect();
        labels.sort();
        labels.dedup();
        labels.len() > 1
    }

    /// P99.9 from version to version; `None` unless [`Report::with_trend`] found several.
    #[must_use]
    pub fn trend(&self) -> Option<&Trend> {
        self.trend.as_ref()
    }

    /// The same runs, with others held against each other than the best heap and the pool.
    ///
    /// Costs what making the report from its digests costs; nothing is read again.
    ///
    /// # Errors
    /// [`ReportError::NoVariant`] and [`ReportError::SameSide`] for names, [`ReportError::NotOneVariant`] for a folder that
    /// does not hold runs under load of exactly one variant (the no-op aside).
    pub fn held_against(mut self, asked: &Sides) -> Result<Report, ReportError> {
        let names = match asked {
            Sides::Usual => return Ok(self),
            Sides::Variants { before, after } => [before.clone(), after.clone()],
            Sides::Folders { before, after } => {
                let names = sides::apart(&mut self.runs, before, after)?;
                self.arrange();
                names
            }
        };
        let [before, after] = &names;
        let pair = Pair::named(&self.variants, before, after)?;
        self.judge(Some(pair));
        self.tell_what_is_lost();
        Ok(self)
    }

    /// Adds to the verdict on the forms in Go what is to be said of Rust beside them, and of the collector.
    fn tell_of_the_incident(&mut self) {
        if let Some(rust) = incident::rust_verdict(&self.variants, &self.runs) {
            let sentence = &mut self.verdict.sentence;
            sentence.push_str(" Rust beside Go: ");
            sentence.push_str(&rust.sentence);
        }
        let owed = self
            .incident
            .as_ref()
            .and_then(|incident| incident.owed.as_ref());
        if let Some(owed) = owed {
            let sentence = owed.sentence(crate::variant::label(crate::variant::GO_HEAP));
            self.verdict.notes.insert(0, sentence);
        }
    }

    /// Fills in what is said of the pair, or why nothing is.
    fn judge(&mut self, pair: Option<Pair>) {
        let evidence = pair.map(|pair| {
            Evidence::of(
                &self.variants[pair.before],
                &self.variants[pair.after],
                &self.runs,
            )
        });
        self.comparison = pair
            .zip(evidence.as_ref())
            .map(|(pair, evidence)| before_after(pair, &self.variants, &self.runs, evidence));
        self.verdict = verdict(&self.variants, &self.runs, pair, evidence.as_ref());
        if self.story == Story::Load {
            // What holds of each of them is true beside what holds of both.
            let alone = load::verdict(&self.variants, &self.runs);
            if alone.outcome == Outcome::ObjectivesBroken {
                self.verdict.notes.insert(0, alone.sentence);
            }
        }
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

    /// Before and after: the best heap allocator against the pool, or what [`Report::held_against`] was told; `None` when
    /// there is nothing to compare.
    pub fn comparison(&self) -> Option<&BeforeAfter> {
        self.comparison.as_ref()
    }

    /// The comparison as text: measure, before, after, change, factor, p.
    pub fn comparison_table(&self) -> Option<Table> {
        self.comparison.as_ref().map(Table::of_comparison)
    }

    /// Forms of one service in Go and in Rust side by side; `None` where nothing ran in Go, or nothing beside it.
    pub fn incident(&self) -> Option<&Incident> {
        self.incident.as_ref()
    }

    /// The same as text: a row per form.
    pub fn incident_table(&self) -> Option<Table> {
        incident::tables::of_report(self)
    }

    /// The pool in Rust against the `sync.Pool` in Go as text: measure, before, after, change, factor, p.
    pub fn rust_against_go_table(&self) -> Option<Table> {
        let incident = self.incident.as_ref()?;
        incident.rust_against_go.as_ref().map(Table::of_comparison)
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
