//! Single slots that no magazine could take: one lock-free stack, seldom used.
//!
//! A slot comes here when its core's magazine is shut, busy or out of reach, and goes from here to
//! the next get that finds its magazine empty.

use std::collections::TryReserveError;

use super::tagged_stack::{self, Links, TaggedStack};
use crate::counter::Counter;
use crate::slab::{SlotId, Spacing};
use crate::sync::Ordering;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Loose {
    stack: TaggedStack,
    /// By object: what lies under it here.
    links: Box<Links>,
    spacing: Spacing,
    length: Counter,
}

impl Loose {
    /// Nothing yet, of a slab with `slots` slots.
    ///
    /// # Errors
    /// There is no memory for the links.
    pub(crate) fn new(slots: usize, spacing: Spacing) -> Result<Self, TryReserveError> {
        Ok(Loose {
            stack: TaggedStack::new(slots),
            links: tagged_stack::links(slots)?,
            spacing,
            length: Counter::default(),
        })
    }

    /// Takes the slot that was left last.
    pub(crate) fn pop(&self) -> Option<SlotId> {
        let index = self.stack.pop(&self.links)?;
        self.length.subtract(1);
        Some(self.spacing.slot(index))
    }

    /// Leaves a slot.
    pub(crate) fn push(&self, slot: SlotId) {
        self.length.add(1);
        self.stack.push(&self.links, self.spacing.index(slot));
    }

    /// Splits the ownership of a slot that is in use in two.
    pub(crate) fn share(&self, slot: SlotId) {
        // A slot in use lies in no stack, so its link is its owner's. Relaxed: the halves reach
        // their holders by whatever hands them over.
        self.links[self.spacing.index(slot) as usize].store(2, Ordering::Relaxed);
    }

    /// Gives one half up: whether the other one was given up before.
    pub(crate) fn unshare(&self, slot: SlotId) -> bool {
        self.links[self.spacing.index(slot) as usize].fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether nothing lay here at some moment during the call.
    pub(crate) fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    /// A number that differs after any change.
    pub(crate) fn version(&self) -> u64 {
        self.stack.version()
    }

    /// After a fork, in the child: another thread may have been between the stack and its length.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    pub(crate) fn count_anew(&self) {
        self.length.replace(self.stack.count(&self.links));
    }

    /// How many slots lie here, about.
    pub(crate) fn len(&self) -> usize {
        self.length.read() as usize
    }
}
