//! A pool's statistics for the systems that watch a service: Prometheus text, or any recorder of
//! the `metrics` facade.
//!
//! Both publish the same series under the same names, from one list. Names, labels and meanings are
//! part of this crate's interface; new series may come.
//!
//! | series | kind | labels |
//! |---|---|---|
//! | `tailcut_pool_capacity`, `_in_use`, `_high_water`, `_in_depot`, `_loose`, `_waiting` | gauge | `pool` |
//! | `tailcut_pool_restarts_total`, `_grown_total`, `_shrunk_total`, `_discarded_total` | counter | `pool` |
//! | `tailcut_pool_gets_total`, `_puts_total`, `_refills_total`, `_spills_total`, `_steals_total`, `_misses_total`, `_waits_total` | counter | `pool`, `core` |
//! | `tailcut_pool_resident` | gauge | `pool`, `core` |
//! | `tailcut_pool_info`, always 1 | gauge | `pool`, `path` (`rseq`, `portable`) |
//! | `tailcut_pool_lifetime_sampled_one_in` | gauge | `pool` |
//! | `tailcut_pool_lifetime_seconds` | histogram | `pool` |
//!
//! What each counts is said at the field of [`Statistics`] and [`CoreStatistics`] that it comes
//! from, and in short in its own description. A core that the pool was never used on has no series:
//! a machine may have hundreds. The last two are there if the pool
//! [samples lifetimes](crate::Builder::sample_lifetimes).
//!
//! # As text
//!
//! Without any feature or dependency, for a service that answers `GET /metrics` itself:
//!
//! ```
//! use tailcut_pool::export::{self, Snapshot};
//! # use tailcut_pool::Pool;
//! # let orders = Pool::builder(|| 0_u64).keep_as_is().capacity(10).build()?;
//! # let sessions = Pool::builder(|| 0_u64).keep_as_is().capacity(10).build()?;
//!
//! let mut body = String::new();
//! let pools = [Snapshot::of("orders", &orders), Snapshot::of("sessions", &sessions)];
//! export::prometheus_text(&pools, &mut body)?;
//! assert!(body.contains("tailcut_pool_capacity{pool=\"orders\"} 10\n"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # By the `metrics` facade
//!
//! With the feature `metrics`, to the recorder that the service has installed:
//!
//! ```
//! # #[cfg(feature = "metrics")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tailcut_pool::{Pool, export};
//!
//! let orders = Arc::new(Pool::builder(|| 0_u64).keep_as_is().capacity(10).build()?);
//! let exporting = export::every(Duration::from_secs(5), "orders", &orders)?;
//! # drop(exporting);
//! # Ok(()) }
//! # #[cfg(not(feature = "metrics"))]
//! # fn main() {}
//! ```
//!
//! The histogram gets each lifetime as the longest of its bucket. A recorder may make something else
//! of it: `metrics-exporter-prometheus` makes a summary unless it is told buckets.
//!
//! # What it costs
//!
//! A [`Pool::statistics`](crate::Pool::statistics), which reads a few words per core and allocates
//! one list; nothing on gets and puts. Of a pool on two cores a publication by the facade took
//! 0.1 us, the text 3.5 us.
//!
//! # Limits
//!
//! While a pool is used, a core's count may be read a batch too low or too high. Prometheus takes
//! a number that falls for a restart; a core would have to do next to nothing between two such
//! looks. By the facade counters never fall.

use std::sync::Arc;

use crate::lifetimes::Lifetimes;
use crate::percpu::Path;
use crate::pool::Pool;
use crate::statistics::{CoreStatistics, Statistics};
#[cfg(feature = "swap")]
use crate::swap::Swap;

#[cfg(feature = "metrics")]
mod recorder;
mod text;

#[cfg(feature = "metrics")]
pub use recorder::{Exporter, Exporting, every};
pub use text::{PROMETHEUS_CONTENT_TYPE, prometheus_text};

/// What can be exported: a [`Pool`], a `Swap` (feature `swap`), and references to them.
///
/// Sealed: it cannot be implemented elsewhere.
///
/// ```
/// # use tailcut_pool::Pool;
/// use tailcut_pool::export::{Snapshot, Source};
///
/// fn free_objects(source: &impl Source) -> usize {
///     Snapshot::of("", source).statistics.free()
/// }
/// let pool = Pool::builder(|| 0_u64).capacity(10).build()?;
/// assert_eq!(free_objects(&pool), 10);
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
pub trait Source: sealed::Source {}
impl<S: sealed::Source + ?Sized> Source for S {}

mod sealed {
    use super::{Lifetimes, Statistics};

    /// What an exporter sees of a pool at one moment.
    #[derive(Debug, Clone)]
    #[cfg_attr(
        not(feature = "metrics"),
        allow(dead_code, reason = "text has no past")
    )]
    pub struct Observation {
        pub statistics: Statistics,
        pub lifetimes: Option<Lifetimes>,
        /// Which of the pools that have stood in one place this is: when it changes, all counts have
        /// begun anew.
        pub number: u64,
    }

    pub trait Source {
        fn observe(&self) -> Observation;
    }
}

use sealed::Observation;

impl<T, R, O> sealed::Source for Pool<T, R, O> {
    fn observe(&self) -> Observation {
        Observation {
            statistics: self.statistics(),
            lifetimes: self.lifetimes(),
            number: 0,
        }
    }
}

#[cfg(feature = "swap")]
impl<T, R, O> sealed::Source for Swap<T, R, O> {
    fn observe(&self) -> Observation {
        let pool = self.current();
        Observation {
            number: pool.number,
            ..pool.observe()
        }
    }
}

impl<S: sealed::Source + ?Sized> sealed::Source for &S {
    fn observe(&self) -> Observation {
        (**self).observe()
    }
}

impl<S: sealed::Source + ?Sized> sealed::Source for Arc<S> {
    fn observe(&self) -> Observation {
        (**self).observe()
    }
}

/// One pool's figures at one moment, under the name by which it is known outside.
///
/// ```
/// # use tailcut_pool::Pool;
/// use tailcut_pool::export::Snapshot;
///
/// let pool = Pool::builder(|| 0_u64).capacity(10).build()?;
/// let Snapshot { name, statistics, lifetimes } = Snapshot::of("orders", &pool);
/// assert_eq!((name, statistics.capacity, lifetimes), ("orders", 10, None));
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Snapshot<'n> {
    /// The value of the label `pool`.
    pub name: &'n str,
    /// What the pool has done and holds.
    pub statistics: Statistics,
    /// How long sampled objects were in use, if the pool takes samples.
    pub lifetimes: Option<Lifetimes>,
}

impl<'n> Snapshot<'n> {
    /// Takes one. Costs what [`Pool::statistics`] does.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// use tailcut_pool::export::Snapshot;
    ///
    /// let pool = Pool::builder(|| 0_u64).capacity(10).build()?;
    /// let held = pool.try_get()?;
    /// assert_eq!(Snapshot::of("orders", &pool).statistics.in_use, 1);
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(name: &'n str, source: &impl Source) -> Self {
        let Observation {
            statistics,
            lifetimes,
            ..
        } = source.observe();
        Snapshot {
            name,
            statistics,
            lifetimes,
        }
    }
}

/// How a series behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Goes up and down.
    Gauge,
    /// Goes up, from 0.
    Counter,
}

/// One name, with what is read for it.
struct Family<F> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: fn(&F) -> u64,
}

const fn gauge<F>(name: &'static str, help: &'static str, read: fn(&F) -> u64) -> Family<F> {
    let kind = Kind::Gauge;
    Family {
        name,
        kind,
        help,
        read,
    }
}

const fn counter<F>(name: &'static str, help: &'static str, read: fn(&F) -> u64) -> Family<F> {
    let kind = Kind::Counter;
    Family {
        name,
        kind,
        help,
        read,
    }
}

/// What a pool has as a whole.
static OF_POOL: [Family<Statistics>; 10] = [
    gauge(
        "tailcut_pool_capacity",
        "Objects of the pool, free and in use.",
        |s| s.capacity as u64,
    ),
    gauge("tailcut_pool_in_use", "Objects that somebody holds.", |s| {
        s.in_use as u64
    }),
    gauge(
        "tailcut_pool_high_water",
        "The most objects at once that were in use or in a magazine.",
        |s| s.high_water as u64,
    ),
    gauge(
        "tailcut_pool_in_depot",
        "Free objects between the cores.",
        |s| s.in_depot as u64,
    ),
    gauge(
        "tailcut_pool_loose",
        "Free objects that no magazine could take.",
        |s| s.loose as u64,
    ),
    gauge(
        "tailcut_pool_waiting",
        "Threads and tasks that wait for an object.",
        |s| s.waiting as u64,
    ),
    counter(
        "tailcut_pool_restarts_total",
        "Restartable sequences that the kernel has restarted.",
        |s| s.restarts,
    ),
    counter(
        "tailcut_pool_grown_total",
        "Objects made after the build.",
        |s| s.grown,
    ),
    counter(
        "tailcut_pool_shrunk_total",
        "Objects dropped by resizing or decay.",
        |s| s.shrunk,
    ),
    counter(
        "tailcut_pool_discarded_total",
        "Objects discarded because their recycling panicked or refused them.",
        |s| s.discarded,
    ),
];

/// What a pool has on each core.
static OF_CORE: [Family<CoreStatistics>; 8] = [
    counter("tailcut_pool_gets_total", "Objects taken.", |c| c.gets),
    counter("tailcut_pool_puts_total", "Objects given back.", |c| c.puts),
    counter(
        "tailcut_pool_refills_total",
        "Batches from the depot.",
        |c| c.refills,
    ),
    counter("tailcut_pool_spills_total", "Batches to the depot.", |c| {
        c.spills
    }),
    counter(
        "tailcut_pool_steals_total",
        "Batches from another core's magazine.",
        |c| c.steals,
    ),
    counter(
        "tailcut_pool_misses_total",
        "Looks that found nothing anywhere: a refusal, a growth, or the beginning of a wait.",
        |c| c.misses,
    ),
    counter(
        "tailcut_pool_waits_total",
        "Gets that joined the queue of those that wait.",
        |c| c.waits,
    ),
    gauge(
        "tailcut_pool_resident",
        "Free objects in the core's magazine.",
        |c| c.resident as u64,
    ),
];

const INFO: (&str, &str) = (
    "tailcut_pool_info",
    "The per-core path that the pool uses; always 1.",
);
const SAMPLED: (&str, &str) = (
    "tailcut_pool_lifetime_sampled_one_in",
    "One get in so many is in the histogram of lifetimes.",
);
const LIFETIME: (&str, &str) = (
    "tailcut_pool_lifetime_seconds",
    "How long sampled objects were in use.",
);

/// The value of the label `path`.
fn path_label(path: Path) -> &'static str {
    match path {
        Path::Rseq => "rseq",
        Path::Portable(_) => "portable",
    }
}

/// Cores that the pool was used on, by number.
fn used_cores(statistics: &Statistics) -> impl Iterator<Item = (usize, &CoreStatistics)> {
    let cores = statistics.cores.iter().enumerate();
    cores.filter(|(_, core)| **core != CoreStatistics::default())
}

/// The longest time, in seconds, that bucket `index` of [`Lifetimes::counts`] counts: 2^(i+1) - 1
/// nanoseconds. (The last one has no end: this is where it would be.)
fn bucket_end(index: usize) -> f64 {
    ((2_u64 << index) - 1) as f64 / 1e9
}
