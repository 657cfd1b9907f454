//! How a set of buffers is described and made.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::region::{Region, rounded};
use super::{Buffers, Class};
use crate::builder::BuildError;
use crate::checks::Checks;
use crate::counter::Counter;
use crate::memory::{HugePages, Node, Wishes};
use crate::pool::Pool;
use crate::slab::LINE;

/// Describes [`Buffers`]: begin with [`Buffers::builder`], end with [`build`](Self::build).
///
/// ```
/// # use tailcut_pool::{Buffers, HugePages};
/// let buffers = Buffers::builder()
///     .class(512, 1000)
///     .powers_of_two(4 << 10, 64 << 10, 20)
///     .huge_pages(HugePages::Prefer)
///     .build()?;
/// assert_eq!(buffers.largest(), 64 << 10);
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct BuffersBuilder {
    /// Bytes and number of each class, as told.
    classes: Vec<(usize, usize)>,
    /// Smallest and largest bytes, and number of each class between, as told.
    powers_of_two: Vec<(usize, usize, usize)>,
    align: usize,
    wishes: Wishes,
    portable: bool,
    checks: Option<Checks>,
}

impl BuffersBuilder {
    pub(super) fn new() -> Self {
        BuffersBuilder {
            classes: Vec::new(),
            powers_of_two: Vec::new(),
            align: LINE,
            wishes: Wishes::default(),
            portable: false,
            checks: None,
        }
    }

    /// Adds `buffers` buffers of `bytes` each, rounded up to whole units of
    /// [alignment](Self::align). Classes may come in any order; those of equal size are one.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(4096, 2).class(100, 4).build()?;
    /// assert_eq!(buffers.get(100)?.capacity(), 128); // whole cache lines
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn class(mut self, bytes: usize, buffers: usize) -> Self {
        self.classes.push((bytes, buffers));
        self
    }

    /// Adds a class of `buffers` buffers for each power of two from `smallest` to `largest` bytes,
    /// both rounded up to a power of two, and to the [alignment](Self::align) at least. So no get
    /// is given more than twice what it asks for, if it asks for `smallest` or more.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().powers_of_two(1000, 4096, 10).build()?;
    /// let sizes: Vec<usize> = buffers.statistics().classes.iter().map(|class| class.bytes).collect();
    /// assert_eq!(sizes, [1024, 2048, 4096]);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn powers_of_two(mut self, smallest: usize, largest: usize, buffers: usize) -> Self {
        self.powers_of_two.push((smallest, largest, buffers));
        self
    }

    /// Aligns each buffer to `bytes`, a power of two, and makes each capacity a multiple of it:
    /// 4096 for `O_DIRECT`, say. Not below a cache line (64 bytes), which is the default.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(5000, 2).align(4096).build()?;
    /// let buffer = buffers.get(5000)?;
    /// assert_eq!(buffer.capacity(), 8192);
    /// assert!(buffer.as_ptr().addr().is_multiple_of(4096));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn align(mut self, bytes: usize) -> Self {
        self.align = bytes;
        self
    }

    /// Which pages the buffers are to lie on.
    ///
    /// ```
    /// # use tailcut_pool::{Buffers, HugePages};
    /// // From the system's reserve, if it has enough.
    /// let buffers = Buffers::builder().class(4096, 512).huge_pages(HugePages::Prefer).build()?;
    /// for (bytes, pages) in buffers.pages() {
    ///     println!("buffers of {bytes} bytes lie on {pages:?}");
    /// }
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn huge_pages(mut self, pages: HugePages) -> Self {
        self.wishes.huge = pages;
        self
    }

    /// On which NUMA node the buffers are to lie: see [`Builder::node`](crate::Builder::node).
    ///
    /// ```
    /// # use tailcut_pool::{Buffers, Node};
    /// let buffers = Buffers::builder().class(4096, 16).node(Node::FirstTouch).build()?;
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn node(mut self, node: Node) -> Self {
        self.wishes.node = node;
        self
    }

    /// Locks the buffers' memory (`mlock`), so that it is never paged out. The limit is
    /// `RLIMIT_MEMLOCK`.
    ///
    /// ```
    /// # use tailcut_pool::{BuildError, Buffers};
    /// match Buffers::builder().class(4096, 16).lock_memory().build() {
    ///     Ok(buffers) => assert_eq!(buffers.bytes(), 16 * 4096),
    ///     Err(BuildError::NotLocked { why, .. }) => println!("the limit is too low: {why}"),
    ///     Err(other) => return Err(other),
    /// }
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn lock_memory(mut self) -> Self {
        self.wishes.locked = true;
        self
    }

    /// Uses the portable path even where restartable sequences work: to test or to compare.
    ///
    /// ```
    /// # use tailcut_pool::{Buffers, Fallback, Path};
    /// let buffers = Buffers::builder().class(4096, 16).portable().build()?;
    /// let class = &buffers.statistics().classes[0];
    /// assert_eq!(class.pool.path, Path::Portable(Fallback::Requested));
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn portable(mut self) -> Self {
        self.portable = true;
        self
    }

    /// Keeps a record of each buffer in use, for development: [`Buffers::in_use`] lists them, and
    /// what was never given back is reported at the end. Writes beyond a buffer's end are not
    /// found. See [`checks`](crate::checks) for the cost.
    ///
    /// ```
    /// # use tailcut_pool::{Buffers, Checks};
    /// let checks = Checks::new().on_leak(|left| assert_eq!(left.len(), 1));
    /// let buffers = Buffers::builder().class(4096, 16).checked(checks).build()?;
    /// let lost = buffers.get(100)?;
    /// assert_eq!(buffers.in_use().unwrap().len(), 1);
    /// # drop(lost);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn checked(mut self, checks: Checks) -> Self {
        self.checks = Some(checks);
        self
    }

    /// Takes the memory of all classes and touches every page of it.
    ///
    /// ```
    /// # use tailcut_pool::{BuildError, Buffers};
    /// assert!(Buffers::builder().class(4096, 16).build().is_ok());
    /// let refused = Buffers::builder().class(4096, 16).align(100).build();
    /// assert_eq!(refused.unwrap_err(), BuildError::BadAlignment { bytes: 100 });
    /// ```
    ///
    /// # Errors
    /// [`BuildError`], naming the value: there is no class, or one without buffers; the alignment
    /// is not a power of two; a class is larger than 256 GiB; or the memory cannot be had.
    pub fn build(self) -> Result<Buffers, BuildError> {
        if !self.align.is_power_of_two() {
            return Err(BuildError::BadAlignment { bytes: self.align });
        }
        let align = self.align.max(LINE);
        let mut classes = self.classes.clone();
        for &(smallest, largest, buffers) in &self.powers_of_two {
            classes.extend(powers_of_two(smallest, largest, align).map(|bytes| (bytes, buffers)));
        }
        let classes = merged(&classes, align)?;
        if classes.is_empty() {
            return Err(BuildError::NoCapacity);
        }
        let mut pieces = 0;
        let classes = classes
            .into_iter()
            .map(|(bytes, buffers)| self.build_class(bytes, buffers, align, &mut pieces))
            .collect::<Result<Box<[Class]>, BuildError>>()?;
        Ok(Buffers {
            sizes: classes.iter().map(|class| class.region.stride()).collect(),
            classes,
            too_large: Counter::default(),
            refused: Counter::default(),
        })
    }

    /// One class, whose pieces are numbered from `pieces` on.
    fn build_class(
        &self,
        bytes: usize,
        buffers: usize,
        align: usize,
        pieces: &mut usize,
    ) -> Result<Class, BuildError> {
        let region = Arc::new(Region::new(bytes, buffers, align, self.wishes)?);
        let first = *pieces;
        *pieces += region.pieces().count();
        if *pieces > usize::from(u16::MAX) {
            // More than 64 TiB, or as many classes: the kernel could not number them either.
            return Err(BuildError::TooLarge {
                capacity: buffers,
                object_bytes: bytes,
            });
        }
        let mut headers = Pool::builder(region.headers(first as u16))
            .capacity(buffers)
            .keep_as_is();
        if self.portable {
            headers = headers.portable();
        }
        if let Some(checks) = &self.checks {
            headers = headers.checked(checks.clone());
        }
        Ok(Class {
            pool: headers.build()?,
            region,
            overflowed: CachePadded::default(),
        })
    }
}

/// Every power of two from `smallest` to `largest`, both rounded up, and to `align` at least.
fn powers_of_two(smallest: usize, largest: usize, align: usize) -> impl Iterator<Item = usize> {
    let rounded = |bytes: usize| bytes.max(align).checked_next_power_of_two();
    let last = rounded(largest).unwrap_or(usize::MAX);
    std::iter::successors(rounded(smallest), |bytes| bytes.checked_mul(2))
        .take_while(move |bytes| *bytes <= last)
}

/// The classes by ascending size as they will be, those of equal size together.
fn merged(classes: &[(usize, usize)], align: usize) -> Result<Vec<(usize, usize)>, BuildError> {
    let mut merged: Vec<(usize, usize)> = Vec::with_capacity(classes.len());
    for &(bytes, buffers) in classes {
        let too_large = BuildError::TooLarge {
            capacity: buffers,
            object_bytes: bytes,
        };
        if buffers == 0 {
            return Err(BuildError::NoCapacity);
        }
        let Some(bytes) = rounded(bytes, align) else {
            return Err(too_large);
        };
        match merged.iter_mut().find(|class| class.0 == bytes) {
            Some(class) => class.1 = class.1.checked_add(buffers).ok_or(too_large)?,
            None => merged.push((bytes, buffers)),
        }
    }
    merged.sort_unstable();
    Ok(merged)
}
