//! From folders to digests: which recordings are meant, read side by side, none lost silently.
//!
//! A recording of which something cannot be read does not take the others with it: what is
//! readable of it is used and marked partial, and what is missing is said
//! ([`Damage`]). Only `meta.json` must be whole, since without it nobody knows what the rest is of.
//!
//! Recordings are read on all cores, each by one thread: the time of the longest, or of all over
//! the number of cores. Memory is that of the digests and one histogram a thread.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::digest::RunDigest;
use crate::error::ReportError;
use crate::recording::{META_FILE, RecordingError};
use crate::text;

/// Recordings of one report at most: a folder of all that was ever recorded is a slip.
const MOST: usize = 10_000;

/// Something of a recording that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The recording.
    pub dir: PathBuf,
    /// What is wrong, with the file; fit to be printed.
    pub reason: String,
    /// Whether nothing of the recording is in the report.
    pub lost: bool,
}

/// Which recordings some folders hold: each folder itself if it is one, and its direct subfolders
/// that are, in the order of the arguments and then of their names; each once, whatever the
/// paths by which it was found.
///
/// # Errors
/// [`ReportError::NoRecording`] for a folder that holds none, [`ReportError::Search`] for one that
/// cannot be listed, [`ReportError::Empty`] without a folder, [`ReportError::TooMany`].
pub fn recordings_in(folders: &[PathBuf]) -> Result<Vec<PathBuf>, ReportError> {
    let mut known = HashSet::new();
    let mut found = Vec::new();
    for folder in folders {
        let of_folder = of_folder(folder)?;
        if of_folder.is_empty() {
            return Err(ReportError::NoRecording {
                dir: folder.clone(),
            });
        }
        for dir in of_folder {
            // A path that cannot be resolved is its own; reading it will say what is wrong.
            let resolved = fs::canonicalize(&dir).unwrap_or_else(|_| dir.clone());
            if known.insert(resolved) {
                found.push(dir);
            }
        }
        if found.len() > MOST {
            return Err(ReportError::TooMany { limit: MOST });
        }
    }
    match found.is_empty() {
        true => Err(ReportError::Empty),
        false => Ok(found),
    }
}

fn of_folder(dir: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let search = |cause| ReportError::Search {
        dir: dir.to_path_buf(),
        cause,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(search)? {
        let path = entry.map_err(search)?.path();
        if path.join(META_FILE).is_file() {
            found.push(path);
        }
    }
    found.sort();
    if dir.join(META_FILE).is_file() {
        found.insert(0, dir.to_path_buf());
    }
    Ok(found)
}

/// Reads recordings; says after each how many are done.
///
/// # Errors
/// [`ReportError::Recording`] when nothing can be read of any of them: the first one's reason.
pub(crate) fn read(
    dirs: &[PathBuf],
    done: &(dyn Fn(usize) + Sync),
) -> Result<(Vec<RunDigest>, Vec<Damage>), ReportError> {
    let mut digests = Vec::new();
    let mut damage = Vec::new();
    let mut first_error = None;
    for (dir, result) in dirs.iter().zip(side_by_side(dirs, done)) {
        match result {
            Ok(digest) => {
                damage.extend(digest.damage.iter().map(|reason| Damage {
                    dir: dir.clone(),
                    reason: reason.clone(),
                    lost: false,
                }));
                digests.push(digest);
            }
            Err(error) => {
                damage.push(Damage {
                    dir: dir.clone(),
                    reason: text::clean(&error.to_string()),
                    lost: true,
                });
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if digests.is_empty() => Err(error.into()),
        _ => Ok((digests, damage)),
    }
}

/// In the order of `dirs`.
fn side_by_side(
    dirs: &[PathBuf],
    done: &(dyn Fn(usize) + Sync),
) -> Vec<Result<RunDigest, RecordingError>> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(dir) = dirs.get(place) else { return };
            let result = RunDigest::of_folder(dir);
            done(1 + finished.fetch_add(1, Ordering::Relaxed));
            // Nothing panics while it is locked.
            if let Ok(mut results) = results.lock() {
                results.push((place, result));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..cores.min(dirs.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(dir: &Path) {
        fs::create_dir_all(dir).expect("a folder can be made");
        fs::write(dir.join(META_FILE), "{}").expect("writable");
    }

    #[test]
    fn a_folder_counts_once_by_whatever_paths_it_is_named() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let all = root.path().join("all");
        recording(&all.join("b"));
        recording(&all.join("a"));
        let names = |folders: &[PathBuf]| -> Vec<String> {
            let found = recordings_in(folders).expect("there are some");
            let name = |dir: &PathBuf| dir.file_name().map(|n| n.to_string_lossy().into_owned());
            found.iter().filter_map(name).collect()
        };
        assert_eq!(names(std::slice::from_ref(&all)), ["a", "b"]);
        assert_eq!(
            names(&[all.join("b"), all.clone(), all.join("../all/a")]),
            ["b", "a"]
        );
        #[cfg(unix)]
        {
            let link = root.path().join("link");
            std::os::unix::fs::symlink(all.join("a"), &link).expect("links can be made");
            assert_eq!(names(&[link, all.join("a")]), ["link"]);
        }
    }

    #[test]
    fn a_folder_without_a_recording_is_named_even_beside_others() {
        let root = tempfile::tempdir().expect("a temporary folder");
        recording(&root.path().join("all/a"));
        let empty = root.path().join("empty");
        fs::create_dir(&empty).expect("a folder can be made");
        let error = recordings_in(&[root.path().join("all"), empty]).expect_err("it is empty");
        assert!(error.to_string().contains("empty"), "{error}");
        let error = recordings_in(&[root.path().join("missing")]).expect_err("it is missing");
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
