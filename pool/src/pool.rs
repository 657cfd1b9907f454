//! The pool itself: its objects, and how to take one.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;

use crate::builder::{BuildError, Builder, Plan};
use crate::checks::InUse;
use crate::free::FreeSlots;
use crate::guard::{Guard, OwnedGuard};
use crate::lifetimes::Lifetimes;
use crate::maker::sealed::Sealed;
use crate::maker::{Filled, InPlace, Slot};
use crate::memory::Pages;
use crate::overload::Refuse;
use crate::percpu::Path;
use crate::probes;
use crate::recycle::{ByTrait, Recycler};
use crate::statistics::Statistics;
use crate::stock::{Owner, Stock};
use crate::window::Window;

mod policies;

/// A number of objects, made once, taken and given back by any thread.
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
    stock: Owner<T>,
    recycler: R,
    /// How many objects there were at build: what decay returns to.
    base: usize,
    /// Tells it from the other pools that have stood in the same [`Swap`](crate::Swap).
    #[cfg(feature = "swap")]
    pub(crate) number: u64,
    overload: PhantomData<O>,
}

/// Making a pool.
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

    /// Begins a pool whose objects are made where they are to stay, so that nothing large is ever
    /// moved or stands on a stack.
    ///
    /// ```
    /// use tailcut_pool::Pool;
    ///
    /// // A tensor of 224 x 224 x 3 numbers: 602 KB.
    /// let tensors = Pool::builder_in_place(|slot| slot.fill_with(|_| 0.0))
    ///     .keep_as_is()
    ///     .capacity(4)
    ///     .build::<[f32; 224 * 224 * 3]>()?;
    /// tensors.try_get()?[0] = 1.0;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder_in_place<F>(fill: F) -> Builder<InPlace<F, T>>
    where
        F: for<'s> FnMut(Slot<'s, T>) -> Filled<'s, T>,
    {
        Builder::new(InPlace::new(fill))
    }
}

/// Taking objects.
impl<T, R: Recycler<T>, O> Pool<T, R, O> {
    pub(crate) fn new(
        plan: Plan,
        make: Box<dyn Sealed<T> + Send>,
        recycler: R,
    ) -> Result<Self, BuildError> {
        let base = plan.capacity;
        let pool = Pool {
            stock: Owner::new(plan, make)?,
            recycler,
            base,
            #[cfg(feature = "swap")]
            number: 0,
            overload: PhantomData,
        };
        let free = pool.stock.get().free();
        if let Path::Portable(why) = pool.path() {
            crate::fallback::tell(why);
        }
        let portable = u32::from(pool.path() != Path::Rseq);
        probes::built(free.address(), base as u64, portable);
        Ok(pool)
    }

    /// Takes an object and recycles it, or refuses at once if every object is in use.
    ///
    /// Never allocates, never waits for an object to come back. The capacity is exact: a refusal
    /// means that at some moment during the call no object was free on any core. To say so
    /// truthfully, a get that finds nothing looks at all cores twice; while other threads keep
    /// moving free objects about between its looks, it looks again.
    ///
    /// ```
    /// # use tailcut_pool::{Exhausted, Pool};
    /// let pool = Pool::builder(String::new).capacity(1).build()?;
    /// let mut text = pool.try_get()?;
    /// text.push_str("in use");
    /// assert_eq!(pool.try_get().unwrap_err(), Exhausted { capacity: 1 });
    /// drop(text);
    /// assert!(pool.try_get()?.is_empty());
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
    pub fn try_get(&self) -> Result<Guard<'_, T>, Exhausted> {
        let free = self.stock.get().free();
        match free.take(Location::caller()) {
            Some(object) => Ok(self.recycled(Guard::new(object.cast(), free))),
            None => Err(self.exhausted()),
        }
    }

    /// As [`try_get`](Self::try_get), for a guard that does not borrow the pool.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 7_u64).keep_as_is().capacity(4).build()?;
    /// let number = pool.try_get_owned()?;
    /// let thread = std::thread::spawn(move || *number); // outlives the pool if need be
    /// drop(pool);
    /// assert_eq!(thread.join().unwrap(), 7);
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
    pub fn try_get_owned(&self) -> Result<OwnedGuard<T>, Exhausted> {
        Ok(self.own(self.try_get()?))
    }

    /// As [`try_get`](Self::try_get); `init` then fills the object where it lies, so that nothing
    /// large is moved.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pages = Pool::builder(|| [0_u8; 4096]).keep_as_is().capacity(8).build()?;
    /// let page = pages.try_get_with(|page| page[..5].copy_from_slice(b"hello"))?;
    /// assert_eq!(&page[..5], b"hello");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Exhausted`] if every object is in use; `init` is not called then.
    ///
    /// # Panics
    /// If the recycler or `init` does; the object is discarded and replaced by a new one.
    #[inline]
    #[track_caller]
    pub fn try_get_with(&self, init: impl FnOnce(&mut T)) -> Result<Guard<'_, T>, Exhausted> {
        let unready = Unready::new(self.stock.get(), self.try_get()?);
        // SAFETY: the object is this thread's alone until `ready` makes a guard of it.
        init(unsafe { &mut *unready.object.as_ptr() });
        Ok(unready.ready())
    }

    /// Takes `N` objects at once, or none. Up to 32 that lie in the core's magazine cost little
    /// more than one. A call that fails has held what it could have for a moment, in which others
    /// may have been refused.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(10).build()?;
    /// let [a, b, c] = pool.try_get_array()?;
    /// assert!(pool.try_get_array::<8>().is_err());
    /// pool.put_all([a, b, c]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Exhausted`] if fewer than `N` could be had; those that could are given back.
    ///
    /// # Panics
    /// If the recycler does; that object is discarded and replaced, the others are given back. If a
    /// [checked](Builder::checked) pool finds one that was written beyond its end; the others are
    /// given back.
    #[inline]
    #[track_caller]
    pub fn try_get_array<const N: usize>(&self) -> Result<[Guard<'_, T>; N], Exhausted> {
        let free = self.stock.get().free();
        let mut objects = [NonNull::<u8>::dangling(); N];
        let taken = free.take_many(&mut objects, Location::caller());
        if taken < N {
            free.put_many(&objects[..taken]);
            return Err(self.exhausted());
        }
        let guards = objects.map(|object| Guard::new(object.cast(), free));
        Ok(guards.map(|guard| self.recycled(guard)))
    }

    /// Gives many objects back, 32 at a time where the core's magazine has room.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(100).build()?;
    /// let mut held: Vec<_> = (0..100).map(|_| pool.try_get().unwrap()).collect();
    /// pool.put_all(held.drain(..60)); // the list and its memory stay
    /// assert_eq!((held.len(), pool.statistics().free()), (40, 60));
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If a guard is another pool's; it goes back to that one, and so do those not yet looked at.
    pub fn put_all<'p>(&'p self, guards: impl IntoIterator<Item = Guard<'p, T>>) {
        /// Gives what it holds back, on a panic as well.
        struct Taken<'p> {
            free: &'p FreeSlots,
            objects: [NonNull<u8>; 32],
            filled: usize,
        }
        impl Drop for Taken<'_> {
            fn drop(&mut self) {
                self.free.put_many(&self.objects[..self.filled]);
            }
        }
        let free = self.stock.get().free();
        let mut guards = guards.into_iter();
        loop {
            let mut taken = Taken {
                free,
                objects: [NonNull::dangling(); 32],
                filled: 0,
            };
            for guard in guards.by_ref().take(taken.objects.len()) {
                assert!(
                    std::ptr::eq(guard.free(), free),
                    "a pool takes guards of its own objects only"
                );
                taken.objects[taken.filled] = guard.into_object().cast();
                taken.filled += 1;
            }
            if taken.filled < taken.objects.len() {
                return;
            }
        }
    }

    /// Makes a guard own its share of the pool, so that it no longer borrows it.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(1).wait().build()?;
    /// let guard = pool.get(); // by any way of getting
    /// let owned = pool.own(guard);
    /// let thread = std::thread::spawn(move || *owned + 1);
    /// assert_eq!(thread.join().unwrap(), 1);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If the guard is another pool's.
    #[inline(always)]
    pub fn own(&self, guard: Guard<'_, T>) -> OwnedGuard<T> {
        assert!(
            std::ptr::eq(guard.free(), self.stock.get().free()),
            "a pool owns guards of its own objects only"
        );
        // SAFETY: the object was the guard's, of this pool, and the pool knows now.
        unsafe { OwnedGuard::new(guard.into_object(), self.stock.lend()) }
    }

    /// Readies a taken object.
    #[inline(always)]
    pub(crate) fn recycled<'p>(&'p self, guard: Guard<'p, T>) -> Guard<'p, T> {
        let unready = Unready::new(self.stock.get(), guard);
        // SAFETY: the object is this thread's alone until `ready` makes a guard of it.
        let object = unsafe { &mut *unready.object.as_ptr() };
        if self.recycler.is_reusable(object) {
            self.recycler.recycle(object);
            unready.ready()
        } else {
            unready.renewed()
        }
    }

    pub(crate) fn exhausted(&self) -> Exhausted {
        Exhausted {
            capacity: self.capacity(),
        }
    }

    /// An empty window, to keep many objects in use and give them back in O(1).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(100).build()?;
    /// let mut batch = pool.window();
    /// for order in 0..50 {
    ///     let mut place = pool.try_get()?;
    ///     *place = order;
    ///     batch.push(place);
    /// }
    /// drop(batch); // all fifty go back at once
    /// assert_eq!(pool.statistics().free(), 100);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn window(&self) -> Window<'_, T> {
        Window::new(self.stock.get().free())
    }

    /// Makes a guard of an address that [`Guard::into_raw`] or [`OwnedGuard::into_raw`] gave. The
    /// object is as its last user left it.
    ///
    /// ```
    /// # use std::ffi::c_void;
    /// # use std::ptr::NonNull;
    /// # use tailcut_pool::{Guard, Pool};
    /// let pool = Pool::builder(|| 7_u64).keep_as_is().capacity(1).build()?;
    /// let context: *mut c_void = Guard::into_raw(pool.try_get()?).as_ptr().cast();
    /// // Foreign code keeps `context`, and hands it back once:
    /// let address = NonNull::new(context.cast::<u64>()).ok_or("no context")?;
    /// // SAFETY: made by `into_raw` above, from this pool's guard, and not used since.
    /// let guard = unsafe { pool.from_raw(address) };
    /// assert_eq!(*guard, 7);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// The address came from a guard of this pool, and no guard has been made of it since. (A
    /// [checked](Builder::checked) pool panics when such a guard is dropped a second time.)
    #[inline]
    pub unsafe fn from_raw(&self, object: NonNull<T>) -> Guard<'_, T> {
        let free = self.stock.get().free();
        Guard::new(free.readdress(object.cast()).cast(), free)
    }
}

/// An object between being taken and being ready: discarded and replaced if a panic comes.
struct Unready<'p, T> {
    object: NonNull<T>,
    stock: &'p Stock<T>,
}

impl<'p, T> Unready<'p, T> {
    #[inline(always)]
    fn new(stock: &'p Stock<T>, guard: Guard<'p, T>) -> Self {
        Unready {
            object: guard.into_object(),
            stock,
        }
    }

    #[inline(always)]
    fn ready(self) -> Guard<'p, T> {
        let guard = Guard::new(self.object, self.stock.free());
        std::mem::forget(self);
        guard
    }

    /// A new object in the place of one that is not to be used again.
    #[cold]
    #[inline(never)]
    fn renewed(self) -> Guard<'p, T> {
        let (object, stock) = (self.object, self.stock);
        // From here on a panic finds no object in the slot.
        std::mem::forget(self);
        let free = stock.free();
        probes::discard(free.address(), object.as_ptr().addr());
        stock.replace(object);
        Guard::new(object, free)
    }
}

impl<T> Drop for Unready<'_, T> {
    #[cold]
    fn drop(&mut self) {
        let (object, stock) = (self.object, self.stock);
        let free = stock.free();
        probes::discard(free.address(), object.as_ptr().addr());
        // A panic is under way, and another one out of here would end the process. If the maker
        // panics, the slot stays vacant; if what is done on return does, the object is lost.
        let put_back = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            stock.replace(object);
            free.put(object.cast());
        }));
        if let Err(panic) = put_back {
            std::mem::forget(panic); // the first one goes on
        }
    }
}

/// Looking at the pool, and changing its size.
impl<T, R, O> Pool<T, R, O> {
    /// How many objects the pool holds now, free and in use.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(10).grow_to(20).build()?;
    /// let all: Vec<_> = std::iter::from_fn(|| pool.get().ok()).collect();
    /// assert_eq!((all.len(), pool.capacity()), (20, 20));
    /// # drop(all);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.stock.get().inventory().objects()
    }

    /// How many objects the pool has room for: see [`resize`](Self::resize).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(10).room_for(50).build()?;
    /// assert_eq!(pool.room(), 50);
    /// assert_eq!(pool.resize(pool.room()), 50);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn room(&self) -> usize {
        self.stock.get().free().slots()
    }

    /// Which per-core path this pool uses, and why if it is the portable one.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(10).build()?;
    /// println!("objects are handed out by way of: {}", pool.path());
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> Path {
        self.stock.get().free().path()
    }

    /// Which pages the objects lie on.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| [0_u8; 4096]).keep_as_is().capacity(1024).build()?;
    /// println!("4 MiB on {:?} pages", pool.pages());
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.stock.get().inventory().pages()
    }

    /// How many restartable sequences the kernel has restarted (0 on the portable path). Each
    /// costs some ten nanoseconds; thousands a second point to a storm of signals or preemption.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(10).portable().build()?;
    /// drop(pool.try_get()?);
    /// assert_eq!(pool.restarts(), 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.stock.get().free().restarts()
    }

    /// What the pool has done so far and holds now. Costs a few reads per core, and nothing to
    /// those who get and put; allocates the list of cores.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(100).build()?;
    /// let held = pool.try_get()?;
    /// let statistics = pool.statistics();
    /// assert_eq!((statistics.in_use, statistics.free()), (1, 99));
    /// assert_eq!(statistics.total().gets, 1);
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let stock = self.stock.get();
        let mut statistics = stock.free().statistics(self.capacity());
        [statistics.grown, statistics.shrunk, statistics.discarded] = stock.inventory().changes();
        statistics
    }

    /// The objects in use, of a [checked](Builder::checked) pool: by whom, since when, taken
    /// where. `None` if the pool is not checked.
    ///
    /// ```
    /// # use tailcut_pool::{Checks, Pool};
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(4).checked(Checks::new()).build()?;
    /// std::mem::forget(pool.try_get()?); // who has it?
    /// let lost = &pool.in_use().unwrap()[0];
    /// assert!(lost.site.file().ends_with(".rs"));
    /// println!("{lost}");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_use(&self) -> Option<Vec<InUse>> {
        let ledger = self.stock.get().free().attendant()?.ledger()?;
        Some(ledger.in_use())
    }

    /// How long sampled objects were in use. `None` if the pool takes no
    /// [samples](Builder::sample_lifetimes).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).capacity(10).sample_lifetimes(1).build()?;
    /// drop(pool.try_get()?);
    /// let lifetimes = pool.lifetimes().unwrap();
    /// assert_eq!((lifetimes.one_in, lifetimes.samples()), (1, 1));
    /// println!("half of them ended within {:?}", lifetimes.quantile(0.5));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lifetimes(&self) -> Option<Lifetimes> {
        let sampler = self.stock.get().free().attendant()?.sampler()?;
        Some(sampler.lifetimes())
    }

    /// Makes the pool larger or smaller while it is in use; returns how many objects it holds then.
    ///
    /// Growing makes objects, up to [`room`](Self::room) and as far as memory can be had.
    /// Shrinking drops free objects only, and gives pages on which no object is left back to the
    /// system; objects in use stay, so ask again later if the pool is still larger than asked for.
    /// Takes a lock; gets and puts go on meanwhile, but one that comes just then may be refused
    /// because of an object that is about to be dropped. A pool without objects refuses everybody,
    /// and whoever waits then waits until it is made larger.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| [0_u8; 256]).keep_as_is().capacity(100).room_for(1000).build()?;
    /// assert_eq!(pool.resize(500), 500);
    /// let held = pool.try_get()?;
    /// assert_eq!(pool.resize(0), 1);
    /// # drop(held);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If the maker or an object's destructor does; the pool stays sound.
    pub fn resize(&self, objects: usize) -> usize {
        self.stock.get().resize(objects);
        self.capacity()
    }

    /// Drops objects beyond the number that the pool was built with, if they were not needed
    /// lately; returns how many.
    ///
    /// Looks at the fewest objects that the depot held since the last call: those were not needed
    /// in all that time. Half of them go, so that a pool that had grown comes back in some calls.
    /// Call it from a timer, once a second say; [`decay::every`](crate::decay::every) does. Never
    /// happens inside a get or put; but a get that comes just then may be refused because of an
    /// object that is about to be dropped, even if the pool could grow.
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(100).grow_to(10_000).build()?;
    /// let burst: Vec<_> = (0..10_000).map(|_| pool.get().unwrap()).collect();
    /// drop(burst);
    /// for _second in 0..60 { // of a timer
    ///     pool.decay();
    /// }
    /// assert!(pool.capacity() < 1000);
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If an object's destructor does; the pool stays sound.
    pub fn decay(&self) -> usize {
        let stock = self.stock.get();
        let idle = stock.free().take_fewest_in_depot();
        let before = self.capacity();
        let surplus = before.saturating_sub(self.base);
        let leaving = idle.div_ceil(2).min(surplus);
        if leaving == 0 {
            return 0;
        }
        // Counted, not subtracted: others may make the pool grow meanwhile.
        stock.resize(before - leaving)
    }
}

impl<T, R, O> fmt::Debug for Pool<T, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("capacity", &self.capacity())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// Every object of the pool is in use.
///
/// ```
/// # use tailcut_pool::{Exhausted, Pool};
/// let pool = Pool::builder(|| 0_u64).capacity(1).build()?;
/// let held = pool.try_get()?;
/// let Err(Exhausted { capacity }) = pool.try_get() else { panic!("there is only one") };
/// assert_eq!(capacity, 1);
/// # drop(held);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {capacity} objects of the pool are in use")]
pub struct Exhausted {
    /// How many objects the pool holds.
    pub capacity: usize,
}
