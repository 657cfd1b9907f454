//! One run, as far as a comparison needs it.

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use tailcut_report::recording::{Meta, RESPONSE, Reader, State};

use super::CompareError;
use crate::engine::RunOutcome;
use crate::engine::interval;
use crate::scenario::slo::error_share;

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
        let mut response = interval::histogram();
        // Other tools' recordings may hold longer times than ours do.
        response.auto(true);
        for interval in reader.intervals() {
            let interval = interval?;
            if interval.series == RESPONSE {
                response.add(&interval.histogram).map_err(|cause| {
                    CompareError::ForeignHistogram {
                        dir: dir.to_path_buf(),
                        reason: cause.to_string(),
                    }
                })?;
            }
        }
        Ok(Run {
            dir: dir.to_path_buf(),
            meta: reader.meta().clone(),
            response,
        })
    }

    /// The run that has just ended.
    #[must_use]
    pub fn of_outcome(outcome: RunOutcome) -> Run {
        Run {
            dir: outcome.dir,
            meta: outcome.meta,
            response: outcome.response,
        }
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
        let kept = |result: &tailcut_report::recording::RunResult| result.schedule_kept;
        self.meta.load.closed_loop || self.meta.result.as_ref().is_some_and(kept)
    }

    /// Failed and unanswered requests, as a share of those due.
    #[must_use]
    pub fn failed(&self) -> f64 {
        self.meta
            .result
            .as_ref()
            .and_then(error_share)
            .unwrap_or(0.0)
    }
}
