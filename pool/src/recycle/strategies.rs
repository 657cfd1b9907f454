//! The strategies that a pool can recycle by.

use crate::recycle::{Recycle, Recycler};

/// Recycles by the object's own [`Recycle`]: the default.
///
/// ```
/// # use tailcut_pool::Pool;
/// let pool = Pool::builder(Vec::<u8>::new).capacity(1).build()?; // vectors are `Recycle`
/// pool.try_get()?.push(7);
/// assert!(pool.try_get()?.is_empty());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ByTrait;

impl<T: Recycle> Recycler<T> for ByTrait {
    #[inline]
    fn recycle(&self, object: &mut T) {
        object.reset();
    }

    #[inline]
    fn is_reusable(&self, object: &T) -> bool {
        object.is_reusable()
    }
}

/// Leaves objects as their last user left them. The next user sees what was there.
///
/// ```
/// # use tailcut_pool::{AsIs, Pool};
/// struct Handle(i32); // knows nothing of pools
/// let pool: Pool<Handle, AsIs> = Pool::builder(|| Handle(3)).keep_as_is().capacity(1).build()?;
/// pool.try_get()?.0 += 1;
/// assert_eq!(pool.try_get()?.0, 4);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct AsIs;

impl<T> Recycler<T> for AsIs {
    #[inline]
    fn recycle(&self, _object: &mut T) {}
}

/// Recycles by a function.
///
/// The builder's [`recycle_with`](crate::Builder::recycle_with) says the same with less; this is
/// for a strategy that is built up of several.
///
/// ```
/// # use tailcut_pool::{Pool, With};
/// type Clear = fn(&mut Vec<u8>);
/// struct Service { buffers: Pool<Vec<u8>, With<Clear>> } // a type that can be named
///
/// let buffers = Pool::builder(Vec::new).recycler(With(Vec::clear as Clear)).capacity(4).build()?;
/// let service = Service { buffers };
/// service.buffers.try_get()?.push(7);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct With<F>(
    /// Readies an object for its next user.
    pub F,
);

impl<F> With<F> {
    /// The same strategy, for objects that pass a test: see [`ReusableIf`].
    ///
    /// ```
    /// use tailcut_pool::With;
    ///
    /// let strategy = With(|log: &mut Vec<u8>| log.clear()).reusable_if(|log| log.capacity() < 4096);
    /// # tailcut_pool::Pool::builder(Vec::new).recycler(strategy).capacity(1).build()?;
    /// # Ok::<_, tailcut_pool::BuildError>(())
    /// ```
    pub fn reusable_if<T, P>(self, reusable: P) -> ReusableIf<Self, P>
    where
        F: Fn(&mut T),
        P: Fn(&T) -> bool,
    {
        ReusableIf::new(self, reusable)
    }
}

impl<T, F: Fn(&mut T)> Recycler<T> for With<F> {
    #[inline]
    fn recycle(&self, object: &mut T) {
        (self.0)(object);
    }
}

/// Recycles by another strategy, and only objects that pass a test; the others are replaced.
///
/// The test comes before the recycling, each time that an object is taken. It sees the object as
/// its last user left it, and so can tell a connection that has broken, a counter that has run
/// out, a buffer that has grown beyond use.
///
/// ```
/// use tailcut_pool::{AsIs, Pool, ReusableIf};
///
/// struct Connection { broken: bool }
///
/// let connections = Pool::builder(|| Connection { broken: false })
///     .recycler(ReusableIf::new(AsIs, |connection: &Connection| !connection.broken))
///     .capacity(16)
///     .build()?;
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ReusableIf<R, P> {
    recycler: R,
    reusable: P,
}

impl<R, P> ReusableIf<R, P> {
    /// Recycles by `recycler` what `reusable` and the recycler itself both call reusable.
    ///
    /// ```
    /// # use tailcut_pool::{ByTrait, Pool, ReusableIf};
    /// let small = ReusableIf::new(ByTrait, |list: &Vec<u8>| list.capacity() <= 4096);
    /// let pool = Pool::builder(|| Vec::with_capacity(64)).recycler(small).capacity(1).build()?;
    /// pool.try_get()?.resize(100_000, 0);
    /// assert_eq!(pool.try_get()?.capacity(), 64); // a new one
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new(recycler: R, reusable: P) -> Self {
        ReusableIf { recycler, reusable }
    }
}

impl<T, R: Recycler<T>, P: Fn(&T) -> bool> Recycler<T> for ReusableIf<R, P> {
    #[inline]
    fn recycle(&self, object: &mut T) {
        self.recycler.recycle(object);
    }

    #[inline]
    fn is_reusable(&self, object: &T) -> bool {
        (self.reusable)(object) && self.recycler.is_reusable(object)
    }
}

/// Recycles by the object's own [`Recycle`], and lets no object hoard more memory than a limit.
///
/// A pool of buffers that keep their capacity remembers the largest request that each object
/// ever served. With this strategy one huge request does not pin its memory for ever.
///
/// ```
/// use tailcut_pool::{Pool, Within};
///
/// let pool = Pool::builder(|| Vec::<u8>::with_capacity(4096))
///     .recycler(Within::bytes(64 << 10))
///     .capacity(1)
///     .build()?;
/// pool.try_get()?.resize(10 << 20, 0); // the huge request
/// assert!(pool.try_get()?.capacity() <= 64 << 10);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
///
/// An object within the limit costs one [`retained_bytes`](Recycle::retained_bytes): a comparison
/// for a vector, a visit to each kept element for a [`KeepVec`](crate::KeepVec). One beyond it is
/// shrunk **inside the get**: a call or more to the allocator (a hash table is allocated anew),
/// and to the operating system if the memory is large. Since recycling is lazy, an object that is
/// not taken again keeps what it has.
///
/// # Choosing the limit
///
/// At least twice what the usual request needs. What is found beyond the limit is cut to half of
/// it, not to all of it: an object cut to exactly the limit would pass it again as soon as any of
/// its parts grew, and be cut again at every get.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    bytes: usize,
}

impl Within {
    /// Lets each object retain at most `bytes` of heap, as [`Recycle::retained_bytes`] counts it.
    ///
    /// ```
    /// # use tailcut_pool::{Recycle, Recycler, Within};
    /// let mut text = String::with_capacity(1 << 20);
    /// Within::bytes(4096).recycle(&mut text);
    /// assert!(text.retained_bytes() <= 4096);
    /// ```
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Within { bytes }
    }

    #[cold]
    fn shrink<T: Recycle>(self, object: &mut T) {
        object.shrink_to_bytes(self.bytes / 2);
    }
}

impl<T: Recycle> Recycler<T> for Within {
    #[inline]
    fn recycle(&self, object: &mut T) {
        object.reset();
        if object.retained_bytes() > self.bytes {
            self.shrink(object);
        }
    }

    #[inline]
    fn is_reusable(&self, object: &T) -> bool {
        object.is_reusable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_within_the_limit_keeps_all_its_memory() {
        let mut buffer = Vec::<u8>::with_capacity(100);
        Within::bytes(100).recycle(&mut buffer);
        assert_eq!(buffer.capacity(), 100);
    }

    #[test]
    fn an_object_that_was_cut_has_room_to_grow_before_it_is_cut_again() {
        let within = Within::bytes(1000);
        let mut order = (Vec::<u8>::with_capacity(10_000), String::new());
        within.recycle(&mut order);
        order.0.extend([0; 400]);
        order.1.push_str(&"x".repeat(400));
        let capacities = (order.0.capacity(), order.1.capacity());
        within.recycle(&mut order);
        assert_eq!((order.0.capacity(), order.1.capacity()), capacities);
    }

    #[test]
    fn a_test_is_added_to_the_strategys_own_and_does_not_replace_it() {
        let poisoned = std::sync::Mutex::new(0);
        let _ = std::panic::catch_unwind(|| {
            let _lock = poisoned.lock();
            panic!("as planned");
        });
        assert!(!ReusableIf::new(ByTrait, |_: &_| true).is_reusable(&poisoned));
        assert!(!ReusableIf::new(AsIs, |_: &_| false).is_reusable(&poisoned));
        assert!(ReusableIf::new(AsIs, |_: &_| true).is_reusable(&poisoned));
    }

    #[test]
    fn a_function_recycles_what_the_test_lets_through() {
        let strategy = With(|text: &mut String| text.push('!')).reusable_if(|text| text.len() < 2);
        let mut text = String::new();
        assert!(strategy.is_reusable(&text));
        strategy.recycle(&mut text);
        strategy.recycle(&mut text);
        assert_eq!(text, "!!");
        assert!(!strategy.is_reusable(&text));
    }
}
