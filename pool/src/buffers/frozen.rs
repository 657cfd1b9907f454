//! A buffer that is not written any more: shared, sliced, and perhaps written again later.
//!
//! As `bytes::Bytes`, but the count lies in the pool's memory: making one, cloning and slicing it
//! allocate nothing. Three words. The last one to go gives the buffer back.
//!
//! **Cost**: an atomic addition per clone and per drop; freezing is a store.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Bound, Deref, RangeBounds};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;

use super::buffer::Buffer;
use super::holders::Holders;
use super::region::Header;
use crate::guard::OwnedGuard;

/// The contents of a [`Buffer`], or a part of them, shared among any number of holders:
/// see [`Buffer::freeze`]. The buffer goes back when the last one is dropped.
///
/// With the feature `bytes` it also turns into a `bytes::Bytes`, and implements `bytes::Buf`.
///
/// ```
/// # use tailcut_pool::Buffers;
/// # let buffers = Buffers::builder().class(64, 1).build()?;
/// let mut news = buffers.get(64)?;
/// news.extend_from_slice(b"to all subscribers")?;
/// let news = news.freeze();
/// std::thread::scope(|scope| {
///     for _ in 0..3 {
///         let news = news.clone(); // a count, not a copy
///         scope.spawn(move || assert_eq!(&news[..2], b"to"));
///     }
/// });
/// drop(news);
/// assert!(buffers.get(64).is_ok());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the buffer goes back to the pool if nobody keeps it"]
pub struct FrozenBuffer {
    start: NonNull<u8>,
    len: usize,
    /// This is one of them.
    holders: NonNull<Holders<OwnedGuard<Header>>>,
}

impl FrozenBuffer {
    /// # Safety
    /// The caller is one of the holders, and the new value holds in its stead. The `len` bytes from
    /// `start` on are initialised, within the holders' buffer, and `start` leads to all of it.
    pub(super) unsafe fn new(
        start: NonNull<u8>,
        len: usize,
        holders: NonNull<Holders<OwnedGuard<Header>>>,
    ) -> Self {
        FrozenBuffer {
            start,
            len,
            holders,
        }
    }

    /// A part of these bytes, which shares the whole buffer: it stays in use until the last part is
    /// dropped.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut request = buffers.get(64)?;
    /// request.extend_from_slice(b"GET /orders")?;
    /// let path = request.freeze().slice(4..);
    /// assert_eq!(&path[..], b"/orders");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If the range does not lie within the bytes, as indexing does.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> FrozenBuffer {
        let (start, end) = bounds(&range, self.len);
        assert!(
            start <= end && end <= self.len,
            "{start}..{end} is not a range within {} bytes",
            self.len
        );
        let mut part = self.clone();
        // SAFETY: `start` is at most `len`, which is within the buffer.
        part.start = unsafe { part.start.add(start) };
        part.len = end - start;
        part
    }

    /// Forgets the first `count` bytes.
    ///
    /// # Panics
    /// If there are fewer.
    #[cfg(feature = "bytes")]
    pub(super) fn skip(&mut self, count: usize) {
        assert!(
            count <= self.len,
            "{count} bytes are to be skipped, of {}",
            self.len
        );
        // SAFETY: `count` is at most `len`, which is within the buffer.
        self.start = unsafe { self.start.add(count) };
        self.len -= count;
    }

    /// The buffer, to be written again, if nobody else holds a part of it. It holds these bytes;
    /// if they are a [slice](Self::slice) from further on, what was before them is out of use until
    /// the buffer is [cleared](Buffer::clear).
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// buffer.extend_from_slice(b"hello")?;
    /// let (frozen, other) = { let frozen = buffer.freeze(); (frozen.clone(), frozen) };
    /// let frozen = frozen.try_into_buffer().unwrap_err(); // `other` still reads
    /// drop(other);
    /// let mut buffer = frozen.try_into_buffer().unwrap();
    /// buffer.extend_from_slice(b" again")?;
    /// assert_eq!(&buffer[..], b"hello again");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// These bytes, if they are shared.
    pub fn try_into_buffer(self) -> Result<Buffer, FrozenBuffer> {
        // SAFETY: this value holds; the holders live at least as long.
        match unsafe { self.holders.as_ref().take_if_alone() } {
            Some(header) => {
                let this = ManuallyDrop::new(self); // holds no longer
                // SAFETY: initialised, within the buffer, and `start` leads to all of it, by `new`.
                Ok(unsafe { Buffer::holding(header, this.start, this.len) })
            }
            None => Err(self),
        }
    }
}

/// Start and end of a range within `len` bytes, not yet checked.
fn bounds(range: &impl RangeBounds<usize>, len: usize) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => len,
    };
    (start, end)
}

impl Clone for FrozenBuffer {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: this value holds, so the holders are there.
        unsafe { self.holders.as_ref() }.join();
        // SAFETY: the new value is the holder that has just joined; the bytes are these.
        unsafe { FrozenBuffer::new(self.start, self.len, self.holders) }
    }
}

impl Drop for FrozenBuffer {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this value holds, and is going.
        let header = unsafe { Holders::leave(self.holders) };
        // Dropping the guard may free the holders, which nothing refers to any more.
        drop(header);
    }
}

impl Deref for FrozenBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: initialised, and not written while anybody holds.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for FrozenBuffer {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// By contents.
impl PartialEq for FrozenBuffer {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for FrozenBuffer {}

/// Shows how many bytes there are, not which.
impl fmt::Debug for FrozenBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrozenBuffer")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

// SAFETY: holders on several threads read the same bytes, which nobody writes; the count is atomic;
// the last one drops the guard, which may be sent.
unsafe impl Send for FrozenBuffer {}
// SAFETY: `&FrozenBuffer` gives `&[u8]` and clones, which may be sent.
unsafe impl Sync for FrozenBuffer {}

// A panic leaves neither the count nor the bytes half-changed.
impl UnwindSafe for FrozenBuffer {}
impl RefUnwindSafe for FrozenBuffer {}
