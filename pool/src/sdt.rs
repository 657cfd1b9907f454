//! Static probes (USDT): marked places that a tracer attaches to while the program runs.
//!
//! A probe is one `nop` of one byte in the code and one note in the ELF file, which gives its
//! provider, its name, its address, and where each argument is: `8@%rbx 4@%eax` is an eight-byte
//! value in `rbx` and a four-byte one in `eax`. bpftrace, libbpf, perf, SystemTap and gdb read
//! these notes. Nothing is registered, linked or started at run time.
//!
//! **Cost**, nobody attached: the `nop`, and getting the arguments into registers if they were
//! not in one. A function that would otherwise call nothing also sets up its stack frame, for the
//! reason given below. Where an argument is worth saving (a clock, say), a [`Semaphore`] tells
//! whether anyone listens: one load and one branch. **Attached**, a hit took 1.1 us (Linux 6.18,
//! an empty program).
//!
//! **Why one byte.** Kernels from 6.18 replace a five-byte `nop` by a call in place of a trap, which
//! takes 0.75 us. But that call goes to a page of the process that a child does not get from
//! `fork`, along with the code that calls it: while a tracer was attached, every child that came
//! past such a probe died there (seen with Linux 6.18.44 and a C program of ten lines; with a
//! one-byte `nop`, none). A probe must not be able to do that to a service. Every kernel emulates
//! one byte; some single-step five, which takes longer, and later ones may want ten.
//!
//! # Why not a crate
//!
//! `probe` and `usdt` do the main thing, on stable Rust too. Ours differs where it hurt:
//!
//! - **No red zone.** Where a kernel or a tracer replaces a probe by a call, that pushes its return
//!   address onto the stack, over whatever a leaf function keeps below its stack pointer. Both
//!   crates declare `nostack`, which permits the compiler to keep something there. We do not, and it
//!   does not.
//! - **Link order.** Each note's section is tied to the code it describes (`SHF_LINK_ORDER`), so
//!   that the linker drops a note with its function, and keeps what the note refers to. With
//!   plain notes lld, the default linker for Rust on x86-64, left the notes of dropped functions
//!   at address 0 or 1, over which libbpf refuses the whole probe, and lost semaphores' addresses.
//!   The price: a section named by a label of its own for every copy that the compiler makes of a
//!   site. Number labels cannot be named there, so a counter inside the assembler makes names.
//! - **Widths and signs.** `probe` passes everything as `isize`.
//!
//! Format: SystemTap's wiki, `UserSpaceProbeImplementation`, and `sys/sdt.h`.

#[cfg_attr(
    all(
        target_os = "linux",
        target_pointer_width = "64",
        any(target_arch = "x86_64", target_arch = "aarch64"),
        not(any(loom, miri))
    ),
    path = "sdt/note.rs"
)]
#[cfg_attr(
    not(all(
        target_os = "linux",
        target_pointer_width = "64",
        any(target_arch = "x86_64", target_arch = "aarch64"),
        not(any(loom, miri))
    )),
    path = "sdt/nothing.rs"
)]
pub(crate) mod platform;

pub(crate) use platform::{probe, probe_in_argument_registers, semaphore};

use std::cell::UnsafeCell;

/// Counts the tracers attached to a probe. Declared by [`semaphore!`], which also puts it where
/// tracers look for it.
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct Semaphore(UnsafeCell<u16>);

// SAFETY: the program only reads it, by a volatile load; the one writer is outside of it (the
// kernel, on a tracer's behalf), as with a device register. A u16 is read whole.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// What [`semaphore!`] starts from: nobody attached.
    pub(crate) const fn new() -> Self {
        Semaphore(UnsafeCell::new(0))
    }

    /// Whether a tracer is attached: one load. It may be out of date at once; use it to save
    /// work, never to decide what the program does.
    #[inline(always)]
    pub(crate) fn is_raised(&self) -> bool {
        // SAFETY: the pointer is to our own aligned u16; see `Sync` about the writer. Volatile,
        // because the compiler sees no writer and would take the value for a constant.
        unsafe { self.0.get().read_volatile() != 0 }
    }
}

#[cfg(all(
    test,
    not(any(loom, miri)),
    target_os = "linux",
    target_arch = "x86_64"
))]
mod tests;
