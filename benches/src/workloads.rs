//! The measured loops.

pub mod bulk;
pub mod cold;
pub mod crowd;
pub mod handoff;
pub mod live;
pub mod one_thread;
pub mod order;
pub mod statistics;
pub mod traced;
pub mod two_pools;
pub mod ways;
