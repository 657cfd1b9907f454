//! What of the allocator was not traced, why, and the command that traces it.

use schemars::JsonSchema;
use serde::Serialize;

use super::series::{Role, base};
use crate::pauses::PauseDigest;

/// Something that a recording could have and does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NotTraced {
    /// What it is.
    pub what: String,
    /// Why it is not there.
    pub why: String,
    /// The words of `--series` that ask for it; empty where another flag does.
    #[serde(skip)]
    pub(crate) series: &'static str,
}

/// Of all runs of a variant: what none of them has.
pub(super) fn missing(runs: &[&PauseDigest]) -> Vec<NotTraced> {
    let any = |found: &dyn Fn(&str) -> bool| {
        runs.iter()
            .flat_map(|run| &run.meta.series)
            .any(|series| found(&series.name))
    };
    let called = |names: &'static [&'static str]| any(&|series| names.contains(&base(series)));
    let malloc = called(&["malloc", "calloc", "realloc", "aligned_alloc"]);
    let free = called(&["free"]);
    let slow_paths = any(&|series| Role::of(series) == Some(Role::SlowPath));
    let stacks = runs.iter().any(|run| !run.stacks.stacks.is_empty());
    const DEAR: &str = "not asked for: each call costs the target a trap of about a microsecond, so these probes are off \
                        by default and stand in short windows only";
    let mut all = Vec::new();
    let mut lack = |there: bool, what: &str, series: &'static str, hints: &[&str], why: &str| {
        if !there {
            all.push(NotTraced {
                what: what.to_owned(),
                why: refused(runs, hints).unwrap_or_else(|| why.to_owned()),
                series,
            });
        }
    };
    if any(&|series| series.starts_with("gc_") || series.starts_with("go_")) {
        lack(
            called(&["go_alloc"]),
            "calls that allocate in Go's heap: their lengths, sizes and types, and the slow paths in them",
            "go-alloc",
            &["go-alloc", "go_alloc", "calls of goroutines"],
            DEAR,
        );
    } else {
        lack(
            malloc,
            "calls that allocate: their lengths, sizes and call sites",
            "malloc",
            &["malloc:", "malloc@", "malloc "],
            DEAR,
        );
        lack(
            free,
            "calls that free, and with them lifetimes",
            "free",
            &["free:", "free@", "free "],
            DEAR,
        );
        lack(
            slow_paths,
            "slow paths inside the allocator, by its own symbols",
            "slow-paths",
            &["slow-paths", "slow paths", "malloc_refill", "malloc_os"],
            DEAR,
        );
    }
    lack(
        stacks,
        "stacks, and with them the flame graph",
        "",
        &["stacks"],
        "not asked for, or nothing was slow enough: only calls and pauses over the threshold have one",
    );
    all
}

/// The probe's own reason, if it was asked and could not.
fn refused(runs: &[&PauseDigest], hints: &[&str]) -> Option<String> {
    let mut sentences = runs.iter().flat_map(|run| &run.meta.left_out);
    let hinted = |sentence: &&String| hints.iter().any(|hint| sentence.starts_with(hint));
    sentences.find(hinted).cloned()
}

/// The command that traces what is missing of process `pid`; nothing where nothing is.
pub(super) fn command(missing: &[NotTraced], pid: u32) -> Option<String> {
    if missing.is_empty() {
        return None;
    }
    let words: Vec<&str> = std::iter::once("default")
        .chain(missing.iter().map(|one| one.series))
        .filter(|word| !word.is_empty())
        .collect();
    Some(format!(
        "sudo tailcut record -p {pid} -d 30s --series {} --stacks",
        words.join(",")
    ))
}
