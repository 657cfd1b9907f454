//! The slab: where every object of a pool lies, side by side in one range of memory.
//!
//! Each slot starts on a cache line of its own (no false sharing), so that a slot is named by its
//! distance in lines from the slab's start: 32 bits, and the object's address is one shift and one
//! addition away, both ways. Which slots hold an object is the [inventory](crate::inventory)'s
//! business; here is the arithmetic.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;

use crate::builder::BuildError;
use crate::memory::{Memory, Pages, Refused, Wishes};

/// The unit of distance, and the least alignment of an object.
pub(crate) const LINE: usize = 64;

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
    #[inline(always)]
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

    /// The slot at an address that may be anything, if an object can begin there.
    pub(crate) fn slot_at(self, address: usize, slots: usize) -> Option<SlotId> {
        let distance = address.checked_sub(self.start.as_ptr().addr())?;
        let stride = self.spacing.lines as usize * LINE;
        let ordinal = distance / stride;
        (distance % stride == 0 && ordinal < slots).then(|| self.spacing.slot(ordinal as u32))
    }

    /// From one slot's start to the next one's.
    pub(crate) fn stride(self) -> usize {
        self.spacing.lines as usize * LINE
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

/// How a slab is to be laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// How many objects it must have room for.
    pub(crate) slots: usize,
    /// How many of them will be made at once.
    pub(crate) expected: usize,
    /// The least alignment of an object, a power of two.
    pub(crate) align: usize,
    /// Unused bytes behind each object, at least.
    pub(crate) margin: usize,
    pub(crate) wishes: Wishes,
}

/// See the module's head. Dropping it frees the memory and no object.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    memory: Memory,
    place: Place,
    /// Invariant in `T`: `&Slab` leads to `&mut T`, as an `UnsafeCell` does.
    objects: PhantomData<UnsafeCell<T>>,
}

impl<T> Slab<T> {
    /// Takes the memory; no slot holds an object yet.
    pub(crate) fn new(layout: Layout) -> Result<Self, BuildError> {
        let too_large = || BuildError::TooLarge {
            capacity: layout.slots,
            object_bytes: size_of::<T>(),
        };
        let align = layout.align.max(align_of::<T>()).max(LINE);
        let stride = (size_of::<T>().max(1))
            .checked_add(layout.margin)
            .and_then(|bytes| bytes.checked_next_multiple_of(align))
            .ok_or_else(too_large)?;
        let bytes = stride.checked_mul(layout.slots).ok_or_else(too_large)?;
        // Slot numbers are 32 bits, of which the last is kept for "none".
        if bytes / LINE >= u32::MAX as usize || bytes > isize::MAX as usize {
            return Err(too_large());
        }
        let committed = stride * layout.expected;
        let memory =
            Memory::new(bytes, committed, align, layout.wishes).map_err(
                |refused| match refused {
                    Refused::Memory => BuildError::OutOfMemory { bytes: committed },
                    Refused::HugePages => BuildError::NoHugePages { bytes },
                    Refused::Node(node, why) => BuildError::NoNode {
                        node,
                        why: why.to_string(),
                    },
                    Refused::Lock(why) => BuildError::NotLocked {
                        bytes: committed,
                        why: why.to_string(),
                    },
                },
            )?;
        let place = Place {
            start: memory.start(),
            spacing: Spacing::new((stride / LINE) as u32),
        };
        Ok(Slab {
            memory,
            place,
            objects: PhantomData,
        })
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Where the `ordinal`-th object lies or can be made.
    pub(crate) fn object(&self, ordinal: u32) -> NonNull<MaybeUninit<T>> {
        self.place.object(self.place.spacing.slot(ordinal)).cast()
    }

    /// Readies the memory of the first `slots` slots; `false` if the system refuses.
    pub(crate) fn commit(&self, slots: usize) -> bool {
        self.memory.commit(slots * self.place.stride())
    }

    /// Gives back the pages that lie wholly within these slots; returns their bytes.
    ///
    /// # Safety
    /// The slots hold no objects, and nobody makes one there meanwhile.
    pub(crate) unsafe fn give_back(&self, ordinals: Range<u32>) -> usize {
        let stride = self.place.stride();
        // SAFETY: the caller's promise.
        unsafe {
            self.memory
                .give_back(ordinals.start as usize * stride..ordinals.end as usize * stride)
        }
    }

    pub(crate) fn pages(&self) -> Pages {
        self.memory.pages()
    }
}

// SAFETY: a slab hands out addresses only; who may follow one is decided by the free slots, which
// give each slot to one owner at a time. So objects move between threads (`T: Send`) but are never
// shared by the slab.
unsafe impl<T: Send> Send for Slab<T> {}
// SAFETY: as above: `&Slab` gives no `&T`.
unsafe impl<T: Send> Sync for Slab<T> {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn slab<T>(slots: usize, margin: usize) -> Slab<T> {
        Slab::new(Layout {
            slots,
            expected: slots,
            align: 1,
            margin,
            wishes: Wishes::default(),
        })
        .unwrap()
    }

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
        let wide = slab::<Wide>(3, 0);
        for ordinal in 0..3 {
            let object = wide.object(ordinal);
            assert_eq!(object.as_ptr().addr() % 256, 0);
            assert_eq!(
                wide.place().slot(object.cast()),
                wide.place().spacing().slot(ordinal)
            );
        }
        let narrow = slab::<u8>(2, 0);
        let [a, b] = [0, 1].map(|ordinal| narrow.object(ordinal).as_ptr().addr());
        assert_eq!(b - a, LINE);
        let guarded = slab::<[u8; 64]>(2, 1);
        let [a, b] = [0, 1].map(|ordinal| guarded.object(ordinal).as_ptr().addr());
        assert_eq!(b - a, 2 * LINE);
    }

    #[test]
    fn only_the_start_of_a_slot_is_taken_for_one() {
        let slab = slab::<[u8; 100]>(4, 0);
        let place = slab.place();
        for ordinal in 0..4 {
            let address = slab.object(ordinal).as_ptr().addr();
            assert_eq!(
                place.slot_at(address, 4),
                Some(place.spacing().slot(ordinal))
            );
            assert_eq!(place.slot_at(address + 64, 4), None);
        }
        assert_eq!(place.slot_at(slab.object(3).as_ptr().addr(), 3), None);
        assert_eq!(place.slot_at(0, 4), None);
    }
}
