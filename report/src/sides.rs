//! Which variant is "before" and which is "after".
//!
//! Nobody needs to say so where a pool ran beside heap allocators: before is the heap with the lowest P99.9 over the whole
//! run, so that the pool is never compared with a straw man. (To choose it by its figures makes the effect look
//! smaller, never larger.) Of anything else it must be said: by name, or by giving two folders in their order.

use std::path::{Path, PathBuf};

use crate::digest::RunDigest;
use crate::error::ReportError;
use crate::text;
use crate::variant::{NOOP, POOL, Variant, label};

/// What is held against what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sides {
    /// The best heap allocator against the pool, where runs of both are there.
    #[default]
    Usual,
    /// Two variants by name, as a recording or a table has it.
    Variants {
        /// What there was.
        before: String,
        /// What is held against it.
        after: String,
    },
    /// The runs in one folder against those in another, whatever they are called.
    Folders {
        /// What there was.
        before: PathBuf,
        /// What is held against it.
        after: PathBuf,
    },
}

/// The two, as places in the list of variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) before: usize,
    pub(crate) after: usize,
    /// Whether these are a heap allocator and the pool, found without being asked for.
    pub(crate) usual: bool,
}

impl Pair {
    /// The best heap and the pool, if both recorded anything.
    pub(crate) fn usual(variants: &[Variant]) -> Option<Pair> {
        let recorded = |variant: &Variant| variant.summary.requests > 0;
        let before = variants
            .iter()
            .enumerate()
            .filter(|(_, variant)| variant.is_heap() && recorded(variant))
            .min_by_key(|(_, variant)| variant.summary.p999_ns)?
            .0;
        let after = variants
            .iter()
            .position(|variant| variant.name == POOL && recorded(variant))?;
        Some(Pair {
            before,
            after,
            usual: true,
        })
    }

    /// Those that were asked for by name.
    pub(crate) fn named(
        variants: &[Variant],
        before: &str,
        after: &str,
    ) -> Result<Pair, ReportError> {
        let find = |asked: &str| {
            let asked = text::name(asked);
            variants
                .iter()
                .position(|variant| variant.name == asked)
                .or_else(|| variants.iter().position(|variant| variant.label() == asked))
                .ok_or_else(|| ReportError::NoVariant {
                    asked,
                    known: variants
                        .iter()
                        .map(|variant| variant.label().to_owned())
                        .collect(),
                })
        };
        let pair = Pair {
            before: find(before)?,
            after: find(after)?,
            usual: false,
        };
        if pair.before == pair.after {
            return Err(ReportError::SameSide {
                name: text::name(before),
            });
        }
        Ok(pair)
    }
}

/// Names the runs of two folders apart, and returns what the sides are called then.
///
/// Runs of the same name in both get their folder's name beside it: they would be taken for one variant otherwise.
pub(crate) fn apart(
    runs: &mut [RunDigest],
    before: &Path,
    after: &Path,
) -> Result<[String; 2], ReportError> {
    let folders = [before, after];
    let found = [0, 1].map(|side| names(runs, folders, side));
    let mut sides = [String::new(), String::new()];
    for side in [0, 1] {
        sides[side] = match found[side].as_slice() {
            [one] => one.clone(),
            several => {
                return Err(ReportError::NotOneVariant {
                    folder: folders[side].to_path_buf(),
                    found: several.iter().map(|name| label(name).to_owned()).collect(),
                });
            }
        };
    }
    if sides[0] != sides[1] {
        return Ok(sides);
    }
    let titles = titles(folders);
    let named = [0, 1].map(|side: usize| match sides[side].as_str() {
        "" => titles[side].clone(),
        name => format!("{} ({})", label(name), titles[side]),
    });
    for run in runs.iter_mut().filter(|run| run.meta.variant == sides[0]) {
        if let Some(side) = side_of(run, folders) {
            run.meta.variant = text::name(&named[side]);
        }
    }
    Ok(named.map(|name| text::name(&name)))
}

/// The names of what ran under load in one of the folders, but for the machine's floor.
fn names(runs: &[RunDigest], folders: [&Path; 2], side: usize) -> Vec<String> {
    let mut names: Vec<String> = runs
        .iter()
        .filter(|run| side_of(run, folders) == Some(side))
        .filter(|run| !run.only_traced() && run.meta.variant != NOOP)
        .map(|run| run.meta.variant.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// In which of the folders a run is: the deeper one, should one hold the other.
fn side_of(run: &RunDigest, folders: [&Path; 2]) -> Option<usize> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let dir = real(&run.dir);
    let holds = |side: &usize| dir.starts_with(real(folders[*side]));
    [0, 1]
        .into_iter()
        .filter(holds)
        .max_by_key(|side| real(folders[*side]).components().count())
}

/// What the folders are called; `before` and `after` where that is the same.
fn titles(folders: [&Path; 2]) -> [String; 2] {
    let [before, after] = folders.map(|folder| {
        let real = folder.canonicalize();
        let path = real.as_deref().unwrap_or(folder);
        let name = path.file_name().unwrap_or_default();
        text::name(&name.to_string_lossy())
    });
    if before == after || before.is_empty() || after.is_empty() {
        ["before", "after"].map(str::to_owned)
    } else {
        [before, after]
    }
}
