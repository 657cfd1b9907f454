//! The first place a slot is looked for and left: a small stack per core.
//!
//! Two forms with the same duties, chosen once per pool at run time:
//! - [`rseq`]: a magazine per CPU, reached by a restartable sequence: no atomic instruction, no
//!   lock, no call. Linux on x86-64 with glibc 2.35 or newer.
//! - [`portable`]: a lock-free stack per shard, with plain atomics: everywhere else.

pub(crate) mod portable;
#[cfg(all(test, loom))]
mod steal_model;

#[cfg(all(
    target_os = "linux",
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(loom),
    not(miri)
))]
pub(crate) mod rseq;

/// Where restartable sequences do not exist: a form that can never be made.
#[cfg(not(all(
    target_os = "linux",
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(loom),
    not(miri)
)))]
pub(crate) mod rseq {
    use super::{Fallback, FenceRefused};
    use std::ptr::NonNull;

    #[derive(Debug)]
    pub(crate) enum Magazines {}

    impl Magazines {
        pub(crate) fn new(_ceiling: usize) -> Result<Self, Fallback> {
            Err(Fallback::Platform)
        }
        pub(crate) fn pop(&self) -> Option<NonNull<u8>> {
            match *self {}
        }
        pub(crate) fn push(&self, _object: NonNull<u8>) -> bool {
            match *self {}
        }
        pub(crate) fn pop_batch(&self, _into: &mut [NonNull<u8>]) -> bool {
            match *self {}
        }
        pub(crate) fn push_batch(&self, _objects: &[NonNull<u8>]) -> bool {
            match *self {}
        }
        pub(crate) fn steal(&self, _into: &mut [NonNull<u8>]) -> Result<usize, FenceRefused> {
            match *self {}
        }
        pub(crate) fn shut_for_giving(&self, _shut: bool) {
            match *self {}
        }
        pub(crate) fn census(&self) -> (bool, u64) {
            match *self {}
        }
        pub(crate) fn aborts(&self) -> u64 {
            match *self {}
        }
    }
}

/// The kernel would not restart another CPU's sequences.
#[derive(Debug)]
pub(crate) struct FenceRefused;

/// Which form of the per-core path a pool uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// Restartable sequences: a magazine per CPU, no atomic instruction on get and put.
    Rseq,
    /// Plain atomics: one compare-and-exchange per get and per put. Says why.
    Portable(Fallback),
}

/// Why a pool uses the portable path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// The builder asked for it.
    Requested,
    /// No restartable sequences on this operating system or processor, in this crate's reach.
    Platform,
    /// The C library does not register threads for rseq: glibc before 2.35, musl, a static
    /// binary, Valgrind, or `GLIBC_TUNABLES=glibc.pthread.rseq=0`.
    NotRegistered,
    /// The kernel cannot fence the sequences of another CPU (`membarrier`, Linux 5.10), or a
    /// sandbox forbids it.
    NoFence,
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Path::Rseq => f.write_str("rseq"),
            Path::Portable(why) => write!(f, "portable ({why})"),
        }
    }
}

impl std::fmt::Display for Fallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fallback::Requested => "as requested",
            Fallback::Platform => "no restartable sequences on this platform",
            Fallback::NotRegistered => "the C library registers no thread for rseq",
            Fallback::NoFence => "no membarrier for rseq",
        })
    }
}
