//! Everything that can keep the server from serving.

use std::io;
use std::net::SocketAddr;

use crate::error::LoadError;

/// Why nothing is served. Found before the first client could connect wherever it can be.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No address was given.
    #[error("nothing to serve: give at least one address, for example --tcp 127.0.0.1:7000")]
    Nowhere,
    /// Other machines could reach it.
    #[error(
        "{address} can be reached from other machines, and the service answers everybody: add --allow-remote if \
         that is meant, or listen on 127.0.0.1"
    )]
    Remote {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen on {scheme}://{address}: {cause}{hint}")]
    Listen {
        /// `tcp`, `udp`, `http` or `h2`.
        scheme: &'static str,
        /// What was asked for.
        address: SocketAddr,
        /// The system's reason.
        cause: io::Error,
        /// What to do, where that is known.
        hint: &'static str,
    },
    /// No workers, or absurdly many.
    #[error("{workers} workers cannot serve; give 1 to {most}")]
    Workers {
        /// What was asked for.
        workers: u32,
        /// The limit.
        most: u32,
    },
    /// The event loop could not be made or asked.
    #[error("the event loop: {0}")]
    EventLoop(#[from] io::Error),
    /// What the load generator has in common with it: memory, pool, processors.
    #[error(transparent)]
    Load(#[from] LoadError),
}
