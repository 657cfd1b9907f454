//! Buffers and the crate `bytes` (feature `bytes`): both ways without a copy.
//!
//! # There
//!
//! `Bytes::from_owner` takes a [`FrozenBuffer`] as the owner, in a box: **one allocation of 32
//! bytes** when a buffer becomes `Bytes`, one free when the last `Bytes` goes. `bytes` 1.x has no
//! way without: its table of functions is private (its issues 437 and 567), a static slice tells
//! nobody when it is done with, and a vector's memory must be the global allocator's. Where that
//! allocation matters, hand on the [`FrozenBuffer`] itself.
//!
//! # Back
//!
//! A `Bytes` does not give its owner back, does not tell whether it is the owner's only one
//! (`is_unique` is always `false` then), and `try_into_mut` always copies. What it does is drop its
//! owner when it is the last. So [`Buffers::reclaim`] finds the buffer by the address of the bytes,
//! joins its holders, drops the `Bytes`, and looks whether it is the only holder now. If not, it
//! makes new `Bytes` of the share that it has, so that nothing is lost. That relies on nothing that
//! `bytes` keeps to itself. An address proves no ownership, but none is needed: joining succeeds
//! only if the buffer is frozen and held at that moment, and keeps it so.

use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, Bytes};

use super::{Buffer, Buffers, FrozenBuffer};
use std::ptr::NonNull;

impl Buffer {
    /// The contents as [`Bytes`], without copying them. The buffer goes back when the last `Bytes`
    /// of it is dropped; at once if there are no contents, as with an empty slice of `Bytes`.
    /// Allocates 32 bytes for the owner; [`freeze`](Self::freeze) does not.
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// buffer.extend_from_slice(b"hello")?;
    /// let bytes = buffer.into_bytes();
    /// assert_eq!(&bytes[..], b"hello");
    /// let buffer = buffers.reclaim(bytes).expect("nobody else has these bytes");
    /// assert_eq!(&buffer[..], b"hello");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the buffer goes back to the pool if nobody keeps it"]
    pub fn into_bytes(self) -> Bytes {
        self.freeze().into_bytes()
    }
}

impl FrozenBuffer {
    /// These bytes as [`Bytes`], without copying them: see [`Buffer::into_bytes`].
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// buffer.extend_from_slice(b"head and body")?;
    /// let body = buffer.freeze().slice(9..);
    /// assert_eq!(body.into_bytes(), "body");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the buffer goes back to the pool if nobody keeps it"]
    pub fn into_bytes(self) -> Bytes {
        if self.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(self)
    }
}

impl From<Buffer> for Bytes {
    fn from(buffer: Buffer) -> Bytes {
        buffer.into_bytes()
    }
}

impl From<FrozenBuffer> for Bytes {
    fn from(frozen: FrozenBuffer) -> Bytes {
        frozen.into_bytes()
    }
}

impl Buffers {
    /// The buffer in which `bytes` lie, to be written again, without copying: if they came from
    /// these buffers, by [`Buffer::into_bytes`], and nobody else holds a part of them. The buffer
    /// holds what `bytes` show, with the room behind them: see
    /// [`FrozenBuffer::try_into_buffer`].
    ///
    /// Frees the 32 bytes of the owner, and looks at each class's region. If clones of `bytes` turn
    /// out to be alive, new `Bytes` with an owner of their own are made for the error (32 bytes).
    ///
    /// ```
    /// # use tailcut_pool::Buffers;
    /// # let buffers = Buffers::builder().class(64, 1).build()?;
    /// let mut buffer = buffers.get(64)?;
    /// buffer.extend_from_slice(b"ping")?;
    /// let sent = buffer.into_bytes(); // to a library that sends it, and hands it back
    /// let mut again = buffers.reclaim(sent).unwrap();
    /// again.clear();
    /// again.extend_from_slice(b"pong")?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Equal bytes, in the same place, if they are not these buffers', are shared, or are none.
    pub fn reclaim(&self, bytes: Bytes) -> Result<Buffer, Bytes> {
        if bytes.is_empty() {
            return Err(bytes); // shows an address, and shares no buffer
        }
        let Some((holders, start)) = self.regions_in_memory().find_map(|it| it.find(&bytes)) else {
            return Err(bytes);
        };
        if !holders.join_the_only_one() {
            // Shared; or not frozen: an owner of somebody else's making, around a `Buffer`.
            return Err(bytes);
        }
        // SAFETY: this call has joined. The bytes are initialised, since `Bytes` shows them, and
        // lie within the buffer that `find` named, to all of which `start` leads.
        let frozen = unsafe { FrozenBuffer::new(start, bytes.len(), NonNull::from(holders)) };
        drop(bytes); // its owner, if it is our own, leaves the holders
        frozen.try_into_buffer().map_err(FrozenBuffer::into_bytes)
    }
}

// SAFETY: the chunk is always all the room there is, which is this buffer's alone, and
// `remaining_mut` is its length.
unsafe impl BufMut for Buffer {
    #[inline]
    fn remaining_mut(&self) -> usize {
        self.room()
    }

    #[inline]
    unsafe fn advance_mut(&mut self, count: usize) {
        let len = self.len() + count;
        assert!(
            len <= self.capacity(),
            "{count} bytes were written into less room"
        );
        // SAFETY: the caller has initialised `count` more bytes.
        unsafe { self.set_len(len) };
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        UninitSlice::uninit(self.spare_capacity_mut())
    }
}

impl Buf for FrozenBuffer {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        self.skip(count);
    }

    /// Copies nothing; allocates as [`into_bytes`](FrozenBuffer::into_bytes) does.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        let front = self.slice(..count);
        self.skip(count);
        front.into_bytes()
    }
}
