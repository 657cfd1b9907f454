//! Reads the probe's part of a recording, whatever its writer came to.
//!
//! [`PauseReader`] reads one interval or one pause at a time, in constant memory; [`Pauses`] holds
//! all intervals and a bounded number of pauses.

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use super::lines::{Lines, is_torn};
use super::reader::parse_versioned;
use super::whole_file::read;
use super::{
    Interval, Intervals, PAUSE_LIST_FILE, PAUSE_LOG_FILE, PROBE_FILE, PROBE_LIMIT, Pause,
    ProbeMeta, RecordingError, STACK_FILE, STACK_LIMIT, StackTable, State, merged,
};

/// The longest line of `pauses.jsonl`, in bytes.
pub(super) const LINE_LIMIT: u64 = 64 << 10;

/// The probe's part of a recording in memory. For long ones see [`PauseReader`].
#[derive(Debug, Clone, Default)]
pub struct Pauses {
    /// What was traced; never [`State::Running`].
    pub meta: ProbeMeta,
    /// All intervals of all series, in the order of the log.
    pub intervals: Vec<Interval>,
    /// The pauses that were kept, in the order of the list: at most [`Pauses::MOST`].
    pub pauses: Vec<Pause>,
    /// Pauses of the list beyond those.
    pub not_read: u64,
    /// The stacks that they point to.
    pub stacks: StackTable,
    /// A last line was cut off and has been dropped.
    pub torn: bool,
}

impl Pauses {
    /// Pauses that are held at most; about 30 MB.
    pub const MOST: usize = 200_000;

    pub(super) fn read(reader: &PauseReader) -> Result<Pauses, RecordingError> {
        let mut pauses = Vec::new();
        let mut not_read = 0;
        for pause in reader.pauses() {
            let pause = pause?;
            if pauses.len() < Pauses::MOST {
                pauses.push(pause);
            } else {
                not_read += 1;
            }
        }
        Ok(Pauses {
            meta: reader.meta.clone(),
            intervals: reader.intervals().collect::<Result<_, _>>()?,
            pauses,
            not_read,
            stacks: reader.stacks()?,
            torn: reader.torn,
        })
    }

    /// The intervals of one series, in the order of the log.
    pub fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Interval> {
        self.intervals
            .iter()
            .filter(move |interval| interval.series == name)
    }

    /// One series over the whole recording: its intervals, merged.
    pub fn whole(&self, series: &str) -> Histogram<u64> {
        merged(self.series(series).map(|interval| &interval.histogram))
    }
}

/// The probe's part of a recording, opened for reading.
#[derive(Debug, Clone)]
pub struct PauseReader {
    dir: PathBuf,
    meta: ProbeMeta,
    torn: bool,
}

impl PauseReader {
    /// `None` when nobody traced.
    pub(super) fn open(dir: &Path) -> Result<Option<PauseReader>, RecordingError> {
        let path = dir.join(PROBE_FILE);
        let Some(bytes) = read(&path, PROBE_LIMIT)? else {
            return Ok(None);
        };
        let mut meta: ProbeMeta = parse_versioned(&path, &bytes)?;
        let torn = is_torn(&dir.join(PAUSE_LOG_FILE))? || is_torn(&dir.join(PAUSE_LIST_FILE))?;
        settle_state(&mut meta, torn);
        Ok(Some(PauseReader {
            dir: dir.to_path_buf(),
            meta,
            torn,
        }))
    }

    /// What was traced; never [`State::Running`].
    pub fn meta(&self) -> &ProbeMeta {
        &self.meta
    }

    /// Whether a last line was cut off and is dropped.
    pub fn torn(&self) -> bool {
        self.torn
    }

    /// All intervals of all series, in the order of the log, read as they are asked for. Values
    /// are in the unit of their series. Ends after the first error.
    pub fn intervals(&self) -> Intervals {
        Intervals::of(self.dir.join(PAUSE_LOG_FILE), self.meta.clock)
    }

    /// All pauses, in the order of the list, read as they are asked for. Ends after the first
    /// error.
    pub fn pauses(&self) -> PauseList {
        PauseList {
            lines: Lines::new(self.dir.join(PAUSE_LIST_FILE), LINE_LIMIT),
        }
    }

    /// The stacks; none when the file is missing.
    ///
    /// # Errors
    /// [`RecordingError::Io`], [`RecordingError::TooLarge`], and [`RecordingError::Meta`] when
    /// the file is no table of stacks.
    pub fn stacks(&self) -> Result<StackTable, RecordingError> {
        let path = self.dir.join(STACK_FILE);
        match read(&path, STACK_LIMIT)? {
            None => Ok(StackTable::default()),
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|cause| RecordingError::Meta { path, cause })
            }
        }
    }
}

/// Iterator over the pauses of a [`PauseReader`].
pub struct PauseList {
    lines: Lines,
}

impl PauseList {
    /// Counts the pauses that are left, without understanding them.
    ///
    /// # Errors
    /// [`RecordingError::Io`], and [`RecordingError::Corrupt`] for a line of no measure.
    pub fn count_rest(mut self) -> Result<u64, RecordingError> {
        let mut rest = 0;
        while let Some(line) = self.lines.next()? {
            rest += u64::from(!line.trim_ascii().is_empty());
        }
        Ok(rest)
    }
}

impl Iterator for PauseList {
    type Item = Result<Pause, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            return Some(
                serde_json::from_slice(line)
                    .map_err(|cause| self.lines.corrupt(format!("this is no pause: {cause}"))),
            );
        }
    }
}

/// Pauses at rest are complete or partial; the reader knows which even when the probe could not
/// say.
fn settle_state(meta: &mut ProbeMeta, torn: bool) {
    let reason = match meta.state {
        State::Running => "the probe ended before it could finish the recording",
        State::Complete if torn => "the last line of a file was cut off and has been dropped",
        State::Complete | State::Partial => return,
    };
    meta.state = State::Partial;
    meta.state_reason.get_or_insert_with(|| reason.to_owned());
}
