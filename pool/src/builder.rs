//! How a pool is described and made.

use std::marker::PhantomData;

use crate::overload::{Refuse, Wait};
use crate::pool::Pool;
use crate::recycle::{AsIs, ByTrait, Recycler, With};

/// Describes a [`Pool`]: begin with [`Pool::builder`], end with [`build`](Builder::build).
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct Builder<F, R = ByTrait, O = Refuse> {
    make: F,
    recycler: R,
    capacity: usize,
    portable: bool,
    overload: PhantomData<O>,
}

impl<F> Builder<F> {
    pub(crate) fn new(make: F) -> Self {
        Builder {
            make,
            recycler: ByTrait,
            capacity: 0,
            portable: false,
            overload: PhantomData,
        }
    }
}

impl<F, R, O> Builder<F, R, O> {
    /// How many objects the pool holds: exactly so many can be in use at once.
    pub fn capacity(mut self, objects: usize) -> Self {
        self.capacity = objects;
        self
    }

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
        F: FnMut() -> T,
        G: Fn(&mut T),
    {
        self.recycler(With(recycle))
    }

    /// Leaves each object as its last user left it.
    pub fn keep_as_is(self) -> Builder<F, AsIs, O> {
        self.recycler(AsIs)
    }

    /// Recycles by a strategy of your own.
    pub fn recycler<S>(self, recycler: S) -> Builder<F, S, O> {
        let Builder {
            make,
            recycler: _,
            capacity,
            portable,
            overload,
        } = self;
        Builder {
            make,
            recycler,
            capacity,
            portable,
            overload,
        }
    }

    /// Lets [`Pool::get`] wait for an object when all are in use, where it otherwise refuses.
    pub fn wait(self) -> Builder<F, R, Wait> {
        let Builder {
            make,
            recycler,
            capacity,
            portable,
            overload: _,
        } = self;
        Builder {
            make,
            recycler,
            capacity,
            portable,
            overload: PhantomData,
        }
    }

    /// Uses the portable path even where restartable sequences work: to test or to compare.
    pub fn portable(mut self) -> Self {
        self.portable = true;
        self
    }

    /// Makes every object and the pool: the only time that the pool itself allocates.
    ///
    /// # Errors
    /// [`BuildError`], naming the value: no capacity was given, or memory for it cannot be had.
    ///
    /// # Panics
    /// If the maker panics; what was made until then is dropped, nothing leaks.
    pub fn build<T>(self) -> Result<Pool<T, R, O>, BuildError>
    where
        F: FnMut() -> T,
        R: Recycler<T>,
    {
        if self.capacity == 0 {
            return Err(BuildError::NoCapacity);
        }
        Pool::new(self.capacity, self.make, self.recycler, self.portable)
    }
}

/// Why a pool cannot be made.
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
        /// How many objects were asked for.
        capacity: usize,
        /// The size of one.
        object_bytes: usize,
    },
    /// The allocator refused the slab.
    #[error(
        "the slab of {bytes} bytes cannot be had from the allocator: lower the capacity, or free memory"
    )]
    OutOfMemory {
        /// The slab's size.
        bytes: usize,
    },
}
