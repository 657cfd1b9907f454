//! `get`, by what a pool does when every object is in use.

use std::panic::Location;
use std::time::{Duration, Instant};

use super::{Exhausted, Pool};
use crate::guard::Guard;
use crate::overload::{Grow, Refuse, Wait};
use crate::recycle::Recycler;
use crate::waiting::GetAsync;

impl<T, R: Recycler<T>> Pool<T, R, Refuse> {
    /// Takes an object by this pool's overload policy, which is to refuse: the same as
    /// [`try_get`](Pool::try_get).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(1).build()?;
    /// let held = pool.get()?;
    /// assert!(pool.get().is_err());
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Exhausted`] if every object is in use.
    ///
    /// # Panics
    /// If the recycler does; the object is discarded and replaced by a new one.
    #[inline(always)]
    #[track_caller]
    pub fn get(&self) -> Result<Guard<'_, T>, Exhausted> {
        self.try_get()
    }
}

impl<T, R: Recycler<T>> Pool<T, R, Grow> {
    /// Takes an object by this pool's overload policy, which is to make more if all are in use, up
    /// to the limit, and then to refuse.
    ///
    /// A get that finds a free object costs what [`try_get`](Pool::try_get) does, which never makes
    /// one. One that does not takes a lock and makes several objects (a batch, up to 32).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(2).grow_to(10).build()?;
    /// let held: Vec<_> = (0..10).map(|_| pool.get().unwrap()).collect();
    /// assert!(pool.get().is_err());
    /// assert_eq!(pool.statistics().grown, 8);
    /// # drop(held);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// [`Exhausted`] if every object is in use and there is no room, or no memory, for more.
    ///
    /// # Panics
    /// If the recycler does; the object is discarded and replaced by a new one. If the maker does.
    #[inline(always)]
    #[track_caller]
    pub fn get(&self) -> Result<Guard<'_, T>, Exhausted> {
        match self.try_get() {
            Ok(guard) => Ok(guard),
            Err(_) => self.get_grown(Location::caller()),
        }
    }

    #[cold]
    #[inline(never)]
    fn get_grown(&self, site: &'static Location<'static>) -> Result<Guard<'_, T>, Exhausted> {
        let stock = self.stock.get();
        loop {
            let made = stock.grow(stock.free().batch());
            // Others may be as quick: then there is room for more, or nothing more to be had.
            if let Some(object) = stock.free().take(site) {
                return Ok(self.recycled(Guard::new(object.cast(), stock.free())));
            }
            if made == 0 {
                return Err(self.exhausted());
            }
        }
    }
}

impl<T, R: Recycler<T>> Pool<T, R, Wait> {
    /// Takes an object by this pool's overload policy, which is to wait until one is given back.
    ///
    /// A get that need not wait costs what [`try_get`](Pool::try_get) does. Those that wait are
    /// served in the order of their arrival. Waiting is for rare overload: the first to wait
    /// sends every put of every core through the slow path until nobody waits any more.
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
    /// If the recycler does; the object is discarded and replaced by a new one.
    #[inline(always)]
    #[track_caller]
    pub fn get(&self) -> Guard<'_, T> {
        let free = self.stock.get().free();
        loop {
            if let Some(object) = free.take_or_wait(None, Location::caller()) {
                return self.recycled(Guard::new(object.cast(), free));
            }
        }
    }

    /// As [`get`](Pool::get), but for at most `patience`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(String::new).capacity(1).wait().build()?;
    /// let held = pool.get();
    /// assert!(pool.get_timeout(Duration::from_millis(1)).is_err());
    /// # drop(held);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// [`Exhausted`] if no object came free in time.
    ///
    /// # Panics
    /// If the recycler does; the object is discarded and replaced by a new one.
    #[track_caller]
    pub fn get_timeout(&self, patience: Duration) -> Result<Guard<'_, T>, Exhausted> {
        let free = self.stock.get().free();
        // A patience beyond the clock's end is none that ends.
        let deadline = Instant::now().checked_add(patience);
        match free.take_or_wait(deadline, Location::caller()) {
            Some(object) => Ok(self.recycled(Guard::new(object.cast(), free))),
            None => Err(self.exhausted()),
        }
    }

    /// As [`get`](Pool::get), for a task: waits without blocking the thread, in any runtime.
    ///
    /// Tasks and threads wait in one queue and are served in the order of their arrival. Dropping
    /// the future (a timeout, `select!`) leaves the queue; an object that was on its way goes to
    /// the next. Nothing is allocated: the place in the queue is in the future.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailcut_pool::Pool;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tailcut_pool::BuildError> {
    /// let pool = Pool::builder(String::new).capacity(1).wait().build()?;
    /// let held = pool.get_async().await;
    /// let patience = Duration::from_millis(1);
    /// assert!(tokio::time::timeout(patience, pool.get_async()).await.is_err());
    /// drop(held);
    /// let object = pool.own(pool.get_async().await); // for a task that is spawned
    /// # drop(object);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    /// When polled, if the recycler does; the object is discarded and replaced by a new one.
    #[track_caller]
    pub fn get_async(&self) -> GetAsync<'_, T, R> {
        GetAsync::new(self, self.stock.get().free(), Location::caller())
    }
}
