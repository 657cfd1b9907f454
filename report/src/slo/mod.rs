//! The service level, second by second: which seconds kept their latency targets, in which of the
//! others a pause lies, and one figure for the whole, the health score.
//!
//! A run's percentiles say how slow the slow requests were; they do not say *when*. A service that
//! is slow for one minute of an hour and one that is slow in every second can have the same P99.9.
//! So each second is judged by itself, by the objectives that the run was made for, or, without
//! any, by those of a low-latency service: P99 of at most 5 ms.
//!
//! A second over its target is told apart by whether a pause over a limit lies in it, of any thread
//! of the traced process. That is a coincidence in time, named with kind, thread and length so that
//! a reader can judge it; what each slow request waited for is the blame section's to say.
//!
//! | file | what |
//! |---|---|
//! | `targets.rs` | what a second must keep, read from the run's objectives or taken by default |
//! | `board.rs` | each second judged; the worst of them with the pauses in them |
//! | `health.rs` | the health score: latency, success, lag, configuration |
//! | `tables.rs` | all of it as text |
//!
//! Costs one pass over the seconds of a run and its longest pauses, and a byte a second.

mod board;
mod health;
pub(crate) mod tables;
mod targets;

pub use board::{BreakingPause, BrokenSecond, SloSummary};
pub(crate) use board::{SecondState, second_pauses, second_states};
pub use health::{Health, HealthPart};
pub(crate) use targets::Targets;
pub use targets::{Origin, ServiceClass};
