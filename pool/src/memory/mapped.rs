//! The range mapped from Linux.

use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

use super::{HugePages, Node, Pages, Refused, Wishes};
use crate::counter::Counter;

/// A huge page, and the size from which they are worth asking for.
const HUGE_PAGE: usize = 2 << 20;

/// See the parent module.
#[derive(Debug)]
pub(crate) struct Memory {
    start: NonNull<u8>,
    /// A whole number of pages.
    bytes: usize,
    page: usize,
    pages: Pages,
    locked: bool,
    /// How many bytes from the start on may be accessed. Changed under the inventory's lock.
    committed: Counter,
}

const MPOL_BIND: libc::c_long = 2;
const MPOL_INTERLEAVE: libc::c_long = 3;

impl Memory {
    /// A range of `bytes` (not 0) aligned to `align` (a power of two), of which the first
    /// `committed` are accessible.
    pub(crate) fn new(
        bytes: usize,
        committed: usize,
        align: usize,
        wishes: Wishes,
    ) -> Result<Self, Refused> {
        let page = base_page();
        let large = bytes >= HUGE_PAGE && wishes.huge != HugePages::Never;
        let mut memory = match wishes.huge {
            HugePages::Prefer | HugePages::Require => Self::reserved_huge(bytes, align),
            _ => None,
        };
        if memory.is_none() && wishes.huge == HugePages::Require {
            return Err(Refused::HugePages);
        }
        if memory.is_none() {
            let align = if large { align.max(HUGE_PAGE) } else { align };
            memory = Some(Self::reserved(bytes, align, page).ok_or(Refused::Memory)?);
        }
        let mut memory = memory.ok_or(Refused::Memory)?;
        memory.bind(wishes.node)?;
        if !memory.commit(committed) {
            return Err(Refused::Memory);
        }
        if large && memory.pages == Pages::Base {
            // SAFETY: our own range; advice does not change what it holds.
            let advised = unsafe {
                libc::madvise(
                    memory.start.as_ptr().cast(),
                    memory.bytes,
                    libc::MADV_HUGEPAGE,
                )
            };
            if advised == 0 {
                memory.pages = Pages::Advised;
            }
        }
        if wishes.locked {
            // SAFETY: our own range, accessible as far as it is locked.
            let locked = unsafe {
                libc::mlock(
                    memory.start.as_ptr().cast(),
                    memory.committed.read() as usize,
                )
            };
            if locked != 0 {
                return Err(Refused::Lock(io::Error::last_os_error()));
            }
            memory.locked = true;
        }
        Ok(memory)
    }

    /// Addresses only: nothing is accessible, nothing is charged.
    fn reserved(bytes: usize, align: usize, page: usize) -> Option<Self> {
        let bytes = bytes.checked_next_multiple_of(page)?;
        // More than needed, to cut an aligned piece out of.
        let spare = if align > page { align } else { 0 };
        let whole = bytes.checked_add(spare)?;
        let start = map(whole, libc::PROT_NONE, libc::MAP_NORESERVE)?;
        let before = start.as_ptr().align_offset(align);
        // SAFETY: `before <= spare`, so the piece lies within the mapping; what lies around it is
        // ours and unused.
        let start = unsafe {
            let piece = start.as_ptr().add(before);
            if before > 0 {
                libc::munmap(start.as_ptr().cast(), before);
            }
            if spare > before {
                libc::munmap(piece.add(bytes).cast(), spare - before);
            }
            NonNull::new_unchecked(piece)
        };
        Some(Memory {
            start,
            bytes,
            page,
            pages: Pages::Base,
            locked: false,
            committed: Counter::default(),
        })
    }

    /// Reserved huge pages for the whole range, if the system has as many.
    fn reserved_huge(bytes: usize, align: usize) -> Option<Self> {
        if align > HUGE_PAGE {
            return None;
        }
        let bytes = bytes.checked_next_multiple_of(HUGE_PAGE)?;
        let start = map(
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_HUGETLB | (21 << libc::MAP_HUGE_SHIFT),
        )?;
        Some(Memory {
            start,
            bytes,
            page: HUGE_PAGE,
            pages: Pages::Huge,
            locked: false,
            committed: Counter::starting_at(bytes as u64),
        })
    }

    /// Applies a NUMA policy, before any page is touched.
    fn bind(&self, node: Node) -> Result<(), Refused> {
        let (mode, nodes, named) = match node {
            Node::FirstTouch => return Ok(()),
            Node::Number(number) if number < 1024 => {
                let mut mask = [0_u64; 16];
                mask[number as usize / 64] |= 1 << (number % 64);
                (MPOL_BIND, mask, number)
            }
            Node::Number(number) => {
                return Err(Refused::Node(number, io::ErrorKind::InvalidInput.into()));
            }
            Node::Interleaved => (MPOL_INTERLEAVE, online_nodes(), 0),
        };
        // SAFETY: our own range, and a mask of 1024 bits that the kernel only reads.
        let bound = unsafe {
            libc::syscall(
                libc::SYS_mbind,
                self.start.as_ptr(),
                self.bytes,
                mode,
                nodes.as_ptr(),
                1024_u64,
                0_u32,
            )
        };
        if bound == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // A kernel without NUMA has one node: whatever was asked for is what there is.
        if error.raw_os_error() == Some(libc::ENOSYS) && named == 0 {
            return Ok(());
        }
        Err(Refused::Node(named, error))
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Makes the first `bytes` accessible; `false` if the system refuses. Calls must not overlap.
    pub(crate) fn commit(&self, bytes: usize) -> bool {
        let have = self.committed.read() as usize;
        // Steps of a huge page, so that growing object by object seldom comes here.
        let want = if have == 0 {
            bytes.next_multiple_of(self.page)
        } else {
            bytes.next_multiple_of(HUGE_PAGE)
        };
        let want = want.min(self.bytes);
        if want <= have {
            return true;
        }
        // SAFETY: our own range; nobody has used what becomes accessible.
        let made = unsafe {
            libc::mprotect(
                self.start.as_ptr().add(have).cast(),
                want - have,
                libc::PROT_READ | libc::PROT_WRITE,
            )
        };
        if made == 0 {
            self.committed.replace(want as u64);
        }
        made == 0
    }

    /// Gives the whole pages within `range` (byte offsets) back to the system; returns their bytes.
    /// They read as zeros when they are next used.
    ///
    /// # Safety
    /// Nothing of value lies there, and nobody accesses it meanwhile.
    pub(crate) unsafe fn give_back(&self, range: Range<usize>) -> usize {
        let start = range.start.next_multiple_of(self.page);
        let end = range.end.min(self.committed.read() as usize) / self.page * self.page;
        if self.locked || start >= end {
            return 0;
        }
        // SAFETY: our own range, accessible, and the caller's promise.
        let advised = unsafe {
            libc::madvise(
                self.start.as_ptr().add(start).cast(),
                end - start,
                libc::MADV_DONTNEED,
            )
        };
        if advised == 0 { end - start } else { 0 }
    }

    pub(crate) fn pages(&self) -> Pages {
        self.pages
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and nobody uses it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

fn map(bytes: usize, access: libc::c_int, flags: libc::c_int) -> Option<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
    // SAFETY: a new mapping, anywhere.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    NonNull::new(start.cast())
}

fn base_page() -> usize {
    // SAFETY: no memory is involved.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size)
        .ok()
        .filter(|size| *size > 0)
        .unwrap_or(4096)
}

/// The nodes that are online, as a mask; the first one if that cannot be read.
fn online_nodes() -> [u64; 16] {
    let mut mask = [0_u64; 16];
    let listed = std::fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    for range in listed.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
            (first..=last.min(1023)).for_each(|node| mask[node / 64] |= 1 << (node % 64));
        }
    }
    if mask == [0; 16] {
        mask[0] = 1;
    }
    mask
}
