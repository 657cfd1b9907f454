//! What a pool has done and holds: a snapshot, counted per core.
//!
//! No get or put pays for it: a magazine's word counts what it serves in the store that it commits
//! anyway, and everything else is counted on slow paths, on the line of the core where it
//! happened. A snapshot reads a few words per core.

use crate::percpu::Path;

/// A snapshot of one pool, from [`Pool::statistics`](crate::Pool::statistics).
///
/// Cores are read one after the other. While nobody uses the pool all figures are exact; while it
/// is used, those of different cores are some nanoseconds apart, so that sums may be off by what
/// happened meanwhile.
///
/// ```
/// # use tailcut_pool::Pool;
/// # let pool = Pool::builder(|| 0_u64).capacity(100).build()?;
/// let statistics = pool.statistics();
/// if statistics.high_water == statistics.capacity {
///     println!("it was all in use at some time: {statistics:?}");
/// }
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Which per-core path the pool uses.
    pub path: Path,
    /// How many objects there are, free and in use.
    pub capacity: usize,
    /// Objects that somebody holds: by a guard, in a window, or on their way between two cores.
    pub in_use: usize,
    /// The most objects at once, so far, that were in use or at hand in some magazine. The most in
    /// use were at most this, and at least this less what the magazines hold (64 objects per core). What [`sizing`](crate::sizing) asks for.
    pub high_water: usize,
    /// Free objects between the cores, in full batches.
    pub in_depot: usize,
    /// Free objects that no magazine could take when they were given back.
    pub loose: usize,
    /// Threads and tasks that wait for an object now.
    pub waiting: usize,
    /// Restartable sequences that the kernel has restarted (0 on the portable path).
    pub restarts: u64,
    /// Objects made after the build, by growing or resizing.
    pub grown: u64,
    /// Objects dropped by resizing or decay.
    pub shrunk: u64,
    /// Objects discarded because their recycling panicked or refused them.
    pub discarded: u64,
    /// By core: by CPU number, or by group of threads on the portable path.
    pub cores: Vec<CoreStatistics>,
}

/// What happened on one core.
///
/// ```
/// # use tailcut_pool::Pool;
/// # let pool = Pool::builder(|| 0_u64).capacity(100).build()?;
/// for (number, core) in pool.statistics().cores.iter().enumerate() {
///     if core.steals > core.refills {
///         println!("core {number} lives on what others leave: {core:?}");
///     }
/// }
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreStatistics {
    /// Objects taken.
    pub gets: u64,
    /// Objects given back.
    pub puts: u64,
    /// Batches that came from the depot, because the magazine was empty.
    pub refills: u64,
    /// Batches that went to the depot, because the magazine was full.
    pub spills: u64,
    /// Batches that came from another core's magazine, because the depot was empty, too.
    pub steals: u64,
    /// Looks that found nothing anywhere: a refusal, a growth, or the beginning of a wait.
    pub misses: u64,
    /// Gets that joined the queue of those that wait.
    pub waits: u64,
    /// Free objects in the core's magazine.
    pub resident: usize,
}

impl Statistics {
    /// The sum over all cores.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(100).build()?;
    /// for _ in 0..1000 {
    ///     drop(pool.try_get()?);
    /// }
    /// let total = pool.statistics().total();
    /// assert_eq!((total.gets, total.puts), (1000, 1000));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn total(&self) -> CoreStatistics {
        let mut total = CoreStatistics::default();
        for core in &self.cores {
            let CoreStatistics {
                gets,
                puts,
                refills,
                spills,
                steals,
                misses,
                waits,
                resident,
            } = *core;
            total.gets += gets;
            total.puts += puts;
            total.refills += refills;
            total.spills += spills;
            total.steals += steals;
            total.misses += misses;
            total.waits += waits;
            total.resident += resident;
        }
        total
    }

    /// How many objects are free.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(100).build()?;
    /// let held = pool.try_get_array::<30>()?;
    /// assert_eq!(pool.statistics().free(), 70);
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn free(&self) -> usize {
        self.capacity - self.in_use
    }
}
