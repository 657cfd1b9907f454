//! A lock-free stack of small integers, tagged against ABA.
//!
//! Treiber's stack (IBM RJ 5118, 1986) over indices: the links live in an array that the caller
//! keeps beside whatever the indices name, and the head is one 64-bit word holding the top index
//! and a tag that every change increments.
//!
//! **ABA.** A pop that was stalled between reading the head and exchanging it succeeds wrongly
//! only if the stack went through an exact multiple of 2^tag changes meanwhile and shows the same
//! top. The index takes just the bits it needs, the tag takes the rest: 32 bits in the worst
//! case, 43 bits for a pool of a million objects (two hours of stall at a billion changes a
//! second). Hazard pointers and a double-width exchange were not taken: the first puts a fence
//! on each pop, the second needs `cmpxchg16b`, which stable Rust does not offer.
//!
//! **Cost**: one compare-and-exchange per push and pop (2.4 ns uncontended on the machine of
//! `BENCHMARKS.md`), and nothing is ever allocated.

use std::collections::TryReserveError;

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// The links of every stack that shares one index space: `links[i]` holds what lies under `i`,
/// encoded as in the head (0 = nothing, otherwise index + 1).
pub(crate) type Links = [AtomicU32];

/// Makes `count` empty links.
///
/// # Errors
/// There is no memory for them.
pub(crate) fn links(count: usize) -> Result<Box<Links>, TryReserveError> {
    let mut links = Vec::new();
    links.try_reserve_exact(count)?;
    links.extend((0..count).map(|_| AtomicU32::new(0)));
    Ok(links.into_boxed_slice())
}

/// The stack's head. All methods take the links; a stack must always be given the same ones.
#[derive(Debug)]
pub(crate) struct TaggedStack {
    /// Low `index_bits`: top index + 1, or 0 when empty. The rest: the tag.
    head: AtomicU64,
    index_bits: u32,
}

impl TaggedStack {
    /// An empty stack for indices below `count`.
    pub(crate) fn new(count: usize) -> Self {
        // `count` itself must be representable, since indices are stored plus one.
        let index_bits = (usize::BITS - count.leading_zeros()).clamp(1, 32);
        TaggedStack {
            head: AtomicU64::new(0),
            index_bits,
        }
    }

    #[inline]
    fn top(&self, head: u64) -> u32 {
        (head & ((1 << self.index_bits) - 1)) as u32
    }

    /// The head that follows `head` with `top` as its top: the tag moves on by one.
    #[inline]
    fn next_head(&self, head: u64, top: u32) -> u64 {
        let tag = (head >> self.index_bits).wrapping_add(1);
        (tag << self.index_bits) | u64::from(top)
    }

    /// Pushes `index`. The caller owns it and gives it up.
    #[inline]
    pub(crate) fn push(&self, links: &Links, index: u32) {
        self.push_chain(links, index, index);
    }

    /// Pushes a chain in O(1): `first` ends on top, `last` reaches what was there before. The
    /// caller owns the chain, and has linked it from `first` to `last` with [`link`].
    #[inline]
    pub(crate) fn push_chain(&self, links: &Links, first: u32, last: u32) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            links[last as usize].store(self.top(head), Ordering::Relaxed);
            // Release: whoever pops an index of the chain sees what its last owner wrote.
            match self.head.compare_exchange_weak(
                head,
                self.next_head(head, first + 1),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Pops the top index; the caller owns it then.
    #[inline]
    pub(crate) fn pop(&self, links: &Links) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let index = self.top(head).checked_sub(1)?;
            // Another thread may own `index` by now and be writing this link: it is an atomic,
            // so what is read is some old or new value, and the tag makes the exchange fail.
            let below = links[index as usize].load(Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head,
                self.next_head(head, below),
                // Release, too: whoever finds the stack empty after this pop also sees what the
                // popper announced before it (see `Transits`).
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    /// Whether the stack was empty at some moment during the call.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.top(self.head.load(Ordering::Acquire)) == 0
    }

    /// How many indices lie here, by a walk. To be called while nobody changes the stack.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(crate) fn count(&self, links: &Links) -> u64 {
        let top = self.top(self.head.load(Ordering::Acquire)).checked_sub(1);
        std::iter::successors(top, |&index| below(links, index)).count() as u64
    }

    /// A number that differs after any change (but for the tag's wrap-around).
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }
}

/// Puts `below` under `index` in a chain that the caller owns.
#[inline]
pub(crate) fn link(links: &Links, index: u32, below: u32) {
    links[index as usize].store(below + 1, Ordering::Relaxed);
}

/// What lies under `index` in a chain that the caller owns.
#[inline]
pub(crate) fn below(links: &Links, index: u32) -> Option<u32> {
    links[index as usize].load(Ordering::Relaxed).checked_sub(1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn indices_come_back_last_in_first_out() {
        let (stack, links) = (TaggedStack::new(4), links(4).unwrap());
        for index in 0..4 {
            stack.push(&links, index);
        }
        #[cfg(all(unix, not(any(loom, shuttle))))]
        assert_eq!(stack.count(&links), 4);
        let popped: Vec<_> = std::iter::from_fn(|| stack.pop(&links)).collect();
        assert_eq!(popped, [3, 2, 1, 0]);
        assert!(stack.is_empty());
    }

    #[test]
    fn a_chain_is_spliced_in_whole() {
        let (stack, links) = (TaggedStack::new(5), links(5).unwrap());
        stack.push(&links, 0);
        link(&links, 3, 2);
        link(&links, 2, 1);
        stack.push_chain(&links, 3, 1);
        let popped: Vec<_> = std::iter::from_fn(|| stack.pop(&links)).collect();
        assert_eq!(popped, [3, 2, 1, 0]);
    }

    #[test]
    fn the_tag_keeps_at_least_32_bits() {
        for count in [0, 1, 2, 31, 32, 1 << 20, u32::MAX as usize - 1] {
            let stack = TaggedStack::new(count);
            assert!(stack.index_bits <= 32, "{count}");
            assert!((count as u64) < (1 << stack.index_bits), "{count}");
        }
    }

    #[test]
    fn the_version_changes_although_the_top_is_the_same() {
        let (stack, links) = (TaggedStack::new(1), links(1).unwrap());
        let before = stack.version();
        stack.push(&links, 0);
        stack.pop(&links);
        assert_ne!(before, stack.version());
        assert!(stack.is_empty());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// Two threads pop and push back, as two cores refilling and spilling do: the classic ABA
    /// shape. No index may be held by both at once, and none may be lost.
    #[test]
    fn no_index_is_lost_or_held_twice() {
        loom::model(|| {
            let shared = Arc::new((
                TaggedStack::new(2),
                links(2).unwrap(),
                [AtomicU32::new(0), AtomicU32::new(0)],
            ));
            shared.0.push(&shared.1, 0);
            shared.0.push(&shared.1, 1);
            let turn = |shared: &(TaggedStack, Box<Links>, [AtomicU32; 2])| {
                let (stack, links, held) = shared;
                if let Some(index) = stack.pop(links) {
                    assert_eq!(held[index as usize].fetch_add(1, Ordering::Relaxed), 0);
                    held[index as usize].fetch_sub(1, Ordering::Relaxed);
                    stack.push(links, index);
                }
            };
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                turn(&other);
                turn(&other);
            });
            turn(&shared);
            thread.join().unwrap();
            let mut left: Vec<_> = std::iter::from_fn(|| shared.0.pop(&shared.1)).collect();
            left.sort_unstable();
            assert_eq!(left, [0, 1]);
        });
    }
}
