//! The intervals of a log, read and decoded one at a time.
//!
//! Constant memory whatever the file's length: a line has a limit, and one histogram lives at a
//! time unless the caller keeps it.

use std::path::PathBuf;

use super::lines::Lines;
use super::{ClockPair, Interval, RecordingError, hlog};

/// The longest line, in bytes: more than any histogram needs.
const LINE_LIMIT: u64 = 2 << 20;

/// Iterator over the intervals of a [`Reader`](super::Reader) or a
/// [`PauseReader`](super::PauseReader), in the order of the log; ends after the first error.
pub struct Intervals {
    lines: Lines,
    decoder: hlog::Decoder,
}

impl Intervals {
    /// Those of a file, which may be missing; placed in time by `clock`.
    pub(super) fn of(path: PathBuf, clock: ClockPair) -> Intervals {
        Intervals {
            lines: Lines::new(path, LINE_LIMIT),
            decoder: hlog::Decoder::new(clock),
        }
    }
}

impl Iterator for Intervals {
    type Item = Result<Interval, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            match self.decoder.line(line) {
                Ok(None) => {}
                Ok(Some(interval)) => return Some(Ok(interval)),
                Err(reason) => return Some(Err(self.lines.corrupt(reason))),
            }
        }
    }
}
