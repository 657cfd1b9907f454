//! One sentence on what the runs show of before and after, or on why they show nothing.
//!
//! The rules, from the strictest:
//!
//! 1. Runs that cannot be compared conclude nothing (cut short, other results, another rate, another machine), nor does one
//!    run of a side, whatever its figures.
//! 2. A side that missed its schedule is never called better: its latencies are lower bounds.
//! 3. With enough runs (5 + 5 for three percentiles) the test of [`compare`] decides, so that a report never
//!    says other than `tailcut load compare` and the gate. The factor's interval is a bootstrap interval over runs.
//! 4. With fewer that test cannot find anything. Then a difference is still told if it dwarfs the noise
//!    ([`few_runs`](crate::statistics::few_runs)): every run of one side lies below every run of the other, and so does a
//!    95% interval that assumes log-normal noise and nothing on its size. The sentence gives the range over pairs of runs,
//!    a note with which confidence that holds the truth, and how many runs would do without the assumption.

mod effect;
mod grounds;

use schemars::JsonSchema;
use serde::Serialize;

use self::effect::{Effect, over, schedules};
use self::grounds::{context, obstacles, what_differs};
use crate::compare::comparison::Row;
use crate::compare::verdict::p_value;
use crate::compare::{self, Comparison};
use crate::digest::RunDigest;
use crate::evidence::{Evidence, FewRuns};
use crate::format;
use crate::sides::Pair;
use crate::statistics::rank_sum::smallest_p;
use crate::text;
use crate::variant::{POOL, Variant};

/// What the runs show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verdict {
    /// Which way it goes.
    pub outcome: Outcome,
    /// The effect with its conditions, or what cannot be concluded and why.
    pub sentence: String,
    /// What a reader must know to weigh the sentence.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Texts of the recordings stand in it, and it is printed to terminals.
    pub(crate) fn new(outcome: Outcome, sentence: &str, notes: &[String]) -> Verdict {
        Verdict {
            outcome,
            sentence: text::clean(sentence),
            notes: notes.iter().map(|note| text::clean(note)).collect(),
        }
    }
}

/// Which way a verdict goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The tail is shorter after than before: with the pool than with the best heap allocator.
    Better,
    /// It is longer, or the schedule was kept before and missed after.
    NotBetter,
    /// The runs do not tell.
    Inconclusive,
    /// A load: every service level objective held.
    ObjectivesHeld,
    /// A load: an objective did not hold.
    ObjectivesBroken,
    /// A load: the target did not keep up with the schedule.
    ScheduleMissed,
    /// A load, measured: there was nothing to hold it against.
    Measured,
}

/// Weighs the variants.
pub(crate) fn verdict(
    variants: &[Variant],
    runs: &[RunDigest],
    pair: Option<Pair>,
    evidence: Option<&Evidence>,
) -> Verdict {
    let (outcome, sentence, mut notes) = match (pair, evidence) {
        (Some(pair), Some(evidence)) => judge(variants, runs, pair, evidence),
        _ => nothing_to_compare(variants, runs),
    };
    if let (Some(pair), Some(Ok(comparison))) =
        (pair, evidence.map(|evidence| evidence.comparison.as_ref()))
        && !pair.usual
    {
        notes.extend(comparison.notes.iter().cloned());
        notes.extend(what_differs(comparison));
    }
    notes.extend(context(variants, pair));
    Verdict::new(outcome, &sentence, &notes)
}

fn nothing_to_compare(variants: &[Variant], runs: &[RunDigest]) -> (Outcome, String, Vec<String>) {
    let pool = |variant: &Variant| variant.name == POOL && variant.summary.requests > 0;
    let missing = if variants.iter().any(pool) {
        "no run with a heap allocator recorded anything"
    } else {
        "no run of the pool recorded anything"
    };
    let compared: Vec<&Variant> = variants
        .iter()
        .filter(|variant| variant.is_heap() || variant.name == POOL)
        .collect();
    let mut obstacles = obstacles(variants, &compared, runs);
    obstacles.insert(0, missing.to_owned());
    inconclusive(obstacles)
}

fn judge(
    variants: &[Variant],
    runs: &[RunDigest],
    pair: Pair,
    evidence: &Evidence,
) -> (Outcome, String, Vec<String>) {
    let (before, after) = (&variants[pair.before], &variants[pair.after]);
    let heaps = variants.iter().filter(|variant| variant.is_heap()).count();
    let compared: Vec<&Variant> = match pair.usual {
        true => variants
            .iter()
            .filter(|variant| variant.is_heap() || variant.name == POOL)
            .collect(),
        false => vec![before, after],
    };
    let mut obstacles = obstacles(variants, &compared, runs);
    let nothing = |variant: &&Variant| variant.summary.requests == 0;
    obstacles.extend(
        [before, after]
            .into_iter()
            .filter(nothing)
            .map(|variant| format!("no run of {} recorded anything", variant.spoken())),
    );
    if obstacles.is_empty()
        && let Err(error) = &evidence.comparison
    {
        obstacles.push(format!(
            "the runs cannot be held against each other (A is {}, B is {}): {error}",
            before.spoken(),
            after.spoken()
        ));
    }
    let Ok(comparison) = &evidence.comparison else {
        return inconclusive(obstacles);
    };
    if !obstacles.is_empty() {
        return inconclusive(obstacles);
    }
    let effect = Effect {
        before,
        after,
        heaps: if pair.usual { heaps } else { 0 },
    };
    if after.lower_bound() {
        return missed(&effect);
    }
    if before.summary.runs < 2 || after.summary.runs < 2 {
        let sentence = format!(
            "A single run cannot tell an effect from chance: {}. Repeat with at least two runs of each; {}.",
            effect.figures(),
            effect.enough(comparison)
        );
        return (Outcome::Inconclusive, sentence, Vec::new());
    }
    match Evidence::few_runs(before, after) {
        Some(few) if evidence.too_few => by_size(&effect, few, comparison),
        _ => by_test(&effect, comparison),
    }
}

/// After missed its schedule: better it is not.
fn missed(effect: &Effect<'_>) -> (Outcome, String, Vec<String>) {
    let Effect { before, after, .. } = effect;
    let missed = format!(
        "{} missed its schedule in {} of {}",
        after.spoken(),
        after.summary.missed_runs,
        runs_of(after.summary.runs)
    );
    if before.lower_bound() {
        return inconclusive(vec![format!(
            "{missed}, and so did {}: both tails are lower bounds; lower the rate",
            effect.best()
        )]);
    }
    let sentence = format!(
        "{} is worse: {missed}, which {} kept.",
        capital(after.spoken()),
        effect.best()
    );
    (Outcome::NotBetter, sentence, Vec::new())
}

/// With too few runs for the test: only what dwarfs the noise is told.
fn by_size(
    effect: &Effect<'_>,
    few: FewRuns,
    comparison: &Comparison,
) -> (Outcome, String, Vec<String>) {
    let (a, b) = (effect.before.summary.runs, effect.after.summary.runs);
    let cannot = format!(
        "{a} + {b} runs are too few for a test that assumes nothing: its p cannot fall below {} before correction.",
        p_value(smallest_p(a as usize, b as usize))
    );
    let pairs = format!(
        "The range of the factor is over pairs of single runs, and holds the true one with {} confidence, not 95%.",
        format::share((few.probability * 100.0).round() / 100.0),
    );
    let range = format::range(few.pairs.low, few.pairs.high, format::ratio);
    if few.is_clear() {
        let size = few.log_normal.map_or_else(String::new, |interval| {
            format!(
                "What decides here is the size: if runs of a side vary log-normally, the factor lies within {} with 95% \
                 confidence (Welch's interval with the fewest degrees of freedom). {}.",
                format::range(interval.low, interval.high, format::ratio),
                capital(&effect.enough(comparison))
            )
        });
        let notes = vec![pairs, format!("{cannot} {size}")];
        // The factor is before's over after's: above 1 the tail became shorter.
        return if few.pairs.low > 1.0 {
            let sentence = format!(
                "{} ({range} from run to run), at {}; {}.",
                effect.fell(0.999, "P99.9"),
                effect.rate(),
                schedules(effect)
            );
            (Outcome::Better, sentence, notes)
        } else {
            let sentence = format!(
                "{} is worse: {} ({range} from run to run).",
                capital(effect.after.spoken()),
                effect.figures()
            );
            (Outcome::NotBetter, sentence, notes)
        };
    }
    let why = if few.pairs.contains(1.0) {
        format!(
            "but the P99.9 of single runs overlap ({} {}, {} {})",
            effect.after.label(),
            over(&effect.after.summary.p999_ns_by_run),
            effect.before.spoken(),
            over(&effect.before.summary.p999_ns_by_run),
        )
    } else {
        format!("which {a} + {b} runs that differ so much among themselves may show by chance")
    };
    let sentence = format!(
        "No difference can be told: {}, {why}. {}.",
        effect.figures(),
        capital(&effect.enough(comparison))
    );
    (Outcome::Inconclusive, sentence, vec![cannot])
}

/// With enough runs: what the test says, of the highest percentile that differs.
fn by_test(effect: &Effect<'_>, comparison: &Comparison) -> (Outcome, String, Vec<String>) {
    let verdict = &comparison.verdict;
    let Some(row) = comparison
        .rows
        .iter()
        .find(|row| row.percentile == verdict.percentile)
    else {
        return (Outcome::Inconclusive, verdict.sentence.clone(), Vec::new());
    };
    let doubt = format!(
        "p = {}, n = {} + {}",
        p_value(row.p_adjusted.unwrap_or(row.p)),
        effect.before.summary.runs,
        effect.after.summary.runs
    );
    let mut notes = others(comparison, row);
    match verdict.outcome {
        compare::Outcome::Undecided => {
            (Outcome::Inconclusive, verdict.sentence.clone(), Vec::new())
        }
        compare::Outcome::NoDifference => {
            let missed = verdict.detectable_ratio.map_or_else(String::new, |ratio| {
                let size = match ratio {
                    small if small < 2.0 => format::share(small - 1.0),
                    large => format::ratio(large),
                };
                format!("; a difference of less than {size} would probably not have been seen")
            });
            let sentence = format!(
                "No difference can be told: {}, {}{} ({doubt}){missed}.",
                effect.figures(),
                format::ratio(1.0 / row.ratio),
                factor_interval(row),
            );
            (Outcome::Inconclusive, sentence, notes)
        }
        _ if row.superiority < 0.5 => {
            if row.percentile != "P99.9" {
                notes.insert(0, "Of P99.9 itself no difference can be shown.".to_owned());
            }
            let sentence = format!(
                "{}{}, at {}; {} ({doubt}).",
                effect.fell(row.quantile, &row.percentile),
                factor_interval(row),
                effect.rate(),
                schedules(effect),
            );
            (Outcome::Better, sentence, notes)
        }
        _ => {
            let sentence = format!(
                "{} is worse: {}, {}{} in {} ({doubt}).",
                capital(effect.after.spoken()),
                effect.figures(),
                format::ratio(row.ratio),
                row.ratio_interval
                    .map_or_else(String::new, |interval| bracket(interval.low, interval.high)),
                row.percentile,
            );
            (Outcome::NotBetter, sentence, notes)
        }
    }
}

/// Judged percentiles that go the other way.
fn others(comparison: &Comparison, told: &Row) -> Vec<String> {
    let differs = |row: &&Row| row.p_adjusted.is_some_and(|p| p <= 0.05);
    let against: Vec<String> = comparison
        .rows
        .iter()
        .filter(differs)
        .filter(|row| (row.superiority < 0.5) != (told.superiority < 0.5))
        .map(|row| {
            format!(
                "{} became {} of what it was",
                row.percentile,
                format::ratio(row.ratio)
            )
        })
        .collect();
    match against.is_empty() {
        true => Vec::new(),
        false => vec![format!("Not all goes one way: {}.", against.join(", "))],
    }
}

/// ` [290, 440]`: of before over after.
fn factor_interval(row: &Row) -> String {
    row.ratio_interval.map_or_else(String::new, |interval| {
        bracket(1.0 / interval.high, 1.0 / interval.low)
    })
}

fn bracket(low: f64, high: f64) -> String {
    let [low, high] = [low, high].map(format::ratio);
    format!(
        " [{}, {}]",
        low.trim_end_matches('×'),
        high.trim_end_matches('×')
    )
}

fn inconclusive(mut obstacles: Vec<String>) -> (Outcome, String, Vec<String>) {
    let first = obstacles.remove(0);
    let notes = obstacles
        .iter()
        .map(|obstacle| format!("{}.", capital(obstacle)))
        .collect();
    (
        Outcome::Inconclusive,
        format!("Nothing can be concluded: {first}."),
        notes,
    )
}

/// `1 run`, `2 runs`.
pub(crate) fn runs_of(runs: u32) -> String {
    match runs {
        1 => "1 run".to_owned(),
        runs => format!("{runs} runs"),
    }
}

pub(crate) fn sentence_list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// With its first letter large.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}
