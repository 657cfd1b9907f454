//! The workload without a source: what its loop, its ring and its cache misses cost by themselves.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::allocators::Block;
use crate::source::{Kind, Object, Plan, Source};

/// Hands out objects in a circle and takes nothing back: the next one is always free, because the
/// circle is one longer than what the plan keeps in use.
pub struct Control<const N: usize> {
    objects: Box<[UnsafeCell<Object<N>>]>,
    next: AtomicUsize,
}

impl<const N: usize> Source for Control<N> {
    const NAME: &'static str = "(control: no pool)";
    const KIND: Kind = Kind::Control;
    type Held<'a> = Block;

    fn new(plan: Plan) -> Result<Self, String> {
        let length = if plan.in_use == 1 { 1 } else { plan.in_use + 1 };
        let objects = (0..length).map(|_| UnsafeCell::default()).collect();
        Ok(Control {
            objects,
            next: AtomicUsize::new(0),
        })
    }

    #[inline(always)]
    fn get(&self) -> Block {
        // Only one thread gets at a time where the circle is longer than one: a plain counter.
        let index = self.next.load(Ordering::Relaxed);
        let next = if index + 1 < self.objects.len() {
            index + 1
        } else {
            0
        };
        self.next.store(next, Ordering::Relaxed);
        // SAFETY: `index` is below the length: it was checked when it was stored.
        let object = unsafe { self.objects.get_unchecked(index) };
        Block(NonNull::from(object).cast())
    }

    #[inline(always)]
    fn start(held: &mut Block) -> NonNull<u8> {
        held.0
    }
}

// SAFETY: the objects are used through the pointers handed out only, each by the one thread that
// holds it: the circle is longer than what is in use.
unsafe impl<const N: usize> Sync for Control<N> {}
