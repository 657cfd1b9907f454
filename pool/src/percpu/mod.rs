//! The first place a slot is looked for and left: a small stack per core.
//!
//! Two forms with the same duties, chosen once per pool at run time:
//! - [`rseq`]: a magazine per CPU, reached by a restartable sequence: no atomic instruction, no
//!   lock, no call. Linux on x86-64 with glibc 2.35 or newer.
//! - [`portable`]: a magazine per thread, for some threads, and shared ones for the others:
//!   everywhere else.

pub(crate) mod portable;
#[cfg(all(test, loom))]
mod steal_model;
mod thread_number;

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
    use super::{Fallback, FenceRefused, MagazineCounts};
    use std::ptr::NonNull;

    #[derive(Debug)]
    pub(crate) struct Magazines(Never);

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Access(Never);

    /// Private, so that only here it is known that there is none: elsewhere the compiler would warn
    /// of code that is never reached.
    #[derive(Debug, Clone, Copy)]
    enum Never {}

    impl Access {
        pub(crate) fn pop(self) -> Option<NonNull<u8>> {
            match self.0 {}
        }
        pub(crate) fn push(self, _object: NonNull<u8>) -> bool {
            match self.0 {}
        }
    }

    impl Magazines {
        pub(crate) fn new(_ceiling: usize) -> Result<Self, Fallback> {
            Err(Fallback::Platform)
        }
        pub(crate) fn access(&self) -> Access {
            match self.0 {}
        }
        pub(crate) fn cpus(&self) -> usize {
            match self.0 {}
        }
        pub(crate) fn here(&self) -> Option<usize> {
            match self.0 {}
        }
        pub(crate) fn pop_batch(&self, _into: &mut [NonNull<u8>]) -> bool {
            match self.0 {}
        }
        pub(crate) fn push_batch(&self, _objects: &[NonNull<u8>]) -> bool {
            match self.0 {}
        }
        pub(crate) fn steal(
            &self,
            _into: &mut [NonNull<u8>],
        ) -> Result<Option<(usize, usize)>, FenceRefused> {
            match self.0 {}
        }
        pub(crate) fn shut_for_giving(&self, _shut: bool) -> Result<(), FenceRefused> {
            match self.0 {}
        }
        #[cfg(all(unix, not(any(loom, shuttle))))]
        pub(crate) fn nobody_is_at_work(&self, _closed: bool) {
            match self.0 {}
        }
        #[cfg(all(unix, not(any(loom, shuttle))))]
        pub(crate) fn announce() {}
        pub(crate) fn census(&self) -> (bool, u64) {
            match self.0 {}
        }
        pub(crate) fn aborts(&self) -> u64 {
            match self.0 {}
        }
        pub(crate) fn counts(&self, _cpu: usize) -> MagazineCounts {
            match self.0 {}
        }
    }
}

/// After a fork, in the child, before any pool is used.
///
/// # Safety
/// The caller is the process's only thread.
#[cfg(all(unix, not(any(loom, shuttle))))]
pub(crate) unsafe fn only_this_thread_is_left() {
    thread_number::only_this_thread_is_left();
    crate::sync::barrier::register();
    rseq::Magazines::announce();
}

/// What a core's place holds, and what it has served by single gets and puts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MagazineCounts {
    pub(crate) resident: usize,
    pub(crate) gets: u64,
    pub(crate) puts: u64,
}

impl MagazineCounts {
    /// From a magazine's length, its count of single gets and puts, and how many objects came and
    /// went otherwise: `count = puts + gets` and `length = puts - gets + came - went`.
    pub(crate) fn derived(length: usize, count: u64, came: u64, went: u64) -> Self {
        let balance = length as i64 - came as i64 + went as i64;
        let puts = ((count as i64 + balance) / 2).max(0) as u64;
        MagazineCounts {
            resident: length,
            gets: count.saturating_sub(puts),
            puts,
        }
    }
}

/// The kernel would not restart another CPU's sequences.
#[derive(Debug)]
pub(crate) struct FenceRefused;

/// Which form of the per-core path a pool uses.
///
/// ```
/// # use tailcut_pool::{Path, Pool};
/// let pool = Pool::builder(|| 0_u64).capacity(10).build()?;
/// match pool.path() {
///     Path::Rseq => println!("a magazine per CPU"),
///     Path::Portable(why) => println!("a magazine per thread: {why}"),
///     _ => println!("one that a later version knows"),
/// }
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// Restartable sequences: a magazine per CPU, no atomic instruction on get and put.
    Rseq,
    /// Plain atomics, by thread instead of by CPU. Says why.
    Portable(Fallback),
}

/// Why a pool uses the portable path.
///
/// ```
/// # use tailcut_pool::{Fallback, Path, Pool};
/// let pool = Pool::builder(|| 0_u64).capacity(10).portable().build()?;
/// assert_eq!(pool.path(), Path::Portable(Fallback::Requested));
/// assert_eq!(pool.path().to_string(), "portable (as requested)");
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
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
