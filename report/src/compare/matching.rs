//! What must be the same on both sides, and what may differ because it is what is compared.
//!
//! Latency depends on load. A side that was asked for less looks faster; so does one on a faster machine. Such a
//! comparison is refused, with every difference named at once. What somebody sets on purpose (pipelining,
//! connections, a window, the server at another address) is a difference to be compared: it is listed beside the
//! result, so that one that was not meant is seen. What a run is not asked but finds out is not looked at.

use std::fmt;

use crate::format;
use crate::recording::Meta;
use serde::Serialize;

use super::CompareError;
use super::order::Side;
use super::run::Run;

/// A setting that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: `rate`, `pipeline`, `kernel`.
    pub what: &'static str,
    /// On side A.
    pub a: String,
    /// On side B.
    pub b: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { what, a, b } = self;
        write!(f, "{what} ({a} against {b})")
    }
}

/// Looks whether `a` and `b` are repetitions of one run each, and loaded alike. Returns what differs
/// on purpose.
///
/// # Errors
/// No run, a partial or empty one, the same one twice; runs of one side that differ; sides that must not be
/// compared.
pub(super) fn check(a: &[Run], b: &[Run]) -> Result<Vec<Difference>, CompareError> {
    for (side, runs) in [(Side::A, a), (Side::B, b)] {
        let Some((first, others)) = runs.split_first() else {
            return Err(CompareError::NoRuns { side });
        };
        for run in runs {
            whole(run)?;
        }
        for run in others {
            repetitions(side, first, run)?;
        }
    }
    let all: Vec<&Run> = a.iter().chain(b).collect();
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            apart(one, other)?;
        }
    }
    let (a, b) = (&a[0].meta, &b[0].meta);
    let refused = differences(REFUSED, a, b);
    if !refused.is_empty() {
        return Err(CompareError::Unlike {
            differences: refused,
        });
    }
    Ok(differences(COMPARED, a, b))
}

/// A setting and how it is read from a recording.
type Setting = (&'static str, fn(&Meta) -> String);

/// What must be the same.
const REFUSED: &[Setting] = &[
    ("rate", |meta| match meta.load.closed_loop {
        // Nobody asked for one.
        true => "as answers come".to_owned(),
        false => format!("{}/s", meta.load.rate_target),
    }),
    ("loop", |meta| match meta.load.closed_loop {
        true => "closed".to_owned(),
        false => "open".to_owned(),
    }),
    ("arrivals", |meta| text(&meta.load.pacing)),
    ("duration", |meta| format::nanos(meta.load.duration_ns)),
    ("transport", transport),
    ("shard", |meta| match meta.load.shard_of {
        Some(of) => format!("{} of {of}", meta.load.shard_index.unwrap_or(0)),
        None => "all".to_owned(),
    }),
    ("operating system", |meta| text(&meta.host.os)),
    ("kernel", |meta| text(&meta.host.kernel)),
    ("instruction set", |meta| text(&meta.host.arch)),
    ("CPU", |meta| text(&meta.host.cpu_model)),
    ("CPUs", |meta| meta.host.cpus.to_string()),
    // Three digits: the kernel keeps some for itself, not always the same.
    ("memory", |meta| format::memory(meta.host.memory_bytes)),
    ("transparent huge pages", |meta| {
        text(&meta.host.transparent_huge_pages)
    }),
];

/// What may differ, and is then what is compared.
const COMPARED: &[Setting] = &[
    ("name", |meta| text(&meta.variant)),
    ("version", |meta| text(&meta.label)),
    ("target", |meta| text(&meta.load.target)),
    ("form", |meta| text(&meta.load.form)),
    ("window", |meta| meta.load.window.to_string()),
    ("workers", |meta| meta.load.workers.to_string()),
    ("connections", |meta| meta.load.connections.to_string()),
    ("pipeline", |meta| meta.load.pipeline.to_string()),
    ("timeout", |meta| format::nanos(meta.load.timeout_ns)),
    // `auto: stationary after 3 s`: how long it took is not a setting.
    ("warm-up", |meta| {
        let rule = &meta.load.warmup_rule;
        text(rule.split(':').next().unwrap_or(rule))
    }),
    ("clock", |meta| text(&meta.load.clock_source)),
    ("pool's path", |meta| {
        text(meta.load.pool_path.as_deref().unwrap_or("no pool"))
    }),
    ("allocator", |meta| text(&meta.host.allocator)),
    ("C library", |meta| text(&meta.host.libc)),
    ("tool", |meta| text(&meta.tool)),
];

/// All that must be the same, of one run: runs in which it is equal may be held against each other.
pub(crate) fn conditions(meta: &Meta) -> Vec<String> {
    REFUSED.iter().map(|(_, read)| read(meta)).collect()
}

fn differences(settings: &[Setting], a: &Meta, b: &Meta) -> Vec<Difference> {
    settings
        .iter()
        .map(|(what, read)| Difference {
            what,
            a: read(a),
            b: read(b),
        })
        .filter(|difference| difference.a != difference.b)
        .collect()
}

/// How the target is spoken to: the scheme of its URL.
fn transport(meta: &Meta) -> String {
    match meta.load.target.split_once("://") {
        Some((scheme, _)) => text(scheme),
        None if meta.load.target.is_empty() => "in process".to_owned(),
        None => text(&meta.load.target),
    }
}

fn whole(run: &Run) -> Result<(), CompareError> {
    let dir = || run.dir.clone();
    if !run.is_complete() {
        let reason = run.meta.state_reason.as_deref();
        return Err(CompareError::Partial {
            dir: dir(),
            reason: text(reason.unwrap_or("it has no result")),
        });
    }
    if run.response.is_empty() {
        return Err(CompareError::Empty { dir: dir() });
    }
    Ok(())
}

fn repetitions(side: Side, first: &Run, run: &Run) -> Result<(), CompareError> {
    let all = REFUSED.iter().chain(COMPARED);
    for (what, read) in all {
        let (of_first, of_run) = (read(&first.meta), read(&run.meta));
        if of_first != of_run {
            return Err(CompareError::Mixed {
                side,
                what,
                first: of_first,
                first_dir: first.dir.clone(),
                second: of_run,
                second_dir: run.dir.clone(),
            });
        }
    }
    Ok(())
}

/// The pairing of clocks is read once a run, to the nanosecond: a copy of a recording has the same one.
fn apart(one: &Run, other: &Run) -> Result<(), CompareError> {
    let clock = one.meta.clock;
    let copied = clock.monotonic_ns != 0 && clock == other.meta.clock;
    if copied || one.dir == other.dir {
        return Err(CompareError::Twice {
            one: one.dir.clone(),
            other: other.dir.clone(),
        });
    }
    Ok(())
}

/// A text from a recording, which may be anybody's.
pub(super) fn text(text: &str) -> String {
    crate::text::name(text)
}

#[cfg(test)]
mod tests;
