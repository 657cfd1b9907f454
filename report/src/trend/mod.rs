//! The trend: P99.9 from version to version, and which steps are more than noise.
//!
//! Runs of one version are a **set**: those with the same [`Meta::label`](crate::recording::Meta::label), else those in the same folder. Sets are put in
//! the order of time and each is compared with the one before it, by the test of [`compare`](crate::compare) on P99.9
//! alone. All steps are corrected together (Holm): in a trend of twenty versions in which nothing ever changed, one step
//! would pass for significant otherwise. That costs runs: 5 + 5 are enough for six steps, 6 + 6 for 23.
//!
//! **Across machines.** Sets that were not loaded alike, or not on the same machine, are in [`TrendGroup`]s of their own,
//! and no step leads from one to another: latencies of two machines say nothing of two versions.
//!
//! Cost: that of a comparison a step, about 100 µs for 5 + 5 runs.

mod chart;
mod sets;
mod steps;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::Serialize;

use crate::compare::Run;
use crate::compare::verdict::p_value;
use crate::format;
use crate::statistics::bootstrap::ConfidenceInterval;
use crate::table::Table;
use crate::variant::label;

pub(crate) use sets::separate;

/// The chance that any step is marked where nothing changed.
const LEVEL: f64 = 0.05;

/// P99.9 over versions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trend {
    /// Sets that can be compared with each other; several machines or loads make several.
    pub groups: Vec<TrendGroup>,
    /// What a reader must know beside it.
    pub notes: Vec<String>,
}

/// Sets of runs under the same load on the same machine, in the order of time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrendGroup {
    /// What ran.
    pub variant: String,
    /// Where: CPU, kernel.
    pub machine: String,
    /// How it was loaded.
    pub load: String,
    /// At least one.
    pub points: Vec<TrendPoint>,
}

/// The runs of one version.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrendPoint {
    /// The version, or the folder.
    pub label: String,
    /// When its first run began, in nanoseconds since the Unix epoch.
    pub begun_unix_ns: u64,
    /// Runs.
    pub runs: usize,
    /// P99.9: the median of its runs, in nanoseconds.
    pub p999_ns: f64,
    /// Where that lies with 95% confidence; with two or three runs from the lowest to the highest; null with one.
    pub p999_range_ns: Option<ConfidenceInterval>,
    /// Runs that missed their schedule: then P99.9 is a lower bound.
    pub schedules_missed: usize,
    /// From the set before it; null for the first one.
    pub step: Option<Step>,
}

/// From one set to the next.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// P99.9 over that of the set before; null where the sets cannot be compared.
    pub ratio: Option<f64>,
    /// Where that lies with 95% confidence; null with fewer than four runs of either.
    pub ratio_interval: Option<ConfidenceInterval>,
    /// Two-sided p, corrected for all steps of the trend; null where the sets cannot be compared.
    pub p: Option<f64>,
    /// What it comes to.
    pub outcome: StepOutcome,
    /// Why it cannot be said, if it cannot.
    pub reason: Option<String>,
}

/// What a step comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// P99.9 became lower, significantly.
    Better,
    /// It became higher.
    Worse,
    /// No difference can be shown.
    NoDifference,
    /// There are too few runs, or a set is no repetition of one run, or missed its schedule.
    Undecided,
}

impl Trend {
    /// Of sets that are already apart; nothing if there are not two.
    pub(crate) fn of(sets: Vec<sets::Set>) -> Option<Trend> {
        let count = sets.len();
        if count < 2 {
            return None;
        }
        let mut groups: Vec<(String, TrendGroup, Vec<Vec<Run>>)> = Vec::new();
        for set in sets {
            let (point, key) = (steps::point(&set), set.key());
            match groups.iter_mut().find(|(known, ..)| *known == key) {
                Some((_, group, runs)) => {
                    group.points.push(point);
                    runs.push(set.runs);
                }
                None => {
                    let group = TrendGroup {
                        variant: set.variant.clone(),
                        machine: set.machine(),
                        load: set.load(),
                        points: vec![point],
                    };
                    groups.push((key, group, vec![set.runs]));
                }
            }
        }
        for (_, group, runs) in &mut groups {
            for (index, pair) in runs.windows(2).enumerate() {
                group.points[index + 1].step = Some(steps::step(&pair[0], &pair[1]));
            }
        }
        let mut groups: Vec<TrendGroup> = groups.into_iter().map(|(_, group, _)| group).collect();
        steps::correct(&mut groups);
        let notes = notes(&groups);
        Some(Trend { groups, notes })
    }

    /// How it went, in a sentence: the steps that are more than noise.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut steps = Vec::new();
        for point in self.groups.iter().flat_map(|group| &group.points) {
            let word = match point.step.as_ref().map(|step| step.outcome) {
                Some(StepOutcome::Better) => "better",
                Some(StepOutcome::Worse) => "worse",
                _ => continue,
            };
            let ratio = point
                .step
                .as_ref()
                .map_or_else(String::new, Step::ratio_text);
            steps.push(format!(
                "{} is {word} than the one before it, {ratio}",
                point.label
            ));
        }
        let sets: usize = self.groups.iter().map(|group| group.points.len()).sum();
        let undecided = self
            .groups
            .iter()
            .flat_map(|group| &group.points)
            .filter_map(|point| point.step.as_ref())
            .filter(|step| step.outcome == StepOutcome::Undecided)
            .count();
        let open = match undecided {
            0 => String::new(),
            one => format!("; {one} cannot be decided"),
        };
        match (self.groups.as_slice(), steps.is_empty()) {
            ([one], true) => format!(
                "P99.9 of {} over {sets} versions: no step is more than noise{open}.",
                label(&one.variant)
            ),
            ([one], false) => format!(
                "P99.9 of {} over {sets} versions: {}{open}.",
                label(&one.variant),
                steps.join("; ")
            ),
            (several, true) => format!(
                "P99.9 of {sets} sets of runs in {} groups that cannot be compared with each other: no step is more than \
                 noise{open}.",
                several.len()
            ),
            (several, false) => format!(
                "P99.9 of {sets} sets of runs in {} groups that cannot be compared with each other: {}{open}.",
                several.len(),
                steps.join("; ")
            ),
        }
    }

    /// A row per set; groups follow each other.
    #[must_use]
    pub fn table(&self) -> Table {
        let several = self.groups.len() > 1;
        let mut header = [
            "version",
            "begun",
            "runs",
            "P99.9",
            "against the one before",
            "p",
            "",
        ]
        .map(str::to_owned)
        .to_vec();
        if several {
            header.push("machine and load".to_owned());
        }
        let mut rows = Vec::new();
        for group in &self.groups {
            for point in &group.points {
                let mut row = point.row();
                if several {
                    row.push(format!(
                        "{}, {}, {}",
                        group.variant, group.machine, group.load
                    ));
                }
                rows.push(row);
            }
        }
        Table { header, rows }
    }
}

impl TrendPoint {
    fn row(&self) -> Vec<String> {
        let at_least = if self.schedules_missed > 0 {
            "≥ "
        } else {
            ""
        };
        let range = self.p999_range_ns.map_or_else(String::new, |range| {
            format!(
                " ({})",
                format::range(range.low, range.high, format::duration)
            )
        });
        let (ratio, p, word) = match &self.step {
            None => (String::new(), String::new(), String::new()),
            Some(step) => (
                step.ratio_text(),
                step.p.map_or_else(String::new, p_value),
                match (step.outcome, &step.reason) {
                    (StepOutcome::Better, _) => "better".to_owned(),
                    (StepOutcome::Worse, _) => "worse".to_owned(),
                    (StepOutcome::NoDifference, _) => "no difference shown".to_owned(),
                    (StepOutcome::Undecided, Some(reason)) => format!("undecided: {reason}"),
                    (StepOutcome::Undecided, None) => "undecided".to_owned(),
                },
            ),
        };
        vec![
            self.label.clone(),
            begun(self.begun_unix_ns),
            self.runs.to_string(),
            format!("{at_least}{}{range}", format::duration(self.p999_ns)),
            ratio,
            p,
            word,
        ]
    }
}

impl Step {
    fn ratio_text(&self) -> String {
        let Some(ratio) = self.ratio else {
            return format::MISSING.to_owned();
        };
        let range = self.ratio_interval.map_or_else(String::new, |range| {
            format!(" ({})", format::range(range.low, range.high, format::ratio))
        });
        format!("{}{range}", format::ratio(ratio))
    }
}

fn begun(unix_ns: u64) -> String {
    match unix_ns {
        0 => format::MISSING.to_owned(),
        ns => {
            let instant = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(ns);
            humantime::format_rfc3339_seconds(instant).to_string()
        }
    }
}

fn notes(groups: &[TrendGroup]) -> Vec<String> {
    let mut notes = Vec::new();
    let steps = groups
        .iter()
        .flat_map(|group| &group.points)
        .filter(|point| point.step.is_some())
        .count();
    if groups.len() > 1 {
        notes.push(format!(
            "These recordings are of {} different machines, loads or variants. They are shown apart, and nothing is compared \
             across them.",
            groups.len()
        ));
    }
    if steps > 0 {
        let corrected = match steps {
            1 => String::new(),
            steps => format!(", corrected for {steps} steps"),
        };
        notes.push(format!(
            "p: exact rank sum test over runs on P99.9 of each set against the one before it{corrected}; a step is marked from \
             0.05 down. Sets were made one after the other, so that a step may be the machine's as well as the version's; runs \
             in turns (tailcut load compare) tell these apart."
        ));
    }
    notes
}
