//! What all rows have in common: something that objects are taken from and given back to.
//!
//! A row is one implementation of [`Source`]; a workload is a generic function over it, compiled
//! for each row, so that no call is indirect inside a measured loop.

use std::ptr::NonNull;

/// The bytes of one object.
#[repr(align(8))]
#[derive(Clone)]
pub struct Object<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for Object<N> {
    fn default() -> Self {
        Object([0; N])
    }
}

impl<const N: usize> Object<N> {
    /// A new object on the heap.
    #[must_use]
    pub fn boxed() -> Box<Self> {
        Box::default()
    }

    /// Where the object's bytes begin.
    #[inline(always)]
    pub fn start(&mut self) -> NonNull<u8> {
        NonNull::from(&mut self.0).cast()
    }
}

/// What a workload will ask of a source.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many objects a source of fixed capacity must hold.
    pub capacity: usize,
    /// How many objects are in use at once, at most.
    pub in_use: usize,
}

/// Where the rows of a table differ in kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The workload's own cost: its loop, its ring, its cache misses, without a source.
    Control,
    /// tailcut-pool.
    Tailcut,
    /// A general-purpose allocator.
    Allocator,
    /// The same, asked for fewer and simpler objects than a row of kind `allocator`: shows what
    /// the layout alone saves.
    FlatAllocator,
    /// A pool, or a container used as one.
    Pool,
}

/// Something that objects are taken from and given back to.
pub trait Source: Sized + 'static {
    /// The row's name in tables and in the JSON.
    const NAME: &'static str;
    /// The row's kind.
    const KIND: Kind;
    /// Why an object must be given back by the thread that took it, if so. Such a row needs no
    /// synchronisation, and tables say so: it is not a cheaper way to do what the others do.
    const CONFINED: Option<&'static str> = None;
    /// Why two of this source would be one and the same, if so.
    const ONE_PER_TYPE: Option<&'static str> = None;
    /// How memory comes back, if not object by object: an arena.
    const ARENA: Option<&'static str> = None;

    /// An object in use.
    type Held<'a>
    where
        Self: 'a;

    /// Makes the source, filled as far as it can be.
    ///
    /// # Errors
    /// Why this row cannot be measured on this machine.
    fn new(plan: Plan) -> Result<Self, String>;

    /// Takes an object. Its contents are whatever they were.
    ///
    /// # Panics
    /// If there is none left: the plan was wrong.
    fn get(&self) -> Self::Held<'_>;

    /// Where the object's bytes begin.
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8>;

    /// Gives the object back.
    #[inline(always)]
    fn put<'a>(&'a self, held: Self::Held<'a>) {
        drop(held);
    }
}

/// Writes one byte of the object, so that it is used, and so that nothing is optimised away.
#[inline(always)]
pub fn touch<S: Source>(held: &mut S::Held<'_>, byte: u64) {
    let start = S::start(held);
    // SAFETY: `start` points to the bytes of an object in use, which `held` owns; an object has
    // at least one byte.
    unsafe { start.write(byte as u8) };
    std::hint::black_box(start);
}

/// Reads one byte of the object.
#[inline(always)]
pub fn look<S: Source>(held: &mut S::Held<'_>) {
    // SAFETY: as in `touch`; the byte was written by whoever took the object.
    std::hint::black_box(unsafe { S::start(held).read() });
}
