//! What can go wrong with a recording: always names the file, the cause, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::SCHEMA;

/// Why a recording could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The folder for a new recording is there already and holds something (or is a file).
    #[error(
        "{} exists and is not an empty folder: choose another folder, or remove it first",
        dir.display()
    )]
    AlreadyExists {
        /// The folder asked for.
        dir: PathBuf,
    },

    /// The folder holds a probe's files already.
    #[error(
        "{} is there already, from an earlier trace: choose another folder, or remove it first",
        path.display()
    )]
    AlreadyTraced {
        /// The file that is there.
        path: PathBuf,
    },

    /// The folder holds no `meta.json`.
    #[error("{} is not a recording: it has no meta.json", dir.display())]
    NotARecording {
        /// The folder asked for.
        dir: PathBuf,
    },

    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried, as a verb: "create", "append to", "read".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },

    /// A file has more bytes than any writer of this tool gives it.
    #[error("{} has more than {limit} bytes: it is damaged or not of this tool", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },

    /// A file that is one JSON object (`meta.json`, `probe.json`, `stacks.json`) is none, or lacks
    /// a field that every recording has.
    #[error("{} is damaged or not of this tool: {cause}", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// Where and why parsing stopped.
        cause: serde_json::Error,
    },

    /// The recording was made by a newer tool.
    #[error(
        "{} has schema {found}, but this tool reads schemas up to {SCHEMA}: read it with a newer tailcut",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema that the file names.
        found: u32,
    },

    /// A complete line, not the torn last one, cannot be understood.
    #[error("{}, line {line}: {reason}; the file was changed or damaged after it was written", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },

    /// The caller asked to write something that a recording cannot hold.
    #[error("cannot write to {}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with the request.
        reason: String,
    },
}

impl RecordingError {
    /// Wraps an I/O error with what was tried on which file.
    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> RecordingError + use<'a> {
        move |source| RecordingError::Io {
            action,
            path: path.to_path_buf(),
            cause: source,
        }
    }
}
