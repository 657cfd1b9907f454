//! What can be traced in a process, and where exactly.
//!
//! From a process number to instructions: the files that are mapped in it ([`process`]), what
//! these files say about themselves ([`elf`], [`symbols`], [`notes`]), which allocators live in
//! them ([`allocators`]), what Go built ([`go`]), and at which instruction of a function a probe is cheapest ([`sites`]).
//! [`survey()`] puts the answers together for a reader.
//!
//! Nothing here attaches anything or needs BPF: reading `/proc/PID` is enough. For a process of
//! somebody else that takes CAP_SYS_PTRACE.
//!
//! # Hostile input
//!
//! The process, its files and its names are chosen by somebody else. Files are read by position,
//! not mapped: a file cut short while we read it is an error, not a SIGBUS. Every length is
//! checked and limited, no parser recurses, and text meant for a terminal goes through
//! [`printable`].
//!
//! # Cost
//!
//! A module costs its headers and symbol tables: about 0.1 s for a file of 100 MB. No index of
//! symbols is built, since few are wanted.

pub mod allocators;
pub mod elf;
pub mod go;
pub mod notes;
mod printable;
pub mod process;
pub mod register;
pub mod sites;
pub mod survey;
pub mod symbols;

pub use printable::printable;
pub use process::{Module, Process, ProcessError};
pub use register::Register;
pub use survey::{Survey, survey};
