//! The pool itself: its objects, and how to recycle one.

use std::fmt;

use crate::builder::{BuildError, Builder};
use crate::guard::Guard;
use crate::percpu::Path;
use crate::recycle::{ByTrait, Recycler};
use crate::stock::Stock;
use crate::window::Window;

/// A fixed number of objects, made once, taken and given back by any thread.
///
/// See the [crate's front page](crate) for when it helps, what it costs and how it works.
pub struct Pool<T, R = ByTrait> {
    stock: Stock<T>,
    recycler: R,
}

impl<T> Pool<T, ByTrait> {
    /// Begins a pool whose objects are made by `make`.
    ///
    /// ```
    /// use tailcut_pool::Pool;
    ///
    /// let pool = Pool::builder(|| Vec::<u8>::with_capacity(4096)).capacity(256).build()?;
    /// let mut buffer = pool.try_get()?;
    /// buffer.extend_from_slice(b"hello");
    /// drop(buffer); // goes back; emptied when it is next taken
    /// assert!(pool.try_get()?.is_empty());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder<F: FnMut() -> T>(make: F) -> Builder<F> {
        Builder::new(make)
    }
}

impl<T, R: Recycler<T>> Pool<T, R> {
    pub(crate) fn new(
        capacity: usize,
        make: impl FnMut() -> T,
        recycler: R,
        portable: bool,
    ) -> Result<Self, BuildError> {
        Ok(Pool {
            stock: Stock::new(capacity, make, portable)?,
            recycler,
        })
    }

    /// Takes an object and recycles it, or refuses at once if every object is in use.
    ///
    /// Never allocates, never waits for an object to come back. The capacity is exact: a refusal
    /// means that at some moment during the call no object was free on any core. (To say so
    /// truthfully, a get that finds nothing waits for other threads' moves of free objects
    /// between cores, well under a microsecond each unless the mover is preempted.)
    ///
    /// # Errors
    /// [`Exhausted`] if every object is in use.
    ///
    /// # Panics
    /// If the recycler does; the object stays in the pool.
    #[inline]
    pub fn try_get(&self) -> Result<Guard<'_, T>, Exhausted> {
        match self.stock.take() {
            Some(mut guard) => {
                // Should the recycler panic, the guard puts the object back.
                self.recycler.recycle(&mut guard);
                Ok(guard)
            }
            None => Err(Exhausted {
                capacity: self.capacity(),
            }),
        }
    }

    /// An empty window, to keep many objects in use and give them back in O(1).
    #[must_use]
    pub fn window(&self) -> Window<'_, T> {
        Window::new(&self.stock)
    }

    /// How many objects the pool holds, free and in use.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.stock.capacity()
    }

    /// Which per-core path this pool uses, and why if it is the portable one.
    #[must_use]
    pub fn path(&self) -> Path {
        self.stock.free().path()
    }

    /// How many restartable sequences the kernel has restarted (0 on the portable path). Each
    /// costs some ten nanoseconds; thousands a second point to a storm of signals or preemption.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.stock.free().restarts()
    }
}

impl<T, R> fmt::Debug for Pool<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("capacity", &self.stock.capacity())
            .field("path", &self.stock.free().path())
            .finish_non_exhaustive()
    }
}

/// Every object of the pool is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {capacity} objects of the pool are in use")]
pub struct Exhausted {
    /// How many objects the pool holds.
    pub capacity: usize,
}
