//! What a set of buffers has done and holds: which class is too small, which too large.

use std::fmt;

use crate::statistics::Statistics;

/// A snapshot of all classes, from [`Buffers::statistics`](super::Buffers::statistics). Displays as
/// one line per class.
///
/// ```
/// # use tailcut_pool::Buffers;
/// let buffers = Buffers::builder().class(1024, 2).class(4096, 2).build()?;
/// let held = [buffers.get(10)?, buffers.get(10)?, buffers.get(10)?];
/// let statistics = buffers.statistics();
/// assert_eq!(statistics.classes[0].overflowed, 1);
/// assert_eq!(statistics.classes[1].pool.in_use, 1);
/// println!("{statistics}");
/// // 1024 bytes: 2 of 2 in use, 2 taken so far, 1 overflowed
/// // 4096 bytes: 1 of 2 in use, 1 taken so far, 0 overflowed
/// // 0 refused, 0 too large
/// # drop(held);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuffersStatistics {
    /// By ascending size.
    pub classes: Vec<ClassStatistics>,
    /// Gets that were refused because every class that was large enough was in use.
    pub refused: u64,
    /// Gets of more bytes than the largest class has.
    pub too_large: u64,
}

/// A snapshot of one size class.
///
/// ```
/// # use tailcut_pool::Buffers;
/// # let buffers = Buffers::builder().class(1024, 4).build()?;
/// for class in buffers.statistics().classes {
///     if class.overflowed > 0 {
///         println!("more than {} buffers of {} bytes are needed", class.pool.capacity, class.bytes);
///     }
/// }
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStatistics {
    /// The capacity of each buffer, in bytes.
    pub bytes: usize,
    /// Gets that found every buffer of this class in use, and took a larger one or were refused: if
    /// this rises, the class has too few.
    pub overflowed: u64,
    /// The pool of this class: how many buffers there are, how many are in use, what each core did.
    pub pool: Statistics,
}

impl BuffersStatistics {
    /// How many bytes the buffers take that are in use, counted by their capacities.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(1024, 4).build()?;
    /// let held = buffers.get(10)?;
    /// assert_eq!(buffers.statistics().bytes_in_use(), 1024);
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bytes_in_use(&self) -> usize {
        let bytes = |class: &ClassStatistics| class.bytes * class.pool.in_use;
        self.classes.iter().map(bytes).sum()
    }
}

impl fmt::Display for BuffersStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for class in &self.classes {
            let ClassStatistics {
                bytes,
                overflowed,
                pool,
            } = class;
            let (in_use, capacity, taken) = (pool.in_use, pool.capacity, pool.total().gets);
            writeln!(
                f,
                "{bytes} bytes: {in_use} of {capacity} in use, {taken} taken so far, {overflowed} overflowed"
            )?;
        }
        let (refused, too_large) = (self.refused, self.too_large);
        write!(f, "{refused} refused, {too_large} too large")
    }
}
