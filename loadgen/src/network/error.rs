//! Everything that can keep a server from being loaded.

use std::io;
use std::path::PathBuf;

/// Why there was no load on a server. Found before the schedule begins wherever it can be.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The text is no target.
    #[error("{text:?} is no target: {reason}")]
    Target {
        /// What was written.
        text: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// A host name that nobody knows.
    #[error("cannot find the host {host:?}: {cause}")]
    Resolve {
        /// The name.
        host: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// No connection could be made.
    #[error("cannot connect to {target}: {cause}")]
    Connect {
        /// The target.
        target: String,
        /// The system's reason, with what to do where that is known.
        cause: String,
    },
    /// TLS could not be set up or was refused.
    #[error("TLS with {target}: {reason}")]
    Tls {
        /// The target.
        target: String,
        /// What was wrong.
        reason: String,
    },
    /// More connections than the process may have files.
    #[error(
        "{connections} connections need {needed} file descriptors, but this process may have {limit}: run \
         `ulimit -n {needed}` first"
    )]
    Descriptors {
        /// Connections asked for.
        connections: u32,
        /// Descriptors needed.
        needed: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A file that a request is made from cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Requests that cannot be made as they are described.
    #[error("{0}")]
    Request(String),
    /// The event loop could not be made or asked.
    #[error("the event loop: {0}")]
    EventLoop(io::Error),
}
