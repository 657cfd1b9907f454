//! A buffer in use: one owner, who reads and writes.
//!
//! Five words: where the bytes are, how many, how many fit, and the owned guard of the pooled
//! header. The first three are kept here rather than behind the guard, so that writing byte by
//! byte costs what it does with a `Vec`.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;

use super::frozen::FrozenBuffer;
use super::region::Header;
use crate::guard::OwnedGuard;

/// A buffer taken from [`Buffers`](super::Buffers); goes back when dropped, on any thread, even
/// when the `Buffers` are gone by then.
///
/// Used as a `Vec<u8>` whose capacity is fixed: it holds [`len`](slice::len) bytes, to which it
/// dereferences, of at most [`capacity`](Self::capacity). It comes empty. What does not fit is
/// refused ([`Full`]) and never moves the bytes elsewhere.
///
/// ```
/// use std::io::Write;
/// use tailcut_pool::Buffers;
///
/// let buffers = Buffers::builder().class(64, 8).build()?;
/// let mut answer = buffers.get(64)?;
/// answer.extend_from_slice(b"HTTP/1.1 200 OK\r\n")?;
/// write!(answer, "Content-Length: {}\r\n\r\n", 0)?;
/// assert_eq!(answer.len(), 38);
/// assert!(answer.extend_from_slice(&[b' '; 64]).is_err());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// A `Buffer` that is forgotten (`std::mem::forget`) stays out of use, and keeps the memory of all
/// buffers of its class.
#[must_use = "the buffer goes back to the pool at once if it is not kept"]
pub struct Buffer {
    start: NonNull<u8>,
    /// The first so many bytes are initialised; at most `capacity`.
    len: usize,
    /// How many bytes from `start` on belong to this buffer.
    capacity: usize,
    header: OwnedGuard<Header>,
}

impl Buffer {
    #[inline(always)]
    pub(super) fn empty(header: OwnedGuard<Header>) -> Self {
        Buffer {
            start: header.start(),
            len: 0,
            capacity: header.capacity(),
            header,
        }
    }

    /// # Safety
    /// The `len` bytes from `start` on are initialised, lie within the buffer of `header`, and
    /// `start` leads to that whole buffer.
    pub(super) unsafe fn holding(
        header: OwnedGuard<Header>,
        start: NonNull<u8>,
        len: usize,
    ) -> Self {
        let before = start.as_ptr().addr() - header.start().as_ptr().addr();
        Buffer {
            start,
            len,
            capacity: header.capacity() - before,
            header,
        }
    }

    /// How many bytes fit: at least as many as were asked for.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(1024, 1).build()?;
    /// assert_eq!(buffers.get(100)?.capacity(), 1024);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many more bytes fit.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(1024, 1).build()?;
    /// let mut buffer = buffers.get(100)?;
    /// buffer.extend_from_slice(b"hello")?;
    /// assert_eq!(buffer.room(), 1019);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// Forgets the contents. A buffer that came back from a [slice](FrozenBuffer::slice) of itself
    /// has its whole capacity again then.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(1024, 1).build()?;
    /// let mut buffer = buffers.get(100)?;
    /// for message in ["first", "second"] {
    ///     buffer.clear();
    ///     buffer.extend_from_slice(message.as_bytes())?;
    /// }
    /// assert_eq!(&buffer[..], b"second");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn clear(&mut self) {
        self.start = self.header.start();
        self.capacity = self.header.capacity();
        self.len = 0;
    }

    /// Forgets all but the first `len` bytes; does nothing if there are no more than that.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(1024, 1).build()?;
    /// let mut line = buffers.get(100)?;
    /// line.extend_from_slice(b"PING\r\n")?;
    /// line.truncate(line.len() - 2);
    /// assert_eq!(&line[..], b"PING");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends `bytes`.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// buffer.extend_from_slice(b"hello")?;
    /// assert!(buffer.extend_from_slice(&[0; 60]).is_err());
    /// assert_eq!(&buffer[..], b"hello");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Full`] if they do not all fit; the buffer is unchanged then.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > self.room() {
            return Err(self.full(bytes.len()));
        }
        // SAFETY: the room is large enough and this buffer's alone, so that `bytes` lie elsewhere.
        unsafe {
            let end = self.start.as_ptr().add(self.len);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len());
        }
        self.len += bytes.len();
        Ok(())
    }

    /// Makes the length `len`, by forgetting bytes or by appending as many of `value` as it takes:
    /// for what is read into a `&mut [u8]`.
    ///
    /// ```
    /// use std::io::Read;
    /// # use tailcut_pool::Buffers;
    ///
    /// # let buffers = Buffers::builder().class(4096, 1).build()?;
    /// let mut source = &b"from a socket"[..];
    /// let mut buffer = buffers.get(4096)?;
    /// buffer.resize(4096, 0)?;
    /// let read = source.read(&mut buffer)?;
    /// buffer.truncate(read);
    /// assert_eq!(&buffer[..], b"from a socket");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Full`] if `len` is above the capacity; the buffer is unchanged then.
    pub fn resize(&mut self, len: usize, value: u8) -> Result<(), Full> {
        if let Some(more) = len.checked_sub(self.len) {
            let Some(room) = self.spare_capacity_mut().get_mut(..more) else {
                return Err(self.full(more));
            };
            room.fill(MaybeUninit::new(value));
        }
        self.len = len;
        Ok(())
    }

    #[cold]
    fn full(&self, asked: usize) -> Full {
        Full {
            asked,
            room: self.room(),
        }
    }

    /// The room behind the contents, to be filled by other means, then [`set_len`](Self::set_len).
    /// It may show what an earlier user left there.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// buffer.spare_capacity_mut()[..3].write_copy_of_slice(b"abc");
    /// // SAFETY: the first three bytes were just written.
    /// unsafe { buffer.set_len(3) };
    /// assert_eq!(&buffer[..], b"abc");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the bytes from `len` to `capacity` are this buffer's, and by `&mut self` the
        // caller's alone; no value is claimed to be there.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.start.as_ptr().add(self.len).cast(),
                self.capacity - self.len,
            )
        }
    }

    /// Says how many bytes the buffer holds, after they were written by way of
    /// [`spare_capacity_mut`](Self::spare_capacity_mut) or [`as_mut_ptr`](Self::as_mut_ptr), or by
    /// the kernel.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// // SAFETY: the address leads to 64 bytes, of which the first ten are initialised here.
    /// unsafe {
    ///     buffer.as_mut_ptr().write_bytes(b'x', 10); // or a device, or a C function
    ///     buffer.set_len(10);
    /// }
    /// assert_eq!(&buffer[..], b"xxxxxxxxxx");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// `len` is at most the capacity, and the first `len` bytes are initialised.
    #[inline]
    pub unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity);
        self.len = len;
    }

    /// Where the bytes begin, for reading all that is initialised.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(4096, 1).align(4096).build()?;
    /// let page = buffers.get(4096)?;
    /// assert!(page.as_ptr().addr().is_multiple_of(4096));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// Where the bytes begin, for writing anywhere within the capacity. The address stays the same
    /// until the buffer is dropped or cleared, wherever the `Buffer` is moved meanwhile.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// let address = buffer.as_mut_ptr();
    /// let mut moved = Box::new(buffer);
    /// assert_eq!(moved.as_mut_ptr(), address);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The contents for a vectored write.
    ///
    /// ```
    /// use std::io::Write;
    /// # use tailcut_pool::Buffers;
    ///
    /// # let buffers = Buffers::builder().class(64, 2).build()?;
    /// let (mut head, mut body) = (buffers.get(64)?, buffers.get(64)?);
    /// head.extend_from_slice(b"Content-Length: 4\r\n\r\n")?;
    /// body.extend_from_slice(b"pong")?;
    /// let mut socket = Vec::new();
    /// let written = socket.write_vectored(&[head.as_io_slice(), body.as_io_slice()])?;
    /// assert_eq!(written, head.len() + body.len());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_io_slice(&self) -> IoSlice<'_> {
        IoSlice::new(self)
    }

    /// Which of the [regions](super::Buffers::regions) the buffer lies in: the `buf_index` of
    /// io_uring's `READ_FIXED` and `WRITE_FIXED`, if the regions are what was registered.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// let buffers = Buffers::builder().class(1024, 1).class(4096, 1).build()?;
    /// let large = buffers.get(4096)?;
    /// assert_eq!(large.region_index(), 1);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn region_index(&self) -> u16 {
        self.header.registered()
    }

    /// Ends writing: from now on the contents can be shared and sliced, without copying and
    /// without allocating.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// buffer.extend_from_slice(b"key=value")?;
    /// let whole = buffer.freeze();
    /// let (key, value) = (whole.slice(..3), whole.slice(4..));
    /// drop(whole);
    /// assert_eq!((&key[..], &value[..]), (&b"key"[..], &b"value"[..]));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn freeze(self) -> FrozenBuffer {
        let Buffer {
            start, len, header, ..
        } = self;
        let holders = NonNull::from(header.holders());
        // SAFETY: the holders live as long as the header's region, which the guard keeps; the
        // buffer is this guard's alone.
        unsafe { holders.as_ref().begin(header) };
        // SAFETY: the first holder is the one just begun; `len` bytes are initialised.
        unsafe { FrozenBuffer::new(start, len, holders) }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are initialised, and the buffer's alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the access the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

/// Appends what fits; a write to a full buffer writes 0 bytes, which `write_all` reports as
/// [`WriteZero`](io::ErrorKind::WriteZero).
impl io::Write for Buffer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fitting = bytes.len().min(self.room());
        // What fits is not refused.
        let _ = self.extend_from_slice(&bytes[..fitting]);
        Ok(fitting)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows how full the buffer is, not what is in it.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

// SAFETY: the buffer is the only one that reaches its bytes, and the guard may be sent.
unsafe impl Send for Buffer {}
// SAFETY: `&Buffer` gives `&[u8]`.
unsafe impl Sync for Buffer {}

// A panic leaves a buffer's length as it was, or as it is to be.
impl UnwindSafe for Buffer {}
impl RefUnwindSafe for Buffer {}

/// What was to be written does not fit.
///
/// ```
/// # use tailcut_pool::Buffers;
/// use tailcut_pool::buffers::Full;
///
/// # let buffers = Buffers::builder().class(64, 1).build()?;
/// let mut buffer = buffers.get(64)?;
/// let refused = buffer.extend_from_slice(&[0; 100]);
/// assert_eq!(refused, Err(Full { asked: 100, room: 64 }));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{asked} bytes do not fit: the buffer has room for {room} more")]
pub struct Full {
    /// How many bytes were to be added.
    pub asked: usize,
    /// How many would have fitted.
    pub room: usize,
}

impl From<Full> for io::Error {
    fn from(full: Full) -> Self {
        io::Error::new(io::ErrorKind::StorageFull, full)
    }
}
