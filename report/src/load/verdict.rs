//! What is said of runs under load: whether objectives and schedule were kept, and by whose fault not.
//!
//! From the strictest: runs that were cut short, that recorded nothing, or whose generator was itself
//! the bottleneck conclude nothing; then a broken objective, then a missed schedule. In closed loop
//! objectives that held are no proof, because coordinated omission flatters latencies. Nothing is ever
//! said of one variant against another.

use super::LoadSummary;
use super::tables::measured;
use crate::digest::RunDigest;
use crate::format;
use crate::variant::Variant;
use crate::verdict::{Outcome, Verdict, capital, runs_of};

/// Weighs the variants, each by itself.
pub(crate) fn verdict(variants: &[Variant], runs: &[RunDigest]) -> Verdict {
    let (outcome, sentence) = judge(variants, runs);
    Verdict::new(outcome, &sentence, &notes(variants))
}

fn judge(variants: &[Variant], runs: &[RunDigest]) -> (Outcome, String) {
    let cut = runs.iter().find(|run| run.partial() && !run.only_traced());
    if let Some(run) = cut {
        let reason = run
            .meta
            .state_reason
            .as_deref()
            .unwrap_or("no reason given");
        let name = crate::variant::label(&run.meta.variant);
        return (
            Outcome::Inconclusive,
            format!(
                "Nothing can be concluded: run {} of {name} was cut short ({reason}).",
                run.meta.run
            ),
        );
    }
    if let Some(variant) = variants
        .iter()
        .find(|variant| variant.summary.requests == 0)
    {
        let sentence = format!(
            "Nothing can be concluded: {} recorded no request.",
            variant.label()
        );
        return (Outcome::Inconclusive, sentence);
    }
    if let Some((variant, load)) = loads(variants).find(|(_, load)| load.generator_limited_runs > 0)
    {
        let reason = load
            .generator
            .as_ref()
            .filter(|generator| generator.bottleneck == "generator" && !generator.reason.is_empty())
            .map(|generator| format!(": {}", generator.reason.trim_end_matches('.')))
            .unwrap_or_default();
        return (
            Outcome::Inconclusive,
            format!(
                "The load generator itself was the bottleneck with {}, so its figures are not those of the target{reason}.",
                variant.label()
            ),
        );
    }
    let objectives = || loads(variants).flat_map(|(_, load)| &load.objectives);
    let broken: Vec<String> = loads(variants)
        .flat_map(|(variant, load)| load.objectives.iter().map(move |each| (variant, each)))
        .filter(|(_, objective)| objective.held < objective.runs)
        .map(|(variant, objective)| {
            let of = match variants.len() {
                1 => String::new(),
                _ => format!(" with {}", variant.label()),
            };
            format!(
                "{}{of} ({} measured)",
                objective.objective,
                measured(objective)
            )
        })
        .collect();
    if !broken.is_empty() {
        let sentence = format!("Broken: {}{}.", broken.join(", "), conditions(variants));
        return (Outcome::ObjectivesBroken, sentence);
    }
    let missed: Vec<&Variant> = variants
        .iter()
        .filter(|variant| variant.lower_bound())
        .collect();
    if let Some(variant) = missed.first() {
        let summary = &variant.summary;
        let sentence = format!(
            "{} did not keep up: {} of {} requests/s were answered in time in {} of {}, so its percentiles are lower bounds that grow with the run's duration.",
            variant.label(),
            format::count(summary.rate_achieved),
            format::count(summary.rate_target),
            summary.missed_runs,
            runs_of(summary.runs),
        );
        return (Outcome::ScheduleMissed, sentence);
    }
    let closed = loads(variants).any(|(_, load)| load.closed_loop);
    if objectives().next().is_some() && !closed {
        let each: Vec<String> = objectives()
            .map(|objective| format!("{} ({})", objective.objective, measured(objective)))
            .collect();
        let sentence = format!(
            "Every objective held: {}{}.",
            each.join(", "),
            conditions(variants)
        );
        return (Outcome::ObjectivesHeld, sentence);
    }
    let each: Vec<String> = variants.iter().map(figures).collect();
    (Outcome::Measured, format!("{}.", each.join("; ")))
}

fn loads(variants: &[Variant]) -> impl Iterator<Item = (&Variant, &LoadSummary)> {
    variants
        .iter()
        .filter_map(|variant| Some((variant, variant.summary.load.as_ref()?)))
}

/// Rate and runs, where all variants share them.
fn conditions(variants: &[Variant]) -> String {
    match variants {
        [one]
            if one
                .summary
                .load
                .as_ref()
                .is_some_and(|load| load.closed_loop) =>
        {
            ", in closed loop".to_owned()
        }
        [one] => format!(
            ", at {} requests/s in {}",
            format::count(one.summary.rate_target),
            runs_of(one.summary.runs)
        ),
        _ => String::new(),
    }
}

fn figures(variant: &Variant) -> String {
    let summary = &variant.summary;
    let closed = summary.load.as_ref().is_some_and(|load| load.closed_loop);
    let rate = if closed {
        format!(
            "{} requests/s in closed loop",
            format::count(summary.rate_achieved)
        )
    } else {
        format!("{} requests/s", format::count(summary.rate_target))
    };
    format!(
        "{} answered {rate} with a P50 of {}, a P99.9 of {} and a maximum of {}",
        variant.label(),
        format::nanos(summary.p50_ns),
        format::nanos(summary.p999_ns),
        format::nanos(summary.max_ns),
    )
}

fn notes(variants: &[Variant]) -> Vec<String> {
    let mut notes = Vec::new();
    if loads(variants).any(|(_, load)| load.closed_loop) {
        notes.push(
            "Closed loop: a request is sent when the one before it is answered, so a stall delays one request \
             on each connection and hides all that should have been sent meanwhile (coordinated omission). \
             Use the rate as a ceiling; for latencies, run at a fixed rate."
                .to_owned(),
        );
    }
    for (variant, load) in loads(variants) {
        let name = match variants.len() {
            1 => String::new(),
            _ => format!("{}: ", variant.label()),
        };
        if load.failed > 0 {
            let mut kinds: Vec<_> = load.errors.iter().collect();
            kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let kinds: Vec<String> = kinds
                .into_iter()
                .take(3)
                .map(|(kind, count)| format!("{} {kind}", format::count(*count as f64)))
                .collect();
            let kinds = match kinds.is_empty() {
                true => String::new(),
                false => format!(" ({})", kinds.join(", ")),
            };
            notes.push(format!(
                "{name}{} of {} requests failed{kinds}; those that fail quickly flatter the percentiles.",
                format::count(load.failed as f64),
                format::count(load.offered as f64),
            ));
        }
        if load.unsent > 0 {
            notes.push(format!(
                "{name}{} requests could not even be sent; they count in the response times at their age.",
                format::count(load.unsent as f64)
            ));
        }
        let faults: Vec<String> = load
            .marks
            .iter()
            .filter(|mark| mark.kind != "warm up")
            .take(4)
            .map(|mark| match mark.length_ns {
                0 => format!("{} at {:.1} s", mark.kind, mark.at_s),
                length => format!(
                    "{} for {} at {:.1} s",
                    mark.kind,
                    format::nanos(length),
                    mark.at_s
                ),
            })
            .collect();
        if !faults.is_empty() {
            notes.push(format!("{name}Its figures include {}.", faults.join(", ")));
        }
        if let Some(generator) = &load.generator
            && !generator.reason.is_empty()
            && generator.bottleneck != "generator"
        {
            let whose = match generator.bottleneck.as_str() {
                "target" => "The target was the bottleneck: ",
                "machine" => "The machine was the bottleneck: ",
                _ => "",
            };
            notes.push(match whose {
                "" => format!("{name}{}", sentence(&generator.reason)),
                whose => format!("{name}{whose}{}.", generator.reason.trim_end_matches('.')),
            });
        }
    }
    if variants.len() > 1 {
        notes.push(
            "Nothing is claimed about one variant against another: that takes interleaved runs of each and \
             a test (tailcut load compare)."
                .to_owned(),
        );
    }
    notes
}

/// A sentence that begins large and ends with one full stop.
fn sentence(text: &str) -> String {
    format!("{}.", capital(text.trim().trim_end_matches('.')))
}
