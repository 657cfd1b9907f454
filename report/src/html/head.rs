//! The page's head: its title, the verdict in two words, and what is wrong with single recordings.

use crate::load::Story;
use crate::report::Report;
use crate::variant::{Variant, label};
use crate::verdict::Outcome;

/// The verdict in a few words, and how it is coloured.
pub(super) struct Badge {
    pub(super) class: &'static str,
    pub(super) label: &'static str,
}

/// What the page is about.
pub(super) fn title(report: &Report) -> String {
    match (report.variants.as_slice(), report.traced.as_slice()) {
        ([], [one]) => format!("Pauses of {}", one.label()),
        ([], several) => format!("Pauses of {} processes", several.len()),
        (variants, _) if report.story == Story::Load => of_load(variants),
        _ => match &report.comparison {
            Some(known) if known.ratios.is_empty() => format!(
                "Tail latency of {} and {}",
                label(&known.before),
                label(&known.after)
            ),
            _ => "Tail latency before and after pooling".to_owned(),
        },
    }
}

/// What was loaded, as a title.
fn of_load(variants: &[Variant]) -> String {
    let mut targets: Vec<&str> = variants
        .iter()
        .map(|variant| match &variant.summary.load {
            Some(load) if !load.target.is_empty() => load.target.as_str(),
            _ => variant.label(),
        })
        .collect();
    targets.dedup();
    match targets.as_slice() {
        [one] => format!("Latency of {one} under load"),
        several => format!("Latency of {} targets under load", several.len()),
    }
}

/// The verdict's label.
pub(super) fn badge(report: &Report) -> Badge {
    match report.verdict.outcome {
        Outcome::Inconclusive if report.variants.is_empty() => Badge {
            class: "inconclusive",
            label: "Traced, nothing to compare",
        },
        Outcome::ObjectivesHeld => Badge {
            class: "better",
            label: "Every objective held",
        },
        Outcome::ObjectivesBroken => Badge {
            class: "worse",
            label: "An objective is broken",
        },
        Outcome::ScheduleMissed => Badge {
            class: "worse",
            label: "The schedule was missed",
        },
        Outcome::Measured => Badge {
            class: "measured",
            label: "Measured",
        },
        Outcome::Better => Badge {
            class: "better",
            label: "The tail is cut",
        },
        Outcome::NotBetter => Badge {
            class: "worse",
            label: "The tail is not cut",
        },
        Outcome::Inconclusive => Badge {
            class: "inconclusive",
            label: "No conclusion",
        },
    }
}
