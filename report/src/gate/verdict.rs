//! What the gate says, and why: the one place where an outcome becomes words.

use std::fmt::Write as _;

use super::objectives::ObjectiveCheck;
use super::regression::{Check, FAILS_MORE, Quantity};
use super::{Gate, Options, Outcome, SCHEMA};
use crate::compare::Comparison;
use crate::compare::comparison::{SideSummary, detectable};
use crate::compare::verdict::{fewest_runs, p_value};
use crate::format;
use crate::statistics::rank_sum::smallest_p;

/// Weighs everything.
pub(super) fn gate(
    comparison: Comparison,
    checks: Vec<Check>,
    objectives: Vec<ObjectiveCheck>,
    options: &Options,
) -> Gate {
    let (base, new) = (&comparison.a, &comparison.b);
    let runs = (base.recordings.len(), new.recordings.len());
    #[allow(clippy::cast_precision_loss)] // a handful
    let first_level = options.level / checks.len().max(1) as f64;
    let too_few = smallest_p(runs.0, runs.1) > first_level;
    let runs_needed = too_few.then(|| fewest_runs(checks.len(), options.level));
    let detectable_ratio = comparison
        .rows
        .iter()
        .rfind(|row| row.is_judged())
        .and_then(|row| detectable(row, first_level))
        .map(|ratio| ratio * (1.0 + options.tolerated));

    let broken: Vec<String> = objectives
        .iter()
        .filter(|objective| !objective.held)
        .map(broken)
        .collect();
    let regressed: Vec<String> = checks
        .iter()
        .filter(|check| check.regressed)
        .map(|check| regression(check, options))
        .collect();
    let flattered = flattered_base(base, new);
    let mut doubts = Vec::new();
    if let (Some(needed), true) = (runs_needed, broken.is_empty()) {
        doubts.push(format!(
            "{} + {} runs cannot show a regression, however large: p cannot fall below {}, and {} is needed to judge {}; \
             make at least {needed} runs of each side",
            runs.0,
            runs.1,
            p_value(smallest_p(runs.0, runs.1)),
            p_value(first_level),
            figures(checks.len()),
        ));
    }
    doubts.extend(flattered_new(base, new, &checks));
    if let (Some(reason), false) = (&flattered, regressed.is_empty()) {
        doubts.push(format!("{}, but {reason}", regressed.join("; ")));
    }
    let failures: Vec<String> = match flattered {
        Some(_) => broken,
        None => broken.into_iter().chain(regressed).collect(),
    };
    let (outcome, sentence) = if !failures.is_empty() {
        (Outcome::Fail, format!("Fail: {}.", failures.join("; ")))
    } else if !doubts.is_empty() {
        (
            Outcome::CannotTell,
            format!("Cannot tell: {}.", doubts.join("; ")),
        )
    } else {
        let passed = passed(&checks, &objectives, runs, options, detectable_ratio);
        (Outcome::Pass, format!("Pass: {passed}."))
    };
    Gate {
        schema: SCHEMA,
        outcome,
        sentence,
        level: options.level,
        tolerated: options.tolerated,
        checks,
        objectives,
        runs_needed,
        detectable_ratio,
        comparison,
    }
}

/// Why what looks like a regression may be none: BASE looks better than it was.
fn flattered_base(base: &SideSummary, new: &SideSummary) -> Option<String> {
    if base.schedules_missed > 0 && !base.closed_loop {
        return Some(format!(
            "BASE missed its schedule in {} of {} runs, so that its latencies are lower bounds",
            base.schedules_missed,
            base.recordings.len()
        ));
    }
    (base.failed > new.failed + FAILS_MORE).then(|| {
        format!(
            "BASE failed {} of its requests and NEW {}, and a failure may be quick",
            format::share(base.failed),
            format::share(new.failed)
        )
    })
}

/// Why NEW may be worse than it looks.
fn flattered_new(base: &SideSummary, new: &SideSummary, checks: &[Check]) -> Vec<String> {
    let mut doubts = Vec::new();
    if new.schedules_missed > 0 && !new.closed_loop {
        doubts.push(format!(
            "NEW missed its schedule in {} of {} runs ({} of {} were held), so that its latencies are lower bounds: lower \
             the rate, or give it what it needs",
            new.schedules_missed,
            new.recordings.len(),
            format::rate(new.rate_achieved),
            format::rate(new.rate_target),
        ));
    }
    let shown = checks
        .iter()
        .any(|check| check.quantity == Quantity::Share && check.regressed);
    if new.failed > base.failed + FAILS_MORE && !shown {
        doubts.push(format!(
            "NEW failed {} of its requests and BASE {}: not in enough runs to be no chance, but a failure may be quick, \
             and its latencies cannot be taken at their face",
            format::share(new.failed),
            format::share(base.failed)
        ));
    }
    doubts
}

/// `P99.9 rose by 21% [12%, 30%], from 1.02 ms to 1.23 ms, where 5% is tolerated (p = 0.024)`.
fn regression(check: &Check, options: &Options) -> String {
    let Check {
        measure, base, new, ..
    } = check;
    let mut text = match check.quantity {
        Quantity::Share => format!(
            "{measure} rose from {} to {} of requests",
            format::share(*base),
            format::share(*new)
        ),
        Quantity::Time => format!(
            "{measure} rose {}{} from {} to {}, where {} is tolerated",
            rise(check.ratio.unwrap_or(1.0)),
            check.ratio_interval.map_or_else(String::new, |interval| {
                format!(" [{}, {}]", bound(interval.low), bound(interval.high))
            }),
            format::duration(*base),
            format::duration(*new),
            format::share(options.tolerated),
        ),
    };
    let _ = write!(text, " (p = {})", p_value(check.p));
    text
}

/// `by 21%`, `3.4×` where that is easier to grasp.
fn rise(ratio: f64) -> String {
    if ratio < 2.0 {
        format!("by {}", format::share(ratio - 1.0))
    } else {
        format::ratio(ratio)
    }
}

fn bound(ratio: f64) -> String {
    if ratio < 2.0 {
        format::share(ratio - 1.0)
    } else {
        format::ratio(ratio)
    }
}

fn broken(check: &ObjectiveCheck) -> String {
    format!(
        "{} is broken: {} over all requests ({} of {} runs hold it)",
        check.objective,
        shown(check),
        check.runs_held,
        check.runs
    )
}

/// What was measured of an objective, in its unit, which stands in its text.
pub(super) fn shown(check: &ObjectiveCheck) -> String {
    match check.objective.trim_start() {
        text if text.starts_with("errors") => format::share(check.measured),
        text if text.starts_with("rate") => format::rate(check.measured),
        _ => format::duration(check.measured),
    }
}

fn passed(
    checks: &[Check],
    objectives: &[ObjectiveCheck],
    runs: (usize, usize),
    options: &Options,
    detectable: Option<f64>,
) -> String {
    let names: Vec<&str> = checks.iter().map(|check| check.measure.as_str()).collect();
    let beyond = match options.tolerated {
        none if none <= 0.0 => String::new(),
        some => format!(" beyond {}", format::share(some)),
    };
    let mut text = format!(
        "no regression{beyond} can be shown in {} (n = {} + {}, level {})",
        crate::verdict::sentence_list(&names),
        runs.0,
        runs.1,
        format::share(options.level),
    );
    if let (Some(ratio), Some(highest)) = (
        detectable,
        checks
            .iter()
            .rfind(|check| check.quantity == Quantity::Time),
    ) {
        let _ = write!(
            text,
            "; one of {} {} or less would probably not have been seen",
            highest.measure,
            rise(ratio)
        );
    }
    if !objectives.is_empty() {
        let each: Vec<String> = objectives
            .iter()
            .map(|check| format!("{} ({})", check.objective, shown(check)))
            .collect();
        let _ = write!(text, "; every objective holds: {}", each.join(", "));
    }
    text
}

fn figures(count: usize) -> String {
    match count {
        1 => "one figure".to_owned(),
        count => format!("{count} figures"),
    }
}
