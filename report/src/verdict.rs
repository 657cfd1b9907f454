//! One sentence on what the runs show, or on why they show nothing.
//!
//! The rules, from the strictest: runs that cannot be compared conclude nothing; nor does one run
//! of a kind, whatever its figures; nor do runs whose P99.9 overlap between before and after (a run,
//! not a request, is the replicate). Only then is it said which side is better.

use serde::Serialize;

use crate::before_after::{best_heap, pool};
use crate::digest::RunDigest;
use crate::format;
use crate::statistics::total;
use crate::text;
use crate::variant::{HEAP_PREFIX, NOOP, Variant};

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
    /// The pool's tail is shorter than that of the best heap allocator.
    Better,
    /// It is not.
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
pub(crate) fn verdict(variants: &[Variant], runs: &[RunDigest]) -> Verdict {
    let (outcome, sentence, mut notes) = judge(variants, runs);
    notes.extend(context(variants));
    Verdict::new(outcome, &sentence, &notes)
}

fn judge(variants: &[Variant], runs: &[RunDigest]) -> (Outcome, String, Vec<String>) {
    let mut obstacles = obstacles(variants, runs);
    let (Some(before), Some(after)) = (best_heap(variants), pool(variants)) else {
        let missing = if pool(variants).is_none() {
            "no run of the pool recorded anything"
        } else {
            "no run with a heap allocator recorded anything"
        };
        obstacles.insert(0, missing.to_owned());
        return inconclusive(obstacles);
    };
    if !obstacles.is_empty() {
        return inconclusive(obstacles);
    }

    let effect = Effect {
        before,
        after,
        heaps: variants.iter().filter(|v| v.is_heap()).count(),
    };
    if after.lower_bound() {
        let pool_missed = format!(
            "the pool missed its schedule in {} of {}",
            after.summary.missed_runs,
            runs_of(after.summary.runs)
        );
        return if before.lower_bound() {
            inconclusive(vec![format!(
                "{pool_missed}, and so did {}: both tails are lower bounds; lower the rate",
                effect.best()
            )])
        } else {
            let sentence = format!(
                "The pool is worse: {pool_missed}, which {} kept.",
                effect.best()
            );
            (Outcome::NotBetter, sentence, Vec::new())
        };
    }
    if before.summary.runs < 2 || after.summary.runs < 2 {
        let sentence = format!(
            "A single run cannot tell an effect from chance: {}. Repeat with at least two runs of each.",
            effect.figures()
        );
        return (Outcome::Inconclusive, sentence, Vec::new());
    }
    let better = separated(
        &after.summary.p999_ns_by_run,
        &before.summary.p999_ns_by_run,
    );
    let worse = separated(
        &before.summary.p999_ns_by_run,
        &after.summary.p999_ns_by_run,
    );
    if better {
        let sentence = format!("{}; {}.", effect.fell(), schedules(before, after));
        (Outcome::Better, sentence, Vec::new())
    } else if worse {
        let sentence = format!("The pool is worse: {}.", effect.figures());
        (Outcome::NotBetter, sentence, Vec::new())
    } else {
        let sentence = format!(
            "No difference can be told: {}, but the P99.9 of single runs overlap (pool {}, {} {}).",
            effect.figures(),
            range(&after.summary.p999_ns_by_run),
            before.spoken(),
            range(&before.summary.p999_ns_by_run),
        );
        (Outcome::Inconclusive, sentence, Vec::new())
    }
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
fn obstacles(variants: &[Variant], runs: &[RunDigest]) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(noop) = variants.iter().find(|v| v.name == NOOP && v.lower_bound()) {
        found.push(format!(
            "the no-op control missed its schedule in {} of {}: this machine cannot hold {} requests/s with no service at all",
            noop.summary.missed_runs,
            runs_of(noop.summary.runs),
            format::count(noop.summary.rate_target),
        ));
    }
    let compared: Vec<&Variant> = variants
        .iter()
        .filter(|variant| variant.is_heap() || variant.name == crate::variant::POOL)
        .collect();
    for variant in &compared {
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
    if let Some((slow, fast)) = rates(runs, &compared) {
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

/// Whether every run of `low` is below every run of `high`.
fn separated(low: &[u64], high: &[u64]) -> bool {
    match (low.iter().max(), high.iter().min()) {
        (Some(low), Some(high)) => low < high,
        _ => false,
    }
}

fn range(runs: &[u64]) -> String {
    let low = runs.iter().min().copied().unwrap_or(0);
    let high = runs.iter().max().copied().unwrap_or(0);
    format!("{} to {}", format::nanos(low), format::nanos(high))
}

/// The two sides in words.
struct Effect<'a> {
    before: &'a Variant,
    after: &'a Variant,
    heaps: usize,
}

impl Effect<'_> {
    fn best(&self) -> String {
        match self.heaps {
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

    fn rate(&self) -> String {
        format!(
            "{} requests/s",
            format::count(self.after.summary.rate_target)
        )
    }

    fn fell(&self) -> String {
        let (before, after) = (self.before.summary.p999_ns, self.after.summary.p999_ns);
        format!(
            "P99.9 fell from {least}{} ({}) to {} with the pool: {least}{}, at {}",
            format::nanos(before),
            self.best(),
            format::nanos(after),
            format::ratio(before as f64 / after.max(1) as f64),
            self.rate(),
            least = self.at_least(),
        )
    }

    fn figures(&self) -> String {
        format!(
            "P99.9 was {}{} with {} and {} with the pool, at {}",
            self.at_least(),
            format::nanos(self.before.summary.p999_ns),
            self.best(),
            format::nanos(self.after.summary.p999_ns),
            self.rate(),
        )
    }
}

fn schedules(before: &Variant, after: &Variant) -> String {
    let all = match after.summary.runs {
        2 => "both runs".to_owned(),
        runs => format!("all {runs} runs"),
    };
    let kept = if after.summary.schedule_kept {
        format!("the pool kept its schedule in {all}")
    } else {
        "whether the pool kept its schedule was not recorded".to_owned()
    };
    if before.lower_bound() {
        format!(
            "{kept}, {} missed it in {} of {}",
            before.spoken(),
            before.summary.missed_runs,
            before.summary.runs
        )
    } else if after.summary.schedule_kept && before.summary.schedule_kept {
        format!("{kept}, and so did {}", before.spoken())
    } else {
        kept
    }
}

/// What a reader must know to weigh any verdict.
fn context(variants: &[Variant]) -> Vec<String> {
    let mut notes = Vec::new();
    let noop = variants
        .iter()
        .find(|variant| variant.name == NOOP && variant.summary.requests > 0);
    match (noop, pool(variants)) {
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
