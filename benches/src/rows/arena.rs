//! An arena: what a service takes that can give up all of a request's objects at once.
//!
//! It is no pool. There is no put: an object's memory comes back when the whole arena is reset,
//! which nobody may do while an object is in use. So this row shows the least that taking memory
//! can cost, not what a pool could be.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;

use bumpalo::Bump;

use super::allocators::Block;
use crate::source::{Kind, Object, Plan, Source};

/// Objects between two resets.
const REQUEST: usize = 1024;

/// bumpalo's arena, reset every 1024 objects (or fewer, where the plan holds fewer), as soon as
/// none of them is in use.
pub struct Bumpalo<const N: usize> {
    arena: UnsafeCell<Bump>,
    /// Objects taken since the last reset.
    taken: Cell<usize>,
    /// How many of them were given back; at most `taken`.
    returned: Cell<usize>,
    request: usize,
}

impl<const N: usize> Source for Bumpalo<N> {
    const NAME: &'static str = "bumpalo arena";
    const KIND: Kind = Kind::Allocator;
    const CONFINED: Option<&'static str> = Some("it is for one thread only");
    const ARENA: Option<&'static str> = Some(
        "an arena: a put only counts, memory comes back by a reset every 1024 objects when none is in use",
    );
    type Held<'a> = Block;

    fn new(plan: Plan) -> Result<Self, String> {
        let bytes = plan.capacity * size_of::<Object<N>>();
        let arena = Bump::try_with_capacity(bytes).map_err(|error| error.to_string())?;
        Ok(Bumpalo {
            arena: UnsafeCell::new(arena),
            taken: Cell::new(0),
            returned: Cell::new(0),
            request: plan.capacity.min(REQUEST),
        })
    }

    #[inline(always)]
    fn get(&self) -> Block {
        self.taken.set(self.taken.get() + 1);
        // SAFETY: the only exclusive reference is the one of `put`, which ends before it returns;
        // the cell keeps this source on one thread.
        let arena = unsafe { &*self.arena.get() };
        Block(arena.alloc_layout(Layout::new::<Object<N>>()))
    }

    #[inline(always)]
    fn start(held: &mut Block) -> NonNull<u8> {
        held.0
    }

    #[inline(always)]
    fn put(&self, _held: Block) {
        self.returned.set(self.returned.get() + 1);
        if self.returned.get() >= self.request && self.returned == self.taken {
            // SAFETY: no reference to the arena outlives a call of this source, which is on one
            // thread; every object taken since the last reset was given back.
            unsafe { (*self.arena.get()).reset() };
            self.taken.set(0);
            self.returned.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::touch;

    #[test]
    fn memory_comes_back_only_when_no_object_is_in_use() {
        let plan = Plan {
            capacity: 2,
            in_use: 2,
        };
        let arena = Bumpalo::<64>::new(plan).unwrap();
        let (mut first, mut second) = (arena.get(), arena.get());
        touch::<Bumpalo<64>>(&mut first, 1);
        touch::<Bumpalo<64>>(&mut second, 2);
        arena.put(first);
        assert_eq!(arena.taken.get(), 2, "the second is in use");
        arena.put(second);
        assert_eq!(arena.taken.get(), 0);
    }
}
