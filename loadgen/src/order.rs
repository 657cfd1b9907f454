//! The order workload: bytes arrive, an order is decoded, validated, priced, checked against a
//! risk limit, given an id and kept live; a full window is settled at once.
//!
//! One service ([`service`]), three ways to keep an order:
//! - [`heap`]: as a service is usually written: a box, a vector, a hash map and strings for each.
//! - [`preshaped`]: one flat object, boxed for each request. It separates what the layout saves
//!   from what the pool saves.
//! - [`pooled`]: the same flat object, from a pool.
//!
//! All logic is shared, so that a difference between two runs is the storage's.

pub mod generate;
pub mod heap;
pub mod pooled;
pub mod preshaped;
pub mod reply;
pub mod rules;
pub mod service;
pub mod store;
pub mod wire;
