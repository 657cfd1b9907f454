//! Under which conditions the runs were made: what a reader needs to judge or repeat them.

use crate::digest::RunDigest;
use crate::format;
use crate::load;
use crate::pauses;
use crate::recording::Meta;
use crate::report::Report;
use crate::text;
use crate::variant::{NOOP, label};

/// One condition; several values where the variants differ in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) label: &'static str,
    pub(crate) values: Vec<String>,
}

/// All conditions that are known.
pub(crate) fn conditions(report: &Report) -> Vec<Condition> {
    let runs = &report.runs;
    let mut all = vec![
        of(runs, "Machine", machine),
        of(runs, "System", |meta| {
            join(
                " ",
                [meta.host.os.as_str(), &meta.host.kernel, &meta.host.arch],
            )
        }),
        of(runs, "C library", |meta| meta.host.libc.clone()),
        of(runs, "Allocator", |meta| match meta.load.target.as_str() {
            "" => meta.host.allocator.clone(),
            // The generator's own, which nobody asked for.
            _ => String::new(),
        }),
        of(runs, "Transparent huge pages", |meta| {
            meta.host.transparent_huge_pages.clone()
        }),
        of(runs, "Load", asked),
        of(runs, "Duration", |meta| {
            let measured = format::nanos(meta.load.duration_ns);
            match meta.load.warmup_ns {
                _ if meta.load.duration_ns == 0 => String::new(),
                0 => format!("{measured} a run, no warm-up"),
                warmup => format!(
                    "{measured} a run after {} of warm-up",
                    format::nanos(warmup)
                ),
            }
        }),
        of(runs, "Workers", workers),
        of(runs, "Clock", |meta| {
            let name = &meta.load.clock_source;
            match (name.is_empty(), meta.load.clock_cost_ns > 0.0) {
                (true, _) => String::new(),
                (false, true) => format!(
                    "{name}, {} a reading",
                    format::duration(meta.load.clock_cost_ns)
                ),
                (false, false) => name.clone(),
            }
        }),
        of(runs, "Pool's path", |meta| {
            meta.load.pool_path.clone().unwrap_or_default()
        }),
        of(runs, "Runtime", |meta| {
            let runtime = meta
                .result
                .as_ref()
                .and_then(|result| result.runtime.as_ref());
            runtime.map_or_else(String::new, |runtime| {
                let [name, settings] =
                    [&runtime.name, &runtime.settings].map(|part| text::name(part));
                join(", ", [name.as_str(), &settings])
            })
        }),
        Condition {
            label: "Machine's floor",
            values: floor(report),
        },
        of(runs, "Made by", |meta| meta.tool.clone()),
        Condition {
            label: "Begun",
            values: begun(runs),
        },
        of(runs, "Rights", rights),
    ];
    all.extend(load::conditions::conditions(report));
    all.extend(pauses::conditions::conditions(report));
    all.retain(|condition| !condition.values.is_empty());
    all
}

/// The command lines that made the runs, each once, as a shell takes them.
pub(crate) fn commands(report: &Report) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let probe = |run: &RunDigest| {
        run.pauses
            .as_ref()
            .map(|pauses| pauses.meta.command.clone())
    };
    let all = report
        .runs
        .iter()
        .flat_map(|run| [Some(run.meta.command.clone()), probe(run)]);
    for command in all.flatten() {
        let words: Vec<String> = command.iter().map(|word| quote(word)).collect();
        let command = words.join(" ");
        if !command.is_empty() && !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
}

/// One value if all runs that have one agree, else one per variant and value.
pub(crate) fn of(runs: &[RunDigest], name: &'static str, value: fn(&Meta) -> String) -> Condition {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for run in runs {
        let value = value(&run.meta);
        if value.is_empty() {
            continue;
        }
        let variant = label(&run.meta.variant);
        match found.iter_mut().find(|(known, _)| *known == value) {
            Some((_, variants)) if variants.contains(&variant) => {}
            Some((_, variants)) => variants.push(variant),
            None => found.push((value, vec![variant])),
        }
    }
    let values = match found.as_slice() {
        [(value, _)] => vec![value.clone()],
        several => several
            .iter()
            .map(|(value, variants)| format!("{}: {value}", variants.join(", ")))
            .collect(),
    };
    Condition {
        label: name,
        values,
    }
}

fn machine(meta: &Meta) -> String {
    let host = &meta.host;
    let cpus = match host.cpus {
        0 => String::new(),
        1 => "1 CPU".to_owned(),
        cpus => format!("{cpus} CPUs"),
    };
    let memory = match host.memory_bytes {
        0 => String::new(),
        bytes => format::memory(bytes),
    };
    join(", ", [host.cpu_model.as_str(), &cpus, &memory])
}

fn asked(meta: &Meta) -> String {
    let load = &meta.load;
    if load.rate_target == 0.0 || load.closed_loop {
        return String::new();
    }
    let rate = format!("{} requests/s, open loop", format::count(load.rate_target));
    let window = match load.window {
        0 => String::new(),
        window => format!(
            "windows of {} settled at once",
            format::count(window as f64)
        ),
    };
    let pacing = match load.pacing.as_str() {
        "" => String::new(),
        pacing => format!("{pacing} pacing"),
    };
    join(", ", [rate.as_str(), &pacing, &window])
}

fn workers(meta: &Meta) -> String {
    let load = &meta.load;
    let cpus: Vec<String> = load.worker_cpus.iter().map(u32::to_string).collect();
    let pinned = match cpus.len() {
        0 => String::new(),
        1 => format!("on CPU {}", cpus[0]),
        _ => format!("on CPUs {}", cpus.join(", ")),
    };
    match load.workers {
        0 => String::new(),
        workers => join(
            ", ",
            [
                join(" ", [workers.to_string().as_str(), &pinned]).as_str(),
                load.form.as_str(),
            ],
        ),
    }
}

fn floor(report: &Report) -> Vec<String> {
    report
        .variants
        .iter()
        .filter(|variant| variant.name == NOOP && variant.summary.requests > 0)
        .map(|noop| {
            format!(
                "the same schedule without a service: P50 {}, P99.9 {}, maximum {}",
                format::nanos(noop.summary.p50_ns),
                format::nanos(noop.summary.p999_ns),
                format::nanos(noop.summary.max_ns),
            )
        })
        .collect()
}

fn begun(runs: &[RunDigest]) -> Vec<String> {
    runs.iter()
        .map(|run| run.meta.clock.unix_ns)
        .filter(|unix_ns| *unix_ns > 0)
        .min()
        .map(|unix_ns| {
            let instant = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(unix_ns);
            humantime::format_rfc3339_seconds(instant).to_string()
        })
        .into_iter()
        .collect()
}

fn rights(meta: &Meta) -> String {
    if meta.host.privileged {
        "privileged".to_owned()
    } else {
        "an ordinary user's. Root would add the kernel's own account of why a worker was off its \
         core (scheduler, page faults); no figure here depends on it"
            .to_owned()
    }
}

/// Joins what is not empty.
pub(crate) fn join<'a>(separator: &str, parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(separator)
}

/// A word as a POSIX shell takes it.
fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
