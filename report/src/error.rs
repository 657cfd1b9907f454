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

    /// There is no variant of that name to be compared.
    #[error(
        "no run of {asked} is there to be compared; there are runs of {}",
        list(known)
    )]
    NoVariant {
        /// The name.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },

    /// Before and after are the same.
    #[error("before and after are both {name}: name two variants")]
    SameSide {
        /// The variant.
        name: String,
    },

    /// A folder is a side, and it is not clear of which variant.
    #[error(
        "{} holds runs under load of {}: as one side of a comparison it needs those of exactly one; name them by --before \
         and --after",
        folder.display(),
        list(found)
    )]
    NotOneVariant {
        /// The folder.
        folder: PathBuf,
        /// What it holds.
        found: Vec<String>,
    },

    /// A report of no recordings was asked for.
    #[error("a report needs at least one recording, and none was given")]
    Empty,
}

/// Names in a row; `nothing` where there is none.
fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        some => some.join(", "),
    }
}
