//! The choice of probe sites: at which instruction a probe costs least and still sees what it must.
//!
//! How long a hit takes depends on the instruction under the probe (see [`kernel`]). On Linux
//! 6.18 a hit on `push`, a jump or a call takes about 1 us; on `test`, `mov` or `endbr64`, with
//! which most functions begin, about 12 us, because the kernel executes such an instruction alone,
//! out of line. Tracers place probes at a function's first instruction, whatever it is. We walk on
//! from there to the first instruction that is cheap, while
//!
//! - every call of the function comes by (no branch before it leads elsewhere),
//! - it comes by once (nothing jumps to behind the entry before it),
//! - the arguments are still in registers, and we know which,
//! - the stack pointer's distance from its value at entry is known.
//!
//! **Returns.** The kernel's return probe replaces the return address on the stack, so it can be
//! placed only where the stack pointer still is as at entry ([`Site::stack_offset`] 0). That need
//! not be the first instruction: `mov`, `test`, then `je` is a cheap site for both. Where no
//! cheap site has that, [`Plan`] weighs a dear one against sites before each `ret` ([`ExitSite`]).
//!
//! A plan depends on the code only, and on the kernel's rules; it costs a decoding of the
//! function, some 30 ns an instruction. x86-64 only.
//!
//! **Go.** Code compiled by Go follows other rules ([`Convention::Go`]): arguments are in other
//! registers; the kernel's return probe is never used, since Go moves stacks and checks the return
//! addresses on them (a program so probed crashes); and the check of the stack's size, with which
//! most functions begin, may lead back to the entry, so that only what lies behind it is passed once.
//!
//! # What cannot be seen
//!
//! A table of jumps (`switch`) is not decoded. Compilers never let one lead into a function's
//! prologue; code written by hand could.

mod body;
mod convention;
mod entry;
pub mod kernel;
mod plan;
pub(super) use plan::microseconds;
mod returns;

pub use body::Code;
pub use convention::Convention;
pub use kernel::{HitCost, HitCosts, KernelRules};

use super::Register;
use super::elf::ElfError;
use serde::Serialize;

/// Why no site was found.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Only x86-64 code is decoded.
    #[error("{0} code is not decoded: probe the function's first instruction")]
    Architecture(super::register::Architecture),
    /// The code cannot be read.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// No instruction fits, not even the first.
    #[error("no instruction of {function} can be probed: {reason}")]
    NoSite {
        /// The function.
        function: String,
        /// Why, for a reader.
        reason: String,
    },
}

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Calls, sizes, addresses: a probe where the function starts.
    EntryOnly,
    /// Its duration, and what it returns: a probe where it starts and one where it ends.
    Latency,
}

/// An instruction to probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// Its virtual address.
    pub address: u64,
    /// Its place in the file: what the kernel is given.
    pub file_offset: u64,
    /// How many bytes it lies behind the function's first.
    pub from_entry: u64,
    /// The instruction, in Intel's syntax.
    pub instruction: String,
    /// What a hit costs.
    pub cost: HitCost,
    /// How many bytes were pushed since the function was entered: the return address is at the
    /// stack pointer plus this.
    pub stack_offset: u64,
    /// Where the wanted arguments are.
    pub arguments: Vec<ArgumentPlace>,
    /// What lies between the entry and the site, for a reader.
    pub skipped: Vec<String>,
}

/// Where an argument is at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ArgumentPlace {
    /// Which argument, from 0.
    pub argument: u8,
    /// The register that holds it.
    pub register: Register,
}

/// An instruction to probe that is executed when a call ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExitSite {
    /// Its virtual address.
    pub address: u64,
    /// Its place in the file.
    pub file_offset: u64,
    /// The instruction, in Intel's syntax.
    pub instruction: String,
    /// What a hit costs.
    pub cost: HitCost,
    /// How many bytes below its value at entry the stack pointer is; none where the code does not
    /// tell (a frame pointer).
    pub stack_offset: Option<u64>,
    /// The register that holds what the function will return; none where that is not ready yet.
    pub result: Option<Register>,
}

/// How the end of a call is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Returns {
    /// Not at all.
    NotSeen,
    /// By the kernel's return probe at the entry site.
    ReturnProbe,
    /// By probes before each way out. A call may pass two of them: the first counts.
    Sites(Vec<ExitSite>),
}

/// Where to probe a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What for.
    pub purpose: Purpose,
    /// Where it starts.
    pub entry: Site,
    /// How its end is seen.
    pub returns: Returns,
    /// What a call is expected to cost more, in nanoseconds: the costliest way through it.
    pub predicted_nanoseconds: u32,
    /// Why so, for a reader.
    pub reason: String,
    /// What else was weighed, for a reader.
    pub alternatives: Vec<String>,
}

#[cfg(test)]
mod tests;
