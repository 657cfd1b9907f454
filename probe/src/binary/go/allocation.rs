//! Which functions of Go's runtime allocate, and what their arguments hold.
//!
//! Compiled code and the rest of the runtime allocate through `runtime.mallocgc(size, type, ...)`: size
//! and type are its first two arguments in every version since Go 1.5. From Go 1.27 on there are copies of
//! it for objects of up to 80 bytes, which the compiler calls directly where it knows the size: a probe on
//! `mallocgc` alone misses those calls. `mallocgc` itself calls the same copies for sizes known
//! only at run time, so that one allocation may pass two of these functions: the outermost counts.
//! The copies take the same arguments.

use super::{GoFunction, GoProgram};
use serde::Serialize;

/// What a function that allocates is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationKind {
    /// `mallocgc`: any size.
    General,
    /// A copy for objects of less than 16 bytes without pointers.
    Tiny,
    /// A copy for one class of sizes, without pointers.
    WithoutPointers,
    /// A copy for one class of sizes, with pointers.
    WithPointers,
}

/// A function through which memory is allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AllocationEntry {
    /// The function.
    pub function: GoFunction,
    /// What it is.
    pub kind: AllocationKind,
    /// Which argument holds the size in bytes.
    pub size: u8,
    /// Which argument holds the address of the type's description; it may be null.
    pub type_description: u8,
    /// The class of sizes that a copy is for (`internal/runtime/gc/sizeclasses.go`), from its name.
    pub size_class: Option<u16>,
}

/// How the copies' names begin.
const COPIES: [(&str, AllocationKind); 3] = [
    ("runtime.mallocgcTinySC", AllocationKind::Tiny),
    (
        "runtime.mallocgcSmallNoScanSC",
        AllocationKind::WithoutPointers,
    ),
    (
        "runtime.mallocgcSmallScanNoHeaderSC",
        AllocationKind::WithPointers,
    ),
];

impl GoProgram {
    /// The functions through which this program allocates: `mallocgc` first, then copies of it by
    /// address.
    ///
    /// Cost: four passes over all functions.
    #[must_use]
    pub fn allocation_entries(&self) -> Vec<AllocationEntry> {
        let entry = |function, kind, size_class| AllocationEntry {
            function,
            kind,
            size: 0,
            type_description: 1,
            size_class,
        };
        let general = self.function("runtime.mallocgc");
        let mut entries: Vec<AllocationEntry> = general
            .map(|function| entry(function, AllocationKind::General, None))
            .into_iter()
            .collect();
        for (prefix, kind) in COPIES {
            for function in self.functions_with_prefix(prefix) {
                // Functions within them (`...SC2.func1`) and helpers have no plain number.
                let size_class = function.name[prefix.len()..].parse().ok();
                if size_class.is_some() {
                    entries.push(entry(function, kind, size_class));
                }
            }
        }
        entries
    }
}
