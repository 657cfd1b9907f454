//! Reads `slow.jsonl`, `marks.jsonl`, `resources.jsonl` and `pool.jsonl`, line by line.
//!
//! Constant memory whatever the file's length: a line has a limit, and [`Recording`](super::Recording)
//! holds a bounded number of them. What one writer leaves out another may add, so each file may be
//! missing, and unknown fields are ignored.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::lines::{Lines, is_torn};
use super::{
    MARK_FILE, Mark, POOL_FILE, PoolSample, RESOURCE_FILE, RecordingError, ResourceSample,
    SLOW_FILE, SlowRequest,
};

/// The longest line of any of these, in bytes.
const LINE_LIMIT: u64 = 16 << 10;

/// One JSON object a line; ends after the first error.
pub struct Listed<T> {
    lines: Lines,
    /// What a line should have been: `no mark`.
    what: &'static str,
    of: PhantomData<T>,
}

/// Iterator over the marks of a [`Reader`](super::Reader), in the order of the list.
pub type Marks = Listed<Mark>;

/// Iterator over the samples of a [`Reader`](super::Reader), in the order of the list.
pub type Resources = Listed<ResourceSample>;

/// Iterator over the samples of pools of a [`Reader`](super::Reader), in the order of the list.
pub type PoolSamples = Listed<PoolSample>;

pub(super) fn marks(dir: &Path) -> Marks {
    Listed::of(dir.join(MARK_FILE), "mark")
}

pub(super) fn slow(dir: &Path) -> Listed<SlowRequest> {
    Listed::of(dir.join(SLOW_FILE), "slow request")
}

pub(super) fn resources(dir: &Path) -> Resources {
    Listed::of(dir.join(RESOURCE_FILE), "sample of resources")
}

pub(super) fn pool(dir: &Path) -> PoolSamples {
    Listed::of(dir.join(POOL_FILE), "sample of a pool")
}

/// Whether the list of marks or of samples ends in a line that was cut off.
pub(super) fn torn(dir: &Path) -> Result<bool, RecordingError> {
    let files = [MARK_FILE, RESOURCE_FILE, POOL_FILE];
    let mut torn = files.iter().map(|file| is_torn(&dir.join(file)));
    torn.try_fold(false, |any, torn| Ok(any || torn?))
}

/// At most `most` of a list, and how many more there are.
pub(super) fn at_most<T: DeserializeOwned>(
    list: Listed<T>,
    most: usize,
) -> Result<(Vec<T>, u64), RecordingError> {
    let mut kept = Vec::new();
    let mut not_read = 0;
    for item in list {
        let item = item?;
        if kept.len() < most {
            kept.push(item);
        } else {
            not_read += 1;
        }
    }
    Ok((kept, not_read))
}

impl<T> Listed<T> {
    fn of(path: PathBuf, what: &'static str) -> Listed<T> {
        Listed {
            lines: Lines::new(path, LINE_LIMIT),
            what,
            of: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Iterator for Listed<T> {
    type Item = Result<T, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            return Some(serde_json::from_slice(line).map_err(|cause| {
                self.lines
                    .corrupt(format!("this is no {}: {cause}", self.what))
            }));
        }
    }
}
