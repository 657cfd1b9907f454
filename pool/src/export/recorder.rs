//! Publishes by the `metrics` facade, from a timer or from a thread of its own.
//!
//! Handles are made once: a pool's at the beginning, a core's when the pool is first used there.
//! After that a publication allocates nothing but the list of cores in
//! [`Pool::statistics`](crate::Pool::statistics).
//!
//! Counters are published as absolute numbers, which can only rise: counts of one moment are not
//! exact while the pool is used, and a later one may be some objects lower. When a pool is exchanged
//! for another (`Swap`), the new one's counts are added to what was published; what the old one did
//! after that is lost, one period at most.
//!
//! Rejected: publishing increments. A second exporter of the same pool would count all twice.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};

use super::sealed::{Observation, Source as _};
use super::{
    Family, INFO, Kind, LIFETIME, OF_CORE, OF_POOL, SAMPLED, Source, bucket_end, path_label,
    used_cores,
};
use crate::lifetimes::Lifetimes;
use crate::periodic::Periodic;
use crate::statistics::{CoreStatistics, Statistics};

/// Publishes one pool's statistics, when told to, to the recorder of the `metrics` facade.
///
/// For a service with a timer of its own; [`every`] has a thread. See the [module](super) for the
/// series.
///
/// ```
/// use tailcut_pool::Pool;
/// use tailcut_pool::export::Exporter;
///
/// // The recorder (of `metrics-exporter-prometheus`, say) has been installed before.
/// let orders = Pool::builder(|| 0_u64).keep_as_is().capacity(10).build()?;
/// let mut exporter = Exporter::new("orders", &orders);
/// exporter.publish(); // every few seconds
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
pub struct Exporter<S> {
    source: S,
    series: Series,
}

impl<S: Source> Exporter<S> {
    /// Describes and registers the series with the recorder that is installed now; without one,
    /// publishing does nothing, for ever.
    ///
    /// `source` is a pool or a swap, by reference or by `Arc`; `name` becomes the label `pool`, and
    /// no two pools should share it.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tailcut_pool::Pool;
    /// use tailcut_pool::export::Exporter;
    ///
    /// let pool = Arc::new(Pool::builder(|| 0_u64).capacity(10).build()?);
    /// let exporter = Exporter::new("orders", Arc::clone(&pool)); // `'static`: for a task
    /// # drop(exporter);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, source: S) -> Self {
        Exporter {
            source,
            series: Series::new(name.into()),
        }
    }

    /// Publishes the figures of this moment. Lifetimes that ended since the last call are recorded
    /// each as the longest of its bucket: up to twice too long, never too short. Call it from one
    /// timer, every second to every minute.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// # use tailcut_pool::export::Exporter;
    /// # let pool = Pool::builder(|| 0_u64).capacity(10).build()?;
    /// # let mut exporter = Exporter::new("orders", &pool);
    /// # let ticks = 0..3;
    /// for _tick in ticks { // of a timer
    ///     exporter.publish();
    /// }
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn publish(&mut self) {
        self.series.publish(&self.source.observe());
    }
}

impl<S> std::fmt::Debug for Exporter<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter")
            .field("pool", &self.series.name)
            .finish_non_exhaustive()
    }
}

/// Publishes at once and then every `period`, until the pool or the returned handle is dropped.
///
/// The thread holds the pool weakly: it does not keep it alive. `source` is a pool or a swap. The
/// recorder must be installed globally: the thread registers cores that come into use later.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use tailcut_pool::{Pool, export};
/// let pool = Arc::new(Pool::builder(|| 0_u64).capacity(10).build()?);
/// let exporting = export::every(Duration::from_secs(5), "orders", &pool)?;
/// // Kept for as long as the service runs.
/// # drop(exporting);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The system starts no thread.
pub fn every<S>(period: Duration, name: &str, source: &Arc<S>) -> io::Result<Exporting>
where
    S: Source + Send + Sync + 'static,
{
    let mut series = Series::new(name.to_owned());
    series.publish(&source.observe());
    let source: Weak<S> = Arc::downgrade(source);
    let periodic = Periodic::spawn("tailcut-export", period, move || {
        // The strong reference ends before anything is published.
        match source.upgrade().map(|source| source.observe()) {
            Some(observation) => {
                series.publish(&observation);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    })?;
    Ok(Exporting {
        _periodic: periodic,
    })
}

/// A running export: ends when dropped.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use tailcut_pool::{Pool, export};
/// struct Service {
///     orders: Arc<Pool<u64>>,
///     _exporting: export::Exporting,
/// }
/// # let orders = Arc::new(Pool::builder(|| 0_u64).capacity(10).build()?);
/// let exporting = export::every(Duration::from_secs(5), "orders", &orders)?;
/// let service = Service { orders, _exporting: exporting };
/// # assert!(service.orders.try_get().is_ok());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the export ends when this is dropped"]
pub struct Exporting {
    _periodic: Periodic,
}

/// A pool's handles, and what has been published.
struct Series {
    name: String,
    of_pool: Vec<Handle>,
    /// The path that was told last.
    info: Option<(&'static str, Gauge)>,
    /// By core; empty until the pool is first used there.
    of_cores: Vec<Vec<Handle>>,
    lifetimes: Option<Sampled>,
    /// Of the pool that was published last.
    number: u64,
}

impl Series {
    fn new(name: String) -> Self {
        OF_POOL.iter().for_each(describe);
        OF_CORE.iter().for_each(describe);
        metrics::describe_gauge!(INFO.0, Unit::Count, INFO.1);
        let labels = [("pool", name.clone())];
        Series {
            of_pool: handles(&OF_POOL, &labels),
            name,
            info: None,
            of_cores: Vec::new(),
            lifetimes: None,
            number: 0,
        }
    }

    fn publish(&mut self, now: &Observation) {
        let Observation {
            statistics,
            lifetimes,
            number,
        } = now;
        if self.number != *number {
            self.number = *number;
            self.start_anew();
        }
        publish_all(&OF_POOL, &mut self.of_pool, statistics);
        self.publish_info(statistics);
        self.publish_cores(statistics);
        if let Some(lifetimes) = lifetimes {
            self.lifetimes
                .get_or_insert_with(|| Sampled::new(&self.name))
                .publish(lifetimes);
        }
    }

    /// Another pool is in the place of the one that was seen.
    fn start_anew(&mut self) {
        let handles = self.of_cores.iter_mut().flatten().chain(&mut self.of_pool);
        handles.for_each(Handle::start_anew);
        if let Some(lifetimes) = &mut self.lifetimes {
            lifetimes.seen.fill(0);
        }
    }

    /// A pool's path never changes; a successor's may be another.
    fn publish_info(&mut self, statistics: &Statistics) {
        let path = path_label(statistics.path);
        match &self.info {
            Some((told, _)) if *told == path => return,
            Some((_, former)) => former.set(0.0),
            None => {}
        }
        let info = metrics::gauge!(INFO.0, "pool" => self.name.clone(), "path" => path);
        info.set(1.0);
        self.info = Some((path, info));
    }

    fn publish_cores(&mut self, statistics: &Statistics) {
        let cores = statistics.cores.len().max(self.of_cores.len());
        self.of_cores.resize_with(cores, Vec::new);
        for (number, _) in used_cores(statistics) {
            if self.of_cores[number].is_empty() {
                let labels = [("pool", self.name.clone()), ("core", number.to_string())];
                self.of_cores[number] = handles(&OF_CORE, &labels);
            }
        }
        // A core that was used keeps its series, though its magazine is another pool's now.
        let unused = CoreStatistics::default();
        for (number, handles) in self.of_cores.iter_mut().enumerate() {
            let core = statistics.cores.get(number).unwrap_or(&unused);
            publish_all(&OF_CORE, handles, core);
        }
    }
}

/// A series' way to the recorder.
enum Handle {
    Gauge(Gauge),
    Counter {
        counter: Counter,
        /// What the pools before the current one have counted.
        before: u64,
        /// The most that the current one was seen to have counted.
        most: u64,
    },
}

impl Handle {
    fn publish(&mut self, value: u64) {
        match self {
            Handle::Gauge(gauge) => gauge.set(value as f64),
            Handle::Counter {
                counter,
                before,
                most,
            } => {
                *most = value.max(*most);
                counter.absolute(*before + *most);
            }
        }
    }

    fn start_anew(&mut self) {
        if let Handle::Counter { before, most, .. } = self {
            *before += std::mem::take(most);
        }
    }
}

fn describe<F>(family: &Family<F>) {
    match family.kind {
        Kind::Gauge => metrics::describe_gauge!(family.name, Unit::Count, family.help),
        Kind::Counter => metrics::describe_counter!(family.name, Unit::Count, family.help),
    }
}

fn handles<F>(families: &[Family<F>], labels: &[(&'static str, String)]) -> Vec<Handle> {
    let handle = |family: &Family<F>| match family.kind {
        Kind::Gauge => Handle::Gauge(metrics::gauge!(family.name, labels)),
        Kind::Counter => Handle::Counter {
            counter: metrics::counter!(family.name, labels),
            before: 0,
            most: 0,
        },
    };
    families.iter().map(handle).collect()
}

/// `handles` were made of `families`, or there are none.
fn publish_all<F>(families: &[Family<F>], handles: &mut [Handle], figures: &F) {
    for (family, handle) in families.iter().zip(handles) {
        handle.publish((family.read)(figures));
    }
}

/// The histogram of lifetimes.
struct Sampled {
    one_in: Gauge,
    histogram: Histogram,
    /// What has been recorded, by bucket.
    seen: Vec<u64>,
}

impl Sampled {
    fn new(name: &str) -> Self {
        metrics::describe_gauge!(SAMPLED.0, Unit::Count, SAMPLED.1);
        metrics::describe_histogram!(LIFETIME.0, Unit::Seconds, LIFETIME.1);
        Sampled {
            one_in: metrics::gauge!(SAMPLED.0, "pool" => name.to_owned()),
            histogram: metrics::histogram!(LIFETIME.0, "pool" => name.to_owned()),
            seen: Vec::new(),
        }
    }

    fn publish(&mut self, lifetimes: &Lifetimes) {
        self.one_in.set(f64::from(lifetimes.one_in));
        self.seen.resize(lifetimes.counts.len(), 0);
        for (index, (seen, &count)) in self.seen.iter_mut().zip(&lifetimes.counts).enumerate() {
            let new = count.saturating_sub(*seen);
            if new > 0 {
                self.histogram.record_many(bucket_end(index), new as usize);
                *seen = count;
            }
        }
    }
}
