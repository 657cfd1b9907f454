//! Exchanges a pool for another while it is in use: a larger one, one on another NUMA node, one
//! whose objects have another shape.
//!
//! What a pool is made of is fixed at build, and [`Pool::resize`] stays within it. A [`Swap`] holds
//! the current pool; gets go to whichever that is. Objects in use are **not** interrupted: owned
//! guards of the old pool stay valid, give their objects back to the old pool's memory, and the
//! last of them ends it. Nothing waits for them.
//!
//! # What it costs
//!
//! A get plus put of a 256-byte object on one thread, nothing being replaced, next to the pool's
//! own owned guards (the shortest of 25 rounds each, interleaved, of three runs):
//!
//! | | restartable sequences | portable path |
//! |---|---|---|
//! | [`Pool::try_get_owned`] | 1 | 1 |
//! | [`Reader::try_get`]: remembers the pool, and looks whether it is still the one | 1.17 (+0.5 ns) | 1.14 |
//! | [`Swap::try_get`]: marks the pool as being looked at, and unmarks it | 2.4 (+3.9 ns) | 1.9 |
//!
//! The mark is a word of the thread's own (`arc-swap`), so that readers do not disturb each other;
//! a shared count in its place would cost every core a cache-line transfer a get. A replacement
//! takes 0.15 us besides making the new pool and ending the old one.
//!
//! Nothing of ours is locked, so that a child made by `fork` should go on with its copy whatever other
//! threads were about; but a child hung once in some forty runs of a test, which is not explained yet. Rejected: a lock around each replacement, to count them. A child hung if a thread was in it.
//!
//! # Who ends the old pool
//!
//! [`Swap::replace`] returns it. A caller that just drops that leaves the end, which drops every
//! object, to whoever is last: perhaps to a get that was under way, or to the put of an object.
//! To keep that off the hot path, keep the pool until it is idle:
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! use tailcut_pool::{Pool, Swap};
//!
//! let small = Pool::builder(|| [0_u8; 4096]).keep_as_is().capacity(16).build()?;
//! let buffers = Swap::new(small);
//! let held = buffers.try_get()?;
//!
//! // A larger one takes its place. What is held goes on.
//! let large = Pool::builder(|| [0_u8; 4096]).keep_as_is().capacity(64).build()?;
//! # fn elsewhere<T>(_: T) {}
//! let old = buffers.replace(large);
//! assert_eq!(buffers.current().capacity(), 64);
//! # assert_eq!(old.statistics().in_use, 1);
//! elsewhere(held); // where it is dropped in its own time
//! while Arc::strong_count(&old) > 1 || old.statistics().in_use > 0 {
//!     std::thread::sleep(Duration::from_millis(1));
//! }
//! drop(old); // ends here, with all its objects
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! In a child made by `fork`, a pool that another thread was just looking at, or taking out, never
//! ends: that thread's hold on it stays. Nor does it become idle if others held objects of it. So do
//! not wait there for pools that the parent had.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::counter::Counter;
use crate::guard::OwnedGuard;
use crate::overload::Refuse;
use crate::pool::{Exhausted, Pool};
use crate::recycle::{ByTrait, Recycler};

/// A place for a pool, in which it can be exchanged for another while threads use it.
///
/// See the [module](self) for what it costs and how the old pool ends. Both pools have the same
/// type: the same objects, recycler and overload policy.
///
/// ```
/// use tailcut_pool::{AsIs, Pool, Swap};
///
/// # let pool = |capacity| Pool::builder(|| 0_u64).keep_as_is().capacity(capacity).build();
/// struct Service { orders: Swap<u64, AsIs> }
///
/// let service = Service { orders: Swap::new(pool(100)?) };
/// let order = service.orders.try_get()?;
/// service.orders.replace(pool(200)?);
/// drop(order); // goes back where it came from
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Swap<T, R = ByTrait, O = Refuse> {
    current: ArcSwap<Pool<T, R, O>>,
    /// How many pools came after the first. Each has its number with it.
    successors: Counter,
}

impl<T, R, O> Swap<T, R, O> {
    /// Begins with `pool`.
    ///
    /// ```
    /// # use tailcut_pool::{Pool, Swap};
    /// let swap = Swap::new(Pool::builder(|| 0_u64).capacity(100).build()?);
    /// assert_eq!(swap.current().capacity(), 100);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn new(mut pool: Pool<T, R, O>) -> Self {
        pool.number = 0;
        Swap {
            current: ArcSwap::from_pointee(pool),
            successors: Counter::default(),
        }
    }

    /// Puts `new` in the place of the current pool, which is returned.
    ///
    /// A get that begins after this is served by `new`; one that is under way may still be served
    /// by the old pool. Guards of the old pool stay valid. Whoever waits for an object of the old
    /// pool goes on waiting for one of the old pool's.
    ///
    /// Looks at every thread that has a get under way; making `new` is the dear part. Ending the old pool is the caller's matter: see the
    /// [module](self).
    ///
    /// ```
    /// # use tailcut_pool::{Pool, Swap};
    /// # let pool = |capacity| Pool::builder(|| 0_u64).capacity(capacity).build();
    /// let swap = Swap::new(pool(100)?);
    /// let old = swap.replace(pool(200)?);
    /// assert_eq!((old.capacity(), swap.current().capacity()), (100, 200));
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn replace(&self, mut new: Pool<T, R, O>) -> Arc<Pool<T, R, O>> {
        new.number = self.successors.count() + 1;
        self.current.swap(Arc::new(new))
    }

    /// The current pool, for as long as the caller keeps it. A shared reference count pays: for
    /// looking at the pool, or for much work with one, not for each get.
    ///
    /// ```
    /// # use tailcut_pool::{Pool, Swap};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tailcut_pool::BuildError> {
    /// let swap = Swap::new(Pool::builder(String::new).capacity(1).wait().build()?);
    /// let pool = swap.current();
    /// let object = pool.own(pool.get_async().await); // may outlive `pool`
    /// # drop(object);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn current(&self) -> Arc<Pool<T, R, O>> {
        self.current.load_full()
    }

    /// Runs `work` with the current pool: for what [`try_get`](Self::try_get) does not do. What
    /// borrows the pool ends with `work`; owned guards may leave it.
    ///
    /// ```
    /// # use tailcut_pool::{Pool, Swap};
    /// let pool = Pool::builder(|| 7_u64).keep_as_is().capacity(1).grow_to(2).build()?;
    /// let swap = Swap::new(pool);
    /// let first = swap.try_get()?;
    /// let second = swap.with(|pool| pool.get().map(|guard| pool.own(guard)))?; // grows
    /// assert_eq!(*first + *second, 14);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn with<U>(&self, work: impl FnOnce(&Pool<T, R, O>) -> U) -> U {
        work(&self.current.load())
    }

    /// For a thread or task that gets often: remembers the current pool, so that a get costs less.
    ///
    /// An idle reader keeps the pool that it saw last; see [`Reader::refresh`].
    ///
    /// ```
    /// # use tailcut_pool::{Pool, Swap};
    /// let swap = Swap::new(Pool::builder(|| 0_u64).capacity(100).build()?);
    /// let mut reader = swap.reader();
    /// for _ in 0..1000 {
    ///     drop(reader.try_get()?);
    /// }
    /// assert_eq!(swap.current().statistics().total().gets, 1000);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reader(&self) -> Reader<'_, T, R, O> {
        Reader {
            cache: Cache::new(Place(self)),
        }
    }
}

impl<T, R: Recycler<T>, O> Swap<T, R, O> {
    /// Takes an object of the current pool and recycles it, or refuses at once if every object of
    /// that pool is in use. As [`Pool::try_get_owned`].
    ///
    /// ```
    /// # use tailcut_pool::{Pool, Swap};
    /// let swap = Swap::new(Pool::builder(|| 0_u64).capacity(1).build()?);
    /// let held = swap.try_get()?;
    /// assert!(swap.try_get().is_err());
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Exhausted`] if every object of the current pool is in use.
    ///
    /// # Panics
    /// If the recycler does; the object is discarded and replaced by a new one.
    #[inline]
    #[track_caller]
    pub fn try_get(&self) -> Result<OwnedGuard<T>, Exhausted> {
        self.current.load().try_get_owned()
    }
}

impl<T, R, O> fmt::Debug for Swap<T, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swap")
            .field("current", &self.current())
            .finish_non_exhaustive()
    }
}

/// One thread's or task's view of a [`Swap`], from [`Swap::reader`].
///
/// ```
/// # use tailcut_pool::{Pool, Swap};
/// # let pool = |capacity| Pool::builder(|| 0_u64).keep_as_is().capacity(capacity).build();
/// let swap = Swap::new(pool(1)?);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut reader = swap.reader();
///         for _ in 0..1000 {
///             *reader.try_get().unwrap() += 1;
///         }
///     });
///     swap.replace(pool(2).unwrap()); // the reader goes over to it by itself
/// });
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
pub struct Reader<'s, T, R = ByTrait, O = Refuse> {
    cache: Remembered<'s, T, R, O>,
}

type Remembered<'s, T, R, O> = Cache<Place<'s, T, R, O>, Arc<Pool<T, R, O>>>;

impl<T, R, O> Reader<'_, T, R, O> {
    /// The current pool, looked up if it is no longer the one that this reader remembers.
    ///
    /// ```
    /// # use tailcut_pool::{Pool, Swap};
    /// let swap = Swap::new(Pool::builder(|| 0_u64).capacity(10).wait().build()?);
    /// let mut reader = swap.reader();
    /// let object = reader.pool().get(); // by any way of getting
    /// # drop(object);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[inline]
    pub fn pool(&mut self) -> &Pool<T, R, O> {
        self.cache.load()
    }

    /// Lets go of a pool that was replaced. Every get does that too; this is for a reader that is
    /// about to be idle for long, or that the old pool's end waits for.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tailcut_pool::{Pool, Swap};
    /// # let pool = |capacity| Pool::builder(|| 0_u64).capacity(capacity).build();
    /// let swap = Swap::new(pool(1)?);
    /// let mut reader = swap.reader();
    /// let old = swap.replace(pool(2)?);
    /// reader.refresh();
    /// assert_eq!(Arc::strong_count(&old), 1); // nobody else keeps it
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn refresh(&mut self) {
        self.pool();
    }
}

impl<T, R: Recycler<T>, O> Reader<'_, T, R, O> {
    /// As [`Swap::try_get`].
    ///
    /// ```
    /// # use tailcut_pool::{Pool, Swap};
    /// let swap = Swap::new(Pool::builder(|| 0_u64).capacity(1).build()?);
    /// let mut reader = swap.reader();
    /// let held = reader.try_get()?;
    /// assert!(reader.try_get().is_err());
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Exhausted`] if every object of the current pool is in use.
    ///
    /// # Panics
    /// If the recycler does; the object is discarded and replaced by a new one.
    #[inline]
    #[track_caller]
    pub fn try_get(&mut self) -> Result<OwnedGuard<T>, Exhausted> {
        self.pool().try_get_owned()
    }
}

impl<T, R, O> fmt::Debug for Reader<'_, T, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// Leads a reader to the current pool's place.
struct Place<'s, T, R, O>(&'s Swap<T, R, O>);

impl<T, R, O> Deref for Place<'_, T, R, O> {
    type Target = ArcSwap<Pool<T, R, O>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0.current
    }
}
