//! Where a slow event came from: the stack of its thread, as names a person can read.
//!
//! Release builds of C, C++ and Rust keep no frame pointers, so the kernel's own walk of a user
//! stack ends after two or three frames. The kernel side therefore sends the registers and a copy
//! of the stack's memory, and the walk happens here, by the call frame information that every such
//! binary carries for its exceptions. The way of an event:
//!
//! ```text
//! registers + copy of the stack ─▶ Unwinder ─▶ locations ─▶ Profile (each stack once)
//!      mappings of the process ─▶ Modules (files kept open)      │
//!                                       └──────▶ Symbolizer ◀────┘ ─▶ folded stacks, flame graph
//! ```
//!
//! An address is turned into a [`Location`] (a file and an offset in it) at once, while the process
//! lives; the [`Symbolizer`] works from the open files alone. So names are still found when the
//! target has exited, was replaced by an update, or has put another library in the same place.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tailcut_probe::stacks::{
//!     FlameGraph, Modules, Profile, Registers, Symbolizer, Unwinder, Weight, WeightKind, folded,
//! };
//! # let (pid, registers, stack) = (1, Registers { ip: 0, sp: 0, bp: 0 }, vec![0; 16384]);
//! let modules = Arc::new(Modules::default());
//! let mut unwinder = Unwinder::new(pid, Arc::clone(&modules))?;
//! let mut profile = Profile::new();
//!
//! let walk = unwinder.unwind(registers, registers.sp, &stack); // for each slow event
//! profile.add(&walk, "malloc", Weight { count: 1, bytes: 4096, nanos: 1_200_000 });
//!
//! let mut symbolizer = Symbolizer::new(modules); // the target may have exited by now
//! let stacks = profile.symbolized(&mut symbolizer);
//! let folded = folded::lines(&profile, &stacks, Some("malloc"), WeightKind::Time);
//! let mut svg = Vec::new();
//! FlameGraph::new("Slow malloc", WeightKind::Time).write(&folded, &mut svg)?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Costs are at the head of each part. Everything that is read here (maps, ELF, call frame
//! information, symbols) belongs to the target and is taken as hostile: checked against the bounds
//! of its file, limited in size, never recursed into.
//!
//! Limits: x86-64 Linux, 64-bit targets. musl is built without call frame information: a stack that
//! ends in its C code is followed while frame pointers, or the word at the stack pointer, lead on,
//! and ends there if not. Files are mapped, not copied: a library that is cut short in place, while
//! it is being read here, ends this process by SIGBUS, as it does its user.

mod address_space;
mod call_frames;
mod debug_files;
mod demangle;
mod elf;
mod error;
mod expression;
mod flame_graph;
pub mod folded;
mod kernel;
mod location;
mod mappings;
mod memory;
mod modules;
mod perf_map;
mod profile;
mod recorded;
mod symbols;
mod text;
mod unwind;

pub use error::StacksError;
pub use flame_graph::FlameGraph;
pub use location::Location;
pub use mappings::{Mapping, mappings};
pub use modules::{ModuleId, Modules};
pub use profile::{Profile, Weight, WeightKind};
pub use symbols::{Frame, Stack, StackTable, Symbolizer};
pub use unwind::{End, MAX_FRAMES, Registers, Unwinder, Walk};

/// The walks can be on one thread and the names on another.
const _: () = {
    const fn may_move_between_threads<T: Send>() {}
    may_move_between_threads::<Unwinder>();
    may_move_between_threads::<Symbolizer>();
    may_move_between_threads::<Profile>();
};
