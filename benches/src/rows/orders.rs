//! Pools of orders: the same order recycled and used again, by each pool in its own way. Pools
//! that move objects by value hold boxes.

use lockfree_object_pool::{
    LinearObjectPool, LinearReusable, SpinLockObjectPool, SpinLockReusable,
};
use opool::PoolAllocator;
use tailcut_pool::{Guard, Path, Pool};

use crate::order::Order;
use crate::source::{Kind, Source};

const ENOUGH: &str = "one order is in use at a time";

/// Where orders are taken from, empty, and given back to by dropping them.
pub trait Orders<O: Order>: Sized + 'static {
    /// The row's name.
    const NAME: &'static str;
    /// The row's kind.
    const KIND: Kind = Kind::Pool;

    /// An order in use.
    type Held<'a>
    where
        Self: 'a;

    /// Makes the source with so many orders, if it has a capacity.
    ///
    /// # Errors
    /// Why this row cannot be measured on this machine.
    fn new(capacity: usize) -> Result<Self, String>;

    /// Takes an order, as [`Recycle::reset`](tailcut_pool::Recycle::reset) left it.
    fn get(&self) -> Self::Held<'_>;

    /// The order itself.
    fn order<'h>(held: &'h mut Self::Held<'_>) -> &'h mut O;
}

/// Ours, on either path.
#[derive(Debug)]
pub struct TailcutOrders<O, const PORTABLE: bool>(Pool<O>);

impl<O: Order, const PORTABLE: bool> Orders<O> for TailcutOrders<O, PORTABLE> {
    const NAME: &'static str = if PORTABLE {
        <super::TailcutPortable<8> as Source>::NAME
    } else {
        <super::TailcutRseq<8> as Source>::NAME
    };
    const KIND: Kind = Kind::Tailcut;
    type Held<'a> = Guard<'a, O>;

    fn new(capacity: usize) -> Result<Self, String> {
        let builder = Pool::builder(O::preshaped).capacity(capacity);
        let builder = if PORTABLE {
            builder.portable()
        } else {
            builder
        };
        let pool = builder.build().map_err(|error| error.to_string())?;
        match pool.path() {
            path if !PORTABLE && path != Path::Rseq => {
                Err(format!("this machine takes the path: {path}"))
            }
            _ => Ok(TailcutOrders(pool)),
        }
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.try_get().expect(ENOUGH)
    }

    #[inline(always)]
    fn order<'h>(held: &'h mut Self::Held<'_>) -> &'h mut O {
        held
    }
}

/// How opool makes orders, and resets them when they are given back.
#[derive(Debug)]
pub struct MakeOrder;

impl<O: Order> PoolAllocator<Box<O>> for MakeOrder {
    #[inline(always)]
    fn reset(&self, order: &mut Box<O>) {
        order.as_mut().reset();
    }

    fn allocate(&self) -> Box<O> {
        Box::new(O::preshaped())
    }
}

/// opool's shared pool, of boxes.
pub struct PeerOpool<O: Order>(opool::Pool<MakeOrder, Box<O>>);

impl<O: Order> Orders<O> for PeerOpool<O> {
    const NAME: &'static str = <super::OpoolBoxed<8> as Source>::NAME;
    type Held<'a> = opool::RefGuard<'a, MakeOrder, Box<O>>;

    fn new(capacity: usize) -> Result<Self, String> {
        Ok(PeerOpool(opool::Pool::new_prefilled(capacity, MakeOrder)))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.try_get().expect(ENOUGH)
    }

    #[inline(always)]
    fn order<'h>(held: &'h mut Self::Held<'_>) -> &'h mut O {
        held
    }
}

/// object-pool, of boxes. It never resets: who takes an order does, as its documentation says.
pub struct PeerObjectPool<O: Order>(object_pool::Pool<Box<O>>);

impl<O: Order> Orders<O> for PeerObjectPool<O> {
    const NAME: &'static str = <super::ObjectPoolBoxed<8> as Source>::NAME;
    type Held<'a> = object_pool::Reusable<'a, Box<O>>;

    fn new(capacity: usize) -> Result<Self, String> {
        let make = || Box::new(O::preshaped());
        Ok(PeerObjectPool(object_pool::Pool::new(capacity, make)))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        let mut held = self.0.try_pull().expect(ENOUGH);
        held.as_mut().reset();
        held
    }

    #[inline(always)]
    fn order<'h>(held: &'h mut Self::Held<'_>) -> &'h mut O {
        held
    }
}

/// lockfree-object-pool's linear pool, which resets when an order is given back.
pub struct PeerLinear<O: Order>(LinearObjectPool<O>);

impl<O: Order> Orders<O> for PeerLinear<O> {
    const NAME: &'static str = <super::LinearPool<8> as Source>::NAME;
    type Held<'a> = LinearReusable<'a, O>;

    fn new(_capacity: usize) -> Result<Self, String> {
        Ok(PeerLinear(LinearObjectPool::new(O::preshaped, O::reset)))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.pull()
    }

    #[inline(always)]
    fn order<'h>(held: &'h mut Self::Held<'_>) -> &'h mut O {
        held
    }
}

/// lockfree-object-pool's pool behind a spin lock, of boxes, reset when given back.
pub struct PeerSpin<O: Order>(SpinLockObjectPool<Box<O>>);

impl<O: Order> Orders<O> for PeerSpin<O> {
    const NAME: &'static str = <super::SpinLockPool<8> as Source>::NAME;
    type Held<'a> = SpinLockReusable<'a, Box<O>>;

    fn new(_capacity: usize) -> Result<Self, String> {
        let make = || Box::new(O::preshaped());
        let pool = SpinLockObjectPool::new(make, |order: &mut Box<O>| order.as_mut().reset());
        Ok(PeerSpin(pool))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.pull()
    }

    #[inline(always)]
    fn order<'h>(held: &'h mut Self::Held<'_>) -> &'h mut O {
        held
    }
}

/// An order as sharded-slab wants it: cleared when its last reference goes.
#[derive(Debug)]
pub struct Slabbed<O>(O);

impl<O: Order> Default for Slabbed<O> {
    fn default() -> Self {
        Slabbed(O::preshaped())
    }
}

impl<O: Order> sharded_slab::Clear for Slabbed<O> {
    #[inline(always)]
    fn clear(&mut self) {
        self.0.reset();
    }
}

/// sharded-slab's pool: create, fill in, and clear by its key when done.
pub struct PeerShardedSlab<O: Order>(sharded_slab::Pool<Slabbed<O>>);

/// An order of sharded-slab in use. Fields are dropped in this order: the reference, then the
/// order is cleared.
pub struct SlabbedGuard<'a, O: Order> {
    order: sharded_slab::pool::RefMut<'a, Slabbed<O>>,
    _clear: ClearWhenDropped<'a, O>,
}

struct ClearWhenDropped<'a, O: Order> {
    pool: &'a sharded_slab::Pool<Slabbed<O>>,
    key: usize,
}

impl<O: Order> Drop for ClearWhenDropped<'_, O> {
    #[inline(always)]
    fn drop(&mut self) {
        self.pool.clear(self.key);
    }
}

impl<O: Order + Sync> Orders<O> for PeerShardedSlab<O> {
    const NAME: &'static str = <super::ShardedSlab<8> as Source>::NAME;
    type Held<'a> = SlabbedGuard<'a, O>;

    fn new(_capacity: usize) -> Result<Self, String> {
        Ok(PeerShardedSlab(sharded_slab::Pool::new()))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        let (pool, order) = (&self.0, self.0.create().expect(ENOUGH));
        let key = order.key();
        SlabbedGuard {
            order,
            _clear: ClearWhenDropped { pool, key },
        }
    }

    #[inline(always)]
    fn order<'h>(held: &'h mut Self::Held<'_>) -> &'h mut O {
        &mut held.order.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{NestedOrder, views};
    use tailcut_loadgen::order::preshaped::FlatOrder;
    use tailcut_loadgen::order::store::StoredOrder;

    /// Two uses one after the other: the second finds the order empty, whoever resets it.
    fn uses<P: Orders<FlatOrder>>() {
        let Ok(pool) = P::new(1) else {
            return; // no restartable sequences here
        };
        for _ in 0..2 {
            let mut held = pool.get();
            let order = P::order(&mut held);
            assert!(order.items().is_empty(), "{}", P::NAME);
            order.fill(&views()[0]);
            assert!(!order.items().is_empty());
        }
    }

    #[test]
    fn every_pool_hands_out_orders_that_are_empty() {
        uses::<TailcutOrders<FlatOrder, false>>();
        uses::<TailcutOrders<FlatOrder, true>>();
        uses::<PeerOpool<FlatOrder>>();
        uses::<PeerObjectPool<FlatOrder>>();
        uses::<PeerLinear<FlatOrder>>();
        uses::<PeerSpin<FlatOrder>>();
        uses::<PeerShardedSlab<FlatOrder>>();
        assert!(PeerShardedSlab::<NestedOrder>::new(1).is_ok());
    }
}
