//! Writes a recording, so that it can be read whatever happens next.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::appender::Appender;
use super::whole_file::{Layout, TEMPORARY, replace_json};
use super::{
    ClockPair, LATENCY_FILE, MARK_FILE, META_FILE, META_LIMIT, Mark, Meta, PAUSE_LIST_FILE,
    PAUSE_LOG_FILE, POOL_FILE, PROBE_FILE, PoolSample, RESOURCE_FILE, RecordingError,
    ResourceSample, SLOW_FILE, STACK_FILE, SlowRequest, hlog,
};

/// What a probe may have put into the folder first.
const OF_A_PROBE: [&str; 4] = [PROBE_FILE, PAUSE_LOG_FILE, PAUSE_LIST_FILE, STACK_FILE];

/// Writes one recording into a folder of its own, which it may share with a
/// [`PauseWriter`](super::PauseWriter).
///
/// Dropping a writer without [`Writer::finish`] leaves a recording that is read as partial, which
/// is the truth.
pub struct Writer {
    dir: PathBuf,
    clock: ClockPair,
    latency: Appender,
    slow: Appender,
    marks: Option<Appender>,
    resources: Option<Appender>,
    pool: Option<Appender>,
    encoder: hlog::Encoder,
    lines: Vec<u8>,
}

impl Writer {
    /// Creates the folder (its parents too) and the files in it, `meta.json` last.
    ///
    /// Intervals are placed in time by `meta.clock`, which must therefore have been read before
    /// the first of them begins.
    ///
    /// # Errors
    /// [`RecordingError::AlreadyExists`] when the path is anything but a missing or an empty
    /// folder, but for a probe's files; [`RecordingError::Io`] when it cannot be written. Nothing is
    /// overwritten.
    pub fn create(dir: &Path, meta: &Meta) -> Result<Writer, RecordingError> {
        create_empty(dir, &OF_A_PROBE)?;
        let mut latency = Appender::create(dir.join(LATENCY_FILE))?;
        let header = hlog::header(
            &meta.clock,
            "Values are nanoseconds; Interval_Max is in milliseconds",
        )
        .map_err(RecordingError::io("write the header of", &latency.path))?;
        latency.append(&header)?;
        let slow = Appender::create(dir.join(SLOW_FILE))?;
        write_meta(dir, meta)?;
        Ok(Writer {
            dir: dir.to_path_buf(),
            clock: meta.clock,
            latency,
            slow,
            marks: None,
            resources: None,
            pool: None,
            encoder: hlog::Encoder::default(),
            lines: Vec::new(),
        })
    }

    /// Appends one interval of one series; it is in the file when this returns.
    ///
    /// The log keeps start and length to the millisecond. Costs 0.1 ms for a histogram whose
    /// values lie close together and 2.3 ms for one that spreads over six decades, most of it
    /// compression: not a call for a thread that is being measured.
    ///
    /// # Errors
    /// [`RecordingError::Refused`] when the series' name is empty or has a blank or comma, when the
    /// histogram's bounds are such that no reader takes it, or when the interval starts before the
    /// clock of the recording was read; [`RecordingError::Io`] when
    /// the file cannot take it, in which case no part of it stays.
    pub fn interval(
        &mut self,
        series: &str,
        start_monotonic_ns: u64,
        length_ns: u64,
        histogram: &Histogram<u64>,
    ) -> Result<(), RecordingError> {
        let line = self
            .encoder
            .line(
                &self.clock,
                series,
                start_monotonic_ns,
                length_ns,
                histogram,
            )
            .map_err(|reason| RecordingError::Refused {
                path: self.latency.path.clone(),
                reason,
            })?;
        self.latency.append(line)
    }

    /// Appends slow requests; they are in the file when this returns. None is a no-op.
    ///
    /// # Errors
    /// [`RecordingError::Io`] when the file cannot take them, in which case none of them stays.
    pub fn slow(&mut self, requests: &[SlowRequest]) -> Result<(), RecordingError> {
        append_lines(&mut self.slow, &mut self.lines, requests)
    }

    /// Appends marks; they are in the file when this returns. None is a no-op.
    ///
    /// # Errors
    /// [`RecordingError::Io`] when the file cannot take them, in which case none of them stays.
    pub fn marks(&mut self, marks: &[Mark]) -> Result<(), RecordingError> {
        let file = opened(&mut self.marks, &self.dir, MARK_FILE, marks.is_empty())?;
        file.map_or(Ok(()), |file| append_lines(file, &mut self.lines, marks))
    }

    /// Appends samples of the target's resources; they are in the file when this returns.
    ///
    /// # Errors
    /// As [`Writer::marks`].
    pub fn resources(&mut self, samples: &[ResourceSample]) -> Result<(), RecordingError> {
        let file = opened(
            &mut self.resources,
            &self.dir,
            RESOURCE_FILE,
            samples.is_empty(),
        )?;
        file.map_or(Ok(()), |file| append_lines(file, &mut self.lines, samples))
    }

    /// Appends samples of pools; they are in the file when this returns. None is a no-op.
    ///
    /// # Errors
    /// As [`Writer::marks`].
    pub fn pool(&mut self, samples: &[PoolSample]) -> Result<(), RecordingError> {
        let file = opened(&mut self.pool, &self.dir, POOL_FILE, samples.is_empty())?;
        file.map_or(Ok(()), |file| append_lines(file, &mut self.lines, samples))
    }

    /// Replaces `meta.json` as a whole: a reader sees the old one or the new one.
    ///
    /// `meta.clock` must stay what it was; intervals are placed by it.
    ///
    /// # Errors
    /// [`RecordingError::Refused`] for a changed clock or a number that JSON cannot hold (NaN,
    /// infinity); [`RecordingError::Io`] when it cannot be written. The old file then stays.
    pub fn update_meta(&mut self, meta: &Meta) -> Result<(), RecordingError> {
        if meta.clock != self.clock {
            return Err(RecordingError::Refused {
                path: self.dir.join(META_FILE),
                reason: "the clock that places the intervals must not change".to_owned(),
            });
        }
        write_meta(&self.dir, meta)
    }

    /// Ends the recording: makes the logs durable, then replaces `meta.json`, which should now say
    /// [`State::Complete`](super::State::Complete) or [`State::Partial`](super::State::Partial).
    ///
    /// # Errors
    /// As [`Writer::update_meta`]. The recording is then read as partial.
    pub fn finish(mut self, meta: &Meta) -> Result<(), RecordingError> {
        self.latency.sync()?;
        self.slow.sync()?;
        for file in [&self.marks, &self.resources, &self.pool] {
            file.as_ref().map_or(Ok(()), Appender::sync)?;
        }
        self.update_meta(meta)
    }
}

/// The file, made when the first line comes; nothing if there is none to come.
fn opened<'f>(
    file: &'f mut Option<Appender>,
    dir: &Path,
    name: &str,
    nothing_to_write: bool,
) -> Result<Option<&'f mut Appender>, RecordingError> {
    if nothing_to_write {
        return Ok(None);
    }
    if file.is_none() {
        *file = Some(Appender::create(dir.join(name))?);
    }
    Ok(file.as_mut())
}

/// Appends one JSON object a line, all in one write. None is a no-op.
fn append_lines<T: Serialize>(
    file: &mut Appender,
    lines: &mut Vec<u8>,
    items: &[T],
) -> Result<(), RecordingError> {
    if items.is_empty() {
        return Ok(());
    }
    lines.clear();
    for item in items {
        serde_json::to_writer(&mut *lines, item)
            .map_err(|cause| RecordingError::io("encode", &file.path)(cause.into()))?;
        lines.push(b'\n');
    }
    file.append(lines)
}

/// Creates a folder, or accepts an empty one; files of the names `allowed` may be in it.
pub(super) fn create_empty(dir: &Path, allowed: &[&str]) -> Result<(), RecordingError> {
    let already_exists = || RecordingError::AlreadyExists {
        dir: dir.to_path_buf(),
    };
    fs::create_dir_all(dir).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => already_exists(),
        _ => RecordingError::io("create", dir)(source),
    })?;
    for entry in fs::read_dir(dir).map_err(RecordingError::io("read", dir))? {
        let name = entry.map_err(RecordingError::io("read", dir))?.file_name();
        let name = name.to_str().unwrap_or_default();
        if !allowed.contains(&name.strip_suffix(TEMPORARY).unwrap_or(name)) {
            return Err(already_exists());
        }
    }
    Ok(())
}

/// Replaces `meta.json` of a recording that has ended, as a whole: by what was found out about it since.
///
/// `meta` must be what was read or written there, with something added; its clock above all must be the same.
///
/// # Errors
/// As [`Writer::update_meta`]; the old file then stays.
pub fn rewrite_meta(dir: &Path, meta: &Meta) -> Result<(), RecordingError> {
    write_meta(dir, meta)
}

/// Replaces `meta.json`.
pub(super) fn write_meta(dir: &Path, meta: &Meta) -> Result<(), RecordingError> {
    replace_json(dir, META_FILE, meta, Layout::Indented, META_LIMIT)
}
