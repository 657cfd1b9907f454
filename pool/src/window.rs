//! Many objects in use, given back at once.

use std::fmt;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::ptr::NonNull;

use crate::free::FreeSlots;
use crate::free::depot::{Chain, MAX_BATCH};
use crate::guard::Guard;
use crate::panics::keep_first;
use crate::slab::SlotId;

/// Objects that live together and end together: orders until settlement, requests of a batch.
///
/// [`push`](Window::push) takes over a guard: a store, and every 32nd time one exchange with the
/// pool's depot. [`release`](Window::release) gives all of them back in O(1): one exchange for all
/// whole batches, and a put for each of the at most 31 others. Nothing touches the objects.
/// On the machine of `BENCHMARKS.md` that is 50 ns for 120,000 objects, where giving them back one
/// by one takes 0.33 ms, and milliseconds if each is cleaned on the way (cold memory): as bad as
/// the spike that the pool is to cure.
///
/// No push or release allocates. Dropping the window releases it.
///
/// ```
/// # use tailcut_pool::Pool;
/// let pool = Pool::builder(|| 0_u64).capacity(1000).keep_as_is().build()?;
/// let mut live = pool.window();
/// while let Ok(order) = pool.try_get() {
///     live.push(order);
/// }
/// assert_eq!(live.len(), 1000);
/// live.release();
/// assert!(pool.try_get().is_ok());
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
pub struct Window<'p, T> {
    free: &'p FreeSlots,
    /// The whole batches.
    chain: Chain,
    /// The batch being filled.
    open: [SlotId; MAX_BATCH],
    open_len: usize,
    /// The window owns its objects mutably, and drops nothing of its own.
    _objects: PhantomData<&'p mut T>,
}

impl<'p, T> Window<'p, T> {
    pub(crate) fn new(free: &'p FreeSlots) -> Self {
        Window {
            free,
            chain: Chain::default(),
            open: [SlotId(0); MAX_BATCH],
            open_len: 0,
            _objects: PhantomData,
        }
    }

    /// Keeps the object in use until the window is released.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(100).keep_as_is().build()?;
    /// let mut live = pool.window();
    /// live.push(pool.try_get()?);
    /// assert_eq!(pool.statistics().in_use, 1);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If the guard is another pool's: its object could not be given back here.
    #[inline]
    pub fn push(&mut self, guard: Guard<'p, T>) {
        assert!(
            std::ptr::eq(guard.free(), self.free),
            "a window takes guards of its own pool only"
        );
        self.open[self.open_len] = self.free.place().slot(guard.into_object().cast());
        self.open_len += 1;
        if self.open_len == self.free.batch() {
            self.close_batch();
        }
    }

    #[cold]
    fn close_batch(&mut self) {
        self.free
            .append(&mut self.chain, &self.open[..self.open_len]);
        self.open_len = 0;
    }

    /// How many objects the window keeps in use.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(100).keep_as_is().build()?;
    /// let mut live = pool.window();
    /// pool.try_get_array::<10>()?.map(|object| live.push(object));
    /// assert_eq!(live.len(), 10);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.chain.nodes() * self.free.batch() + self.open_len
    }

    /// Whether the window keeps nothing in use.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(100).keep_as_is().build()?;
    /// let mut live = pool.window();
    /// live.push(pool.try_get()?);
    /// live.release();
    /// assert!(live.is_empty());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives every object back in O(1); the window is empty then and can be filled again.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(100).keep_as_is().build()?;
    /// let mut live = pool.window();
    /// for _round in 0..3 {
    ///     (0..100).for_each(|_| live.push(pool.try_get().unwrap()));
    ///     live.release();
    /// }
    /// assert_eq!(pool.statistics().free(), 100);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn release(&mut self) {
        // What is done on an object's return may panic (`Builder::on_return`): the others go back.
        let mut first_panic = None;
        keep_first(&mut first_panic, || self.free.splice(&mut self.chain));
        while self.open_len > 0 {
            // Forgotten first: should the put panic, the object must not be put again.
            self.open_len -= 1;
            let slot = self.open[self.open_len];
            keep_first(&mut first_panic, || {
                self.free.put(self.free.place().object(slot));
            });
        }
        if let Some(panic) = first_panic {
            resume_unwind(panic);
        }
    }

    /// Shows every object, in the order of pushing. Touches them all: O(n).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(100).keep_as_is().build()?;
    /// let mut live = pool.window();
    /// for number in 1..=100 {
    ///     let mut object = pool.try_get()?;
    ///     *object = number;
    ///     live.push(object);
    /// }
    /// let mut sum = 0;
    /// live.for_each(|number| sum += number);
    /// assert_eq!(sum, 5050);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_each(&self, mut visit: impl FnMut(&T)) {
        let mut show = |slot| {
            let object: NonNull<T> = self.free.place().object(slot).cast();
            // SAFETY: the window owns the slot, which holds an object while the pool lives.
            visit(unsafe { object.as_ref() });
        };
        self.free.visit(&self.chain, &mut show);
        self.open[..self.open_len]
            .iter()
            .for_each(|&slot| show(slot));
    }
}

impl<T> Drop for Window<'_, T> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<T> fmt::Debug for Window<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
