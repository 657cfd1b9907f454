//! Why there is no report.

use std::io;
use std::path::PathBuf;

use crate::recording::RecordingError;

/// Why no report could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A recording could not be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),

    /// There is no recording where one was looked for.
    #[error(
        "no recording in {}: expected meta.json there or in its subfolders",
        dir.display()
    )]
    NoRecording {
        /// The folder that was searched.
        dir: PathBuf,
    },

    /// The folder could not be searched.
    #[error("cannot search {} for recordings: {cause}", dir.display())]
    Search {
        /// The folder.
        dir: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },

    /// More recordings than anybody means.
    #[error("more than {limit} recordings were found: name the folders that are meant")]
    TooMany {
        /// The most that one report takes.
        limit: usize,
    },

    /// A report of no recordings was asked for.
    #[error("a report needs at least one recording, and none was given")]
    Empty,
}
