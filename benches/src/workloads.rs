//! The measured loops.

pub mod bulk;
pub mod crowd;
pub mod handoff;
pub mod live;
pub mod one_thread;
