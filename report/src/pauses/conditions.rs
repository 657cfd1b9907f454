//! What was traced, at what cost, and what is missing: the probe's part of the conditions.

use indexmap::IndexMap;

use super::PauseSummary;
use crate::conditions::Condition;
use crate::format;
use crate::recording::{ProbeMeta, State};
use crate::report::Report;
use crate::statistics::total;
use crate::variant::label;

/// All conditions of tracing that are known; where nobody traced, that nobody did and why.
pub(crate) fn conditions(report: &Report) -> Vec<Condition> {
    let traced: Vec<(&str, &PauseSummary)> = report
        .all_variants()
        .filter_map(|variant| Some((variant.label(), variant.summary.pauses.as_ref()?)))
        .collect();
    let grouped = |of: fn(&PauseSummary) -> String| {
        by_value(traced.iter().map(|(label, summary)| (*label, of(summary))))
    };
    // What is the same for all is said once.
    let shared = |name: &'static str, of| Condition {
        label: name,
        values: match grouped(of).as_slice() {
            [(_, value)] => vec![value.clone()],
            several => several.iter().map(labelled).collect(),
        },
    };
    // Figures always say whose they are, even where they happen to be equal.
    let each = |name: &'static str, of| Condition {
        label: name,
        values: match grouped(of).as_slice() {
            [(_, value)] if traced.len() == 1 => vec![value.clone()],
            several => several.iter().map(labelled).collect(),
        },
    };
    let mut all = vec![
        Condition {
            label: "Not traced",
            values: not_traced(report),
        },
        each("Traced", target),
        shared("Probes", hooks),
        each("Probe's cost", cost),
        shared("Probe's floor", floor),
        each("Probe's windows", windows),
        shared("Pauses listed", thresholds),
        each("Dropped", dropped),
        shared("Left out", |summary| {
            sentences(summary, |probe| &probe.left_out)
        }),
        shared("Probe's notes", |summary| {
            sentences(summary, |probe| &probe.notes)
        }),
        Condition {
            label: "Tracing cut short",
            values: cut_short(report),
        },
    ];
    all.retain(|condition| !condition.values.is_empty());
    all
}

/// The values with the variants that have them; nothing of those that have none.
fn by_value<'a>(values: impl Iterator<Item = (&'a str, String)>) -> Vec<(String, String)> {
    let mut by_value: IndexMap<String, Vec<&str>> = IndexMap::new();
    for (label, value) in values.filter(|(_, value)| !value.is_empty()) {
        by_value.entry(value).or_default().push(label);
    }
    by_value
        .into_iter()
        .map(|(value, labels)| (labels.join(", "), value))
        .collect()
}

fn labelled((labels, value): &(String, String)) -> String {
    format!("{labels}: {value}")
}

fn not_traced(report: &Report) -> Vec<String> {
    let mut runs: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for run in report.runs.iter().filter(|run| run.pauses.is_none()) {
        let why = if run.meta.host.privileged {
            "no probe ran"
        } else {
            "no probe ran, for which an ordinary user has no rights"
        };
        let labels = runs.entry(why).or_default();
        if !labels.contains(&label(&run.meta.variant)) {
            labels.push(label(&run.meta.variant));
        }
    }
    let all = report.runs.iter().all(|run| run.pauses.is_none());
    runs.into_iter()
        .map(|(why, labels)| match all {
            true => format!("pauses of the threads: {why}"),
            false => format!("{}: {why}", labels.join(", ")),
        })
        .collect()
}

fn target(summary: &PauseSummary) -> String {
    let Some(probe) = summary.probes.first() else {
        return String::new();
    };
    let target = &probe.target;
    let name = match target.name.as_str() {
        "" => "a process",
        name => name,
    };
    let threads = match target.threads {
        0 => String::new(),
        1 => ", 1 thread".to_owned(),
        threads => format!(", {threads} threads"),
    };
    let allocators = match target.allocators.as_slice() {
        [] => String::new(),
        several => format!(", {}", several.join(" and ")),
    };
    let which = match summary.probes.len() {
        1 => format!("process {}", target.process),
        runs => format!("{runs} processes"),
    };
    format!(
        "{name} ({which}{threads}{allocators}) for {}",
        format::nanos(summary.traced_ns)
    )
}

/// Where the probes stood, by series.
fn hooks(summary: &PauseSummary) -> String {
    let mut series: IndexMap<&str, &[String]> = IndexMap::new();
    for meta in summary.probes.iter().flat_map(|probe| &probe.series) {
        if !meta.hooks.is_empty() {
            series.entry(&meta.name).or_insert(&meta.hooks);
        }
    }
    let each = series
        .iter()
        .map(|(name, hooks)| format!("{name} at {}", hooks.join(" and ")));
    each.collect::<Vec<_>>().join("; ")
}

fn cost(summary: &PauseSummary) -> String {
    let costs = || summary.probes.iter().map(|probe| &probe.cost);
    let hits = total(costs().map(|cost| cost.hits));
    let own = total(costs().map(|cost| cost.tailcut_cpu_ns));
    if hits == 0 && own == 0 {
        return String::new();
    }
    let share = costs()
        .map(|cost| cost.share_of_target_cpu)
        .fold(0.0, f64::max);
    let budget = costs().map(|cost| cost.budget).fold(0.0, f64::max);
    let memory = costs()
        .map(|cost| cost.tailcut_rss_bytes)
        .max()
        .unwrap_or(0);
    let most = match summary.probes.len() {
        1 => "",
        _ => "at most ",
    };
    let limit = if budget > 0.0 {
        format!(" (budget {})", format::share(budget))
    } else {
        String::new()
    };
    format!(
        "{most}{} of the target's CPU{limit}: {} hits, {} in the programs and {} in traps (estimated); tailcut itself took {} of CPU and {}",
        format::share(share),
        format::count(hits as f64),
        format::nanos(total(costs().map(|cost| cost.cpu_ns_in_programs))),
        format::nanos(total(costs().map(|cost| cost.trap_ns_estimated))),
        format::nanos(own),
        format::memory(memory),
    )
}

/// The highest that any run found, by site.
fn floor(summary: &PauseSummary) -> String {
    let mut floors: IndexMap<&str, u64> = IndexMap::new();
    for entry in summary.probes.iter().flat_map(|probe| &probe.floor) {
        let highest = floors.entry(&entry.site).or_default();
        *highest = entry.ns.max(*highest);
    }
    let each = floors
        .iter()
        .map(|(site, ns)| format!("{} a hit at {site}", format::nanos(*ns)));
    each.collect::<Vec<_>>().join("; ")
}

fn windows(summary: &PauseSummary) -> String {
    #[derive(Default)]
    struct Sum<'a> {
        windows: u64,
        ns: u64,
        hits: u64,
        ends: IndexMap<&'a str, u64>,
    }
    let mut sums: IndexMap<&str, Sum<'_>> = IndexMap::new();
    for window in summary.probes.iter().flat_map(|probe| &probe.windows) {
        let sum = sums.entry(&window.series).or_default();
        sum.windows += 1;
        sum.ns = sum
            .ns
            .saturating_add(window.end_ns.saturating_sub(window.start_ns));
        sum.hits = sum.hits.saturating_add(window.hits);
        *sum.ends.entry(&window.why_ended).or_default() += 1;
    }
    let each = sums.iter().map(|(series, sum)| {
        let ends = sum.ends.iter().filter(|(why, _)| !why.is_empty());
        let ends: Vec<String> = ends
            .map(|(why, count)| format!("{count} by {why}"))
            .collect();
        let ended = match ends.is_empty() {
            true => String::new(),
            false => format!(", ended {}", ends.join(", ")),
        };
        format!(
            "{} of {series}, {} in all, {} hits{ended}",
            format::count(sum.windows as f64),
            format::nanos(sum.ns),
            format::count(sum.hits as f64),
        )
    });
    each.collect::<Vec<_>>().join("; ")
}

/// From which length on single pauses were kept.
fn thresholds(summary: &PauseSummary) -> String {
    let mut by_threshold: IndexMap<u64, Vec<&str>> = IndexMap::new();
    for meta in summary.probes.iter().flat_map(|probe| &probe.series) {
        if meta.pause && meta.threshold_ns > 0 {
            let names = by_threshold.entry(meta.threshold_ns).or_default();
            if !names.contains(&meta.name.as_str()) {
                names.push(&meta.name);
            }
        }
    }
    match by_threshold.len() {
        1 => by_threshold
            .keys()
            .map(|ns| format!("from {} on", format::nanos(*ns)))
            .collect(),
        _ => by_threshold
            .iter()
            .map(|(ns, names)| format!("{} from {} on", names.join(", "), format::nanos(*ns)))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn dropped(summary: &PauseSummary) -> String {
    let mut counts: IndexMap<&str, u64> = IndexMap::new();
    for dropped in summary.probes.iter().flat_map(|probe| &probe.dropped) {
        let count = counts.entry(&dropped.what).or_default();
        *count = count.saturating_add(dropped.count);
    }
    *counts
        .entry("lines that were recorded and not read")
        .or_default() += summary.ignored;
    counts.retain(|_, count| *count > 0);
    match counts.is_empty() {
        // Nothing is said of a probe that recorded nothing.
        true if summary.series.iter().any(|series| series.events > 0) => "nothing".to_owned(),
        true => String::new(),
        false => counts
            .iter()
            .map(|(what, count)| format!("{} {what}", format::count(*count as f64)))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// Sentences of the probes, each once.
fn sentences(summary: &PauseSummary, of: fn(&ProbeMeta) -> &Vec<String>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for sentence in summary.probes.iter().flat_map(of) {
        if !all.contains(&sentence.as_str()) {
            all.push(sentence);
        }
    }
    all.join("; ")
}

fn cut_short(report: &Report) -> Vec<String> {
    // Where nothing but pauses was recorded, the recording itself is said to be partial.
    let traced = report
        .runs
        .iter()
        .filter(|run| !run.only_traced())
        .filter_map(|run| Some((run, run.pauses.as_ref()?)));
    traced
        .filter(|(_, pauses)| pauses.meta.state != State::Complete)
        .map(|(run, pauses)| {
            format!(
                "{} {}: {}",
                label(&run.meta.variant),
                run.meta.run,
                pauses
                    .meta
                    .state_reason
                    .as_deref()
                    .unwrap_or("no reason given")
            )
        })
        .collect()
}
