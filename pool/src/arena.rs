//! Arenas for a pool: memory for everything that one request allocates, forgotten at once.
//!
//! An [`Arena`] is a [`bumpalo::Bump`] that is made to be used again and again. An allocation is a
//! subtraction; the reset between two uses takes a few nanoseconds, however much was allocated.
//!
//! # Why not a bare `Bump`
//!
//! A `Bump` that runs out of room adds chunks, each twice as large as the one before; its `reset`
//! keeps the newest chunk and frees the others. Asked for again and again is a reset that keeps
//! them all (bumpalo's issues 26, 61, 114, 305). Measured with bumpalo 3.20:
//!
//! - It does settle by itself, but on the largest use ever seen and about twice that: **one huge
//!   request pins its memory for ever**, in each arena of the pool that met one.
//! - Under an allocation limit it **may never settle**: chunks made near the limit are small, so the
//!   newest is not the largest. Under a limit of 400 KiB, uses of 300 KiB each take a chunk from the
//!   allocator and give one back, for ever.
//! - A limit below what is allocated already **limits nothing**. The first chunk is rounded up to
//!   whole pages, so 64 KiB of capacity with a limit of 64 KiB is such a case.
//!
//! An `Arena` keeps one chunk, of at most the size given by [`at_most`](Arena::at_most). When a use
//! spilled into further chunks, the reset replaces them all by **one that would have held the
//! whole use**, at least twice as large as before: so there are at most log2(bound / first chunk)
//! such resets as long as the bound suffices, and then none. A use beyond the bound gets its memory
//! from the allocator while it lasts, and is cut back to the bound at reset.
//!
//! # What it costs
//!
//! - A reset after a use that fitted: a few loads and stores, no allocator. About two nanoseconds
//!   more than the bump's own reset.
//! - A reset after a use that spilled: frees its chunks and may allocate one. Up to the bound this
//!   happens a few times in an arena's life; beyond the bound, after each such use.
//! - Memory: one chunk per arena between uses, up to twice what the largest use needed.
//!
//! Rejected: keeping all chunks in a list of our own. A `Bump` walks its chunks in one direction
//! only and cannot be handed one, so that would be an arena of our own, for a gain that ends with
//! the first few uses.

use std::fmt;
use std::ops::Deref;

use bumpalo::{AllocErr, Bump};

use crate::recycle::Recycle;

/// A bump arena that keeps its memory from one use to the next, up to a bound.
///
/// Dereferences to [`Bump`], whose `alloc`, `alloc_str`, `alloc_slice_copy` and collections make
/// up its use. It gives no `&mut Bump`: whoever replaced the bump would undo the bounds.
///
/// # A request handler
///
/// ```
/// use tailcut_pool::bumpalo::collections::Vec;
/// use tailcut_pool::{Arena, Pool};
///
/// // At start-up: 32 arenas of 64 KiB, which may grow to 1 MiB each if requests need it.
/// let arenas = Pool::builder(|| Arena::with_capacity(64 << 10).at_most(1 << 20))
///     .capacity(32)
///     .build()?;
///
/// // Per request: everything is allocated in the arena, nothing is freed one by one.
/// let handle = |request: &str| -> Result<usize, Box<dyn std::error::Error>> {
///     let arena = arenas.try_get()?;
///     let mut words = Vec::new_in(&arena);
///     words.extend(request.split(' ').map(|word| arena.alloc_str(word)));
///     Ok(words.len())
/// }; // the arena goes back; it is emptied when it is next taken
/// assert_eq!(handle("GET /orders/42 HTTP/1.1")?, 3);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # What to know
///
/// - **No destructor runs** for what lies in the arena: a reset forgets, as
///   [`std::mem::forget`] does. A `String` or an `Arc` moved into it leaks. Keep plain data and
///   bumpalo's own collections there, or use bumpalo's `boxed::Box` (its feature `boxed`), which
///   drops its value when it goes out of scope.
/// - What is allocated **borrows the arena**, and so the guard: it cannot outlive the use.
///
///   ```compile_fail
///   # use tailcut_pool::{Arena, Pool};
///   # let arenas = Pool::builder(|| Arena::with_capacity(1024)).capacity(1).build().unwrap();
///   let kept: &str;
///   {
///       let arena = arenas.try_get().unwrap();
///       kept = arena.alloc_str("gone with the guard"); // refused: `arena` does not live long enough
///   }
///   println!("{kept}");
///   ```
/// - A pool recycles **when an object is next taken**. Until then a used arena holds on to its
///   contents and to all chunks of its last use, also those beyond the bound. After a request that
///   is known to have been huge or secret, call [`reset`](Arena::reset) before the guard is dropped
///   (which frees the excess, but overwrites nothing).
/// - An arena is `Send` but not `Sync`: one thread at a time allocates in it.
pub struct Arena {
    bump: Bump,
    /// Room of the one chunk that was there after the last reset; 0 if there was none. The bump
    /// allocates chunks but never frees one before `reset`, so a use has spilled exactly if the
    /// bump's room now differs.
    kept_room: usize,
    /// Memory of the first chunk: never below what `with_capacity` promised.
    first: usize,
    /// As told by `at_most`.
    keep: usize,
    /// As told by `refuse_above`.
    limit: Option<usize>,
    high_water: usize,
    spills: u64,
    consolidations: u64,
}

impl Arena {
    /// An arena with room for at least `bytes` bytes of values and their padding.
    ///
    /// Until told otherwise by [`at_most`](Self::at_most), it keeps no more than that between
    /// uses: a pool's memory is then its capacity times this. With 0 it begins without memory.
    ///
    /// ```
    /// use tailcut_pool::Arena;
    ///
    /// let arena = Arena::with_capacity(64 << 10);
    /// let text = arena.alloc_str("lives as long as the arena is not reset");
    /// assert!(arena.retained_bytes() >= 64 << 10);
    /// # assert!(text.starts_with("lives"));
    /// ```
    ///
    /// # Panics
    /// If the allocator refuses; [`try_with_capacity`](Self::try_with_capacity) reports it instead.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self::around(Bump::with_capacity(bytes))
    }

    /// As [`with_capacity`](Self::with_capacity), but reports what the allocator refuses.
    ///
    /// ```
    /// use tailcut_pool::Arena;
    ///
    /// let arena = Arena::try_with_capacity(64 << 10)?;
    /// assert_eq!(*arena.alloc(42), 42);
    /// assert!(Arena::try_with_capacity(1 << 60).is_err());
    /// # Ok::<_, tailcut_pool::bumpalo::AllocErr>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocErr`] if the memory cannot be had.
    pub fn try_with_capacity(bytes: usize) -> Result<Self, AllocErr> {
        Bump::try_with_capacity(bytes).map(Self::around)
    }

    fn around(bump: Bump) -> Self {
        let first = bump.allocated_bytes_including_metadata();
        Arena {
            kept_room: bump.allocated_bytes(),
            bump,
            first,
            keep: first,
            limit: None,
            high_water: 0,
            spills: 0,
            consolidations: 0,
        }
    }

    /// Lets the arena keep up to `bytes` bytes of memory between uses, bookkeeping included.
    ///
    /// It grows to that only when uses need it. A bound below what
    /// [`with_capacity`](Self::with_capacity) took has no effect. Choose it from
    /// [`high_water`](Self::high_water): uses beyond the bound go to the allocator every time.
    ///
    /// ```
    /// use tailcut_pool::Arena;
    ///
    /// let mut arena = Arena::with_capacity(4 << 10).at_most(64 << 10);
    /// arena.alloc_slice_fill_copy(20 << 10, 0_u8); // more than it has: kept for the next use
    /// arena.reset();
    /// let kept = arena.retained_bytes();
    /// assert!(kept > 20 << 10 && kept <= 64 << 10);
    /// arena.alloc_slice_fill_copy(500 << 10, 0_u8); // beyond the bound: given back
    /// arena.reset();
    /// assert!(arena.retained_bytes() <= 64 << 10);
    /// ```
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.keep = bytes;
        self
    }

    /// Refuses allocations that would make the arena's chunks hold more than `bytes` bytes of
    /// values and padding in one use.
    ///
    /// A refusal is [`AllocErr`] from bumpalo's `try_` methods, and a **panic** from the others and
    /// from its collections. The limit bounds chunks: an allocation larger than the rest of the
    /// newest chunk may be refused although the rests of several would hold it. A limit below what
    /// [`with_capacity`](Self::with_capacity) took refuses whatever does not fit in there. A limit
    /// that a user sets on the bump itself holds until the next reset.
    ///
    /// ```
    /// use tailcut_pool::Arena;
    ///
    /// let arena = Arena::with_capacity(64 << 10).refuse_above(1 << 20);
    /// assert!(arena.try_alloc_slice_fill_copy(500 << 10, 0_u8).is_ok());
    /// assert!(arena.try_alloc_slice_fill_copy(900 << 10, 0_u8).is_err());
    /// ```
    #[must_use]
    pub fn refuse_above(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self.apply_limit();
        self
    }

    /// Forgets everything allocated, without running destructors, and keeps the memory up to the
    /// bound.
    ///
    /// A pool does this when the arena is next taken. Never panics: if the allocator refuses the
    /// chunk that is to replace the others, the arena begins its next use without memory.
    ///
    /// ```
    /// use tailcut_pool::Arena;
    ///
    /// let mut arena = Arena::with_capacity(4 << 10);
    /// for line in ["one", "two", "three"] {
    ///     let copy = arena.alloc_str(line);
    ///     assert_eq!(copy, line);
    ///     arena.reset(); // the next line lies where this one lay
    /// }
    /// assert_eq!(arena.spills(), 0);
    /// ```
    #[inline]
    pub fn reset(&mut self) {
        if self.bump.allocated_bytes() == self.kept_room {
            let used = self.kept_room - self.bump.chunk_capacity();
            self.high_water = self.high_water.max(used);
            self.bump.reset();
        } else {
            self.settle();
        }
        self.apply_limit();
    }

    /// The reset after a use that spilled: chooses the one chunk to keep.
    #[cold]
    fn settle(&mut self) {
        let rest = self.bump.chunk_capacity();
        let mut chunks = self.bump.iter_allocated_chunks();
        let newest = chunks.next().map_or(0, <[_]>::len);
        let (mut used, mut needed) = (newest, newest);
        for chunk in chunks {
            used += chunk.len();
            // Each chunk's values begin on 16 bytes, and would do so behind the other chunk's.
            needed += chunk.len() + (CHUNK_ALIGN - 1);
        }
        self.high_water = self.high_water.max(used);
        self.spills += 1;

        let kept = memory_of(self.kept_room);
        let newest = newest + rest;
        if newest >= needed && (kept..=self.bound()).contains(&memory_of(newest)) {
            self.bump.reset(); // keeps the newest
            self.kept_room = newest;
            return;
        }
        // What was freed before the reset (a temporary vector, last in its chunk) is not in
        // `needed`, nor is padding beyond 16 bytes: doubling makes the arena fit all the same.
        let target = (needed + BOOKKEEPING)
            .checked_next_power_of_two()
            .unwrap_or(usize::MAX)
            .max(kept.saturating_mul(2));
        self.replace(target.min(self.bound()));
        self.consolidations += 1;
    }

    /// Exchanges all chunks for one of at most `memory` bytes.
    fn replace(&mut self, memory: usize) {
        self.bump = Bump::new(); // without memory; frees the chunks before the new one is asked for
        if let Some(room) = room_within(memory)
            && let Ok(bump) = Bump::try_with_capacity(room)
            && bump.allocated_bytes_including_metadata() <= memory
        {
            self.bump = bump;
        }
        self.kept_room = self.bump.allocated_bytes();
    }

    /// The most memory to keep, from what the builder methods were told in any order.
    fn bound(&self) -> usize {
        self.keep
            .min(self.limit.unwrap_or(usize::MAX))
            .max(self.first)
    }

    /// A limit below what the bump holds already would limit nothing (see the module's head).
    #[inline]
    fn apply_limit(&self) {
        let limit = self.limit.map(|limit| limit.max(self.kept_room));
        self.bump.set_allocation_limit(limit);
    }

    /// How much memory the arena holds now, in bytes, bookkeeping included: right after a reset at
    /// most the bound; later, what the use made of it. Takes a step per chunk.
    ///
    /// ```
    /// # use tailcut_pool::Arena;
    /// let arena = Arena::with_capacity(4 << 10);
    /// let before = arena.retained_bytes();
    /// arena.alloc_slice_fill_copy(100 << 10, 0_u8);
    /// assert!(arena.retained_bytes() >= before + (100 << 10)); // until the next reset
    /// ```
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.bump.allocated_bytes_including_metadata()
    }

    /// [Resets](Self::reset) the arena and gives memory back until it holds at most `bytes` bytes.
    ///
    /// It may grow to its bound again. If it holds more than `bytes`, this frees its chunk and
    /// allocates a smaller one (none below 512 bytes).
    ///
    /// ```
    /// # use tailcut_pool::Arena;
    /// let mut arena = Arena::with_capacity(1 << 20);
    /// arena.shrink(64 << 10); // the busy hours are over
    /// assert!(arena.retained_bytes() <= 64 << 10);
    /// ```
    pub fn shrink(&mut self, bytes: usize) {
        self.reset();
        if self.retained_bytes() > bytes {
            self.replace(bytes);
            self.apply_limit();
        }
    }

    /// The most bytes in use, padding included, that a reset has found so far.
    ///
    /// ```
    /// # use tailcut_pool::Arena;
    /// let mut arena = Arena::with_capacity(4 << 10);
    /// arena.alloc([0_u8; 300]);
    /// arena.reset();
    /// arena.alloc([0_u8; 100]);
    /// arena.reset();
    /// assert_eq!(arena.high_water(), 300);
    /// ```
    #[must_use]
    pub fn high_water(&self) -> usize {
        self.high_water
    }

    /// How many uses needed more than the chunk kept for them, and so the allocator.
    ///
    /// ```
    /// # use tailcut_pool::Arena;
    /// let mut arena = Arena::with_capacity(4 << 10).at_most(64 << 10);
    /// for _ in 0..3 {
    ///     arena.alloc_slice_fill_copy(20 << 10, 0_u8);
    ///     arena.reset();
    /// }
    /// assert_eq!(arena.spills(), 1); // the first use taught it
    /// ```
    #[must_use]
    pub fn spills(&self) -> u64 {
        self.spills
    }

    /// How many resets allocated one chunk in the place of several. If it keeps rising, the bound
    /// is too low.
    ///
    /// ```
    /// # use tailcut_pool::Arena;
    /// let mut arena = Arena::with_capacity(4 << 10).at_most(8 << 10); // too low for these uses
    /// for _ in 0..3 {
    ///     arena.alloc_slice_fill_copy(20 << 10, 0_u8);
    ///     arena.reset();
    /// }
    /// assert_eq!((arena.spills(), arena.consolidations()), (3, 3));
    /// ```
    #[must_use]
    pub fn consolidations(&self) -> u64 {
        self.consolidations
    }
}

impl Deref for Arena {
    type Target = Bump;

    #[inline(always)]
    fn deref(&self) -> &Bump {
        &self.bump
    }
}

impl Recycle for Arena {
    #[inline]
    fn reset(&mut self) {
        Arena::reset(self);
    }

    fn retained_bytes(&self) -> usize {
        Arena::retained_bytes(self)
    }

    fn shrink_to_bytes(&mut self, bytes: usize) {
        Arena::shrink(self, bytes);
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("retained_bytes", &self.retained_bytes())
            .field("high_water", &self.high_water)
            .field("spills", &self.spills)
            .field("consolidations", &self.consolidations)
            .finish_non_exhaustive()
    }
}

// How bumpalo 3.20 sizes a chunk: its room, its footer and what an allocator may add come to whole
// pages, or below a page to a power of two of at least 512. If this changes, an arena keeps less
// than its bound allows (`replace` checks), and the tests on steady states fail.
const CHUNK_ALIGN: usize = 16;
const FOOTER: usize = 48;
const ALLOCATOR_OVERHEAD: usize = 16;
const BOOKKEEPING: usize = FOOTER + ALLOCATOR_OVERHEAD;
const PAGE: usize = 4096;
const SMALLEST: usize = 512;

/// The memory of a chunk with this room.
fn memory_of(room: usize) -> usize {
    if room == 0 { 0 } else { room + FOOTER }
}

/// The most room that a chunk of at most `memory` bytes can have; `None` if there is no such chunk.
fn room_within(memory: usize) -> Option<usize> {
    let with_overhead = memory.saturating_add(ALLOCATOR_OVERHEAD);
    let whole = if with_overhead >= PAGE {
        with_overhead - with_overhead % PAGE
    } else {
        1 << with_overhead.ilog2()
    };
    (whole >= SMALLEST).then(|| whole - BOOKKEEPING)
}
