//! Byte buffers by size class: aligned, touched beforehand, at addresses that never change.
//!
//! For input and output, where a buffer's size is known at run time: bodies of requests, pages of
//! a file, messages on their way to a card. [`Buffers`] is a set of pools, one per size class; each
//! class's bytes are one contiguous region, taken and touched when the service starts. A
//! [`Buffer`] is used as a `Vec<u8>` of fixed capacity; [frozen](Buffer::freeze), it is
//! shared and sliced without copying; with the feature `bytes` it becomes a `bytes::Bytes`
//! (`Buffer::into_bytes`) and comes back (`Buffers::reclaim`).
//!
//! # What it costs
//!
//! - A get picks the class (a look at each smaller size) and takes its header from a
//!   [`Pool`]: nothing is allocated, no byte of the buffer is touched. Giving back costs what it
//!   does in any pool.
//! - Memory: each class's size times its number, from the start; each size rounded up to whole
//!   units of alignment; two cache lines of bookkeeping per buffer.
//! - Freezing is a store. Sharing is an atomic addition. Becoming `bytes::Bytes` allocates 32
//!   bytes, see [`Buffer::freeze`] for sharing without.
//!
//! # What to know
//!
//! - A buffer comes **empty**, but not wiped: what its last user wrote stays in memory until it is
//!   overwritten. Nobody reads it by safe means.
//! - A get that finds its class in use takes the next larger one, so that one crowded class does
//!   not refuse what others could serve; [`statistics`](Buffers::statistics) tell how often. When
//!   no larger one is free either, it refuses: there is no way back to the heap.
//! - Buffers aligned to a page all begin at the same place in the processor's cache: where only
//!   their first bytes are used, an alignment of 64 spreads them better.
//!
//! # A request handler
//!
//! ```
//! # #[cfg(feature = "bytes")] {
//! use std::io::Write;
//! use tailcut_pool::Buffers;
//! use tailcut_pool::bytes::Bytes;
//!
//! // At start-up: 1000 buffers for heads and small bodies, 100 for large ones.
//! let buffers = Buffers::builder().class(2 << 10, 1000).class(64 << 10, 100).build()?;
//!
//! let answer = |body: &[u8]| -> Result<Bytes, Box<dyn std::error::Error>> {
//!     // A refusal here is a 503, or a 413 if no buffer is large enough.
//!     let mut response = buffers.get(64 + body.len())?;
//!     write!(response, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
//!     response.extend_from_slice(body)?;
//!     Ok(response.into_bytes()) // the buffer goes back when the connection has sent it
//! };
//! let sent = answer(b"pong")?;
//! assert!(sent.ends_with(b"\r\n\r\npong"));
//! # }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Direct input and output
//!
//! `O_DIRECT` wants addresses, offsets and lengths in whole blocks; `align(4096)` gives addresses
//! and capacities that fit all of them. For io_uring, [`Buffers::iovecs`] is what to register.
//!
//! ```
//! # #[cfg(target_os = "linux")] {
//! use std::os::unix::fs::{FileExt, OpenOptionsExt};
//! use tailcut_pool::Buffers;
//!
//! let pages = Buffers::builder().class(4096, 64).align(4096).build()?;
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("pages");
//! # let direct = std::fs::OpenOptions::new().read(true).write(true).create(true)
//! #     .custom_flags(libc::O_DIRECT).open(&path);
//! # if direct.is_err() { return Ok::<_, Box<dyn std::error::Error>>(()) } // this file system has none
//! let file = std::fs::OpenOptions::new()
//!     .read(true)
//!     .write(true)
//!     .create(true)
//!     .custom_flags(libc::O_DIRECT)
//!     .open(&path)?;
//! let mut page = pages.get(4096)?;
//! page.resize(4096, 7)?;
//! file.write_all_at(&page, 0)?;
//! # }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::checks::InUse;
use crate::counter::Counter;
use crate::memory::Pages;
use crate::pool::Pool;
use crate::recycle::AsIs;

mod buffer;
mod builder;
mod frozen;
mod holders;
mod region;
#[cfg(feature = "bytes")]
mod sharing;
mod statistics;

pub use buffer::{Buffer, Full};
pub use builder::BuffersBuilder;
pub use frozen::FrozenBuffer;
pub use statistics::{BuffersStatistics, ClassStatistics};

use region::{Header, Region};

/// Pools of byte buffers, one per size class: see the [module's page](self).
///
/// `Send` and `Sync`: put it in an `Arc`, a `static` or a leaked box. Its buffers do not borrow it.
///
/// ```
/// use std::sync::Arc;
/// use tailcut_pool::Buffers;
///
/// let buffers = Arc::new(Buffers::builder().class(4096, 16).build()?);
/// let mut message = buffers.get(1000)?;
/// message.extend_from_slice(b"to another thread")?;
/// let sender = std::thread::spawn(move || message.len());
/// assert_eq!(sender.join().unwrap(), 17);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Buffers {
    /// The classes' sizes, ascending: what a get looks at.
    sizes: Box<[usize]>,
    /// In the same order.
    classes: Box<[Class]>,
    /// Gets of more bytes than the largest class has.
    too_large: Counter,
    /// Gets that found every class that was large enough in use.
    refused: Counter,
}

/// The buffers of one size.
struct Class {
    pool: Pool<Header, AsIs>,
    region: Arc<Region>,
    /// Gets that found all in use, and went on to the next class or were refused.
    overflowed: CachePadded<Counter>,
}

impl Buffers {
    /// Begins a set of buffers: give it at least one [class](BuffersBuilder::class).
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(1 << 10, 64).class(64 << 10, 8).build()?;
    /// assert_eq!(buffers.get(2000)?.capacity(), 64 << 10);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> BuffersBuilder {
        BuffersBuilder::new()
    }

    /// Takes an empty buffer with a capacity of at least `min_bytes`: of the smallest class that is
    /// large enough and has one free.
    ///
    /// Never allocates and never waits. As exact as [`Pool::try_get`], class by class.
    ///
    /// ```
    /// use tailcut_pool::Buffers;
    /// use tailcut_pool::buffers::BufferError;
    ///
    /// let buffers = Buffers::builder().class(1024, 1).class(4096, 1).build()?;
    /// let small = buffers.get(100)?;
    /// let large = buffers.get(100)?; // the small one is in use
    /// assert_eq!((small.capacity(), large.capacity()), (1024, 4096));
    /// assert_eq!(buffers.get(100).unwrap_err(), BufferError::Exhausted { asked: 100 });
    /// let too_large = BufferError::TooLarge { asked: 5000, largest: 4096 };
    /// assert_eq!(buffers.get(5000).unwrap_err(), too_large);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BufferError`]: no class is so large, or all that are have no buffer free.
    #[inline]
    #[track_caller]
    pub fn get(&self, min_bytes: usize) -> Result<Buffer, BufferError> {
        let Some(class) = self.sizes.iter().position(|size| *size >= min_bytes) else {
            return Err(self.refuse_as_too_large(min_bytes));
        };
        match self.classes[class].pool.try_get_owned() {
            Ok(header) => Ok(Buffer::empty(header)),
            Err(_) => self.get_larger(class, min_bytes),
        }
    }

    /// Goes on where `class` had none.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn get_larger(&self, class: usize, min_bytes: usize) -> Result<Buffer, BufferError> {
        self.classes[class].overflowed.add_one();
        for class in &self.classes[class + 1..] {
            match class.pool.try_get_owned() {
                Ok(header) => return Ok(Buffer::empty(header)),
                Err(_) => class.overflowed.add_one(),
            }
        }
        self.refused.add_one();
        Err(BufferError::Exhausted { asked: min_bytes })
    }

    #[cold]
    fn refuse_as_too_large(&self, asked: usize) -> BufferError {
        self.too_large.add_one();
        BufferError::TooLarge {
            asked,
            largest: self.largest(),
        }
    }

    /// The most bytes that a get can ask for.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(1024, 4).class(4096, 4).build()?;
    /// assert_eq!(buffers.largest(), 4096);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn largest(&self) -> usize {
        self.sizes.last().copied().unwrap_or(0)
    }

    /// How much memory the buffers take, in bytes, bookkeeping not counted.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(1024, 4).class(4096, 4).build()?;
    /// assert_eq!(buffers.bytes(), 4 * 1024 + 4 * 4096);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.regions_in_memory().map(Region::bytes).sum()
    }

    /// The ranges of memory that the buffers lie in: address and bytes, in the order of
    /// [`Buffer::region_index`]. They stay where they are until the `Buffers` and all their buffers
    /// are dropped. For a device or a kernel interface that wants to know memory beforehand.
    ///
    /// One per class; a class of more than 1 GiB comes in pieces of whole buffers, because
    /// io_uring registers no larger ones. (A single buffer above 1 GiB is a piece all the same.)
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(1024, 4).class(4096, 4).build()?;
    /// let lengths: Vec<usize> = buffers.regions().map(|(_start, bytes)| bytes).collect();
    /// assert_eq!(lengths, [4 * 1024, 4 * 4096]);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn regions(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> + '_ {
        self.regions_in_memory().flat_map(Region::pieces)
    }

    /// The [regions](Self::regions) as `IORING_REGISTER_BUFFERS` takes them.
    ///
    /// Keep the `Buffers`, or all buffers of which an operation is under way, until the kernel is
    /// done with them: a [`Buffer`] may be given to somebody else as soon as it is dropped.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(4096, 8).align(4096).build()?;
    /// let registered = buffers.iovecs(); // with the crate `io-uring`: submitter.register_buffers(..)
    /// let page = buffers.get(4096)?;
    /// let region = &registered[usize::from(page.region_index())];
    /// let offset = page.as_ptr().addr() - region.iov_base.addr();
    /// assert!(offset + page.capacity() <= region.iov_len);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(unix)]
    #[must_use]
    pub fn iovecs(&self) -> Vec<libc::iovec> {
        self.regions()
            .map(|(start, bytes)| libc::iovec {
                iov_base: start.as_ptr().cast(),
                iov_len: bytes,
            })
            .collect()
    }

    /// Which pages the buffers of each class lie on, by ascending size.
    ///
    /// ```
    /// # use tailcut_pool::{Buffers, HugePages, Pages};
    /// let buffers = Buffers::builder().class(4096, 8).huge_pages(HugePages::Never).build()?;
    /// assert_eq!(buffers.pages().collect::<Vec<_>>(), [(4096, Pages::Base)]);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn pages(&self) -> impl Iterator<Item = (usize, Pages)> + '_ {
        self.regions_in_memory()
            .map(|region| (region.stride(), region.pages()))
    }

    /// What was taken and given back so far, class by class. Allocates the lists.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(1024, 1).build()?;
    /// let held = buffers.get(1000)?;
    /// assert!(buffers.get(1000).is_err());
    /// assert!(buffers.get(9000).is_err());
    /// let statistics = buffers.statistics();
    /// assert_eq!((statistics.refused, statistics.too_large), (1, 1));
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn statistics(&self) -> BuffersStatistics {
        let classes = self.classes.iter().map(|class| ClassStatistics {
            bytes: class.region.stride(),
            overflowed: class.overflowed.read(),
            pool: class.pool.statistics(),
        });
        BuffersStatistics {
            classes: classes.collect(),
            refused: self.refused.read(),
            too_large: self.too_large.read(),
        }
    }

    /// The buffers in use, by ascending size, if they were built to be
    /// [checked](BuffersBuilder::checked): size, and by whom, since when, taken where.
    ///
    /// ```
    /// # use tailcut_pool::{Buffers, Checks};
    /// let buffers = Buffers::builder().class(1024, 4).checked(Checks::new()).build()?;
    /// let held = buffers.get(1000)?;
    /// for (bytes, buffer) in buffers.in_use().unwrap() {
    ///     assert_eq!(bytes, 1024);
    ///     println!("{buffer}"); // object 0: taken at src/main.rs:7:20 by thread main ..
    /// }
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_use(&self) -> Option<Vec<(usize, InUse)>> {
        let mut all = Vec::new();
        for class in &self.classes {
            let bytes = class.region.stride();
            all.extend(
                class
                    .pool
                    .in_use()?
                    .into_iter()
                    .map(|buffer| (bytes, buffer)),
            );
        }
        Some(all)
    }

    fn regions_in_memory(&self) -> impl Iterator<Item = &Region> {
        self.classes.iter().map(|class| &*class.region)
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers")
            .field("sizes", &self.sizes)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Why there is no buffer.
///
/// ```
/// # use tailcut_pool::Buffers;
/// use tailcut_pool::buffers::BufferError;
///
/// # let buffers = Buffers::builder().class(1024, 1).build()?;
/// let status = match buffers.get(5000) {
///     Ok(_) => 200,
///     Err(BufferError::TooLarge { .. }) => 413,
///     Err(_) => 503, // later, perhaps
/// };
/// assert_eq!(status, 413);
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// No class is large enough, and waiting will not help.
    #[error("no buffer holds {asked} bytes: the largest class has {largest}")]
    TooLarge {
        /// How many bytes were asked for.
        asked: usize,
        /// The largest class's size.
        largest: usize,
    },
    /// Every buffer that is large enough is in use.
    #[error("every buffer that holds {asked} bytes is in use")]
    Exhausted {
        /// How many bytes were asked for.
        asked: usize,
    },
}
