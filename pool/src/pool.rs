//! The pool itself: its objects, and how to recycle one.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::builder::{BuildError, Builder};
use crate::guard::Guard;
use crate::overload::{Refuse, Wait};
use crate::percpu::Path;
use crate::recycle::{ByTrait, Recycler};
use crate::stock::Stock;
use crate::window::Window;

/// A fixed number of objects, made once, taken and given back by any thread.
///
/// See the [crate's front page](crate) for when it helps, what it costs and how it works.
///
/// A pool is invariant in `T`, as a `Cell` is: through `&Pool` objects are changed, so a pool of
/// long-lived references must not pass for one of shorter-lived ones.
///
/// ```compile_fail
/// # use tailcut_pool::{AsIs, Pool};
/// fn plant<'a>(pool: &Pool<&'a str, AsIs>, text: &'a str) {
///     *pool.try_get().unwrap() = text;
/// }
/// let pool: Pool<&'static str, AsIs> =
///     Pool::builder(|| "kept").keep_as_is().capacity(1).build().unwrap();
/// {
///     let gone = String::from("gone");
///     plant(&pool, &gone); // refused: `gone` does not live long enough
/// }
/// println!("{}", *pool.try_get().unwrap());
/// ```
pub struct Pool<T, R = ByTrait, O = Refuse> {
    stock: Stock<T>,
    recycler: R,
    overload: PhantomData<O>,
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

impl<T, R: Recycler<T>, O> Pool<T, R, O> {
    pub(crate) fn new(
        capacity: usize,
        make: impl FnMut() -> T,
        recycler: R,
        portable: bool,
    ) -> Result<Self, BuildError> {
        Ok(Pool {
            stock: Stock::new(capacity, make, portable)?,
            recycler,
            overload: PhantomData,
        })
    }

    /// Takes an object and recycles it, or refuses at once if every object is in use.
    ///
    /// Never allocates, never waits for an object to come back. The capacity is exact: a refusal
    /// means that at some moment during the call no object was free on any core. To say so
    /// truthfully, a get that finds nothing looks at all cores twice; while other threads keep
    /// moving free objects about between its looks, it looks again.
    ///
    /// # Errors
    /// [`Exhausted`] if every object is in use.
    ///
    /// # Panics
    /// If the recycler does; the object stays in the pool.
    #[inline(always)]
    pub fn try_get(&self) -> Result<Guard<'_, T>, Exhausted> {
        match self.stock.take() {
            Some(guard) => Ok(self.recycled(guard)),
            None => Err(self.exhausted()),
        }
    }

    /// Readies a taken object. Should the recycler panic, the guard puts the object back.
    #[inline(always)]
    fn recycled<'p>(&'p self, mut guard: Guard<'p, T>) -> Guard<'p, T> {
        self.recycler.recycle(&mut guard);
        guard
    }

    fn exhausted(&self) -> Exhausted {
        Exhausted {
            capacity: self.capacity(),
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

impl<T, R: Recycler<T>> Pool<T, R, Refuse> {
    /// Takes an object by this pool's overload policy, which is to refuse: the same as
    /// [`try_get`](Pool::try_get).
    ///
    /// # Errors
    /// [`Exhausted`] if every object is in use.
    ///
    /// # Panics
    /// If the recycler does; the object stays in the pool.
    #[inline(always)]
    pub fn get(&self) -> Result<Guard<'_, T>, Exhausted> {
        self.try_get()
    }
}

impl<T, R: Recycler<T>> Pool<T, R, Wait> {
    /// Takes an object by this pool's overload policy, which is to wait until one is given back.
    ///
    /// A get that need not wait costs what [`try_get`](Pool::try_get) does. Waiting is for rare
    /// overload: the first thread to wait sends every put of every core through the slow path
    /// until nobody waits any more. Threads are not served in the order of their arrival.
    ///
    /// Waits for ever if the objects are never given back: if this thread holds them all, say.
    ///
    /// ```
    /// use tailcut_pool::Pool;
    ///
    /// let pool = Pool::builder(String::new).capacity(1).wait().build()?;
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(|| pool.get().push('x')); // one after the other
    ///     }
    /// });
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If the recycler does; the object stays in the pool.
    #[inline(always)]
    pub fn get(&self) -> Guard<'_, T> {
        loop {
            if let Some(guard) = self.stock.take_or_wait(None) {
                return self.recycled(guard);
            }
        }
    }

    /// As [`get`](Pool::get), but for at most `patience`.
    ///
    /// # Errors
    /// [`Exhausted`] if no object came free in time.
    ///
    /// # Panics
    /// If the recycler does; the object stays in the pool.
    pub fn get_timeout(&self, patience: Duration) -> Result<Guard<'_, T>, Exhausted> {
        // A patience beyond the clock's end is none that ends.
        let deadline = Instant::now().checked_add(patience);
        match self.stock.take_or_wait(deadline) {
            Some(guard) => Ok(self.recycled(guard)),
            None => Err(self.exhausted()),
        }
    }
}

impl<T, R, O> fmt::Debug for Pool<T, R, O> {
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
