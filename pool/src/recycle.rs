//! What happens to an object between two uses.
//!
//! Recycling is **lazy**: it runs when the object is next taken, not when it is given back. So
//! giving back costs the same for one object and for a window of 120,000, and an object is
//! touched only when it is about to be used anyway. The price: what an object held (a password,
//! say) stays in memory until then.
//!
//! Two traits share the work. [`Recycle`] is what an object knows about itself; [`Recycler`] is
//! the pool's strategy, by default to ask the object. All are generic, so a strategy that has
//! nothing to do compiles to nothing.

mod collections;
mod compound;
mod fields;
mod keep_vec;
mod locks;
mod plain;
mod strategies;
#[cfg(feature = "zeroize")]
mod wipe;

pub use keep_vec::KeepVec;
pub use strategies::{AsIs, ByTrait, ReusableIf, With, Within};
#[cfg(feature = "zeroize")]
pub use wipe::{Wiped, wipe};

/// Makes a used object ready for the next user: a pool's strategy.
///
/// [`ByTrait`] asks the object, [`With`] calls a function, [`AsIs`] does nothing; [`Within`]
/// bounds what an object may hoard, [`ReusableIf`] adds a test that objects must pass. Each
/// object that is taken goes through [`is_reusable`](Recycler::is_reusable), then
/// [`recycle`](Recycler::recycle).
///
/// ```
/// use tailcut_pool::{Pool, Recycler};
///
/// /// Starts each object of a simulation at the same seed.
/// struct Reseeded(u64);
///
/// impl Recycler<Vec<u64>> for Reseeded {
///     fn recycle(&self, state: &mut Vec<u64>) {
///         state.clear();
///         state.push(self.0);
///     }
///
///     fn is_reusable(&self, state: &Vec<u64>) -> bool {
///         state.capacity() < 1_000_000
///     }
/// }
///
/// let pool = Pool::builder(Vec::new).recycler(Reseeded(42)).capacity(8).build()?;
/// assert_eq!(*pool.try_get()?, [42]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub trait Recycler<T> {
    /// Readies `object`, which is new or was given back in any state that its user could leave.
    ///
    /// ```
    /// use tailcut_pool::{Recycler, With};
    ///
    /// let mut object = vec![1, 2, 3];
    /// With(|list: &mut Vec<i32>| list.truncate(1)).recycle(&mut object);
    /// assert_eq!(object, [1]);
    /// ```
    ///
    /// # Panics
    /// May panic. An object whose recycling panics is discarded, and a new one takes its place;
    /// the panic goes on to the caller of the get. The pool stays sound and loses no capacity. A
    /// panic of [`is_reusable`](Recycler::is_reusable) counts as one of recycling.
    fn recycle(&self, object: &mut T);

    /// Whether `object` may be used again; asked first each time that it is taken.
    ///
    /// On `false` the object is discarded unrecycled, and a new one takes its place: the get then
    /// costs what dropping one object and making another does.
    ///
    /// ```
    /// use tailcut_pool::{AsIs, Recycler, ReusableIf};
    ///
    /// let strategy = ReusableIf::new(AsIs, |uses: &u32| *uses < 1000);
    /// assert!(strategy.is_reusable(&999) && !strategy.is_reusable(&1000));
    /// ```
    #[inline]
    fn is_reusable(&self, object: &T) -> bool {
        let _ = object;
        true
    }
}

/// An object that knows how to be used again.
///
/// Only [`reset`](Recycle::reset) must be written. For a struct whose fields are all `Recycle`,
/// [`recycle_fields!`](crate::recycle_fields) writes all four methods.
///
/// ```
/// use tailcut_pool::{Pool, Recycle};
///
/// struct Order { account: u64, items: Vec<u64> }
///
/// impl Recycle for Order {
///     fn reset(&mut self) {
///         self.account = 0;
///         self.items.reset(); // empty, with its capacity
///     }
/// }
///
/// let orders = Pool::builder(|| Order { account: 0, items: Vec::with_capacity(8) })
///     .capacity(100)
///     .build()?;
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
///
/// # What the types of the standard library do
///
/// | type | after `reset` | `retained_bytes` | not reusable if |
/// |---|---|---|---|
/// | `Vec`, `VecDeque`, `BinaryHeap` | empty, capacity kept | capacity x element | |
/// | `String`, `OsString`, `PathBuf` | empty, capacity kept | capacity | |
/// | `HashMap`, `HashSet` | empty, capacity kept; takes time in proportion to the capacity | of the table, as estimated from the capacity | |
/// | `BTreeMap`, `BTreeSet` | empty; **keeps no nodes**, so each use allocates anew | 0 | |
/// | `Option` | `None`; the value is dropped | 0 | |
/// | tuples up to 12, arrays, slices | each part reset | the parts' sum | a part is not |
/// | `Box`, `&mut` | the value in it reset | the value's | the value is not |
/// | `io::Cursor` | the buffer reset, position 0 | the buffer's | the buffer is not |
/// | integers, floats, `Wrapping`, `Saturating`, atomics | 0 | 0 | |
/// | `bool`, `char` | `false`, `'\0'` | 0 | |
/// | `Cell` (of `Copy` values) | the value reset | 0 | the value is not |
/// | `RefCell` | the value reset | the value's | the value is not, or a borrow was forgotten |
/// | `Mutex`, `RwLock` | the value reset, poison cleared | the value's | the value is not, **poisoned**, or a lock was forgotten |
/// | `()`, `PhantomData` | | 0 | |
///
/// Where two ways were possible:
/// - An **`Option`** becomes `None`, because a `Some` would show the next user that the last one
///   had a value. That drops the value, and frees what it held; to keep a buffer, keep the buffer
///   and not an `Option` of it.
/// - **Numbers** become 0 whatever the maker gave them, new ones too. To keep them, or to set
///   them to something else, write `reset` yourself, or `field = value` in `recycle_fields!`.
/// - A **poisoned lock** tells that a user panicked half-way, so the pool replaces the object: its
///   value may have lost the order that its own `reset` relies on. Where nobody asks (a `reset`
///   written by hand, say), the value is reset and the poison cleared, so that one panic does not
///   follow the object through all its later uses.
/// - **`Rc`, `Arc`, `CString`** have no implementation: the first two may be in use elsewhere, and
///   the third keeps no capacity.
///
/// # Collections of collections
///
/// Emptying a `Vec<String>` keeps the vector's capacity, but **drops the strings**: each use
/// allocates them anew, and the allocations that pooling was to remove are only better hidden.
/// The same holds for strings in maps and queues. For vectors, [`KeepVec`] is the cure: it keeps
/// its elements, and hands them out again.
pub trait Recycle {
    /// Forgets the previous use, keeping what is dear to make (capacity, mostly).
    ///
    /// ```
    /// use tailcut_pool::Recycle;
    ///
    /// let mut text = String::from("the last user's");
    /// text.reset();
    /// assert!(text.is_empty() && text.capacity() > 0);
    /// ```
    ///
    /// # Panics
    /// May panic, as [`Recycler::recycle`] may.
    fn reset(&mut self);

    /// Whether the object may be used again; if not, the pool replaces it by a new one.
    ///
    /// Asked first each time that the object is taken, so it should be cheap. `true` by default.
    ///
    /// ```
    /// use std::net::TcpStream;
    /// use tailcut_pool::Recycle;
    ///
    /// struct Connection { stream: Option<TcpStream>, failed: bool }
    ///
    /// impl Recycle for Connection {
    ///     fn reset(&mut self) {}
    ///
    ///     fn is_reusable(&self) -> bool {
    ///         !self.failed // the pool makes a new one
    ///     }
    /// }
    /// # assert!(Connection { stream: None, failed: false }.is_reusable());
    /// # assert!(Connection { stream: None, failed: false }.stream.is_none());
    /// ```
    #[inline]
    fn is_reusable(&self) -> bool {
        true
    }

    /// How many bytes of heap the object keeps through a reset and could give back: its idle
    /// hoard. 0 by default.
    ///
    /// Meant for a reset object: of one in use, what its contents hold may be left out. Memory
    /// that the object always has, such as the place that a `Box` points to, does not count.
    ///
    /// ```
    /// use tailcut_pool::Recycle;
    ///
    /// assert_eq!(Vec::<u64>::with_capacity(100).retained_bytes(), 800);
    /// ```
    #[inline]
    fn retained_bytes(&self) -> usize {
        0
    }

    /// Gives memory back until [`retained_bytes`](Recycle::retained_bytes) is at most `bytes`, or
    /// nothing more can be given back without losing contents. Does nothing by default.
    ///
    /// A compound object cuts down its largest parts, and leaves the small ones as they are.
    ///
    /// ```
    /// use tailcut_pool::Recycle;
    ///
    /// let mut list = Vec::<u64>::with_capacity(100_000);
    /// list.shrink_to_bytes(8000);
    /// assert!(list.retained_bytes() <= 8000);
    /// ```
    #[inline]
    fn shrink_to_bytes(&mut self, bytes: usize) {
        let _ = bytes;
    }
}
