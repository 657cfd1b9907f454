//! What a get does when every object is in use: a type, chosen at build.

/// [`Pool::get`](crate::Pool::get) refuses with [`Exhausted`](crate::Exhausted): the default.
///
/// ```
/// # use tailcut_pool::{Exhausted, Pool};
/// let pool = Pool::builder(|| 0_u64).capacity(1).build()?;
/// let held = pool.get()?;
/// assert_eq!(pool.get().unwrap_err(), Exhausted { capacity: 1 });
/// # drop(held);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Refuse;

/// [`Pool::get`](crate::Pool::get) waits until an object is given back.
///
/// ```
/// # use tailcut_pool::{AsIs, Pool, Wait};
/// struct Service { pool: Pool<u64, AsIs, Wait> }
///
/// let pool = Pool::builder(|| 7).keep_as_is().capacity(1).wait().build()?;
/// let service = Service { pool };
/// assert_eq!(*service.pool.get(), 7);
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Wait;

/// [`Pool::get`](crate::Pool::get) makes more objects, up to a limit, then refuses. Making them
/// takes a lock and whatever the maker takes: the price of a burst beyond the capacity.
///
/// ```
/// # use tailcut_pool::{AsIs, Grow, Pool};
/// struct Service { pool: Pool<u64, AsIs, Grow> }
///
/// let pool = Pool::builder(|| 7).keep_as_is().capacity(1).grow_to(100).build()?;
/// let service = Service { pool };
/// let two = (service.pool.get()?, service.pool.get()?);
/// # drop(two);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Grow;
