//! Making the runs of a comparison: of two sides, interleaved, each as often as the other.
//!
//! - [`session::run`]: makes the runs, of whatever kind they are, in their order.
//! - [`server::Server`]: a server that is started for one run and stopped after it.
//!
//! What the runs then show is judged where all comparisons are, in [`tailcut_report::compare`].

pub mod server;
pub mod session;
