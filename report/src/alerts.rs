//! What is wrong with the recordings behind a report, one sentence each, the same in every form of it.

use crate::contradictions::{of_run, of_variant};
use crate::digest::RunDigest;
use crate::format;
use crate::recording::State;
use crate::report::Report;
use crate::text;
use crate::variant::label;

/// Damaged runs by the same number and name would fill a page; those beyond are counted.
const MOST: usize = 50;

/// All of it: what is lost first, then what is partial, then what cannot be true.
pub(crate) fn alerts(report: &Report) -> Vec<String> {
    let lost = report.damage.iter().filter(|damage| damage.lost);
    let lost = lost.map(|damage| format!("Left out: {}.", damage.reason));
    let partial = report.runs.iter().filter(|run| run.partial()).map(partial);
    let traced_in_part = report.runs.iter().filter_map(traced_in_part);
    let doubtful = report.runs.iter().flat_map(|run| {
        let found = of_run(run).into_iter();
        found.map(|what| format!("{}: {what}.", name(run)))
    });
    let variants = report.all_variants();
    let mixed = variants.filter_map(|variant| of_variant(variant, &report.runs));
    let mut all: Vec<String> = lost
        .chain(partial)
        .chain(traced_in_part)
        .chain(doubtful)
        .chain(mixed)
        .map(|alert| text::clean(&alert))
        .collect();
    if all.len() > MOST {
        let more = all.len() - MOST;
        all.truncate(MOST);
        all.push(format!("{more} more of this kind."));
    }
    all
}

/// What a run is called here.
fn name(run: &RunDigest) -> String {
    format!("{}, run {}", label(&run.meta.variant), run.meta.run)
}

/// A whole run of which the pauses are not whole.
fn traced_in_part(run: &RunDigest) -> Option<String> {
    let probe = &run.pauses.as_ref()?.meta;
    let reason = probe.state_reason.as_deref().unwrap_or("cut short");
    (!run.partial() && probe.state != State::Complete)
        .then(|| format!("{}, its pauses: {reason}.", name(run)))
}

/// How much there is of a run that is not whole.
fn partial(run: &RunDigest) -> String {
    let covered = match &run.pauses {
        Some(pauses) if run.only_traced() => {
            format!("{} that were traced", format::nanos(pauses.traced_ns()))
        }
        _ => format!("{} s that were recorded", run.seconds.len()),
    };
    let reason = run.meta.state_reason.as_deref().unwrap_or("cut short");
    // The first damage is mostly the reason itself.
    let more = run.damage.iter().filter(|damage| !reason.contains(*damage));
    let more: String = more.map(|damage| format!("; {damage}")).collect();
    format!(
        "{}: {reason}{more}. Its figures cover the {covered}.",
        name(run)
    )
}
