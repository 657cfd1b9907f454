//! The place of an address, in terms that outlive the process.

use super::modules::ModuleId;

/// Where a frame of a stack was executing.
///
/// Two locations are equal if they are the same instruction of the same file, in whatever process
/// and wherever it was mapped. 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// In a file that was mapped.
    Module {
        /// Which file.
        module: ModuleId,
        /// Offset in the file, in bytes. For a caller it lies within the call instruction, one byte
        /// before the return address: the next instruction can belong to another line or function.
        file_offset: u64,
    },
    /// In executable memory without a file: code made at run time.
    Anonymous {
        /// The process.
        pid: u32,
        /// Address in the process.
        address: u64,
    },
    /// In the kernel.
    Kernel {
        /// Address in the kernel.
        address: u64,
    },
    /// In no executable memory at all: the call of a wild pointer.
    Unmapped,
}
