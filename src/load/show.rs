//! What `tailcut load run` tells people: before the run what it will be, after it what came of it.

mod table;

use std::fmt::Write as _;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use tailcut_loadgen::scenario::notation::Notation as _;
use tailcut_loadgen::scenario::slo::{Measure, Objective};
use tailcut_loadgen::scenario::{Arrivals, Pacing, Scenario, Target, WarmUp};
use tailcut_loadgen::{Form, RunOutcome};
use tailcut_report::format;
use tailcut_report::recording::{ObjectiveResult, RunResult};

use super::ending::Ending;

pub use table::{PERCENTILES, says_something};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// What will run, in a few lines.
pub fn announcement(scenario: &Scenario, dir: &Path) -> String {
    let Scenario {
        name,
        target,
        pacing,
        duration,
        warmup,
        workers,
        connections,
        pipeline,
        seed,
        pin,
        ..
    } = scenario;
    let warmup = match warmup {
        WarmUp::Fixed(length) if length.0 == 0 => "without warm-up".to_owned(),
        WarmUp::Fixed(length) => format!("after {} of warm-up", length.write()),
        WarmUp::Auto { at_most } => format!(
            "after a warm-up until latency is stationary (at most {})",
            at_most.write()
        ),
    };
    let by = match target {
        Target::InProcess { form, window, .. } => {
            let pairs = match form {
                Form::Inline => "",
                Form::Handoff => ", in pairs",
            };
            format!(
                "{}{pairs}, orders settled {window} at a time",
                several(*workers, "worker")
            )
        }
        Target::Network(_) => format!(
            "{}, {}, at most {} at a time on each",
            several(*workers, "worker"),
            several(*connections, "connection"),
            several(*pipeline, "request")
        ),
    };
    let unbound = if *pin { "" } else { ", not bound to cores" };
    let mut text = format!(
        "{name}: {} on {} for {} {warmup}, seed {seed}\n{by}{unbound}; recorded in {}",
        load(pacing),
        target.text(),
        duration.write(),
        dir.display()
    );
    if let Some(shard) = scenario.shard {
        let _ = write!(
            text,
            "\nshard {} of these: this process makes a part of the load",
            shard.write()
        );
    }
    for fault in &scenario.faults {
        let _ = write!(text, "\nfault on purpose: {fault}");
    }
    text
}

fn load(pacing: &Pacing) -> String {
    let (rate, arrivals) = match pacing {
        Pacing::Closed => return "a closed loop".to_owned(),
        Pacing::Open { rate, arrivals } => (format::rate(rate.as_f64()), arrivals),
    };
    match arrivals {
        Arrivals::Constant => format!("{rate}, evenly spaced,"),
        Arrivals::Poisson => format!("{rate}, Poisson arrivals,"),
        Arrivals::Burst { size } => format!("{rate} in bursts of {size}"),
        Arrivals::Trace(offsets) => format!(
            "{rate} as in a trace of {} arrivals",
            format::count(offsets.len() as f64)
        ),
    }
}

fn several(number: u32, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// What came of a run; ends with a newline. Colours are escape sequences, which are taken out where
/// nobody could see them.
pub fn result(scenario: &Scenario, outcome: &RunOutcome, ending: &Ending) -> String {
    let mut text = format!("\n{}\n", table::latencies(outcome));
    if let Some(result) = &outcome.meta.result {
        for line in counts(scenario, result) {
            let _ = writeln!(text, "{line}");
        }
        for line in objectives(scenario, result) {
            let _ = writeln!(text, "{line}");
        }
    }
    for line in notes(scenario, outcome) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{}", sentence(scenario, ending));
    let dir = outcome.dir.display();
    let _ = writeln!(
        text,
        "recording: {dir}  (tailcut report {dir} makes a page of it)"
    );
    text
}

/// How many, and what became of them.
#[allow(clippy::cast_precision_loss)] // shown to three digits
fn counts(scenario: &Scenario, result: &RunResult) -> Vec<String> {
    let count = |number: u64| grouped(number);
    let rate = format::rate(result.rate_achieved);
    let due = match scenario.pacing {
        Pacing::Open { .. } => format!("{} requests were due", count(result.offered)),
        Pacing::Closed => format!("{} requests were sent", count(result.offered)),
    };
    let mut lines = vec![format!(
        "{due}, {} of them answered; {rate}{} answered in time",
        count(result.completed),
        asked(scenario)
    )];
    if result.failed > 0 {
        let mut kinds: Vec<String> = result
            .errors
            .iter()
            .map(|(kind, number)| format!("{kind} {}", count(*number)))
            .collect();
        let in_vain = result.failed.saturating_sub(result.errors.values().sum());
        if in_vain > 0 {
            kinds.push(format!("still waiting at the end {}", count(in_vain)));
        }
        let share = result.failed as f64 / result.offered.max(1) as f64;
        lines.push(format!(
            "{BAD}{} failed{BAD:#} ({}): {}",
            count(result.failed),
            format::share(share),
            kinds.join(", ")
        ));
    }
    if result.unserved > 0 {
        let unsent = match result.unsent {
            0 => String::new(),
            unsent => format!(", {} of them never sent", count(unsent)),
        };
        lines.push(format!(
            "{} were never answered{unsent}: they stand in the response times at the age that they reached",
            count(result.unserved)
        ));
    }
    if let Some(example) = &result.last_protocol_error {
        lines.push(format!("an answer that broke the protocol: {example}"));
    }
    if result.reconnects > 0 {
        lines.push(format!(
            "{} connections were opened again after others were lost",
            count(result.reconnects)
        ));
    }
    lines
}

fn asked(scenario: &Scenario) -> String {
    match (&scenario.pacing, scenario.shard) {
        (Pacing::Open { rate, .. }, None) => {
            format!(" of {}", format::rate(rate.as_f64()))
        }
        (Pacing::Open { rate, .. }, Some(shard)) => format!(
            " of this shard's {}",
            format::rate(rate.as_f64() / f64::from(shard.of))
        ),
        (Pacing::Closed, _) => String::new(),
    }
}

/// A line for each objective.
fn objectives(scenario: &Scenario, result: &RunResult) -> Vec<String> {
    let Some(slo) = &scenario.slo else {
        return Vec::new();
    };
    slo.objectives
        .iter()
        .zip(&result.objectives)
        .map(|(objective, found)| {
            let measured = measured(objective, found);
            match found.held {
                true => format!("{GOOD}held{GOOD:#}    {}  ({measured})", objective.text),
                false => format!("{BAD}BROKEN{BAD:#}  {}  ({measured})", objective.text),
            }
        })
        .collect()
}

fn measured(objective: &Objective, found: &ObjectiveResult) -> String {
    match objective.measure {
        Measure::Errors => format::share(found.measured),
        Measure::Rate => format::rate(found.measured),
        Measure::Response(_) | Measure::Max | Measure::Mean => format::duration(found.measured),
    }
}

/// What a reader must know to believe the figures.
fn notes(scenario: &Scenario, outcome: &RunOutcome) -> Vec<String> {
    let mut notes = Vec::new();
    let load = &outcome.meta.load;
    if !load.warmup_rule.is_empty() {
        notes.push(format!("warm-up: {}", load.warmup_rule));
    }
    if let Some(result) = &outcome.meta.result {
        if let Some(generator) = &result.generator {
            let blame = match generator.bottleneck.as_str() {
                "" | "none" => "bottleneck: none".to_owned(),
                whose => format!("bottleneck: the {whose}"),
            };
            notes.push(match generator.reason.as_str() {
                "" => blame,
                reason => format!("{blame}: {reason}"),
            });
        }
        if result.stalls.total_ms > 0.0 {
            notes.push(format!(
                "the machine took {} away from the workers, at most {} at once while they were idle",
                format::millis(result.stalls.total_ms),
                format::nanos(result.stalls.idle_gap_max_ns)
            ));
        }
    }
    if scenario.pacing == Pacing::Closed {
        notes.push(
            "closed loop: each request waited for an answer, so latencies leave out what waiting users would have \
             seen (coordinated omission); give a rate to see it"
                .to_owned(),
        );
    }
    if let Some(shard) = scenario.shard {
        notes.push(format!(
            "shard {}: tailcut load merge puts the parts together",
            shard.write()
        ));
    }
    notes
}

fn sentence(scenario: &Scenario, ending: &Ending) -> String {
    match ending {
        Ending::Done => match scenario.pacing {
            Pacing::Open { .. } => format!("{GOOD}done{GOOD:#}: the schedule was kept"),
            Pacing::Closed => format!("{GOOD}done{GOOD:#}"),
        },
        Ending::ScheduleMissed => format!(
            "{BAD}SCHEDULE MISSED{BAD:#}: this was no run at the rate that was asked for; its latencies are lower bounds"
        ),
        Ending::SloBroken(1) => format!("{BAD}an objective is broken{BAD:#}"),
        Ending::SloBroken(number) => format!("{BAD}{number} objectives are broken{BAD:#}"),
        Ending::Interrupted => {
            "interrupted: what was recorded until then is kept, marked partial".to_owned()
        }
        Ending::CutShort(reason) => format!("{BAD}cut short{BAD:#}: {reason}"),
    }
}

/// `1,234,567`: a count that can be compared digit by digit.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
