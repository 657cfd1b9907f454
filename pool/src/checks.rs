//! Checked pools: who holds which object, since when, and what was done wrong with it.
//!
//! For development, tests, and a service that loses objects. A checked pool keeps a record per
//! object and a canary behind it, and costs some hundred nanoseconds per get and put; it behaves
//! as any other pool otherwise, so that one line of the builder turns the checks on.
//!
//! What is found:
//! - an object given back twice, or one that is not this pool's (by way of the raw API,
//!   [`Pool::from_raw`](crate::Pool::from_raw)): panic at the second return;
//! - a write beyond an object's end (by unsafe code): panic when the object is next given back or
//!   taken, naming who held it last; the object stays out of use;
//! - objects that were never given back: [`Pool::in_use`](crate::Pool::in_use) lists them at any
//!   time, with their owners' threads and call sites, and what is left when the pool ends is
//!   reported.
//!
//! A free object is not overwritten with a pattern, as an allocator's debug mode would do: it is
//! alive, and keeps its buffers. To see use after return, poison it yourself where its type allows
//! ([`Builder::on_return`](crate::Builder::on_return)).

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::counter::Counter;
use crate::free::Site;
use crate::plain::Plain;
use crate::slab::Place;

/// Turns checks on: see [`Builder::checked`](crate::Builder::checked).
///
/// ```
/// # use std::panic::{AssertUnwindSafe, catch_unwind};
/// # use tailcut_pool::{Checks, Guard, Pool};
/// let pool = Pool::builder(|| 0_u64).capacity(4).checked(Checks::new()).build()?;
/// let address = Guard::into_raw(pool.try_get()?);
/// // SAFETY: not kept! One guard too many is made here, which the pool finds out.
/// let (guard, twice) = unsafe { (pool.from_raw(address), pool.from_raw(address)) };
/// drop(guard);
/// let found = catch_unwind(AssertUnwindSafe(|| drop(twice)));
/// assert!(found.is_err()); // object 0 was given back twice; it was last taken at ..
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Checks {
    on_leak: Option<OnLeak>,
}

/// Called with what is still in use when a checked pool ends.
type OnLeak = Arc<dyn Fn(&[InUse]) + Send + Sync>;

impl Checks {
    /// All checks. Objects still in use when the pool ends are reported to the `log` facade, as one
    /// error each, if the feature `log` is on.
    ///
    /// ```
    /// # use tailcut_pool::{Checks, Pool};
    /// let pool = Pool::builder(|| 0_u64).capacity(4).checked(Checks::new()).build()?;
    /// assert!(pool.in_use().unwrap().is_empty());
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Checks::default()
    }

    /// Calls `report` with the objects still in use when the pool ends, instead.
    ///
    /// ```
    /// # use tailcut_pool::{Checks, Pool};
    /// let checks = Checks::new().on_leak(|left| assert_eq!(left.len(), 1));
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(4).checked(checks).build()?;
    /// std::mem::forget(pool.try_get()?);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_leak(mut self, report: impl Fn(&[InUse]) + Send + Sync + 'static) -> Self {
        self.on_leak = Some(Arc::new(report));
        self
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

/// An object in use, of a checked pool.
///
/// ```
/// # use std::time::Duration;
/// # use tailcut_pool::{Checks, Pool};
/// let pool = Pool::builder(|| 0_u64).capacity(4).checked(Checks::new()).build()?;
/// let held = pool.try_get()?;
/// for object in pool.in_use().unwrap() {
///     if object.held_for > Duration::from_secs(60) {
///         println!("forgotten? {object}"); // object 0: taken at src/main.rs:9:18 by thread ..
///     }
///     assert_eq!(object.thread, std::thread::current().id());
/// }
/// # drop(held);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InUse {
    /// Which one: 0 for the object that was made first.
    pub object: usize,
    /// Where it was taken.
    pub site: &'static Location<'static>,
    /// The thread that took it.
    pub thread: ThreadId,
    /// That thread's name, if it has one.
    pub thread_name: Option<String>,
    /// For how long it has been in use.
    pub held_for: Duration,
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InUse {
            object,
            site,
            thread,
            thread_name,
            held_for,
        } = self;
        let name = thread_name.as_deref().unwrap_or("without a name");
        write!(
            f,
            "object {object}: taken at {site} by thread {name} ({thread:?}), in use for {held_for:?}"
        )
    }
}

/// The records of one checked pool.
pub(crate) struct Ledger {
    checks: Checks,
    place: Place,
    /// From an object's end to the next slot: the canary.
    canary: std::ops::Range<usize>,
    records: Box<[Plain<Record>]>,
}

#[derive(Debug, Clone)]
enum Record {
    /// Whoever was at work with it vanished in a fork.
    #[cfg_attr(
        any(loom, shuttle, not(unix)),
        allow(dead_code, reason = "nobody forks there")
    )]
    Unknown,
    /// In nobody's hands; who had it last.
    Free(Option<Taken>),
    Taken(Taken),
}

#[derive(Debug, Clone)]
struct Taken {
    site: Site,
    thread: ThreadId,
    thread_name: Option<String>,
    at: Instant,
}

const CANARY: u8 = 0xC5;

/// How many unused bytes a checked pool wants behind each object.
pub(crate) const MARGIN: usize = 1;

impl Ledger {
    pub(crate) fn new(checks: Checks, place: Place, slots: usize, object_bytes: usize) -> Self {
        Ledger {
            checks,
            place,
            canary: object_bytes..place.stride(),
            records: (0..slots).map(|_| Plain::new(Record::Free(None))).collect(),
        }
    }

    fn record(&self, object: NonNull<u8>) -> (usize, &Plain<Record>) {
        let address = object.as_ptr().addr();
        let Some(slot) = self.place.slot_at(address, self.records.len()) else {
            panic!("{address:#x} is not the address of an object of this pool");
        };
        let ordinal = self.place.spacing().index(slot) as usize;
        (ordinal, &self.records[ordinal])
    }

    pub(crate) fn made(&self, object: NonNull<u8>) {
        for offset in self.canary.clone() {
            // SAFETY: between the object's end and the next slot; nobody's but ours.
            unsafe { object.add(offset).write_volatile(CANARY) };
        }
    }

    /// An object in use is no more.
    pub(crate) fn vacated(&self, object: NonNull<u8>) {
        *self.record(object).1.lock() = Record::Free(None);
    }

    /// Records a get. Should it be found that the object must not be used, `lost` counts it: it is
    /// in nobody's hands, and does not go back.
    pub(crate) fn taken(&self, object: NonNull<u8>, site: Site, lost: &Counter) {
        let (ordinal, record) = self.record(object);
        let mut record = record.lock();
        if let Record::Taken(holder) = &*record {
            // Not lost: its holder gives it back.
            panic!("object {ordinal} was handed out twice: {holder}");
        }
        if let Some(found) = self.overrun(object, ordinal, &record) {
            lost.add_one();
            panic!("{found}");
        }
        let thread = thread::current();
        *record = Record::Taken(Taken {
            site,
            thread: thread.id(),
            thread_name: thread.name().map(str::to_owned),
            at: Instant::now(),
        });
    }

    pub(crate) fn given_back(&self, object: NonNull<u8>) {
        let (ordinal, record) = self.record(object);
        let mut record = record.lock();
        if let Some(found) = self.overrun(object, ordinal, &record) {
            panic!("{found}");
        }
        match &*record {
            Record::Taken(holder) => *record = Record::Free(Some(holder.clone())),
            Record::Unknown => *record = Record::Free(None),
            Record::Free(Some(last)) => {
                panic!("object {ordinal} was given back twice; it was last {last}")
            }
            Record::Free(None) => {
                panic!("object {ordinal} was given back, but has never been taken")
            }
        }
    }

    /// What is to be said if somebody wrote into the canary.
    fn overrun(&self, object: NonNull<u8>, ordinal: usize, record: &Record) -> Option<String> {
        let end = self.canary.start;
        let spoilt = self.canary.clone().find(|&offset| {
            // SAFETY: as in `made`.
            unsafe { object.add(offset).read_volatile() != CANARY }
        })?;
        // Once is enough: the next user is not to blame.
        self.made(object);
        let who = match record {
            Record::Taken(holder) | Record::Free(Some(holder)) => holder.to_string(),
            Record::Free(None) | Record::Unknown => "never taken".to_owned(),
        };
        Some(format!(
            "somebody wrote {} bytes beyond the end of object {ordinal}; it was last {who}",
            spoilt - end + 1
        ))
    }

    /// Every object in use, the one taken first at the head.
    pub(crate) fn in_use(&self) -> Vec<InUse> {
        let mut all: Vec<(Instant, InUse)> = Vec::new();
        for (object, record) in self.records.iter().enumerate() {
            if let Record::Taken(taken) = &*record.lock() {
                all.push((
                    taken.at,
                    InUse {
                        object,
                        site: taken.site,
                        thread: taken.thread,
                        thread_name: taken.thread_name.clone(),
                        held_for: taken.at.elapsed(),
                    },
                ));
            }
        }
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, object)| object).collect()
    }

    /// After a fork, in the child.
    ///
    /// # Safety
    /// The caller is the process's only thread, and holds no record.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(crate) unsafe fn clear_away(&self) {
        for record in &self.records {
            // SAFETY: the caller's promise.
            unsafe { record.renew_if_held(Record::Unknown) }
        }
    }

    /// The pool ends: whatever is still in use is lost.
    pub(crate) fn report_leaks(&self) {
        let left = self.in_use();
        if left.is_empty() {
            return;
        }
        match &self.checks.on_leak {
            Some(report) => report(&left),
            None => left.iter().for_each(|object| {
                crate::log_line!(error, "a pool ended with {object}");
            }),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.thread_name.as_deref().unwrap_or("without a name");
        let (site, thread) = (self.site, self.thread);
        write!(f, "taken at {site} by thread {name} ({thread:?})")
    }
}
