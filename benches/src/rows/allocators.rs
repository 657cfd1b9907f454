//! Allocators, called directly: what `Box::new` and `drop` would call if each were the global one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

use crate::source::{Kind, Object, Plan, Source};

/// An object in raw memory.
#[derive(Debug)]
pub struct Block(pub(super) NonNull<u8>);

// SAFETY: the block owns what it points to, which is plain bytes.
unsafe impl Send for Block {}

macro_rules! allocator {
    ($(#[$doc:meta])* $row:ident, $name:literal, $allocator:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $row<const N: usize>;

        impl<const N: usize> Source for $row<N> {
            const NAME: &'static str = $name;
            const KIND: Kind = Kind::Allocator;
            type Held<'a> = Block;

            fn new(_plan: Plan) -> Result<Self, String> {
                Ok($row)
            }

            #[inline(always)]
            fn get(&self) -> Block {
                // SAFETY: an object is not of size zero.
                let start = unsafe { $allocator.alloc(Layout::new::<Object<N>>()) };
                Block(NonNull::new(start).expect("there is memory"))
            }

            #[inline(always)]
            fn start(held: &mut Block) -> NonNull<u8> {
                held.0
            }

            #[inline(always)]
            fn put(&self, held: Block) {
                // SAFETY: `get` allocated it, with the same layout.
                unsafe { $allocator.dealloc(held.0.as_ptr(), Layout::new::<Object<N>>()) }
            }
        }
    };
}

allocator! {
    /// The C library's malloc and free (glibc where this was measured).
    Glibc, "glibc malloc", System
}
allocator! {
    /// jemalloc at its default settings.
    Jemalloc, "jemalloc", tikv_jemallocator::Jemalloc
}
allocator! {
    /// mimalloc at its default settings.
    Mimalloc, "mimalloc", mimalloc::MiMalloc
}
#[cfg(feature = "snmalloc")]
allocator! {
    /// snmalloc at its default settings.
    Snmalloc, "snmalloc", snmalloc_rs::SnMalloc
}
