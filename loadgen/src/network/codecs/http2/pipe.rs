//! What `h2` takes for a socket: two byte buffers in memory.
//!
//! Reading finds what the event loop has received and waits when that is used up; writing always
//! succeeds and appends to what the event loop will send. The loop's own buffer is lent for as long as `h2`
//! is polled, so that what is sent is copied once.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A buffer that has grown beyond this is not kept: there may be thousands of connections.
const KEPT: usize = 4096;

/// A handle of the two buffers: `h2` has one, the session the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<Buffers>>);

#[derive(Debug, Default)]
struct Buffers {
    input: Vec<u8>,
    /// So much of `input` has been read.
    read: usize,
    /// The peer sends nothing more.
    ended: bool,
    output: Vec<u8>,
}

impl Pipe {
    /// From now on what is written is appended to `out`; the same call again gives `out` back.
    pub(super) fn exchange_output(&self, out: &mut Vec<u8>) {
        std::mem::swap(&mut self.0.borrow_mut().output, out);
    }

    /// Adds what was received. Afterwards the connection is to be polled.
    pub(super) fn feed(&self, input: &[u8]) {
        self.0.borrow_mut().input.extend_from_slice(input);
    }

    /// The peer has closed its side.
    pub(super) fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// Throws away what was not read: nobody will read it.
    pub(super) fn discard_input(&self) {
        self.0.borrow_mut().read = usize::MAX;
        self.tidy();
    }

    /// Makes room when all was read.
    pub(super) fn tidy(&self) {
        let mut buffers = self.0.borrow_mut();
        if buffers.read < buffers.input.len() {
            return;
        }
        buffers.read = 0;
        if buffers.input.capacity() > KEPT {
            buffers.input = Vec::new();
        } else {
            buffers.input.clear();
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffers = self.0.borrow_mut();
        let rest = &buffers.input[buffers.read..];
        if rest.is_empty() {
            return if buffers.ended {
                Poll::Ready(Ok(()))
            } else {
                // No waker is kept: whoever feeds the pipe polls the connection itself.
                Poll::Pending
            };
        }
        let length = rest.len().min(into.remaining());
        into.put_slice(&rest[..length]);
        buffers.read += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut buffers = self.0.borrow_mut();
        for slice in slices {
            buffers.output.extend_from_slice(slice);
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn memory_for_a_large_read_is_given_back_when_all_was_taken() {
        let mut pipe = Pipe::default();
        pipe.feed(&[7; 100_000]);
        let mut taken = [0; 60_000];
        for left in [40_000, 0] {
            let mut into = ReadBuf::new(&mut taken);
            let polled =
                Pin::new(&mut pipe).poll_read(&mut Context::from_waker(Waker::noop()), &mut into);
            assert!(polled.is_ready());
            pipe.tidy();
            let buffers = pipe.0.borrow();
            assert_eq!(buffers.input.len() - buffers.read, left);
        }
        assert!(pipe.0.borrow().input.capacity() <= KEPT);
    }
}
