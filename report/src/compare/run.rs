//! One run, as far as a comparison needs it.

use std::path::{Path, PathBuf};

use crate::recording::{self, Meta, RESPONSE, Reader, RunResult, State};
use hdrhistogram::Histogram;

use super::CompareError;

/// One run: what it was, and how long its requests took.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its recording.
    pub dir: PathBuf,
    /// What ran, and what came of it.
    pub meta: Meta,
    /// Response times of the whole run, in nanoseconds.
    pub response: Histogram<u64>,
}

impl Run {
    /// Reads a recording, one interval at a time.
    ///
    /// # Errors
    /// A folder that holds no recording, or a damaged one.
    pub fn read(dir: &Path) -> Result<Run, CompareError> {
        let reader = Reader::open(dir)?;
        let mut response = recording::empty();
        for interval in reader.intervals() {
            let interval = interval?;
            if interval.series == RESPONSE {
                // Other tools' recordings may hold longer times than ours do.
                recording::add(&mut response, &interval.histogram);
            }
        }
        Ok(Run {
            dir: dir.to_path_buf(),
            meta: reader.meta().clone(),
            response,
        })
    }

    /// Whether it came to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.meta.state == State::Complete && self.meta.result.is_some()
    }

    /// Whether every request was served in time, so that latencies are not lower bounds. A closed
    /// loop has no schedule to miss.
    #[must_use]
    pub fn kept_its_schedule(&self) -> bool {
        let kept = |result: &RunResult| result.schedule_kept;
        self.meta.load.closed_loop || self.meta.result.as_ref().is_some_and(kept)
    }

    /// Failed and unanswered requests, as a share of those due.
    #[must_use]
    pub fn failed(&self) -> f64 {
        self.meta
            .result
            .as_ref()
            .and_then(RunResult::error_share)
            .unwrap_or(0.0)
    }
}
