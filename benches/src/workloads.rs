//! The measured loops.

pub mod bulk;
pub mod cold;
pub mod crowd;
pub mod handoff;
pub mod live;
pub mod one_thread;
pub mod order;
pub mod two_pools;
