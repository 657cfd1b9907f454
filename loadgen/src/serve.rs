//! The order service as a server: what the load generator loads when nothing else is at hand, and a
//! target whose every nanosecond is ours to explain.
//!
//! ```text
//! calling thread: accepts ──round robin──▶ workers: one event loop, one order service each
//!                                     └──▶ HTTP/2 workers (an executor and an order service each)
//! ```
//!
//! | over | request | answer |
//! |---|---|---|
//! | TCP | orders ([`crate::order::wire`]), pipelined | [`crate::order::reply`], in the same order, one write for what one read brought |
//! | UDP | one order or several to a datagram | their answers in one datagram |
//! | HTTP/1.1, HTTP/2 | `POST /orders` with an order as body; `GET /` | the 16 bytes of the answer with status 200, 422 (refused) or 400 (no order); `ok` |
//!
//! Connections are dealt out in turn, not left to the kernel's hash: sixteen connections to two workers are
//! eight each. A worker never waits for another, and shares nothing with it but the pool.
//!
//! What it costs: an order over TCP is decoded where it was received; nothing is allocated for it but what
//! the heap form does on purpose. A connection at rest takes some hundred bytes of ours. A client that does not
//! read its answers is not read from either, so it can make a worker hold the answers of one read (256 KiB at
//! most) and a partial request (8 KiB at most).

mod acceptor;
mod binary;
mod connection;
mod counts;
mod datagrams;
mod error;
mod handler;
mod http;
mod http1;
mod http2;
mod sockets;
mod staff;
mod worker;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicBool;

use crate::plan::Service;

pub use counts::Counts;
pub use error::ServeError;

/// What is served, where and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// Orders over TCP; port 0 takes a free one.
    pub tcp: Option<SocketAddr>,
    /// Orders in datagrams.
    pub udp: Option<SocketAddr>,
    /// HTTP/1.1.
    pub http: Option<SocketAddr>,
    /// HTTP/2 without TLS, by prior knowledge.
    pub h2: Option<SocketAddr>,
    /// How orders are kept; [`Service::Noop`] answers without looking at them.
    pub service: Service,
    /// Live orders of each worker, settled at once.
    pub window: u64,
    /// Event loops; as many again for HTTP/2, where that is served.
    pub workers: u32,
    /// Processors that the workers are bound to, in turn; none: wherever the kernel puts them.
    pub cpus: Vec<u32>,
    /// Whether workers ask for events without ever sleeping: a core each, for the highest rates and the
    /// shortest answers. HTTP/2 is not concerned.
    pub busy_poll: bool,
    /// Whether addresses are allowed that other machines can reach.
    pub allow_remote: bool,
    /// Connections at the same time; what comes beyond is closed at once, and counted.
    pub most_connections: u32,
}

impl ServeOptions {
    /// One worker with a window of 120,000 orders, and nowhere to listen yet.
    #[must_use]
    pub fn new(service: Service) -> ServeOptions {
        ServeOptions {
            tcp: None,
            udp: None,
            http: None,
            h2: None,
            service,
            window: 120_000,
            workers: 1,
            cpus: Vec::new(),
            busy_poll: false,
            allow_remote: false,
            most_connections: 50_000,
        }
    }

    /// A free port of this machine alone.
    pub const ANY_LOCAL_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
}

/// Where the server listens: the real ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Orders over TCP.
    pub tcp: Option<SocketAddr>,
    /// Orders in datagrams.
    pub udp: Option<SocketAddr>,
    /// HTTP/1.1.
    pub http: Option<SocketAddr>,
    /// HTTP/2.
    pub h2: Option<SocketAddr>,
}

impl Addresses {
    /// The targets that a load generator takes, of what is served.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let of = |scheme: &str, address: Option<SocketAddr>, path: &str| {
            address.map(|address| format!("{scheme}://{address}{path}"))
        };
        [
            of("tcp", self.tcp, ""),
            of("udp", self.udp, ""),
            of("http", self.http, "/"),
            of("h2", self.h2, "/"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What a server did from its start to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ServeOutcome {
    /// Of all workers together.
    #[serde(flatten)]
    pub counts: Counts,
    /// Connections that were closed at once: too many at the same time, or no descriptors left.
    pub turned_away: u64,
    /// Windows that filled and were settled.
    pub settled_windows: u64,
}

/// Serves until `stop` is set; then answers what was read, closes, and says what was done.
///
/// `ready` is told the addresses when clients can connect. Stopping takes at most about a second, which
/// clients have to read their last answers. The process's limit of open files is raised as far as it may be.
///
/// # Errors
/// Nowhere to listen, an address that cannot be had or that others could reach without being allowed to,
/// no worker, a window that memory does not hold, a thread that cannot be started or that panicked.
/// Clients cannot cause an error: what they do wrong ends their connection.
pub fn serve(
    options: &ServeOptions,
    ready: impl FnOnce(&Addresses),
    stop: &AtomicBool,
) -> Result<ServeOutcome, ServeError> {
    options.check()?;
    handler::with_handlers(
        options,
        acceptor::Job {
            options,
            ready,
            stop,
        },
    )?
}

impl ServeOptions {
    /// Refuses what cannot be served here, before anything is touched.
    fn check(&self) -> Result<(), ServeError> {
        let asked = [
            ("--tcp", self.tcp),
            ("--udp", self.udp),
            ("--http", self.http),
            ("--h2", self.h2),
        ];
        let mut asked = asked
            .into_iter()
            .filter_map(|(name, address)| Some((name, address?)))
            .peekable();
        if asked.peek().is_none() {
            return Err(ServeError::Nowhere);
        }
        if let Some((_, address)) = asked.find(|(_, address)| !address.ip().is_loopback())
            && !self.allow_remote
        {
            return Err(ServeError::Remote { address });
        }
        if self.workers == 0 || self.workers > MOST_WORKERS {
            return Err(ServeError::Workers {
                workers: self.workers,
                most: MOST_WORKERS,
            });
        }
        handler::check_memory(self)
    }

    /// Order services: one for each event loop, and one for each HTTP/2 worker.
    fn services(&self) -> u32 {
        if self.h2.is_some() {
            self.workers * 2
        } else {
            self.workers
        }
    }
}

/// More threads than any machine that this was tried on has processors.
const MOST_WORKERS: u32 = 1024;

#[cfg(test)]
mod tests;
