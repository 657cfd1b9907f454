//! The verdict on processes that were only traced: there is nothing to compare, but something to say.

use crate::format;
use crate::variant::Variant;
use crate::verdict::{Outcome, Verdict, sentence_list};

/// What is to be said of processes that were traced without a load of ours.
pub(crate) fn only_traced(traced: &[Variant]) -> Verdict {
    let processes: Vec<&str> = traced.iter().map(Variant::label).collect();
    let sentence = format!(
        "Nothing to compare: {} traced, and no load of ours ran.",
        match processes.as_slice() {
            [one] => format!("{one} was"),
            several => format!("{} were", sentence_list(several)),
        }
    );
    let notes: Vec<String> = traced
        .iter()
        .filter_map(|variant| Some((variant, variant.summary.pauses.as_ref()?)))
        .map(|(variant, summary)| {
            let traced = format!(
                "{}, traced for {}:",
                variant.label(),
                format::nanos(summary.traced_ns)
            );
            let most = summary.pauses().next().map(|series| {
                format!(
                    "most time went to {}, {} of each second",
                    series.name,
                    format::duration(series.total_per_second.unwrap_or(0.0))
                )
            });
            let longest = summary.longest.first().map(|pause| {
                format!(
                    "the longest pause was {} ({})",
                    format::nanos(pause.length_ns),
                    pause.kind
                )
            });
            let parts: Vec<String> = longest.into_iter().chain(most).collect();
            match parts.is_empty() {
                true => format!("{traced} no pause was seen."),
                false => format!("{traced} {}.", parts.join("; ")),
            }
        })
        .collect();
    Verdict::new(Outcome::Inconclusive, &sentence, &notes)
}
