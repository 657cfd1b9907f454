//! Pools in a report: what they held second by second, and whether they are large enough.
//!
//! | file | what |
//! |---|---|
//! | `digest.rs` | one run's samples by measured second |
//! | `summary.rs` | the figures of a variant's pools over all its runs |
//! | `advice.rs` | the recommended capacity against the one that there is, in words |
//! | `tables.rs` | these as text |
//!
//! The recommendation itself is reckoned by who recorded, which has the pool's own formula; here it is compared
//! with what was configured and seen.

mod advice;
mod digest;
mod summary;
pub(crate) mod tables;

pub(crate) use digest::{OnePool, PoolDigest, PoolSecond};
pub use summary::PoolSummary;
