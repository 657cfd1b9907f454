//! Sources that are a `static` of their own for each type: one per object size.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Mutex;

use heapless::pool::object::{Object as HeaplessObject, ObjectBlock};

use crate::source::{Kind, Object, Plan, Source};

/// What many a service writes by hand: `thread_local! { static POOL: RefCell<Vec<Box<T>>> }`.
#[derive(Debug)]
pub struct ThreadLocalVec<const N: usize>;

/// heapless's object pool: a static Treiber stack.
#[derive(Debug)]
pub struct HeaplessPool<const N: usize>;

macro_rules! per_type {
    ($($size:literal: $pool:ident),+ $(,)?) => {$(
        heapless::object_pool!($pool: Object<$size>);

        impl Source for HeaplessPool<$size> {
            const NAME: &'static str = "heapless object pool";
            const KIND: Kind = Kind::Pool;
            const ONE_PER_TYPE: Option<&'static str> = Some("it is a static for each type");
            type Held<'a> = HeaplessObject<$pool>;

            fn new(plan: Plan) -> Result<Self, String> {
                static MANAGED: Mutex<usize> = Mutex::new(0);
                let mut managed = MANAGED.lock().map_err(|error| error.to_string())?;
                while *managed < plan.capacity {
                    $pool.manage(Box::leak(Box::new(ObjectBlock::new(Object([0; $size])))));
                    *managed += 1;
                }
                Ok(HeaplessPool)
            }

            #[inline(always)]
            fn get(&self) -> Self::Held<'_> {
                $pool.request().expect("the plan's capacity suffices")
            }

            #[inline(always)]
            fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
                Object::start(held)
            }
        }

        impl Source for ThreadLocalVec<$size> {
            const NAME: &'static str = "thread_local RefCell<Vec>";
            const KIND: Kind = Kind::Pool;
            const CONFINED: Option<&'static str> =
                Some("objects would pile up in the consumer's vector");
            const ONE_PER_TYPE: Option<&'static str> = Some("it is a static for each type");
            type Held<'a> = Box<Object<$size>>;

            fn new(_plan: Plan) -> Result<Self, String> {
                Ok(ThreadLocalVec)
            }

            #[inline(always)]
            fn get(&self) -> Self::Held<'_> {
                vectors::$pool.with_borrow_mut(Vec::pop).unwrap_or_else(Object::boxed)
            }

            #[inline(always)]
            fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
                held.as_mut().start()
            }

            #[inline(always)]
            fn put<'a>(&'a self, held: Self::Held<'a>) {
                vectors::$pool.with_borrow_mut(|free| free.push(held));
            }
        }
    )+

    mod vectors {
        use super::{Object, RefCell};
        thread_local! {$(
            #[expect(non_upper_case_globals, reason = "named after the pool of the same size")]
            pub(super) static $pool: RefCell<Vec<Box<Object<$size>>>> = const { RefCell::new(Vec::new()) };
        )+}
    }};
}

per_type!(64: Pool64, 256: Pool256, 1024: Pool1024, 65_536: Pool65536);
