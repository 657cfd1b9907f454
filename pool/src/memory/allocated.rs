//! The range from the global allocator.

use std::alloc::{Layout, alloc, dealloc};
use std::ops::Range;
use std::ptr::NonNull;

use super::{HugePages, Node, Pages, Refused, Wishes};

/// See the parent module.
#[derive(Debug)]
pub(crate) struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    /// A range of `bytes` (not 0). This system can neither choose pages nor nodes.
    pub(crate) fn new(
        bytes: usize,
        _committed: usize,
        align: usize,
        wishes: Wishes,
    ) -> Result<Self, Refused> {
        if wishes.huge == HugePages::Require {
            return Err(Refused::HugePages);
        }
        let unsupported = || std::io::Error::from(std::io::ErrorKind::Unsupported);
        if let Node::Number(node) = wishes.node {
            return Err(Refused::Node(node, unsupported()));
        }
        if wishes.locked {
            return Err(Refused::Lock(unsupported()));
        }
        let layout = Layout::from_size_align(bytes, align).map_err(|_| Refused::Memory)?;
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or(Refused::Memory)?;
        Ok(Memory { start, layout })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Everything is usable from the start.
    pub(crate) fn commit(&self, _bytes: usize) -> bool {
        true
    }

    /// Nothing can go back before the end.
    pub(crate) unsafe fn give_back(&self, _range: Range<usize>) -> usize {
        0
    }

    pub(crate) fn pages(&self) -> Pages {
        Pages::Base
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}
