//! A network that is slow on demand: a proxy on loopback that passes bytes on late.
//!
//! ```text
//! generator ──▶ proxy ──(delay + 0..jitter)──▶ target
//!           ◀──(delay + 0..jitter)──       ◀──
//! ```
//!
//! What is read is passed on `by` plus a random part of `jitter` after it was read, in either direction, and in
//! order: what comes behind a chunk never overtakes it. Without a delay, as at the start, it is passed on at
//! once. Half-closes are passed on behind the data before them, and so are resets; a target that cannot be
//! reached is a reset, too. Only data is delayed, not the making of a connection.
//!
//! What it costs: a thread that sleeps while nothing is under way. It is woken 80 us before a chunk
//! is due and spins until then, because waking up takes tens of microseconds on virtual machines. A chunk that
//! is not delayed is copied once into the proxy and once out of it. While a direction holds 4 MiB it
//! is not read from, so that a connection carries at most so much in each `by`, as on a real network with a window of
//! that size.

mod pipe;
mod relay;
mod timer;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use mio::net::TcpListener;
use mio::{Poll, Waker};

use crate::clock::Nanos;

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
#[error("the proxy that delays a target cannot be started: {0}")]
pub struct ProxyError(#[from] io::Error);

/// A running proxy. Dropping it resets its connections.
#[derive(Debug)]
pub struct DelayProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// What a proxy did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyStatistics {
    /// Connections taken.
    pub connections: u64,
    /// Bytes passed on, in both directions.
    pub bytes: u64,
    /// Chunks that were delayed.
    pub delayed: u64,
    /// By how much these were passed on later than they were due, in all: the proxy's own part.
    pub late: Nanos,
    /// The worst of that.
    pub most_late: Nanos,
}

/// How late chunks are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Delay {
    by: Nanos,
    jitter: Nanos,
    seed: u64,
    /// Which setting it is, from 0.
    number: u64,
}

/// Between the proxy's owner and its thread.
#[derive(Debug, Default)]
struct Shared {
    delay: Mutex<Delay>,
    /// The number of the setting in force: it is looked at for each chunk, the lock is not.
    setting: AtomicU64,
    stop: AtomicBool,
    connections: AtomicU64,
    bytes: AtomicU64,
    delayed: AtomicU64,
    late: AtomicU64,
    most_late: AtomicU64,
}

impl Shared {
    fn delay(&self) -> Delay {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DelayProxy {
    /// Starts a proxy to `target` on a free port of this machine.
    ///
    /// # Errors
    /// No port, no descriptor or no thread could be had. A target that does not answer shows at the first
    /// connection.
    pub fn start(target: SocketAddr) -> Result<DelayProxy, ProxyError> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), relay::WAKE)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let relay = relay::Relay::new(poll, listener, target, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new()
            .name("delay-proxy".to_owned())
            .spawn(move || relay.run())?;
        Ok(DelayProxy {
            address,
            shared,
            waker,
            thread: Some(thread),
        })
    }

    /// Where the target is to be reached through the proxy.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, chunks are passed on `by` plus a random part of `jitter` after they were read; both zero
    /// is at once. What was read before keeps the time it was given. The same seed draws the same delays for
    /// the n-th chunk of the n-th connection.
    pub fn set_delay(&self, by: Nanos, jitter: Nanos, seed: u64) {
        let mut delay = self
            .shared
            .delay
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *delay = Delay {
            by,
            jitter,
            seed,
            number: delay.number + 1,
        };
        self.shared.setting.store(delay.number, Ordering::Release);
    }

    /// What it did so far.
    #[must_use]
    pub fn statistics(&self) -> ProxyStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProxyStatistics {
            connections: read(&self.shared.connections),
            bytes: read(&self.shared.bytes),
            delayed: read(&self.shared.delayed),
            late: Nanos(read(&self.shared.late)),
            most_late: Nanos(read(&self.shared.most_late)),
        }
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // It ends on its own; if it panicked, that was printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
