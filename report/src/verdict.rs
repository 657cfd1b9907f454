//! One sentence on what the runs show of before and after, or on why they show nothing.
//!
//! The rules, from the strictest:
//!
//! 1. Runs that cannot be compared conclude nothing (cut short, other results, another rate, another machine), nor does one
//!    run of a side, whatever its figures.
//! 2. A side that missed its schedule is never called better: its latencies are lower bounds.
//! 3. With enough runs (5 + 5 for three percentiles) the test of [`compare`](crate::compare) decides, so that a report never
//!    says other than `tailcut load compare` and the gate. The factor's interval is a bootstrap interval over runs.
//! 4. With fewer that test cannot find anything. Then a difference is still told if it dwarfs the noise
//!    ([`few_runs`](crate::statistics::few_runs)): every run of one side lies below every run of the other, and so does a
//!    95% interval that assumes log-normal noise and nothing on its size. The sentence gives the range over pairs of runs,
//!    a note with which confidence that holds the truth, and how many runs would do without the assumption.

use serde::Serialize;

use crate::compare::comparison::Row;
use crate::compare::verdict::{fewest_runs, p_value};
use crate::compare::{self, Comparison};
use crate::digest::RunDigest;
use crate::evidence::{Evidence, FewRuns, logs};
use crate::format;
use crate::sides::Pair;
use crate::statistics::rank_sum::smallest_p;
use crate::statistics::{median_of, total};
use crate::text;
use crate::variant::{HEAP_PREFIX, NOOP, POOL, Variant};

/// What the runs show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// What was set on purpose, so that a difference that was not meant is seen.
fn what_differs(comparison: &Comparison) -> Option<String> {
    let differences: Vec<String> = comparison
        .differences
        .iter()
        .filter(|difference| difference.what != "name")
        .map(ToString::to_string)
        .collect();
    match differences.is_empty() {
        true => None,
        false => Some(format!(
            "What is compared differs in {}.",
            differences.join(", ")
        )),
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

/// What forbids a comparison.
fn obstacles(variants: &[Variant], compared: &[&Variant], runs: &[RunDigest]) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(noop) = variants.iter().find(|v| v.name == NOOP && v.lower_bound()) {
        found.push(format!(
            "the no-op control missed its schedule in {} of {}: this machine cannot hold {} requests/s with no service at all",
            noop.summary.missed_runs,
            runs_of(noop.summary.runs),
            format::count(noop.summary.rate_target),
        ));
    }
    for variant in compared {
        let cut: Vec<&RunDigest> = variant
            .runs
            .iter()
            .map(|index| &runs[*index])
            .filter(|run| run.partial())
            .collect();
        if let Some(first) = cut.first() {
            let reason = first
                .meta
                .state_reason
                .as_deref()
                .unwrap_or("no reason given");
            found.push(format!(
                "{} of {} with {} cut short ({reason})",
                cut.len(),
                runs_of(variant.summary.runs),
                match cut.len() {
                    1 => format!("{} was", variant.spoken()),
                    _ => format!("{} were", variant.spoken()),
                },
            ));
        }
        if !variant.summary.checksums_agree {
            found.push(format!(
                "the runs with {} computed different results",
                variant.spoken()
            ));
        }
    }
    let mut checksums = compared
        .iter()
        .filter(|variant| !variant.summary.checksum.is_empty());
    if let Some(one) = checksums.next()
        && let Some(other) = checksums.find(|other| other.summary.checksum != one.summary.checksum)
    {
        found.push(format!(
            "{} and {} computed different results (checksums {} and {}), so they are not the same service",
            one.spoken(),
            other.spoken(),
            one.summary.checksum,
            other.summary.checksum,
        ));
    }
    if let Some((slow, fast)) = rates(runs, compared) {
        found.push(format!(
            "the runs were made at different rates, {} to {}",
            format::rate(slow),
            format::rate(fast)
        ));
    }
    found
}

/// The lowest and the highest rate asked for, when they differ.
fn rates(runs: &[RunDigest], compared: &[&Variant]) -> Option<(f64, f64)> {
    let rates = || {
        compared
            .iter()
            .flat_map(|variant| &variant.runs)
            .map(|index| runs[*index].meta.load.rate_target)
    };
    let slow = rates().fold(f64::INFINITY, f64::min);
    let fast = rates().fold(f64::NEG_INFINITY, f64::max);
    (slow < fast).then_some((slow, fast))
}

fn over(runs: &[u64]) -> String {
    let low = runs.iter().min().copied().unwrap_or(0);
    let high = runs.iter().max().copied().unwrap_or(0);
    format!("{} to {}", format::nanos(low), format::nanos(high))
}

/// The two sides in words.
struct Effect<'a> {
    before: &'a Variant,
    after: &'a Variant,
    /// Heap allocators of which before is the best; 0 where before was asked for by name.
    heaps: usize,
}

impl Effect<'_> {
    fn best(&self) -> String {
        match self.heaps {
            0 => self.before.spoken().to_owned(),
            1 => format!("the heap ({})", self.before.spoken()),
            heaps => format!(
                "{}, the best of {} heaps",
                self.before.spoken(),
                number(heaps)
            ),
        }
    }

    fn at_least(&self) -> &'static str {
        if self.before.lower_bound() {
            "at least "
        } else {
            ""
        }
    }

    /// The load under which both ran.
    fn rate(&self) -> String {
        match crate::measures::closed(self.after) {
            true => "the rate of a closed loop".to_owned(),
            false => format!(
                "{} requests/s",
                format::count(self.after.summary.rate_target)
            ),
        }
    }

    /// The medians of the runs, as in the table of before and after.
    fn medians(&self, quantile: f64) -> (f64, f64) {
        let of = |variant: &Variant| {
            let by_run = variant.summary.percentile_by_run(quantile);
            median_of(&logs(by_run)).exp()
        };
        (of(self.before), of(self.after))
    }

    /// `P99.9 fell from 31.2 ms (jemalloc, the best of three heaps) to 84 µs with the pool: 371×`.
    fn fell(&self, quantile: f64, percentile: &str) -> String {
        let (before, after) = self.medians(quantile);
        let whose = match self.after.name.as_str() {
            POOL => "with the pool".to_owned(),
            _ => format!("({})", self.after.label()),
        };
        format!(
            "{percentile} fell from {least}{} ({}) to {} {whose}: {least}{}",
            format::duration(before),
            self.best(),
            format::duration(after),
            format::ratio(before / after.max(1.0)),
            least = self.at_least(),
        )
    }

    fn figures(&self) -> String {
        let (before, after) = self.medians(0.999);
        format!(
            "P99.9 was {}{} with {} and {} with {}, at {}",
            self.at_least(),
            format::duration(before),
            self.best(),
            format::duration(after),
            self.after.spoken(),
            self.rate(),
        )
    }

    /// How many runs would do.
    fn enough(&self, comparison: &Comparison) -> String {
        let judged = comparison.rows.iter().filter(|row| row.is_judged()).count();
        let needed = fewest_runs(judged, 0.05);
        format!("{needed} + {needed} runs are enough for a test that assumes nothing on the noise")
    }
}

fn schedules(effect: &Effect<'_>) -> String {
    let Effect { before, after, .. } = effect;
    let all = |runs: u32| match runs {
        2 => "both runs".to_owned(),
        runs => format!("all {runs} runs"),
    };
    if crate::measures::closed(after) {
        return "there was no schedule to keep, so that both suffer coordinated omission"
            .to_owned();
    }
    if after.summary.schedule_kept && before.summary.schedule_kept {
        return format!(
            "schedule kept in all {} runs",
            before.summary.runs + after.summary.runs
        );
    }
    let kept = if after.summary.schedule_kept {
        format!(
            "{} kept its schedule in {}",
            after.spoken(),
            all(after.summary.runs)
        )
    } else {
        format!(
            "whether {} kept its schedule was not recorded",
            after.spoken()
        )
    };
    if before.lower_bound() {
        format!(
            "{kept}, {} missed it in {} of {}",
            before.spoken(),
            before.summary.missed_runs,
            before.summary.runs
        )
    } else {
        kept
    }
}

/// What a reader must know to weigh any verdict.
fn context(variants: &[Variant], pair: Option<Pair>) -> Vec<String> {
    let mut notes = Vec::new();
    let noop = variants
        .iter()
        .find(|variant| variant.name == NOOP && variant.summary.requests > 0);
    let pool = variants
        .iter()
        .find(|variant| variant.name == POOL && variant.summary.requests > 0);
    match (noop, pool) {
        // Runs that somebody named need no floor of ours.
        (None, _) if pair.is_some_and(|pair| !pair.usual) => {}
        (None, _) => notes.push(
            "There is no no-op control run, so how much of each tail is the machine's own is unknown."
                .to_owned(),
        ),
        (Some(noop), Some(pool)) if !noop.lower_bound() && noop.summary.p999_ns > 0 => {
            notes.push(format!(
                "The machine's own floor, the same schedule without a service, has a P99.9 of {}; the pool's is {} that.",
                format::nanos(noop.summary.p999_ns),
                format::ratio(pool.summary.p999_ns as f64 / noop.summary.p999_ns as f64),
            ));
        }
        _ => {}
    }
    let missed: Vec<&str> = variants
        .iter()
        .filter(|variant| variant.name.starts_with(HEAP_PREFIX) && variant.lower_bound())
        .map(Variant::spoken)
        .collect();
    if !missed.is_empty() {
        notes.push(format!(
            "{} could not hold the rate: requests were still waiting when the schedule ended, so the percentiles are lower bounds that grow with the run's duration.",
            capital(&sentence_list(&missed))
        ));
    }
    let refused = total(variants.iter().map(|variant| variant.summary.rejected));
    if refused > 0 {
        notes.push(format!(
            "{} requests were refused; a refusal is quick and flatters the percentiles.",
            format::count(refused as f64)
        ));
    }
    notes
}

/// `1 run`, `2 runs`.
pub(crate) fn runs_of(runs: u32) -> String {
    match runs {
        1 => "1 run".to_owned(),
        runs => format!("{runs} runs"),
    }
}

fn number(number: usize) -> String {
    match number {
        2 => "two".to_owned(),
        3 => "three".to_owned(),
        4 => "four".to_owned(),
        other => other.to_string(),
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
