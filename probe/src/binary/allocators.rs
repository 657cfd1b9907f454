//! Which allocators live in a process, and which of their functions to probe.
//!
//! A process may hold several: a Rust program with jemalloc linked in under `_rjem_` names, the C
//! library's for its C parts, and one that LD_PRELOAD put in front. [`find`] recognises each by
//! the names of its functions (see [`catalogue`]), tells which one a plain `malloc` reaches, and
//! lists the functions with what is in their arguments: the size, the pointer that is freed.
//!
//! **Nesting.** Allocators call themselves by their public functions: glibc's `realloc(NULL, n)`
//! runs into `malloc`, and tcmalloc's aligned forms end in the plain one. (A function that is nothing
//! but a jump to another is taken as a name of that one.) Whoever counts calls must count the
//! outermost of a thread.
//!
//! **Stripped files.** An allocator linked into an executable whose symbols were removed cannot
//! be located. If its constants show that it is there, [`Unrecognised`] says so.
//!
//! Cost: one pass over the symbols of each module; the constants of a few.

pub mod catalogue;
mod find;
mod forwarders;
mod versions;

pub use catalogue::{Family, Kind, ResultAt, Signature, SizeAt, Tier};
pub use find::find;

use super::elf::{ElfError, Image};
use super::process::Module;
use super::symbols::Symbols;
use serde::Serialize;

/// A module of a process with its symbols read.
#[derive(Debug)]
pub struct OpenModule {
    /// The file in the process.
    pub module: Module,
    /// The file.
    pub image: Image,
    /// Its symbols.
    pub symbols: Symbols,
    /// Whether the process is an execution of this file.
    pub is_executable: bool,
    /// Why its sections and symbols were left out; none where they were not.
    pub without_sections: Option<String>,
}

impl OpenModule {
    /// Opens the file of `module` and reads its symbols. The loader does not need the table of sections:
    /// a file where only that is damaged is opened without.
    ///
    /// # Errors
    ///
    /// It cannot be read, is of another kind, or is damaged.
    pub fn open(module: Module, is_executable: bool) -> Result<Self, ElfError> {
        let whole =
            Image::open(&module.openable).and_then(|image| Ok((Symbols::read(&image)?, image)));
        let (symbols, image, without_sections) = match whole {
            Ok((symbols, image)) => (symbols, image, None),
            Err(error) => match Image::open_by_segments(&module.openable) {
                Ok(image) => (Symbols::read(&image)?, image, Some(error.to_string())),
                Err(_) => return Err(error),
            },
        };
        Ok(OpenModule {
            without_sections,
            module,
            image,
            symbols,
            is_executable,
        })
    }
}

/// What a plain call of `malloc` has to do with an allocator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Calls of `malloc` from all modules reach it.
    Default,
    /// Calls of `malloc` from within the executable reach it; the libraries do not see it.
    WithinExecutable,
    /// It is called by names of its own only: a Rust global allocator, for one.
    ByOwnNames,
    /// Its `malloc` is hidden behind another module's that comes earlier in load order. It may
    /// still be called: by the C library itself, or by who looked it up by `dlsym`.
    Shadowed {
        /// The path of the module whose `malloc` is found first.
        by: String,
    },
}

/// A function of an allocator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name, fit to be shown.
    pub name: String,
    /// Further names of the same code.
    pub aliases: Vec<String>,
    /// What it does, and what its arguments hold.
    pub signature: Signature,
    /// Its virtual address.
    pub address: u64,
    /// Its place in the file.
    pub file_offset: u64,
    /// Its length in bytes, where the file says.
    pub length: Option<u64>,
}

/// An allocator in a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allocator {
    /// Which one.
    pub family: Family,
    /// Its version, where the file tells.
    pub version: Option<String>,
    /// The index of its module among those looked at.
    pub module: usize,
    /// The path of that module, fit to be shown.
    pub path: String,
    /// What a plain `malloc` has to do with it.
    pub role: Role,
    /// By what it was recognised, for a reader.
    pub evidence: Vec<String>,
    /// What can be probed: calls first, then slow paths.
    pub functions: Vec<Function>,
    /// What one would expect and is not there, for a reader.
    pub missing: Vec<String>,
}

/// Signs of an allocator whose functions cannot be located.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unrecognised {
    /// The path of the module, fit to be shown.
    pub path: String,
    /// Which allocator seems to be there, if any does.
    pub family: Option<Family>,
    /// What was looked for and what was seen, for a reader.
    pub explanation: String,
}

/// What [`find`] gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Allocators {
    /// Those found: the one that plain `malloc` reaches first.
    pub found: Vec<Allocator>,
    /// Signs of others.
    pub unrecognised: Vec<Unrecognised>,
}

#[cfg(test)]
mod tests;
