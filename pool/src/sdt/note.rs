//! The macros for Linux: a `nop` in the code, a note in the file.

/// Places a probe: `probe!(provider, name, value => type, ...)`, with at most six arguments of
/// the types `u32`, `u64`, `usize`, `i32` and `i64`. The probe fires each time control passes.
///
/// A semaphore declared by [`semaphore!`] is named last: `probe!(provider, name, a => u64; SEEN)`.
/// The values are evaluated in any case: ask the semaphore first if that is what it is for.
macro_rules! probe {
    ($provider:ident, $name:ident $(; $semaphore:ident)?) => {
        $crate::sdt::platform::emit!($provider, $name, [$($semaphore)?], [""], [], [])
    };
    (
        $provider:ident, $name:ident, $first:expr => $kind:ident
        $(, $value:expr => $kinds:ident)* $(; $semaphore:ident)?
    ) => {
        $crate::sdt::platform::emit!(
            $provider, $name, [$($semaphore)?],
            [
                $crate::sdt::platform::place!($kind)
                $(, " ", $crate::sdt::platform::place!($kinds))*
            ],
            [
                in(reg) { let value: $kind = $first; value },
                $(in(reg) { let value: $kinds = $value; value },)*
            ],
            []
        )
    };
}
pub(crate) use probe;

/// Places a probe whose arguments, one or three `u64`s, stand where a call to a C function would
/// have them, for tracers that look there and read no notes. [`probe!`] leaves the choice of
/// registers to the compiler, and saves the moves.
#[cfg(target_arch = "x86_64")]
macro_rules! probe_in_argument_registers {
    ($provider:ident, $name:ident, $a:expr; $semaphore:ident) => {
        $crate::sdt::platform::emit!(
            $provider, $name, [$semaphore], ["8@%rdi"], [],
            [in("rdi") { let value: u64 = $a; value },]
        )
    };
    ($provider:ident, $name:ident, $a:expr, $b:expr, $c:expr; $semaphore:ident) => {
        $crate::sdt::platform::emit!(
            $provider, $name, [$semaphore], ["8@%rdi 8@%rsi 8@%rdx"], [],
            [
                in("rdi") { let value: u64 = $a; value },
                in("rsi") { let value: u64 = $b; value },
                in("rdx") { let value: u64 = $c; value },
            ]
        )
    };
}
/// Places a probe whose arguments, one or three `u64`s, stand where a call to a C function would
/// have them, for tracers that look there and read no notes. [`probe!`] leaves the choice of
/// registers to the compiler, and saves the moves.
#[cfg(target_arch = "aarch64")]
macro_rules! probe_in_argument_registers {
    ($provider:ident, $name:ident, $a:expr; $semaphore:ident) => {
        $crate::sdt::platform::emit!(
            $provider, $name, [$semaphore], ["8@x0"], [],
            [in("x0") { let value: u64 = $a; value },]
        )
    };
    ($provider:ident, $name:ident, $a:expr, $b:expr, $c:expr; $semaphore:ident) => {
        $crate::sdt::platform::emit!(
            $provider, $name, [$semaphore], ["8@x0 8@x1 8@x2"], [],
            [
                in("x0") { let value: u64 = $a; value },
                in("x1") { let value: u64 = $b; value },
                in("x2") { let value: u64 = $c; value },
            ]
        )
    };
}
pub(crate) use probe_in_argument_registers;

/// Declares a semaphore: a static in the section where tracers raise it.
macro_rules! semaphore {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[unsafe(link_section = ".probes")]
        static $name: $crate::sdt::Semaphore = $crate::sdt::Semaphore::new();
    };
}
pub(crate) use semaphore;

/// The instruction that a tracer replaces: one byte on x86-64, for the reason given in the module's
/// head.
macro_rules! instruction {
    () => {
        "nop"
    };
}
pub(crate) use instruction;

/// How a note says where an argument is: its width in bytes, negative if signed, and a register.
/// The template's hole is filled with the register that the compiler chose.
#[cfg(target_arch = "x86_64")]
macro_rules! place {
    (u32) => {
        "4@{:e}"
    };
    (i32) => {
        "-4@{:e}"
    };
    (u64) => {
        "8@{:r}"
    };
    (i64) => {
        "-8@{:r}"
    };
    (usize) => {
        "8@{:r}"
    };
}
/// How a note says where an argument is. libbpf knows the 64-bit names of registers only; the
/// width says how much of one counts.
#[cfg(target_arch = "aarch64")]
macro_rules! place {
    (u32) => {
        "4@{:x}"
    };
    (i32) => {
        "-4@{:x}"
    };
    (u64) => {
        "8@{:x}"
    };
    (i64) => {
        "-8@{:x}"
    };
    (usize) => {
        "8@{:x}"
    };
}
pub(crate) use place;

/// The semaphore's address as the note wants it: zero stands for none.
macro_rules! semaphore_address {
    () => {
        "0"
    };
    ($semaphore:ident) => {
        "{semaphore}"
    };
}
pub(crate) use semaphore_address;

/// The assembly. Line by line:
///
/// - A counter of sites, which lives in the assembler for one object file, and an `.altmacro`
///   that turns its value into a label: `.L` labels leave no trace in the file. A label written
///   out here would be defined twice as soon as the compiler inlines the site twice.
/// - The instruction.
/// - The note: sizes, vendor, type 3; the addresses of the site, of the base and of the
///   semaphore; three strings. Its section is linked to the site's ("o").
/// - The base, one byte per linked file: by its move, tools tell that a program was relocated on
///   disk after the note was written. "R" retains it, since only notes refer to it.
///
/// Options: `readonly` and not `nomem`, so that memory that an argument points to is written by
/// then; no `nostack`, for the red zone's sake (see the module's head); `preserves_flags` holds
/// for the `nop`, the trap and the kernel's call alike; `att_syntax` for register names with
/// the percent sign, which notes have on x86.
macro_rules! emit {
    (
        $provider:ident, $name:ident, [$($semaphore:ident)?], [$($places:expr),*],
        [$($any:tt)*], [$($fixed:tt)*]
    ) => {
        // SAFETY: a nop, which a tracer may replace by a trap or a call that returns with every
        // register, the flags and the memory of the program as they were.
        #[allow(named_asm_labels, reason = "the labels are numbered, one for each copy")]
        unsafe {
            $crate::sdt::platform::with_syntax!(
                concat!(
                    ".ifndef .Lsdt_sites\n",
                    ".set .Lsdt_sites, 0\n",
                    ".endif\n",
                    ".set .Lsdt_sites, .Lsdt_sites + 1\n",
                    ".altmacro\n",
                    ".macro sdt_site number\n",
                    ".Lsdt_site_\\number:\n",
                    $crate::sdt::platform::instruction!(), "\n",
                    ".pushsection .note.stapsdt, \"o\", \"note\", .Lsdt_site_\\number\n",
                    ".balign 4\n",
                    ".4byte 992f - 991f, 994f - 993f, 3\n",
                    "991: .asciz \"stapsdt\"\n",
                    "992: .balign 4\n",
                    "993: .8byte .Lsdt_site_\\number\n",
                    ".8byte _.stapsdt.base\n",
                    ".8byte ", $crate::sdt::platform::semaphore_address!($($semaphore)?), "\n",
                    ".asciz \"", stringify!($provider), "\"\n",
                    ".asciz \"", stringify!($name), "\"\n",
                    ".asciz \"", $($places,)* "\"\n",
                    "994: .balign 4\n",
                    ".popsection\n",
                    ".endm\n",
                    "sdt_site %.Lsdt_sites\n",
                    ".purgem sdt_site\n",
                    ".noaltmacro\n",
                    ".ifndef _.stapsdt.base\n",
                    ".pushsection .stapsdt.base, \"aGR\", \"progbits\", .stapsdt.base, comdat\n",
                    ".weak _.stapsdt.base\n",
                    ".hidden _.stapsdt.base\n",
                    "_.stapsdt.base: .space 1\n",
                    ".size _.stapsdt.base, 1\n",
                    ".popsection\n",
                    ".endif",
                ),
                $($any)*
                $(semaphore = sym $semaphore,)?
                $($fixed)*
            )
        }
    };
}
pub(crate) use emit;

/// `asm!` with the options that [`emit!`] explains.
#[cfg(target_arch = "x86_64")]
macro_rules! with_syntax {
    ($($assembly:tt)*) => {
        std::arch::asm!($($assembly)* options(att_syntax, readonly, preserves_flags))
    };
}
/// `asm!` with the options that [`emit!`] explains.
#[cfg(target_arch = "aarch64")]
macro_rules! with_syntax {
    ($($assembly:tt)*) => {
        std::arch::asm!($($assembly)* options(readonly, preserves_flags))
    };
}
pub(crate) use with_syntax;
