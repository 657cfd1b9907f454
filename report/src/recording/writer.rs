//! Writes a recording, so that it can be read whatever happens next.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{
    ClockPair, LATENCY_FILE, META_FILE, Meta, RecordingError, SLOW_FILE, SlowRequest, hlog,
};

/// Where `meta.json` is prepared before it takes its name.
const META_TEMPORARY: &str = "meta.json.tmp";

/// Writes one recording into a folder of its own.
///
/// Dropping a writer without [`Writer::finish`] leaves a recording that is read as partial, which
/// is the truth.
pub struct Writer {
    dir: PathBuf,
    clock: ClockPair,
    latency: Appender,
    slow: Appender,
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
    /// folder; [`RecordingError::Io`] when it cannot be written. Nothing is overwritten.
    pub fn create(dir: &Path, meta: &Meta) -> Result<Writer, RecordingError> {
        fs::create_dir_all(dir).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => already_exists(dir),
            _ => RecordingError::io("create", dir)(source),
        })?;
        let mut entries = fs::read_dir(dir).map_err(RecordingError::io("read", dir))?;
        if entries.next().is_some() {
            return Err(already_exists(dir));
        }
        let mut latency = Appender::create(dir.join(LATENCY_FILE))?;
        let header = hlog::header(&meta.clock)
            .map_err(RecordingError::io("write the header of", &latency.path))?;
        latency.append(&header)?;
        let slow = Appender::create(dir.join(SLOW_FILE))?;
        write_meta(dir, meta)?;
        Ok(Writer {
            dir: dir.to_path_buf(),
            clock: meta.clock,
            latency,
            slow,
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
    /// [`RecordingError::Refused`] when the series' name is empty or has a blank or comma, or when
    /// the interval starts before the clock of the recording was read; [`RecordingError::Io`] when
    /// the file cannot take it, in which case no part of it stays.
    pub fn interval(
        &mut self,
        series: &str,
        start_monotonic_ns: u64,
        length_ns: u64,
        histogram: &Histogram<u64>,
    ) -> Result<(), RecordingError> {
        let refused = |reason| RecordingError::Refused {
            path: self.latency.path.clone(),
            reason,
        };
        let Some(start) = start_monotonic_ns.checked_sub(self.clock.monotonic_ns) else {
            return Err(refused(format!(
                "an interval starts {} ns before the recording's clock was read",
                self.clock.monotonic_ns - start_monotonic_ns
            )));
        };
        let line = self
            .encoder
            .line(
                series,
                Duration::from_nanos(start),
                Duration::from_nanos(length_ns),
                histogram,
            )
            .map_err(refused)?;
        self.latency.append(line)
    }

    /// Appends slow requests; they are in the file when this returns. None is a no-op.
    ///
    /// # Errors
    /// [`RecordingError::Io`] when the file cannot take them, in which case none of them stays.
    pub fn slow(&mut self, requests: &[SlowRequest]) -> Result<(), RecordingError> {
        if requests.is_empty() {
            return Ok(());
        }
        self.lines.clear();
        for request in requests {
            serde_json::to_writer(&mut self.lines, request)
                .map_err(|cause| RecordingError::io("encode", &self.slow.path)(cause.into()))?;
            self.lines.push(b'\n');
        }
        self.slow.append(&self.lines)
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
        self.update_meta(meta)
    }
}

fn already_exists(dir: &Path) -> RecordingError {
    RecordingError::AlreadyExists {
        dir: dir.to_path_buf(),
    }
}

fn write_meta(dir: &Path, meta: &Meta) -> Result<(), RecordingError> {
    let path = dir.join(META_FILE);
    let temporary = dir.join(META_TEMPORARY);
    let refused = |cause: serde_json::Error| RecordingError::Refused {
        path: path.clone(),
        reason: format!("its content cannot be read back: {cause}"),
    };
    let mut json = serde_json::to_vec_pretty(meta).map_err(refused)?;
    // JSON has no NaN: it would be written as null, and the file could never be read again.
    serde_json::from_slice::<Meta>(&json).map_err(refused)?;
    json.push(b'\n');
    let replace = || {
        let mut file = File::create(&temporary)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    replace().map_err(|source| {
        // A half-written temporary file is never read; on a full disk it is in the way.
        let _ = fs::remove_file(&temporary);
        RecordingError::io("write", &path)(source)
    })
}

/// A file that only grows by whole lines.
struct Appender {
    path: PathBuf,
    file: File,
    /// Length up to the last whole line.
    whole: u64,
    /// An append failed and its remains could not be cut off: another would join a torn line.
    torn: bool,
}

impl Appender {
    fn create(path: PathBuf) -> Result<Appender, RecordingError> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(RecordingError::io("create", &path))?;
        Ok(Appender {
            path,
            file,
            whole: 0,
            torn: false,
        })
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), RecordingError> {
        if self.torn {
            let cause = io::Error::other("an earlier write failed and left a torn line");
            return Err(RecordingError::io("append to", &self.path)(cause));
        }
        match self.file.write_all(lines) {
            Ok(()) => {
                self.whole += lines.len() as u64;
                Ok(())
            }
            Err(source) => {
                self.torn = self.file.set_len(self.whole).is_err();
                Err(RecordingError::io("append to", &self.path)(source))
            }
        }
    }

    fn sync(&self) -> Result<(), RecordingError> {
        self.file
            .sync_all()
            .map_err(RecordingError::io("make durable", &self.path))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_and_nothing_is_appended_to_what_it_tore() {
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .expect("Linux has /dev/full");
        let mut appender = Appender {
            path,
            file,
            whole: 0,
            torn: false,
        };
        let error = appender.append(b"line\n").expect_err("it is full");
        assert!(
            error
                .to_string()
                .starts_with("cannot append to /dev/full: No space left on device"),
            "{error}"
        );
        // A device cannot be cut back to its last whole line, so that is the end of it.
        let error = appender.append(b"line\n").expect_err("it is torn");
        assert!(error.to_string().contains("torn line"), "{error}");
    }
}
