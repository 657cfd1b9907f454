//! Ours, on both paths.

use std::ptr::NonNull;

use tailcut_pool::{AsIs, Guard, Path, Pool};

use crate::source::{Kind, Object, Plan, Source};

/// A row of tailcut-pool: gives the pool itself, for what only it can do.
pub trait Tailcut<const N: usize>: Source {
    /// The pool.
    fn pool(&self) -> &Pool<Object<N>, AsIs>;
}

/// The path by restartable sequences.
#[derive(Debug)]
pub struct TailcutRseq<const N: usize>(Pool<Object<N>, AsIs>);

/// The path by plain atomics.
#[derive(Debug)]
pub struct TailcutPortable<const N: usize>(Pool<Object<N>, AsIs>);

impl<const N: usize> Source for TailcutRseq<N> {
    const NAME: &'static str = "tailcut rseq";
    const KIND: Kind = Kind::Tailcut;
    type Held<'a> = Guard<'a, Object<N>>;

    fn new(plan: Plan) -> Result<Self, String> {
        let pool = Pool::builder(Object::default)
            .capacity(plan.capacity)
            .keep_as_is()
            .build();
        let pool = pool.map_err(|error| error.to_string())?;
        match pool.path() {
            Path::Rseq => Ok(TailcutRseq(pool)),
            other => Err(format!("this machine takes the path: {other}")),
        }
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.try_get().expect("the plan's capacity suffices")
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        Object::start(held)
    }
}

impl<const N: usize> Source for TailcutPortable<N> {
    const NAME: &'static str = "tailcut portable";
    const KIND: Kind = Kind::Tailcut;
    type Held<'a> = Guard<'a, Object<N>>;

    fn new(plan: Plan) -> Result<Self, String> {
        let builder = Pool::builder(Object::default)
            .capacity(plan.capacity)
            .keep_as_is();
        builder
            .portable()
            .build()
            .map(TailcutPortable)
            .map_err(|error| error.to_string())
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.try_get().expect("the plan's capacity suffices")
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        Object::start(held)
    }
}

impl<const N: usize> Tailcut<N> for TailcutRseq<N> {
    fn pool(&self) -> &Pool<Object<N>, AsIs> {
        &self.0
    }
}

impl<const N: usize> Tailcut<N> for TailcutPortable<N> {
    fn pool(&self) -> &Pool<Object<N>, AsIs> {
        &self.0
    }
}
