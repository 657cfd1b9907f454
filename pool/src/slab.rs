//! The slab: every object of a pool, side by side in one piece of memory.
//!
//! Objects are made once, at build, and live until the slab is dropped, whether they are in use
//! or free: recycling is lazy and happens in place. Each slot starts on a cache line of its own
//! (no false sharing), so that a slot is named by its distance in lines from the slab's start:
//! 32 bits, and the object's address is one shift and one addition away, both ways.
//!
//! A slab of 2 MiB or more is aligned for huge pages and asks the kernel for them
//! (`madvise(MADV_HUGEPAGE)`): at 120,000 live orders, 4 KiB pages miss the TLB on each object.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::builder::BuildError;

/// The unit of distance, and the least alignment of an object.
pub(crate) const LINE: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

/// A slot: its distance from the slab's start in cache lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct SlotId(pub(crate) u32);

/// How far apart slots are; converts between a slot and its ordinal without a division.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spacing {
    lines: u32,
    /// ceil(2^32 / lines). `slot * reciprocal >> 32` is exact for every multiple of `lines` below
    /// 2^32: with r = reciprocal * lines - 2^32 < lines, the error is index * r / 2^32, below 1.
    reciprocal: u64,
}

impl Spacing {
    pub(crate) fn new(lines: u32) -> Self {
        debug_assert!(lines > 0);
        Spacing {
            lines,
            reciprocal: (1_u64 << 32).div_ceil(u64::from(lines)),
        }
    }

    /// The slot of the `index`-th object.
    #[inline]
    pub(crate) fn slot(self, index: u32) -> SlotId {
        SlotId(index * self.lines)
    }

    /// Which object lies in `slot`.
    #[inline]
    pub(crate) fn index(self, slot: SlotId) -> u32 {
        ((u64::from(slot.0) * self.reciprocal) >> 32) as u32
    }
}

/// Where a slab's slots lie: converts between an object's address and its slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    start: NonNull<u8>,
    spacing: Spacing,
}

// SAFETY: an address and two numbers; what lies there is reached by way of the slab alone.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    /// Where the object of `slot` lies.
    #[inline]
    pub(crate) fn object(self, slot: SlotId) -> NonNull<u8> {
        let object = self.start.as_ptr().wrapping_add(slot.0 as usize * LINE);
        // SAFETY: every `SlotId` comes from this place's spacing, so it lies within the slab's
        // memory, which does not wrap around.
        unsafe { NonNull::new_unchecked(object) }
    }

    /// The slot of an object that [`object`](Self::object) gave.
    #[inline]
    pub(crate) fn slot(self, object: NonNull<u8>) -> SlotId {
        let distance = object.as_ptr().addr() - self.start.as_ptr().addr();
        SlotId((distance / LINE) as u32)
    }

    pub(crate) fn spacing(self) -> Spacing {
        self.spacing
    }

    /// A place of one-line slots where no slab lies, to model what moves addresses around.
    #[cfg(all(test, loom))]
    pub(crate) fn nowhere() -> Self {
        Place {
            start: NonNull::<u128>::dangling().cast(),
            spacing: Spacing::new(1),
        }
    }
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    /// Freed last; reached by way of `place`.
    _memory: Memory,
    /// How many slots, from the first on, hold an object. Equal to the capacity once built.
    made: usize,
    place: Place,
    /// Invariant in `T`: `&Slab` leads to `&mut T`, as an `UnsafeCell` does.
    objects: PhantomData<UnsafeCell<T>>,
}

impl<T> Slab<T> {
    /// Makes `capacity` objects by `make`.
    ///
    /// If `make` panics, the objects made so far are dropped, the memory is freed, and the panic
    /// goes on.
    pub(crate) fn new(capacity: usize, mut make: impl FnMut() -> T) -> Result<Self, BuildError> {
        let too_large = || BuildError::TooLarge {
            capacity,
            object_bytes: size_of::<T>(),
        };
        let align = align_of::<T>().max(LINE);
        let stride = size_of::<T>()
            .max(1)
            .checked_next_multiple_of(align)
            .ok_or_else(too_large)?;
        let bytes = stride.checked_mul(capacity).ok_or_else(too_large)?;
        // Slot numbers are 32 bits, of which the last is kept for "none".
        if bytes / LINE >= u32::MAX as usize {
            return Err(too_large());
        }
        let align = if bytes >= HUGE_PAGE {
            align.max(HUGE_PAGE)
        } else {
            align
        };
        let layout = Layout::from_size_align(bytes, align).map_err(|_| too_large())?;
        let memory = Memory::new(layout)?;
        let spacing = Spacing::new((stride / LINE) as u32);
        let place = Place {
            start: memory.start,
            spacing,
        };
        let mut slab = Slab {
            _memory: memory,
            made: 0,
            place,
            objects: PhantomData,
        };
        for index in 0..capacity {
            let object = make();
            // SAFETY: the slot is in bounds (`index < capacity`), aligned (stride and start are
            // multiples of the alignment), and holds nothing yet.
            unsafe { slab.object(spacing.slot(index as u32)).write(object) };
            slab.made += 1;
        }
        Ok(slab)
    }

    /// How many objects the slab holds.
    pub(crate) fn capacity(&self) -> usize {
        self.made
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Where the object of `slot` lies.
    #[inline]
    pub(crate) fn object(&self, slot: SlotId) -> NonNull<T> {
        self.place.object(slot).cast()
    }
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        for index in 0..self.made {
            // SAFETY: the first `made` slots hold objects, and `&mut self` shows that nobody uses
            // them: guards borrow the pool that owns this slab.
            unsafe {
                self.object(self.place.spacing.slot(index as u32))
                    .drop_in_place();
            }
        }
    }
}

// SAFETY: the slab owns its `T`s, and hands out pointers only; who may follow one is decided by
// the free store, which gives each slot to one owner at a time. So the objects move between
// threads (`T: Send`) but are never shared by the slab.
unsafe impl<T: Send> Send for Slab<T> {}
// SAFETY: as above: `&Slab` gives no `&T`.
unsafe impl<T: Send> Sync for Slab<T> {}

/// The raw memory, freed on drop.
#[derive(Debug)]
struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    fn new(layout: Layout) -> Result<Self, BuildError> {
        // SAFETY: the layout's size is not zero: capacity and stride are both at least 1.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or(BuildError::OutOfMemory {
            bytes: layout.size(),
        })?;
        #[cfg(all(target_os = "linux", not(miri)))]
        if layout.size() >= HUGE_PAGE {
            // Advice only: without huge pages the slab works, at the price of TLB misses.
            // SAFETY: the range was just allocated, and advice does not change its contents.
            unsafe { libc::madvise(start.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
        }
        Ok(Memory { start, layout })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_and_its_ordinal_convert_exactly() {
        for lines in [1, 2, 3, 5, 7, 64, 1000, 65_537, 1 << 20] {
            let spacing = Spacing::new(lines);
            let last = (u32::MAX - 1) / lines;
            for index in (0..2000.min(last)).chain(last.saturating_sub(2000)..=last) {
                assert_eq!(spacing.index(spacing.slot(index)), index, "{lines} lines");
            }
        }
    }

    #[test]
    fn objects_lie_on_lines_of_their_own_and_keep_their_alignment() {
        #[repr(align(256))]
        struct Wide(#[expect(dead_code, reason = "only its size matters")] u8);
        let slab = Slab::new(3, || Wide(0)).unwrap();
        for index in 0..3 {
            let object = slab.object(slab.place().spacing().slot(index));
            assert_eq!(object.as_ptr().addr() % 256, 0);
            assert_eq!(
                slab.place().slot(object.cast()),
                slab.place().spacing().slot(index)
            );
        }
        let slab = Slab::new(2, || 0_u8).unwrap();
        let [a, b] = [0, 1].map(|index| {
            slab.object(slab.place().spacing().slot(index))
                .as_ptr()
                .addr()
        });
        assert_eq!(b - a, LINE);
    }

    #[test]
    fn a_maker_that_panics_leaks_nothing() {
        let object = std::sync::Arc::new(());
        let mut made = 0;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Slab::new(10, || {
                made += 1;
                assert!(made < 5, "the fifth fails");
                object.clone()
            })
        }));
        assert!(result.is_err());
        assert_eq!(std::sync::Arc::strong_count(&object), 1);
    }
}
