//! Pool crates, each as its documentation says to use it.

use std::ptr::NonNull;
use std::sync::Arc;

use deadpool::unmanaged;
use lockfree_object_pool::{
    LinearObjectPool, LinearReusable, SpinLockObjectPool, SpinLockReusable,
};
use opool::PoolAllocator;
use poolshark::global::GPooled;
use poolshark::local::LPooled;

use crate::source::{Kind, Object, Plan, Source};

const ENOUGH: &str = "the plan's capacity suffices";
const ONE_THREAD: &str = "it is for one thread only";

/// How opool makes its objects.
#[derive(Debug)]
pub struct Make;

impl<const N: usize> PoolAllocator<Object<N>> for Make {
    fn allocate(&self) -> Object<N> {
        Object::default()
    }
}

impl<const N: usize> PoolAllocator<Box<Object<N>>> for Make {
    fn allocate(&self) -> Box<Object<N>> {
        Object::boxed()
    }
}

/// The pools that keep objects by value: as their documentation shows them, where each get and
/// each put moves the object's bytes, and as pools of boxes, where it does not.
macro_rules! by_value {
    ($($(#[$doc:meta])* $row:ident, $name:literal, $confined:expr, $object:ty:
        $pool:ty, $guard:ty, $new:expr, $get:ident;)+) => {$(
        $(#[$doc])*
        pub struct $row<const N: usize>($pool);

        impl<const N: usize> Source for $row<N> {
            const NAME: &'static str = $name;
            const KIND: Kind = Kind::Pool;
            const CONFINED: Option<&'static str> = $confined;
            type Held<'a> = $guard;

            fn new(plan: Plan) -> Result<Self, String> {
                Ok($row($new(plan.capacity)))
            }

            #[inline(always)]
            fn get(&self) -> Self::Held<'_> {
                self.0.$get().expect(ENOUGH)
            }

            #[inline(always)]
            fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
                let object: &mut $object = held;
                object.start()
            }
        }
    )+};
}

by_value! {
    /// opool's shared pool.
    Opool, "opool Pool", None, Object<N>:
        opool::Pool<Make, Object<N>>, opool::RefGuard<'a, Make, Object<N>>,
        |capacity| opool::Pool::new_prefilled(capacity, Make), try_get;
    /// opool's shared pool, of boxes.
    OpoolBoxed, "opool Pool, boxed", None, Box<Object<N>>:
        opool::Pool<Make, Box<Object<N>>>, opool::RefGuard<'a, Make, Box<Object<N>>>,
        |capacity| opool::Pool::new_prefilled(capacity, Make), try_get;
    /// opool's pool for one thread.
    OpoolLocal, "opool LocalPool", Some(ONE_THREAD), Object<N>:
        opool::LocalPool<Make, Object<N>>, opool::RefLocalGuard<'a, Make, Object<N>>,
        |capacity| opool::LocalPool::new_prefilled(capacity, Make), try_get;
    /// opool's pool for one thread, of boxes.
    OpoolLocalBoxed, "opool LocalPool, boxed", Some(ONE_THREAD), Box<Object<N>>:
        opool::LocalPool<Make, Box<Object<N>>>, opool::RefLocalGuard<'a, Make, Box<Object<N>>>,
        |capacity| opool::LocalPool::new_prefilled(capacity, Make), try_get;
    /// object-pool.
    ObjectPool, "object-pool", None, Object<N>:
        object_pool::Pool<Object<N>>, object_pool::Reusable<'a, Object<N>>,
        |capacity| object_pool::Pool::new(capacity, Object::default), try_pull;
    /// object-pool, of boxes.
    ObjectPoolBoxed, "object-pool, boxed", None, Box<Object<N>>:
        object_pool::Pool<Box<Object<N>>>, object_pool::Reusable<'a, Box<Object<N>>>,
        |capacity| object_pool::Pool::new(capacity, Object::boxed), try_pull;
}

/// lockfree-object-pool's linear pool. It grows by pages when it must; objects lie in the pages.
pub struct LinearPool<const N: usize>(LinearObjectPool<Object<N>>);

impl<const N: usize> Source for LinearPool<N> {
    const NAME: &'static str = "lockfree-object-pool linear";
    const KIND: Kind = Kind::Pool;
    type Held<'a> = LinearReusable<'a, Object<N>>;

    fn new(plan: Plan) -> Result<Self, String> {
        if plan.in_use > 200_000 {
            return Err(
                "its search for a free object takes time linear in those in use: minutes"
                    .to_owned(),
            );
        }
        Ok(LinearPool(LinearObjectPool::new(Object::default, |_| {})))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.pull()
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        Object::start(held)
    }
}

/// lockfree-object-pool's pool behind a spin lock. It grows when it must.
pub struct SpinLockPool<const N: usize>(SpinLockObjectPool<Box<Object<N>>>);

impl<const N: usize> Source for SpinLockPool<N> {
    const NAME: &'static str = "lockfree-object-pool spin";
    const KIND: Kind = Kind::Pool;
    type Held<'a> = SpinLockReusable<'a, Box<Object<N>>>;

    fn new(_plan: Plan) -> Result<Self, String> {
        Ok(SpinLockPool(SpinLockObjectPool::new(Object::boxed, |_| {})))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.pull()
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        held.as_mut().start()
    }
}

/// sharded-slab's pool: create, then clear. Objects lie in the slab.
#[derive(Debug)]
pub struct ShardedSlab<const N: usize>(sharded_slab::Pool<Object<N>>);

impl<const N: usize> sharded_slab::Clear for Object<N> {
    fn clear(&mut self) {}
}

/// An object of sharded-slab in use: its guard is tied to the thread, its key is not.
#[derive(Debug)]
pub struct Keyed {
    key: usize,
    start: NonNull<u8>,
}

// SAFETY: the object is the holder's alone until its key is cleared, and plain bytes.
unsafe impl Send for Keyed {}

impl<const N: usize> Source for ShardedSlab<N> {
    const NAME: &'static str = "sharded-slab Pool";
    const KIND: Kind = Kind::Pool;
    type Held<'a> = Keyed;

    fn new(_plan: Plan) -> Result<Self, String> {
        Ok(ShardedSlab(sharded_slab::Pool::new()))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        let mut object = self.0.create().expect(ENOUGH);
        Keyed {
            key: object.key(),
            start: Object::start(&mut object),
        }
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        held.start
    }

    #[inline(always)]
    fn put<'a>(&'a self, held: Self::Held<'a>) {
        self.0.clear(held.key);
    }
}

/// An object as poolshark wants it.
#[derive(Debug)]
pub struct Shark<const N: usize>(Box<Object<N>>);

impl<const N: usize> std::fmt::Debug for Object<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{N} bytes")
    }
}

impl<const N: usize> poolshark::Poolable for Shark<N> {
    fn empty() -> Self {
        Shark(Object::boxed())
    }

    fn reset(&mut self) {}

    fn capacity(&self) -> usize {
        1
    }
}

/// poolshark's global pool: objects go back to the pool they came from.
#[derive(Debug)]
pub struct PoolsharkGlobal<const N: usize>(poolshark::global::Pool<Shark<N>>);

impl<const N: usize> Source for PoolsharkGlobal<N> {
    const NAME: &'static str = "poolshark global";
    const KIND: Kind = Kind::Pool;
    type Held<'a> = GPooled<Shark<N>>;

    fn new(plan: Plan) -> Result<Self, String> {
        Ok(PoolsharkGlobal(poolshark::global::Pool::new(
            plan.capacity,
            1,
        )))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.take()
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        held.0.start()
    }
}

/// poolshark's local pools: objects go to the pool of the thread that drops them.
#[derive(Debug)]
pub struct PoolsharkLocal<const N: usize>;

impl<const N: usize> Source for PoolsharkLocal<N> {
    const NAME: &'static str = "poolshark local";
    const KIND: Kind = Kind::Pool;
    const CONFINED: Option<&'static str> = Some("objects would go to the consumer's pool");
    const ONE_PER_TYPE: Option<&'static str> = Some("each thread has one pool for each type");
    type Held<'a> = LPooled<Vec<Object<N>>>;

    fn new(plan: Plan) -> Result<Self, String> {
        // The first sizes that a thread asks for stay; each workload has a thread of its own.
        poolshark::local::set_size::<Vec<Object<N>>>(plan.capacity, 1);
        match poolshark::local::get_size::<Vec<Object<N>>>() {
            Some(_) => Ok(PoolsharkLocal),
            None => Err("it does not pool objects of this size".to_owned()),
        }
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        let mut object = LPooled::<Vec<Object<N>>>::take();
        object.reserve_exact(1);
        object
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        NonNull::from(held.spare_capacity_mut()).cast()
    }
}

/// zeropool without zeroing. Its smallest buffer has 4 KiB.
pub struct ZeroPool<const N: usize>(zeropool::ZeroPool);

impl<const N: usize> Source for ZeroPool<N> {
    const NAME: &'static str = "zeropool";
    const KIND: Kind = Kind::Pool;
    type Held<'a> = zeropool::BufUninit<'a>;

    fn new(plan: Plan) -> Result<Self, String> {
        let pool = zeropool::ZeroPool::new().max_buffers_per_class(plan.capacity);
        Ok(ZeroPool(pool.track_stats(false)))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.alloc_uninit(N)
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        NonNull::from(held.as_uninit_mut()).cast()
    }
}

/// deadpool's unmanaged pool, taken from without waiting.
pub struct Deadpool<const N: usize>(Arc<unmanaged::Pool<Box<Object<N>>>>);

impl<const N: usize> Source for Deadpool<N> {
    const NAME: &'static str = "deadpool unmanaged";
    const KIND: Kind = Kind::Pool;
    type Held<'a> = unmanaged::Object<Box<Object<N>>>;

    fn new(plan: Plan) -> Result<Self, String> {
        let objects: Vec<_> = (0..plan.capacity).map(|_| Object::boxed()).collect();
        Ok(Deadpool(Arc::new(unmanaged::Pool::from(objects))))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.try_get().expect(ENOUGH)
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        held.as_mut().start()
    }
}
