//! The protocols that servers speak, each a [`Session`](crate::network::session::Session): bytes out, bytes in.
//!
//! A request is made into bytes once, before the run; sending it is one copy, or, where `{n}` stands
//! for the request's number, a few. Replies are read as far as it takes to know where they end and whether
//! they are refusals; their contents are skipped, never kept. So a session's memory does not depend on what a
//! server sends, and whatever it sends, a session answers with events or one error.

mod answers;
pub mod grpc;
pub mod http1;
pub mod http2;
mod options;
pub mod order;
pub mod redis;
mod template;
pub mod websocket;

#[cfg(test)]
mod play;

/// How many of the `missing` bytes are in `input`.
#[inline]
fn fitting(missing: u64, input: &[u8]) -> usize {
    usize::try_from(missing).map_or(input.len(), |missing| missing.min(input.len()))
}
