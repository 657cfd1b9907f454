//! Which runs are of one version.

use std::path::{Path, PathBuf};

use crate::compare::Run;
use crate::compare::matching;
use crate::digest::RunDigest;
use crate::format;
use crate::text;
use crate::variant::{NOOP, label};

/// Repetitions of one run of one version, at least one.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) label: String,
    pub(crate) variant: String,
    pub(crate) runs: Vec<Run>,
}

impl Set {
    /// What must be the same for sets to be compared.
    pub(super) fn key(&self) -> String {
        let mut key = self.variant.clone();
        for part in self
            .runs
            .first()
            .map(|run| matching::conditions(&run.meta))
            .unwrap_or_default()
        {
            key.push('\0');
            key.push_str(&part);
        }
        key
    }

    pub(super) fn begun(&self) -> u64 {
        let begun = self.runs.iter().map(|run| run.meta.clock.unix_ns);
        begun.min().unwrap_or(0)
    }

    pub(super) fn machine(&self) -> String {
        let Some(host) = self.runs.first().map(|run| &run.meta.host) else {
            return String::new();
        };
        let cpus = format!("{} CPUs", host.cpus);
        let kernel = format!("{} {}", host.os, host.kernel);
        let parts = [host.cpu_model.as_str(), &cpus, kernel.trim()];
        text::name(&crate::conditions::join(", ", parts))
    }

    pub(super) fn load(&self) -> String {
        let Some(load) = self.runs.first().map(|run| &run.meta.load) else {
            return String::new();
        };
        let rate = match load.closed_loop {
            true => "closed loop".to_owned(),
            false => format::rate(load.rate_target),
        };
        format!("{rate} for {}", format::nanos(load.duration_ns))
    }
}

/// What folders are called, in their order: their own names, with those of the folders above as far as it takes to tell
/// them apart.
fn folder_titles(folders: &[PathBuf]) -> Vec<String> {
    let real: Vec<PathBuf> = folders
        .iter()
        .map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()))
        .collect();
    let ends = |path: &Path, parts: usize| -> String {
        let names: Vec<String> = path
            .components()
            .rev()
            .take(parts)
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        names.into_iter().rev().collect::<Vec<_>>().join("/")
    };
    let titles = |parts| -> Vec<String> { real.iter().map(|path| ends(path, parts)).collect() };
    let apart = |titles: &[String]| {
        let mut sorted = titles.to_vec();
        sorted.sort();
        sorted.windows(2).all(|pair| pair[0] != pair[1])
    };
    (1..=4)
        .map(titles)
        .find(|titles| apart(titles))
        .unwrap_or_else(|| titles(4))
        .iter()
        .map(|title| text::name(title))
        .collect()
}

/// Deals the runs out to sets, in the order of time, and gives runs of one variant that are of several versions a name
/// each, so that no figure mixes them.
pub(crate) fn separate(runs: &mut [RunDigest], folders: &[PathBuf]) -> Vec<Set> {
    let titles = folder_titles(folders);
    let real: Vec<PathBuf> = folders
        .iter()
        .map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()))
        .collect();
    let version = |run: &RunDigest| -> String {
        if !run.meta.label.is_empty() {
            return text::name(&run.meta.label);
        }
        let dir = run.dir.canonicalize().unwrap_or_else(|_| run.dir.clone());
        real.iter()
            .zip(&titles)
            .filter(|(folder, _)| dir.starts_with(folder))
            .max_by_key(|(folder, _)| folder.components().count())
            .map(|(_, title)| title.clone())
            .unwrap_or_default()
    };
    let mut sets: Vec<Set> = Vec::new();
    let mut of_run: Vec<Option<(String, String)>> = Vec::new();
    for run in runs.iter() {
        let usable = !run.only_traced()
            && run.meta.variant != NOOP
            && !run.partial()
            && !run.response.is_empty();
        let version = version(run);
        of_run.push(usable.then(|| (run.meta.variant.clone(), version.clone())));
        if !usable {
            continue;
        }
        let one = Run {
            dir: run.dir.clone(),
            meta: run.meta.clone(),
            response: run.response.clone(),
        };
        let same = |set: &&mut Set| {
            set.variant == run.meta.variant
                && set.label == version
                && set.runs.first().is_some_and(|first| {
                    matching::conditions(&first.meta) == matching::conditions(&run.meta)
                })
        };
        match sets.iter_mut().find(same) {
            Some(set) => set.runs.push(one),
            None => sets.push(Set {
                label: version,
                variant: run.meta.variant.clone(),
                runs: vec![one],
            }),
        }
    }
    sets.sort_by_key(Set::begun);
    for (run, of) in runs.iter_mut().zip(of_run) {
        let Some((variant, version)) = of else {
            continue;
        };
        let versions = sets.iter().filter(|set| set.variant == variant).count();
        if versions > 1 && !version.is_empty() {
            run.meta.variant = text::name(&format!("{} ({version})", label(&variant)));
        }
    }
    sets
}
