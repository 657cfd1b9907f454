//! What a comparison comes to, in one sentence that claims no more than was shown.
//!
//! - A difference is claimed of a judged percentile whose corrected p is within the level. The sentence is about the
//!   highest of them: the tail is what this tool is about.
//! - Latencies of a run that missed its schedule are lower bounds: requests were still waiting when it was cut. So a
//!   side with such a run is never called the faster one. That it is slower can be said: "at least".
//! - Failed requests count in the latencies, and a refusal may be quick. A side that fails more than the other,
//!   and by more than a thousandth of its requests, is not called the faster one either.
//! - Without a difference the sentence says how large one would have had to be ([`crate::statistics::power`]).

use crate::format;
use serde::Serialize;

use super::comparison::{Options, Row, SideSummary, detectable};
use crate::statistics::rank_sum::smallest_p;

/// A side that fails so much more of its requests, as a share, is not called faster.
const FAILS_MORE: f64 = 0.001;

/// What B is, held against A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Faster, in every judged percentile that differs.
    Better,
    /// Slower, likewise.
    Worse,
    /// Faster in some and slower in others.
    Mixed,
    /// No difference can be shown.
    NoDifference,
    /// The runs cannot tell: there are too few, or what they show cannot be taken at its face.
    Undecided,
}

/// What the runs come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// In a sentence.
    pub sentence: String,
    /// The percentile that the sentence is about.
    pub percentile: String,
    /// A difference by less than this factor would probably not have been found; absent when none could have
    /// been with so few runs.
    pub detectable_ratio: Option<f64>,
}

/// All that a verdict rests on.
pub(super) struct Grounds<'c> {
    pub(super) a: &'c SideSummary,
    pub(super) b: &'c SideSummary,
    pub(super) rows: &'c [Row],
    pub(super) options: &'c Options,
}

impl Grounds<'_> {
    fn judged(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_judged())
    }

    fn differs(&self, row: &Row) -> bool {
        row.p_adjusted.is_some_and(|p| p <= self.options.level)
    }

    fn runs(&self) -> (usize, usize) {
        (self.a.recordings.len(), self.b.recordings.len())
    }

    /// The sides by name; by letter when they have the same one.
    fn names(&self) -> (String, String) {
        if self.a.name == self.b.name {
            ("A".to_owned(), "B".to_owned())
        } else {
            (self.a.name.clone(), self.b.name.clone())
        }
    }

    /// Why `side` cannot be called faster than `other`, if it cannot.
    fn not_faster(&self, side: &SideSummary, other: &SideSummary, name: &str) -> Option<String> {
        if side.schedules_missed > 0 {
            return Some(format!(
                "{name} missed its schedule in {} of {} runs ({} of {} were held), so that its latencies are lower bounds",
                side.schedules_missed,
                side.recordings.len(),
                format::rate(side.rate_achieved),
                format::rate(side.rate_target),
            ));
        }
        (side.failed > other.failed + FAILS_MORE).then(|| {
            format!(
                "{name} failed {} of its requests, the other {}, and a failure may be quick",
                format::share(side.failed),
                format::share(other.failed)
            )
        })
    }
}

/// The fewest runs of each side with which complete separation is significant for so many judged percentiles.
#[must_use]
pub fn fewest_runs(judged: usize, level: f64) -> usize {
    #[allow(clippy::cast_precision_loss)] // a handful
    let first = level / judged.max(1) as f64;
    (1..=40)
        .find(|runs| smallest_p(*runs, *runs) <= first)
        .unwrap_or(40)
}

pub(super) fn of(grounds: &Grounds<'_>) -> Verdict {
    let (runs_a, runs_b) = grounds.runs();
    let judged = grounds.judged().count();
    #[allow(clippy::cast_precision_loss)] // a handful
    let first_level = grounds.options.level / judged.max(1) as f64;
    let highest = grounds.judged().next_back();
    let row = grounds
        .judged()
        .rfind(|row| grounds.differs(row))
        .or(highest);
    let Some(row) = row else {
        // `compare` refuses to judge nothing.
        return Verdict {
            outcome: Outcome::Undecided,
            sentence: "Nothing was to be judged.".to_owned(),
            percentile: String::new(),
            detectable_ratio: None,
        };
    };
    let detectable_ratio = detectable(row, first_level);
    let verdict = |outcome, sentence| Verdict {
        outcome,
        sentence,
        percentile: row.percentile.clone(),
        detectable_ratio,
    };
    if !grounds.differs(row) {
        if smallest_p(runs_a, runs_b) > first_level {
            return verdict(Outcome::Undecided, too_few(grounds, judged));
        }
        return verdict(
            Outcome::NoDifference,
            no_difference(grounds, row, detectable_ratio),
        );
    }
    let (name_a, name_b) = grounds.names();
    let of_a = grounds.not_faster(grounds.a, grounds.b, &name_a);
    let of_b = grounds.not_faster(grounds.b, grounds.a, &name_b);
    let significant = || grounds.judged().filter(|row| grounds.differs(row));
    let faster = significant().any(|row| row.superiority < 0.5);
    let slower = significant().any(|row| row.superiority >= 0.5);
    // A side that looks faster without having earned it.
    if let Some(reason) = of_b.filter(|_| faster).or(of_a.filter(|_| slower)) {
        let seen = measured(row, &name_a, &name_b, grounds.runs(), judged);
        return verdict(
            Outcome::Undecided,
            format!("Nothing can be concluded: {seen}, but {reason}."),
        );
    }
    let outcome = match (faster, slower) {
        (true, true) => Outcome::Mixed,
        (true, false) => Outcome::Better,
        (false, _) => Outcome::Worse,
    };
    verdict(outcome, difference(grounds, row, outcome))
}

/// What a reader must know beside the verdict.
pub(super) fn notes(a: &SideSummary, b: &SideSummary, rows: &[Row]) -> Vec<String> {
    let mut notes = Vec::new();
    for (letter, side) in [("A", a), ("B", b)] {
        let runs = side.recordings.len();
        let name = if side.name == letter {
            letter.to_owned()
        } else {
            format!("{letter} ({})", side.name)
        };
        if side.schedules_missed > 0 {
            notes.push(format!(
                "{name} missed its schedule in {} of {runs} runs: its latencies are lower bounds.",
                side.schedules_missed
            ));
        }
        if side.failed > FAILS_MORE {
            notes.push(format!(
                "{name} failed {} of its requests; they count in its latencies.",
                format::share(side.failed)
            ));
        }
        if side.generator_bound > 0 {
            notes.push(format!(
                "In {} of {runs} runs of {name} the load generator was the bottleneck: its latencies are partly the \
                 generator's own.",
                side.generator_bound
            ));
        }
    }
    if a.closed_loop {
        notes.push(
            "Closed loop: requests waited for answers, so that latencies suffer coordinated omission and the sides \
             were loaded at different rates."
                .to_owned(),
        );
    }
    let unknown: Vec<&str> = rows
        .iter()
        .filter(|row| !row.known)
        .map(|row| row.percentile.as_str())
        .collect();
    if !unknown.is_empty() {
        notes.push(format!(
            "{}: a run has fewer than ten requests beyond, so that the figure is little but its slowest ones.",
            unknown.join(", ")
        ));
    }
    notes
}

/// `pool's P99.9 is 0.42× heap's [0.38, 0.47] (p = 0.024 ..., n = 5 + 5)`.
fn measured(row: &Row, a: &str, b: &str, runs: (usize, usize), judged: usize) -> String {
    let corrected = match judged {
        1 => String::new(),
        count => format!(" after correction for {count} percentiles"),
    };
    format!(
        "{b}'s {} is {} {a}'s{} (p = {}{corrected}, n = {} + {})",
        row.percentile,
        format::ratio(row.ratio),
        interval(row),
        p_value(row.p_adjusted.unwrap_or(row.p)),
        runs.0,
        runs.1,
    )
}

fn difference(grounds: &Grounds<'_>, row: &Row, outcome: Outcome) -> String {
    let (a, b) = grounds.names();
    let judged = grounds.judged().count();
    let mut seen = measured(row, &a, &b, grounds.runs(), judged);
    // The slower side's figures may be lower bounds: the sentence is then one of "at least".
    let bound = if row.superiority < 0.5 {
        grounds.a
    } else {
        grounds.b
    };
    if bound.schedules_missed > 0 {
        let name = if row.superiority < 0.5 { &a } else { &b };
        seen.push_str(&format!(
            ", and even that flatters {name}, which missed its schedule"
        ));
    }
    let others: Vec<String> = grounds
        .judged()
        .filter(|other| grounds.differs(other) && other.quantile != row.quantile)
        .map(|other| format!("{} {}", other.percentile, format::ratio(other.ratio)))
        .collect();
    let others = match (others.is_empty(), outcome) {
        (true, _) => String::new(),
        (false, Outcome::Mixed) => format!("; but not all goes one way: {}", others.join(", ")),
        (false, _) => format!("; {} as well", others.join(" and ")),
    };
    format!("{seen}, {} effect{others}.", row.effect)
}

fn no_difference(grounds: &Grounds<'_>, row: &Row, detectable: Option<f64>) -> String {
    let (a, b) = grounds.names();
    let judged = grounds.judged().count();
    let seen = measured(row, &a, &b, grounds.runs(), judged);
    let missed = detectable.map_or_else(String::new, |factor| {
        format!(
            "; a difference of less than {} would probably not have been seen",
            share_or_factor(factor)
        )
    });
    format!("No difference can be shown: {seen}{missed}.")
}

fn too_few(grounds: &Grounds<'_>, judged: usize) -> String {
    let (runs_a, runs_b) = grounds.runs();
    let needed = fewest_runs(judged, grounds.options.level);
    let percentiles = if judged == 1 {
        "one percentile".to_owned()
    } else {
        format!("{judged} percentiles")
    };
    format!(
        "Nothing can be decided with {runs_a} + {runs_b} runs: even if every run of one side is slower than all of \
         the other, p is {} (at least {needed} + {needed} runs are needed to judge {percentiles}).",
        p_value(smallest_p(runs_a, runs_b))
    )
}

/// ` [0.38, 0.47]`; nothing where there is no interval.
fn interval(row: &Row) -> String {
    row.ratio_interval.map_or_else(String::new, |interval| {
        format!(
            " [{}, {}]",
            format::ratio(interval.low).trim_end_matches('×'),
            format::ratio(interval.high).trim_end_matches('×')
        )
    })
}

/// `12%`, or `3.4×` where that is easier to grasp.
fn share_or_factor(factor: f64) -> String {
    if factor < 2.0 {
        format::share(factor - 1.0)
    } else {
        format::ratio(factor)
    }
}

/// `0.024`, `< 0.0001`.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 0.0001 {
        return "< 0.0001".to_owned();
    }
    let decimals = if p < 0.001 {
        4
    } else if p < 0.1 {
        3
    } else {
        2
    };
    format!("{p:.decimals$}")
}
