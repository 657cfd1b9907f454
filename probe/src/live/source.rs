//! Where intervals come from: a session, or a synthetic target.
//!
//! The screen, the plain table and the exporter know nothing else of a session, so that they can be
//! tested and looked at without privileges. Errors keep their own type: whoever starts the view is
//! who can say what to do about them.

use std::time::Duration;

use crate::tick::Tick;

/// Something that gives a [`Tick`] each second.
pub trait Source {
    /// Why no further interval can be had.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The next interval. Waits for it no longer than `timeout`; `None` if it is not over by then.
    ///
    /// Callers stop after a tick whose [`ended`](Tick::ended) is set.
    ///
    /// # Errors
    ///
    /// The session is broken; no further call will help.
    fn next(&mut self, timeout: Duration) -> Result<Option<Tick>, Self::Error>;

    /// What is observed. May change while it is: a library with another allocator is loaded.
    fn describe(&self) -> TargetDescription;
}

/// What a session observes, and what it had to leave out.
///
/// All texts come from the target: whoever shows them must expect control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetDescription {
    /// Short name, as the kernel knows it.
    pub name: String,
    /// Process.
    pub process: u32,
    /// Command line, its words joined by blanks.
    pub command: String,
    /// How long the process had been running when the session began.
    pub age: Option<Duration>,
    /// Allocators found in it: `glibc 2.36`, `jemalloc (static)`.
    pub allocators: Vec<String>,
    /// Names of the series that are attached or will be in a window.
    pub attached: Vec<String>,
    /// Series that were asked for and cannot be had here.
    pub left_out: Vec<LeftOut>,
    /// What one probe hit costs on this host, in nanoseconds; 0 if it was not measured.
    pub floor_ns: u64,
}

/// A series that is not there, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name, or its group's.
    pub series: String,
    /// The reason, in a few words.
    pub reason: String,
}
