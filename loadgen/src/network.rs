//! Load over the network: one event loop to a worker, open loop, the same recording.
//!
//! A worker owns its connections and a lane of the schedule. It spins or sleeps towards the next
//! intended start, hands each due request to a connection with room ([`session::Session`]), and records
//! replies from their intended start. Protocols know nothing of sockets, sockets nothing of protocols.

pub mod codecs;
mod error;
pub mod session;
pub mod target;

pub use error::NetworkError;
