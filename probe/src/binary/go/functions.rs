//! Functions of a Go program by name.

use super::GoProgram;
use super::function_table::Entry;
use crate::binary::printable;
use crate::binary::sites::Convention;
use serde::Serialize;

/// A function of a Go program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GoFunction {
    /// Its name as Go has it, fit to be shown: `runtime.(*mheap).grow`.
    pub name: String,
    /// Its virtual address in the file.
    pub address: u64,
    /// Where the next function begins; padding may lie between.
    pub end: u64,
    /// Its place in the file: what the kernel is given, plus the site's distance from the entry.
    pub file_offset: u64,
    /// Where its arguments are.
    pub convention: Convention,
}

impl GoProgram {
    /// The function with this name. Of several (a function and wrappers of it), the one that does
    /// the work. None if the program has none: the compiler may have inlined all calls of it.
    ///
    /// Cost: one pass over all functions, some 10 ns each.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<GoFunction> {
        let mut best: Option<(Entry<'_>, bool)> = None;
        for entry in self.table.entries() {
            if entry.name != name.as_bytes() {
                continue;
            }
            let is_wrapper = self.is_wrapper(&entry);
            let better = best.is_none_or(|(have, have_is_wrapper)| {
                (is_wrapper, have.end - have.start) < (have_is_wrapper, entry.end - entry.start)
            });
            if better {
                best = Some((entry, is_wrapper));
            }
        }
        self.placed(&best?.0)
    }

    /// All functions whose names begin so, wrappers left out, by address.
    ///
    /// Cost: as [`function`](Self::function).
    #[must_use]
    pub fn functions_with_prefix(&self, prefix: &str) -> Vec<GoFunction> {
        self.table
            .entries()
            .filter(|entry| entry.name.starts_with(prefix.as_bytes()) && !self.is_wrapper(entry))
            .filter_map(|entry| self.placed(&entry))
            .collect()
    }

    /// The function that contains this virtual address of the file.
    #[must_use]
    pub fn function_at(&self, virtual_address: u64) -> Option<GoFunction> {
        let start = match self.table.is_relative() {
            true => virtual_address.checked_sub(self.text_start)?,
            false => virtual_address,
        };
        self.placed(&self.table.covering(start)?)
    }

    /// Whether the linker or compiler made it to call another one of the same name. The number of
    /// that kind differs between versions of Go, but has always been the greatest.
    fn is_wrapper(&self, entry: &Entry<'_>) -> bool {
        entry.kind != 0 && entry.kind == self.wrapper_kind
    }

    fn placed(&self, entry: &Entry<'_>) -> Option<GoFunction> {
        let address = self.table.address_of(entry.start, self.text_start);
        let end = self.table.address_of(entry.end, self.text_start);
        let convention = match self.passes_registers() && !entry.assembler {
            true => Convention::Go,
            false => Convention::GoStack,
        };
        Some(GoFunction {
            name: printable(entry.name),
            address,
            end,
            file_offset: self.contents.image.file_offset(address)?,
            convention,
        })
    }
}
