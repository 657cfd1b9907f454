//! Load over the network: one event loop to a worker, open loop, the same recording.
//!
//! A worker owns its connections and a lane of the schedule. It spins or sleeps towards the next
//! intended start, hands each due request to a connection with room ([`session::Session`]), and records
//! replies from their intended start. Protocols know nothing of sockets, sockets nothing of protocols.

mod address;
mod channel;
pub mod codecs;
mod conduct;
mod connection;
mod descriptors;
mod error;
mod flight;
mod outcome;
mod part;
mod places;
mod protocols;
mod recorder;
mod seat;
pub mod session;
mod source;
mod tally;
pub mod target;
mod timeline;
pub mod tls;
mod verdict;
mod warming;
mod watch;
mod worker;

pub(crate) use address::resolve;
pub use conduct::{run, run_beside};
pub use error::NetworkError;
