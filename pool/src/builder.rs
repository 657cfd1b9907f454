//! How a pool is described and made.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::attendant::Duties;
use crate::checks::Checks;
use crate::maker::Maker;
use crate::memory::{HugePages, Node, Wishes};
use crate::overload::{Grow, Refuse, Wait};
use crate::pool::Pool;
use crate::recycle::{AsIs, ByTrait, Recycler, ReusableIf, With};

/// Describes a [`Pool`]: begin with [`Pool::builder`], end with [`build`](Builder::build).
///
/// ```
/// # use tailcut_pool::{Pool, Within};
/// let pool = Pool::builder(|| Vec::<u8>::with_capacity(4096)) // what an object is
///     .capacity(256) // how many there are
///     .recycler(Within::bytes(64 << 10)) // what happens between two uses
///     .wait() // what a get does when all are in use
///     .build()?;
/// assert_eq!(pool.get().capacity(), 4096);
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct Builder<F, R = ByTrait, O = Refuse> {
    make: F,
    recycler: R,
    plan: Plan,
    overload: PhantomData<O>,
    /// Invariant in `F`: what `on_return` was told of the objects' type must still hold at `build`.
    maker: PhantomData<fn(F) -> F>,
}

/// Everything but the maker and the recycler.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) capacity: usize,
    /// How many objects there may ever be; less than the capacity means: no more than that.
    pub(crate) limit: usize,
    pub(crate) portable: bool,
    pub(crate) align: usize,
    pub(crate) wishes: Wishes,
    pub(crate) duties: Duties,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("capacity", &self.capacity)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<F> Builder<F> {
    pub(crate) fn new(make: F) -> Self {
        Builder {
            make,
            recycler: ByTrait,
            plan: Plan {
                capacity: 0,
                limit: 0,
                portable: false,
                align: 1,
                wishes: Wishes::default(),
                duties: Duties::default(),
            },
            overload: PhantomData,
            maker: PhantomData,
        }
    }
}

/// What the pool holds, and where.
impl<F, R, O> Builder<F, R, O> {
    /// How many objects the pool holds: exactly so many can be in use at once.
    /// [`sizing`](crate::sizing) helps to choose.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(2).build()?;
    /// let held = (pool.try_get()?, pool.try_get()?);
    /// assert!(pool.try_get().is_err());
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(mut self, objects: usize) -> Self {
        self.plan.capacity = objects;
        self
    }

    /// How many objects the pool has room for, so that it can be [resized](Pool::resize) up to
    /// that. Room costs addresses, and some eight bytes an object, but no memory for the objects.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| [0_u8; 256]).keep_as_is().capacity(10).room_for(1000).build()?;
    /// assert_eq!((pool.capacity(), pool.room()), (10, 1000));
    /// assert_eq!(pool.resize(5000), 1000);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn room_for(mut self, objects: usize) -> Self {
        self.plan.limit = objects;
        self
    }

    /// Aligns each object to `bytes`, a power of two: 4096 for direct input and output, say.
    /// Objects are always aligned to a cache line (64 bytes), or to what their type wants if that
    /// is more.
    ///
    /// ```
    /// # use tailcut_pool::{BuildError, Pool};
    /// let pages = Pool::builder(|| [0_u8; 4096]).keep_as_is().capacity(8).align(4096);
    /// assert!(pages.clone().build()?.try_get()?.as_ptr().addr().is_multiple_of(4096));
    /// let refused = pages.align(1000).build().unwrap_err();
    /// assert_eq!(refused, BuildError::BadAlignment { bytes: 1000 });
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn align(mut self, bytes: usize) -> Self {
        self.plan.align = bytes;
        self
    }

    /// Which pages the objects are to lie on.
    ///
    /// ```
    /// # use tailcut_pool::{HugePages, Pages, Pool};
    /// let pool = Pool::builder(|| [0_u8; 4096])
    ///     .keep_as_is()
    ///     .capacity(1024)
    ///     .align(4096)
    ///     .huge_pages(HugePages::Never)
    ///     .build()?;
    /// assert_eq!(pool.pages(), Pages::Base);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn huge_pages(mut self, pages: HugePages) -> Self {
        self.plan.wishes.huge = pages;
        self
    }

    /// On which NUMA node the objects are to lie. The pool does not keep track of nodes: an object
    /// given back on another node is next taken there. Where that matters, have a pool per node.
    ///
    /// ```
    /// # use tailcut_pool::{Node, Pool};
    /// // A pool that all nodes use alike.
    /// let shared = Pool::builder(|| [0_u8; 256]).keep_as_is().capacity(1000).node(Node::Interleaved);
    /// match shared.build() {
    ///     Ok(pool) => assert_eq!(pool.capacity(), 1000),
    ///     Err(why) => println!("{why}"), // no such policy here, or a sandbox forbids it
    /// }
    /// ```
    pub fn node(mut self, node: Node) -> Self {
        self.plan.wishes.node = node;
        self
    }

    /// Locks the objects' memory (`mlock`), so that it is never paged out. The limit is
    /// `RLIMIT_MEMLOCK`. Objects made later, by growing or resizing, are not locked.
    ///
    /// ```
    /// # use tailcut_pool::{BuildError, Pool};
    /// let keys = Pool::builder(|| [0_u8; 32]).keep_as_is().capacity(16);
    /// let pool = match keys.clone().lock_memory().build() {
    ///     Err(BuildError::NotLocked { why, .. }) => {
    ///         println!("keys may be paged out: {why}");
    ///         keys.build()?
    ///     }
    ///     built => built?,
    /// };
    /// assert_eq!(pool.capacity(), 16);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn lock_memory(mut self) -> Self {
        self.plan.wishes.locked = true;
        self
    }

    /// Uses the portable path even where restartable sequences work: to test or to compare.
    ///
    /// ```
    /// # use tailcut_pool::{Fallback, Path, Pool};
    /// let pool = Pool::builder(|| 0_u64).capacity(16).portable().build()?;
    /// assert_eq!(pool.path(), Path::Portable(Fallback::Requested));
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn portable(mut self) -> Self {
        self.plan.portable = true;
        self
    }

    /// Keeps a record of each object in use and checks what is done with it: for development. See
    /// [`checks`](crate::checks).
    ///
    /// ```
    /// # use tailcut_pool::{Checks, Pool};
    /// let builder = Pool::builder(|| 0_u64).capacity(16);
    /// let builder = if cfg!(debug_assertions) { builder.checked(Checks::new()) } else { builder };
    /// let pool = builder.build()?;
    /// assert_eq!(pool.in_use().is_some(), cfg!(debug_assertions));
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn checked(mut self, checks: Checks) -> Self {
        self.plan.duties.checks = Some(checks);
        self
    }
}

/// What is to be seen.
impl<F, R, O> Builder<F, R, O> {
    /// Measures how long objects are in use, at one get in `one_in`: see [`Pool::lifetimes`] and
    /// the `get` and `put` [probes](crate::probes). Every get and put of the pool goes out of line
    /// for it (some nanoseconds); 1024 makes the cost of the samples themselves small.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(16).sample_lifetimes(1).build()?; // every one
    /// for _ in 0..100 {
    ///     drop(pool.try_get()?);
    /// }
    /// let lifetimes = pool.lifetimes().unwrap();
    /// assert_eq!(lifetimes.samples(), 100);
    /// println!("99% of all objects were in use for {:?} at most", lifetimes.quantile(0.99));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn sample_lifetimes(mut self, one_in: u32) -> Self {
        self.plan.duties.sample = Some(one_in);
        self
    }
}

/// What happens to objects between two uses.
impl<F, R, O> Builder<F, R, O> {
    /// Recycles each object by `recycle` when it is next taken.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// struct Session { user: u64, seen: Vec<u64> }
    /// let pool = Pool::builder(|| Session { user: 0, seen: Vec::with_capacity(64) })
    ///     .capacity(8)
    ///     .recycle_with(|session| session.seen.clear())
    ///     .build()?;
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn recycle_with<T, G>(self, recycle: G) -> Builder<F, With<G>, O>
    where
        F: Maker<T>,
        G: Fn(&mut T),
    {
        self.recycler(With(recycle))
    }

    /// Leaves each object as its last user left it.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(1).build()?;
    /// *pool.try_get()? = 7;
    /// assert_eq!(*pool.try_get()?, 7);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_as_is(self) -> Builder<F, AsIs, O> {
        self.recycler(AsIs)
    }

    /// Recycles by a strategy: one of this crate's or your own [`Recycler`].
    ///
    /// ```
    /// use tailcut_pool::{Pool, Recycler};
    ///
    /// /// Refills what was spent.
    /// struct ToTheBrim;
    ///
    /// impl Recycler<u32> for ToTheBrim {
    ///     fn recycle(&self, tokens: &mut u32) {
    ///         *tokens = 100;
    ///     }
    /// }
    ///
    /// let pool = Pool::builder(|| 0).recycler(ToTheBrim).capacity(1).build()?;
    /// *pool.try_get()? -= 30;
    /// assert_eq!(*pool.try_get()?, 100);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn recycler<S>(self, recycler: S) -> Builder<F, S, O> {
        Builder {
            make: self.make,
            recycler,
            plan: self.plan,
            overload: self.overload,
            maker: PhantomData,
        }
    }

    /// Uses only objects that `reusable` accepts when they are next taken; the others are discarded
    /// and replaced by new ones: see [`ReusableIf`].
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// struct Connection { uses: u32 }
    /// let pool = Pool::builder(|| Connection { uses: 0 })
    ///     .recycle_with(|connection| connection.uses += 1)
    ///     .reusable_if(|connection| connection.uses < 3)
    ///     .capacity(1)
    ///     .build()?;
    /// let uses: Vec<u32> = (0..5).map(|_| pool.try_get().unwrap().uses).collect();
    /// assert_eq!(uses, [1, 2, 3, 0, 1]); // the fourth get was given a new one
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn reusable_if<T, P>(self, reusable: P) -> Builder<F, ReusableIf<R, P>, O>
    where
        F: Maker<T>,
        P: Fn(&T) -> bool,
    {
        Builder {
            make: self.make,
            recycler: ReusableIf::new(self.recycler, reusable),
            plan: self.plan,
            overload: self.overload,
            maker: PhantomData,
        }
    }

    /// Calls `clean` on each object when it is given back, besides what recycling does when it is
    /// next taken: for what must not stay in memory, a key or a card's number.
    ///
    /// Costs the fast path: every get and put goes out of line (some ten nanoseconds), and
    /// [`Window::release`](crate::Window::release) touches each object. A panic of `clean` goes on
    /// to whoever drops the guard (so that one during another panic aborts), and that object stays
    /// out of use.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| [0_u8; 32]).keep_as_is().capacity(4)
    ///     .on_return(|key: &mut [u8; 32]| key.fill(0))
    ///     .build()?;
    /// pool.try_get()?[0] = 42;
    /// assert_eq!(pool.try_get()?[0], 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_return<T, G>(mut self, clean: G) -> Self
    where
        F: Maker<T>,
        G: Fn(&mut T) + Send + Sync + 'static,
    {
        self.plan.duties.on_return = Some(Arc::new(move |object: NonNull<u8>| {
            // SAFETY: called with objects of this pool, by whoever gives the object back and so owns
            // it. They are `T`s: a maker makes one type only, and the builder is invariant in its
            // maker, so that this one is still of the type that it was here.
            clean(unsafe { object.cast::<T>().as_mut() });
        }));
        self
    }
}

#[cfg(feature = "zeroize")]
impl<F, R, O> Builder<F, R, O> {
    /// Wipes each object when it is given back (feature `zeroize`), for secrets that must not stay
    /// in memory: [`on_return`](Self::on_return) with [`wipe`](crate::wipe), at the same cost.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let keys = Pool::builder(|| [0_u8; 32]).keep_as_is().capacity(1).wipe_on_return().build()?;
    /// keys.try_get()?.copy_from_slice(b"a key that must not stay there..");
    /// assert_eq!(*keys.try_get()?, [0; 32]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn wipe_on_return<T>(self) -> Self
    where
        F: Maker<T>,
        T: zeroize::Zeroize + 'static,
    {
        self.on_return(crate::wipe::<T>)
    }
}

/// What a get does when every object is in use.
impl<F, R, O> Builder<F, R, O> {
    /// Lets [`Pool::get`] wait for an object when all are in use, where it otherwise refuses.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(1).wait().build()?;
    /// let held = pool.get(); // no `Result`: it waits
    /// assert!(pool.get_timeout(Duration::from_millis(1)).is_err());
    /// # drop(held);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn wait(self) -> Builder<F, R, Wait> {
        self.overload()
    }

    /// Lets [`Pool::get`] make more objects when all are in use, up to `limit` in all.
    /// [`Pool::decay`] drops them again after a quiet time.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(10).grow_to(1000).build()?;
    /// let burst: Vec<_> = (0..500).map(|_| pool.get().unwrap()).collect();
    /// assert!(pool.capacity() >= 500);
    /// # drop(burst);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn grow_to(self, limit: usize) -> Builder<F, R, Grow> {
        self.room_for(limit).overload()
    }

    fn overload<P>(self) -> Builder<F, R, P> {
        Builder {
            make: self.make,
            recycler: self.recycler,
            plan: self.plan,
            overload: PhantomData,
            maker: PhantomData,
        }
    }
}

impl<F, R, O> Builder<F, R, O> {
    /// Makes every object and the pool. The pool keeps the maker: to replace an object that its
    /// recycler rejects, and to grow.
    ///
    /// ```
    /// # use tailcut_pool::{BuildError, Pool};
    /// assert!(Pool::builder(String::new).capacity(10).build().is_ok());
    /// assert_eq!(Pool::builder(String::new).build().unwrap_err(), BuildError::NoCapacity);
    /// ```
    ///
    /// # Errors
    /// [`BuildError`], naming the value: no capacity was given, or memory for it cannot be had.
    ///
    /// # Panics
    /// If the maker panics; what was made until then is dropped, nothing leaks.
    pub fn build<T>(self) -> Result<Pool<T, R, O>, BuildError>
    where
        F: Maker<T> + Send + 'static,
        R: Recycler<T>,
    {
        if self.plan.capacity == 0 {
            return Err(BuildError::NoCapacity);
        }
        if !self.plan.align.is_power_of_two() {
            return Err(BuildError::BadAlignment {
                bytes: self.plan.align,
            });
        }
        Pool::new(self.plan, Box::new(self.make), self.recycler)
    }
}

/// Why a pool cannot be made.
///
/// ```
/// # use tailcut_pool::{BuildError, Pool};
/// let refused = Pool::builder(|| [0_u8; 4096]).keep_as_is().capacity(1 << 40).build().unwrap_err();
/// assert_eq!(refused, BuildError::TooLarge { capacity: 1 << 40, object_bytes: 4096 });
/// println!("{refused}"); // 1099511627776 objects of 4096 bytes are more than one pool can hold ..
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The capacity is zero, or was never given.
    #[error("a pool of capacity 0 can serve nobody: give `.capacity(n)` with n of at least 1")]
    NoCapacity,
    /// The slab's size overflows, or has more cache lines than 32 bits can number (256 GiB).
    #[error(
        "{capacity} objects of {object_bytes} bytes are more than one pool can hold (256 GiB, 2^32 - 2 objects)"
    )]
    TooLarge {
        /// How many objects were asked for, with room to grow.
        capacity: usize,
        /// The size of one.
        object_bytes: usize,
    },
    /// The alignment is not a power of two.
    #[error("objects cannot be aligned to {bytes} bytes: give a power of two")]
    BadAlignment {
        /// What was asked for.
        bytes: usize,
    },
    /// The system refused the slab.
    #[error("the system has no {bytes} bytes for the pool: lower the capacity, or free memory")]
    OutOfMemory {
        /// The slab's size.
        bytes: usize,
    },
    /// Reserved huge pages were required, and there are too few.
    #[error(
        "the system has no {bytes} bytes in reserved huge pages: raise vm.nr_hugepages, or ask for HugePages::Prefer"
    )]
    NoHugePages {
        /// The slab's size.
        bytes: usize,
    },
    /// The NUMA node cannot be had.
    #[error("memory cannot be bound to NUMA node {node}: {why}")]
    NoNode {
        /// The node that was asked for.
        node: u32,
        /// What the system says.
        why: String,
    },
    /// The memory cannot be locked.
    #[error("{bytes} bytes cannot be locked in memory: {why}; raise RLIMIT_MEMLOCK (`ulimit -l`)")]
    NotLocked {
        /// The slab's size.
        bytes: usize,
        /// What the system says.
        why: String,
    },
}
