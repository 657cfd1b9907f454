//! The memory of one size class: one contiguous region, cut into buffers of one size.
//!
//! # Why the bytes do not lie in the pool's own slots
//!
//! A pool's objects have a type, and so a size that is known when the program is compiled; a
//! buffer's size is chosen when the service starts. So the pooled object is a [`Header`], one
//! cache line that knows where its bytes lie: buffer `n` of the region, for ever. Considered
//! instead: an enum over `[u8; N]` for every power of two, which compiles the pool anew for each
//! size and has no others; and a slot size chosen at run time, which would put a multiplication by
//! a variable on every pool's fast path. And the kernel wants what a region gives anyway: few,
//! large, unmoving ranges to register, without headers between the buffers that would break
//! their alignment.
//!
//! # Who keeps the region
//!
//! Each header holds the region by an `Arc` that was cloned when the header was made: nothing is
//! counted on get and put. A pool's headers live until its last owned guard is dropped, so a
//! buffer outlives its pool and not its bytes.
//!
//! **Cost**: besides its bytes, two cache lines per buffer (header, holders). The region is a
//! slab whose slots are one unit of alignment each, for the sake of the slab's way with pages,
//! nodes and refusals.

use std::ptr::NonNull;
use std::sync::Arc;

use super::holders::Holders;
use crate::builder::BuildError;
use crate::guard::OwnedGuard;
use crate::memory::{Pages, Wishes};
use crate::slab::{LINE, Layout, Slab};

/// The pooled object: where a buffer's bytes lie.
pub(super) struct Header {
    start: NonNull<u8>,
    capacity: usize,
    ordinal: u32,
    /// See [`Buffers::regions`](super::Buffers::regions).
    registered: u16,
    region: Arc<Region>,
}

impl Header {
    #[inline(always)]
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    #[inline(always)]
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn registered(&self) -> u16 {
        self.registered
    }

    /// Who shares the buffer while it is frozen.
    pub(super) fn holders(&self) -> &Holders<OwnedGuard<Header>> {
        &self.region.holders[self.ordinal as usize]
    }
}

// SAFETY: an address and numbers. Who may follow the address is decided by the pool, which gives
// each header to one owner at a time; the region is `Send` and `Sync`.
unsafe impl Send for Header {}
// SAFETY: as above: `&Header` gives an address, and no access to what lies there.
unsafe impl Sync for Header {}

/// See the module's head.
pub(super) struct Region {
    memory: Slab<u8>,
    /// From one buffer to the next, and so each one's capacity: a multiple of the alignment.
    stride: usize,
    /// How many buffers are registered as one piece.
    buffers_per_piece: usize,
    holders: Box<[Holders<OwnedGuard<Header>>]>,
}

/// The kernel registers no range above this (1 GiB), so a larger region is registered in pieces.
const LARGEST_PIECE: usize = 1 << 30;

impl Region {
    /// Memory for `buffers` buffers of at least `bytes` each, every page of it touched.
    pub(super) fn new(
        bytes: usize,
        buffers: usize,
        align: usize,
        wishes: Wishes,
    ) -> Result<Self, BuildError> {
        let too_large = || BuildError::TooLarge {
            capacity: buffers,
            object_bytes: bytes,
        };
        debug_assert!(align.is_power_of_two() && align >= LINE && buffers > 0);
        let stride = rounded(bytes, align).ok_or_else(too_large)?;
        let all = stride.checked_mul(buffers).ok_or_else(too_large)?;
        let layout = Layout {
            slots: all / align,
            expected: all / align,
            align,
            margin: 0,
            wishes,
        };
        let memory = Slab::new(layout).map_err(|error| match error {
            BuildError::TooLarge { .. } => too_large(),
            other => other,
        })?;
        let region = Region {
            memory,
            stride,
            buffers_per_piece: (LARGEST_PIECE / stride).max(1),
            holders: (0..buffers).map(|_| Holders::none()).collect(),
        };
        region.touch_every_page();
        Ok(region)
    }

    /// The first write to a page is a page fault: here, and not in the first request.
    fn touch_every_page(&self) {
        const SMALLEST_PAGE: usize = 4096;
        for offset in (0..self.bytes()).step_by(SMALLEST_PAGE) {
            // SAFETY: within the region, which is nobody else's yet.
            unsafe { self.start().add(offset).write_volatile(0) };
        }
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.memory.object(0).cast()
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn buffers(&self) -> usize {
        self.holders.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.stride * self.holders.len()
    }

    pub(super) fn pages(&self) -> Pages {
        self.memory.pages()
    }

    /// The ranges to register: whole buffers, up to 1 GiB.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> + '_ {
        let step = self.buffers_per_piece;
        (0..self.buffers()).step_by(step).map(move |first| {
            let buffers = step.min(self.buffers() - first);
            (self.buffer(first), buffers * self.stride)
        })
    }

    /// Makes the region's headers one by one; their pieces are numbered from `first_piece` on.
    ///
    /// The maker panics if it is asked for more headers than there are buffers: no two may ever
    /// lead to the same bytes.
    pub(super) fn headers(self: &Arc<Self>, first_piece: u16) -> impl FnMut() -> Header + use<> {
        let region = Arc::clone(self);
        let mut next = 0;
        move || {
            let ordinal = next;
            assert!(ordinal < region.buffers(), "one header per buffer, once");
            next += 1;
            Header {
                start: region.buffer(ordinal),
                capacity: region.stride,
                ordinal: ordinal as u32,
                registered: first_piece + (ordinal / region.buffers_per_piece) as u16,
                region: Arc::clone(&region),
            }
        }
    }

    /// Where the `ordinal`-th buffer begins.
    fn buffer(&self, ordinal: usize) -> NonNull<u8> {
        debug_assert!(ordinal < self.buffers());
        // SAFETY: within the region.
        unsafe { self.start().add(ordinal * self.stride) }
    }

    /// The holders of the buffer that all of `bytes` lies in, and the address of these bytes as one
    /// that leads to the whole region; `None` if they do not lie in one of this region's buffers.
    #[cfg(feature = "bytes")]
    pub(super) fn find(&self, bytes: &[u8]) -> Option<(&Holders<OwnedGuard<Header>>, NonNull<u8>)> {
        let offset = bytes
            .as_ptr()
            .addr()
            .checked_sub(self.start().as_ptr().addr())
            .filter(|offset| *offset < self.bytes())?;
        let (ordinal, within) = (offset / self.stride, offset % self.stride);
        if bytes.len() > self.stride - within {
            return None;
        }
        // SAFETY: `offset` is within the region.
        Some((&self.holders[ordinal], unsafe { self.start().add(offset) }))
    }
}

/// A buffer's capacity: whole units of alignment, and one at least.
pub(super) fn rounded(bytes: usize, align: usize) -> Option<usize> {
    bytes.max(1).checked_next_multiple_of(align)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn region(bytes: usize, buffers: usize) -> Region {
        Region::new(bytes, buffers, LINE, Wishes::default()).unwrap()
    }

    #[test]
    fn pieces_cover_the_region_and_each_buffer_knows_its_own() {
        let mut region = region(100, 10); // 128 each
        region.buffers_per_piece = 4;
        let start = region.start();
        // SAFETY: both are within the region.
        let [second, third] = [4, 8].map(|buffer| unsafe { start.add(buffer * 128) });
        let pieces: Vec<_> = region.pieces().collect();
        assert_eq!(pieces, [(start, 512), (second, 512), (third, 256)]);

        let mut make = Arc::new(region).headers(7);
        let registered: Vec<u16> = (0..10).map(|_| make().registered()).collect();
        assert_eq!(registered, [7, 7, 7, 7, 8, 8, 8, 8, 9, 9]);
    }

    #[test]
    fn a_piece_is_as_large_as_the_kernel_takes() {
        assert_eq!(region(1 << 20, 2).buffers_per_piece, 1024);
    }

    #[test]
    #[should_panic(expected = "one header per buffer")]
    fn no_two_headers_lead_to_the_same_bytes() {
        let mut make = Arc::new(region(64, 1)).headers(0);
        let _only = make();
        make();
    }
}
