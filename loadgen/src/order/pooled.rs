//! Orders from a pool of preshaped objects; a settled window goes back in O(1).

use super::preshaped::FlatOrder;
use super::store::{LiveOrders, NoRoom, Store};
use super::wire::OrderView;
use tailcut_pool::{Guard, Pool, Window};

/// How many orders more than its live window a service can have in hand: those on their way, and
/// what other cores' magazines hold before anyone has to steal from them.
pub const SPARE: u64 = 4096;

/// Takes each order from the pool.
#[derive(Debug)]
pub struct PooledStore<'p> {
    pool: &'p Pool<FlatOrder>,
}

impl<'p> PooledStore<'p> {
    /// A store that takes from `pool`.
    #[must_use]
    pub fn new(pool: &'p Pool<FlatOrder>) -> PooledStore<'p> {
        PooledStore { pool }
    }
}

impl<'p> Store for PooledStore<'p> {
    type Order = Guard<'p, FlatOrder>;

    #[inline]
    fn keep(&mut self, view: &OrderView<'_>) -> Result<Guard<'p, FlatOrder>, NoRoom> {
        let mut order = self.pool.try_get().map_err(|_| NoRoom)?;
        order.fill(view);
        Ok(order)
    }
}

/// Live orders of a pool.
pub struct PooledWindow<'p> {
    window: Window<'p, FlatOrder>,
}

impl<'p> PooledWindow<'p> {
    /// A window of `pool`.
    #[must_use]
    pub fn new(pool: &'p Pool<FlatOrder>) -> PooledWindow<'p> {
        PooledWindow {
            window: pool.window(),
        }
    }
}

impl<'p> LiveOrders for PooledWindow<'p> {
    type Order = Guard<'p, FlatOrder>;

    #[inline]
    fn push(&mut self, order: Guard<'p, FlatOrder>) {
        self.window.push(order);
    }

    fn give_up(&mut self) {
        self.window.release();
    }
}
