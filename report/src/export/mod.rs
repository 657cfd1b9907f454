//! The figures behind a report in forms that other programs read.
//!
//! | file | what |
//! |---|---|
//! | `csv.rs` | seconds, percentiles, pauses and figures as comma-separated values |
//! | `percentile_distribution.rs` | `.hgrm`: what the plotters of HdrHistogram read |
//! | `trace.rs`, `trace/` | slow requests and pauses on one timeline, for Perfetto and `chrome://tracing` |
//!
//! Seconds and percentiles come from the report; single pauses and slow requests are too many to
//! be held, so those files are written while the recordings are read once more, in bounded
//! memory. Each file is whole or not there: it is written under another name first. What is made
//! of a partial recording says so.

mod csv;
mod percentile_distribution;
mod trace;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use csv::csv;
pub use percentile_distribution::{percentile_distributions, write_percentile_distribution};
pub use trace::{TraceSummary, trace};

use crate::recording::{RecordingError, create_anew};
use crate::report::Report;

/// Why something could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The operating system refused.
    #[error("cannot write {}: {cause}", path.display())]
    Io {
        /// The file or folder; empty for a stream of the caller's.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },

    /// A recording that was read for the report cannot be read any more.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

impl ExportError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> ExportError + use<> {
        let path = path.to_path_buf();
        move |cause| ExportError::Io { path, cause }
    }
}

/// Writes the trace of all recordings ([`trace()`]) to a file, in the place of an older one.
///
/// # Errors
/// Those of [`trace()`].
pub fn trace_file(report: &Report, path: &Path) -> Result<TraceSummary, ExportError> {
    let mut summary = TraceSummary::default();
    whole_file(path, |file| {
        summary = trace(report, file)?;
        Ok(())
    })?;
    Ok(summary)
}

/// Makes a folder, its parents too, unless it is there.
fn folder(dir: &Path) -> Result<(), ExportError> {
    fs::create_dir_all(dir).map_err(ExportError::io(dir))
}

/// Writes a file that is either whole or not there, in the place of an older one.
fn whole_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), ExportError>,
) -> Result<PathBuf, ExportError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let file = create_anew(&partial).map_err(ExportError::io(path))?;
    let mut file = BufWriter::new(file);
    let written = write(&mut file)
        .and_then(|()| file.flush().map_err(ExportError::io(path)))
        .and_then(|()| fs::rename(&partial, path).map_err(ExportError::io(path)));
    if written.is_err() {
        // It is half of something, and on a full disk in the way.
        let _ = fs::remove_file(&partial);
    }
    written.map(|()| path.to_path_buf())
}
