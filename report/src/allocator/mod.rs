//! The allocator in a report: what a probe saw of calls, sizes, lifetimes, and who calls.
//!
//! | file | what |
//! |---|---|
//! | `series.rs` | which of a probe's series are the allocator's |
//! | `tiers.rs` | calls by how long they took: thread cache, refill, central, operating system |
//! | `sizes.rs` | calls by what they asked for |
//! | `lifetimes.rs` | how long objects lived |
//! | `stacks.rs` | stacks of slow calls, with what they weigh |
//! | `sites.rs` | call sites: of all calls, and of slow ones; how deep the stacks are |
//! | `flame.rs` | the flame graph's boxes |
//! | `missing.rs` | what was not traced, why, and the command that traces it |
//! | `summary.rs` | all of it, for a variant over its runs |
//! | `tables.rs` | these as text |
//!
//! Values under the probe's floor are counted, in a column of their own, and never shown as measured. Rates are scaled
//! by the share that was sampled, shares and lengths never.

mod flame;
mod lifetimes;
mod missing;
mod series;
mod sites;
mod sizes;
mod stacks;
mod summary;
pub(crate) mod tables;
mod tiers;

pub(crate) use flame::{Flame, FlameBox};
pub use lifetimes::{LifetimeBand, LifetimeSummary};
pub use missing::NotTraced;
pub(crate) use series::Role;
pub use sites::{CallSiteSummary, SlowSiteSummary, StackDepth};
pub use sizes::{SizeClass, SizeSummary};
pub(crate) use stacks::{Place, StackWeigher, WeighedStacks};
pub use summary::AllocatorSummary;
pub use tiers::{TierBand, TierSummary};
