//! Where the running kernel keeps what the programs read: offsets from its BTF.
//!
//! The programs are built once, for every kernel; user space looks these up when they are loaded.

use crate::host::btf::{Btf, BtfError};

/// Offsets in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub task_pid: u64,
    pub task_tgid: u64,
    pub task_comm: u64,
    pub task_state: u64,
    pub task_mm: u64,
    pub task_stack: u64,
    /// From the beginning of a kernel stack to the user registers at its end.
    pub stack_registers: u64,
    pub mm_lock: u64,
}

/// A kernel whose types are not what the programs expect.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// There is no BTF, or it cannot be read.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A field is not where it should be.
    #[error(
        "this kernel's {structure} has no field {field}: tailcut does not know this kernel; please report it with the \
         output of `uname -r`"
    )]
    Missing {
        /// The structure.
        structure: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl Layout {
    /// Of the running kernel.
    pub fn of_kernel() -> Result<Layout, LayoutError> {
        Layout::from_btf(&Btf::of_kernel()?)
    }

    fn from_btf(btf: &Btf) -> Result<Layout, LayoutError> {
        let offset = |structure: &'static str, field: &'static str| {
            btf.field_offset(structure, field)
                .map(u64::from)
                .ok_or(LayoutError::Missing { structure, field })
        };
        Ok(Layout {
            task_pid: offset("task_struct", "pid")?,
            task_tgid: offset("task_struct", "tgid")?,
            task_comm: offset("task_struct", "comm")?,
            // Renamed in Linux 5.14.
            task_state: offset("task_struct", "__state")
                .or_else(|_| offset("task_struct", "state"))?,
            task_mm: offset("task_struct", "mm")?,
            task_stack: offset("task_struct", "stack")?,
            stack_registers: stack_registers(btf)?,
            mm_lock: offset("mm_struct", "mmap_lock")?,
        })
    }
}

/// On x86-64 a kernel stack is 16 KiB (`THREAD_SIZE` in `arch/x86/include/asm/page_64_types.h`;
/// twice that under KASAN), and the user registers are its last bytes: `task_pt_regs` in
/// `arch/x86/include/asm/processor.h`. With FRED, two more words stand above them.
fn stack_registers(btf: &Btf) -> Result<u64, LayoutError> {
    const STACK: u64 = 16 << 10;
    let registers = btf
        .struct_size("pt_regs")
        .map(u64::from)
        .ok_or(LayoutError::Missing {
            structure: "pt_regs",
            field: "(size)",
        })?;
    let fred = match btf.struct_size("fred_frame") {
        Some(frame)
            if std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| has_fred(&text)) =>
        {
            u64::from(frame) - registers
        }
        _ => 0,
    };
    Ok(STACK - fred - registers)
}

fn has_fred(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|flags| flags.split_ascii_whitespace().any(|flag| flag == "fred"))
}
