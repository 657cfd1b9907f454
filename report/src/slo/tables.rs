//! The service level as text, for the page and for Markdown.

use super::board::{BreakingPause, SloSummary};
use super::targets::Origin;
use crate::format;
use crate::report::Report;
use crate::table::Table;
use crate::variant::Variant;

/// The variants whose seconds were judged.
pub(crate) fn judged(report: &Report) -> impl Iterator<Item = (usize, &Variant, &SloSummary)> {
    report
        .variants
        .iter()
        .enumerate()
        .filter_map(|(index, variant)| Some((index, variant, variant.summary.slo.as_ref()?)))
}

/// A row per variant: health, seconds within their targets, what lies in the others.
pub(crate) fn board(report: &Report) -> Option<Table> {
    let rows: Vec<Vec<String>> = judged(report)
        .map(|(_, variant, slo)| {
            vec![
                variant.label().to_owned(),
                slo.health.score.to_string(),
                slo.targets.join(", "),
                format!("{} of {}", slo.seconds_within, slo.seconds),
                share(slo),
                match slo.traced {
                    true => slo.seconds_over_with_pause.to_string(),
                    false => format::MISSING.to_owned(),
                },
                kinds(slo),
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| Table {
        header: [
            "",
            "Health",
            "Target of a second",
            "Seconds within",
            "Share",
            "Over, with a pause",
            "Kinds of pause (seconds)",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    })
}

/// What the health scores are made of: a row per part, a column per variant.
pub(crate) fn health(report: &Report) -> Vec<HealthRow> {
    let mut rows: Vec<HealthRow> = Vec::new();
    for (_, variant, slo) in judged(report) {
        for (place, part) in slo.health.parts.iter().enumerate() {
            if rows.len() == place {
                rows.push(HealthRow {
                    part: part.name,
                    weight: format::share(part.weight),
                    scores: Vec::new(),
                });
            }
            rows[place].scores.push((
                variant.label().to_owned(),
                match part.score {
                    Some(score) => format::share(score),
                    None => "left out".to_owned(),
                },
                part.why.clone(),
            ));
        }
    }
    rows
}

/// One part of the health score, of all variants.
pub(crate) struct HealthRow {
    pub(crate) part: &'static str,
    pub(crate) weight: String,
    /// Variant, its score, and why.
    pub(crate) scores: Vec<(String, String, String)>,
}

/// The pauses of a second: `munmap 14.2 ms (thread 4811), off_cpu 3 ms (thread 4811)`.
pub(crate) fn in_words(pauses: &[BreakingPause]) -> String {
    let each: Vec<String> = pauses
        .iter()
        .map(|pause| {
            format!(
                "{} {} ({})",
                pause.kind,
                format::nanos(pause.length_ns),
                format::on_thread(pause.thread)
            )
        })
        .collect();
    each.join(", ")
}

/// All of it in one line, for a comment on a change; `None` where no second was judged.
pub(crate) fn line(report: &Report) -> Option<String> {
    let each: Vec<String> = judged(report)
        .map(|(_, variant, slo)| {
            let paused = match slo.seconds_over_with_pause {
                0 => String::new(),
                seconds => format!(
                    ", {seconds} with a pause over {} ({})",
                    limit(slo),
                    kinds(slo)
                ),
            };
            format!(
                "{} {} ({} of {} seconds within {}{paused})",
                variant.label(),
                slo.health.score,
                slo.seconds_within,
                slo.seconds,
                slo.targets.join(", "),
            )
        })
        .collect();
    (!each.is_empty()).then(|| format!("Health, 0 to 100: {}.", each.join("; ")))
}

/// The limit on pauses.
pub(crate) fn limit(slo: &SloSummary) -> String {
    format::nanos(slo.pause_limit_ns)
}

/// The share of seconds within, cut so that 100% means all.
pub(crate) fn share(slo: &SloSummary) -> String {
    if slo.seconds_within == slo.seconds {
        return "100%".to_owned();
    }
    format!("{}%", (slo.share_within * 1_000.0).floor() / 10.0)
}

/// Where the targets come from, in a sentence.
pub(crate) fn origin(slo: &SloSummary) -> String {
    match slo.origin {
        Origin::Objectives => {
            "The targets are the objectives that the run was made for.".to_owned()
        }
        Origin::Default => format!(
            "The run has no objective that a single second can keep, so it is held to the target of a {} service; objectives given with the load take its place.",
            slo.class.label()
        ),
    }
}

fn kinds(slo: &SloSummary) -> String {
    let each: Vec<String> = slo
        .paused_by
        .iter()
        .map(|(kind, seconds)| format!("{kind} {seconds}"))
        .collect();
    each.join(", ")
}
