//! The live view: what `tailcut top` shows.
//!
//! One row per series, a heat map over time, the busiest call sites, slow events, and what the probe
//! itself costs. It takes [ticks](crate::tick::Tick) from a [`Source`] and needs nothing else, so
//! that [`SyntheticTarget`] can stand in for a session: `cargo run -p tailcut-probe --example
//! top_synthetic`.
//!
//! | | for | returns |
//! |---|---|---|
//! | [`run_top`] | a person at a terminal | when they leave |
//! | [`top_once`] | a person without one; a ticket | after one interval |
//! | [`top_json`] | programs | at the target's end, or when stopped |
//!
//! Measured on a 2-core VM with the synthetic target's 20 series: ten minutes of history take 3 MB;
//! taking and drawing an interval at 200 x 50 takes less than 17 ms, the figure of a build without
//! optimisation.
//! Everything that comes from the target is [made harmless](clean) before a terminal sees it.

mod columns;
mod figures;
mod history;
mod json;
mod model;
mod period;
mod plain;
mod run;
mod screen;
mod sites;
mod source;
mod synthetic;
mod terminal;
mod text;
mod theme;
mod view;

pub use json::top_json;
pub use plain::top_once;
pub use run::{TopError, TopOptions, run_top};
pub use source::{LeftOut, Source, TargetDescription};
pub use synthetic::SyntheticTarget;
pub use text::{clean, fit};
pub use theme::Theme;
