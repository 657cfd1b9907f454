//! The protocols: each a [`Session`](super::session::Session), bytes in and bytes out.

pub mod grpc;
pub mod http2;
