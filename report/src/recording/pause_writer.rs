//! Writes the probe's part of a recording, beside a load generator's or alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use super::appender::Appender;
use super::pause_reader::LINE_LIMIT;
use super::whole_file::{Layout, replace_json};
use super::writer::{create_empty, write_meta};
use super::{
    ClockPair, PAUSE_LIST_FILE, PAUSE_LOG_FILE, PROBE_FILE, PROBE_LIMIT, Pause, ProbeMeta,
    RecordingError, STACK_FILE, STACK_LIMIT, StackTable, hlog,
};

/// Writes `probe.json`, `pauses.hlog`, `pauses.jsonl` and `stacks.json`, and keeps them readable
/// at every moment as [`Writer`](super::Writer) does.
///
/// Dropping it without [`PauseWriter::finish`] leaves pauses that are read as partial, which is
/// the truth.
pub struct PauseWriter {
    dir: PathBuf,
    clock: ClockPair,
    /// Nobody else writes `meta.json`.
    alone: bool,
    log: Appender,
    list: Appender,
    encoder: hlog::Encoder,
    lines: Vec<u8>,
}

impl PauseWriter {
    /// Creates the files in a folder that may hold, or come to hold, a recording of latencies by
    /// another writer. The folder is created (its parents too) if it is missing.
    ///
    /// Intervals are placed in time by `meta.clock`, which must therefore have been read before
    /// the first of them begins.
    ///
    /// # Errors
    /// [`RecordingError::AlreadyTraced`] when one of its own files is there;
    /// [`RecordingError::Io`] when the folder cannot be written; [`RecordingError::Refused`] for a
    /// number that JSON cannot hold. Nothing is overwritten.
    pub fn create(dir: &Path, meta: &ProbeMeta) -> Result<PauseWriter, RecordingError> {
        fs::create_dir_all(dir).map_err(RecordingError::io("create", dir))?;
        PauseWriter::begin(dir, meta, false)
    }

    /// Creates a recording of pauses alone, in a missing or an empty folder: writes `meta.json`
    /// too, with the target's name as variant and no load.
    ///
    /// # Errors
    /// [`RecordingError::AlreadyExists`] when the path is anything but a missing or an empty
    /// folder; else as [`PauseWriter::create`].
    pub fn create_alone(dir: &Path, meta: &ProbeMeta) -> Result<PauseWriter, RecordingError> {
        create_empty(dir, &[])?;
        PauseWriter::begin(dir, meta, true)
    }

    fn begin(dir: &Path, meta: &ProbeMeta, alone: bool) -> Result<PauseWriter, RecordingError> {
        for name in [PROBE_FILE, PAUSE_LOG_FILE, PAUSE_LIST_FILE, STACK_FILE] {
            let path = dir.join(name);
            match path.symlink_metadata() {
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(RecordingError::io("look for", &path)(cause)),
                Ok(_) => return Err(RecordingError::AlreadyTraced { path }),
            }
        }
        let mut log = Appender::create(dir.join(PAUSE_LOG_FILE))?;
        let header = hlog::header(&meta.clock, "Values are in the unit that probe.json gives their series; Interval_Max is a millionth of it")
            .map_err(RecordingError::io("write the header of", &log.path))?;
        log.append(&header)?;
        let list = Appender::create(dir.join(PAUSE_LIST_FILE))?;
        let mut writer = PauseWriter {
            dir: dir.to_path_buf(),
            clock: meta.clock,
            alone,
            log,
            list,
            encoder: hlog::Encoder::default(),
            lines: Vec::new(),
        };
        writer.update(meta)?;
        Ok(writer)
    }

    /// Appends one interval of one series to `pauses.hlog`; it is in the file when this returns.
    ///
    /// `series` is a name in lower case, digits and `_`, which may go on with `@` and an
    /// allocator's name: `off_cpu`, `malloc@jemalloc`. Values are in the series' unit. The log
    /// keeps start and length to the millisecond. Costs as
    /// [`Writer::interval`](super::Writer::interval); a histogram of two digits is smaller and
    /// quicker than one of three, and as true where the kernel's buckets are wider than its own.
    ///
    /// # Errors
    /// [`RecordingError::Refused`] for another name, for bounds that no reader takes, and when the
    /// interval starts before the clock of the recording was read; [`RecordingError::Io`] when the
    /// file cannot take it, in which case no part of it stays.
    pub fn interval(
        &mut self,
        series: &str,
        start_monotonic_ns: u64,
        length_ns: u64,
        histogram: &Histogram<u64>,
    ) -> Result<(), RecordingError> {
        let line = if is_series_name(series) {
            self.encoder.line(
                &self.clock,
                series,
                start_monotonic_ns,
                length_ns,
                histogram,
            )
        } else {
            Err(format!(
                "{series:?} is no name for a series: lower case, digits and _, then perhaps @ and an allocator"
            ))
        };
        let line = line.map_err(|reason| RecordingError::Refused {
            path: self.log.path.clone(),
            reason,
        })?;
        self.log.append(line)
    }

    /// Appends pauses to `pauses.jsonl`; they are in the file when this returns. None is a no-op.
    ///
    /// # Errors
    /// [`RecordingError::Refused`] for one of more than 64 KiB; [`RecordingError::Io`] when the
    /// file cannot take them. None of them stays then.
    pub fn pauses(&mut self, pauses: &[Pause]) -> Result<(), RecordingError> {
        if pauses.is_empty() {
            return Ok(());
        }
        self.lines.clear();
        for pause in pauses {
            let start = self.lines.len();
            serde_json::to_writer(&mut self.lines, pause)
                .map_err(|cause| RecordingError::io("encode", &self.list.path)(cause.into()))?;
            self.lines.push(b'\n');
            if (self.lines.len() - start) as u64 > LINE_LIMIT {
                return Err(RecordingError::Refused {
                    path: self.list.path.clone(),
                    reason: format!("a pause takes more than {LINE_LIMIT} bytes"),
                });
            }
        }
        self.list.append(&self.lines)
    }

    /// Replaces `stacks.json` as a whole. Costs a flush to the device.
    ///
    /// # Errors
    /// [`RecordingError::Refused`] for more than 64 MiB; [`RecordingError::Io`] when it cannot be
    /// written. The old file then stays.
    pub fn stacks(&mut self, stacks: &StackTable) -> Result<(), RecordingError> {
        replace_json(&self.dir, STACK_FILE, stacks, Layout::Compact, STACK_LIMIT)
    }

    /// Replaces `probe.json` as a whole, and `meta.json` where nobody else writes it. Costs a
    /// flush to the device for each.
    ///
    /// # Errors
    /// [`RecordingError::Refused`] for a changed clock, a number that JSON cannot hold (NaN,
    /// infinity), or more than 16 MiB; [`RecordingError::Io`] when it cannot be written. The old
    /// file then stays.
    pub fn update(&mut self, meta: &ProbeMeta) -> Result<(), RecordingError> {
        if meta.clock != self.clock {
            return Err(RecordingError::Refused {
                path: self.dir.join(PROBE_FILE),
                reason: "the clock that places the intervals must not change".to_owned(),
            });
        }
        replace_json(&self.dir, PROBE_FILE, meta, Layout::Indented, PROBE_LIMIT)?;
        if self.alone {
            write_meta(&self.dir, &meta.as_meta())?;
        }
        Ok(())
    }

    /// Ends the recording: makes the logs durable, then replaces `probe.json`, which should now
    /// say [`State::Complete`](super::State::Complete) or
    /// [`State::Partial`](super::State::Partial).
    ///
    /// # Errors
    /// As [`PauseWriter::update`]. The pauses are then read as partial.
    pub fn finish(mut self, meta: &ProbeMeta) -> Result<(), RecordingError> {
        self.log.sync()?;
        self.list.sync()?;
        self.update(meta)
    }
}

/// `lower_snake`, then perhaps `@` and an allocator's name.
fn is_series_name(name: &str) -> bool {
    let (series, allocator) = match name.split_once('@') {
        Some((series, allocator)) => (series, Some(allocator)),
        None => (name, None),
    };
    let snake =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.+".contains(letter);
    series.starts_with(|first: char| first.is_ascii_lowercase())
        && series.chars().all(snake)
        && allocator.is_none_or(|name| !name.is_empty() && name.chars().all(plain))
        && name.len() <= 100
}
