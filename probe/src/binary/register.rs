//! Registers, as static probes and functions name them, and where a BPF program finds them.
//!
//! A program attached to a user probe is given the registers of the thread as the kernel's
//! `struct pt_regs`; [`Register::offset_in_registers`] is the place of one in it.

use serde::Serialize;
use std::fmt;

/// The architecture of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Architecture::X86_64 => "x86-64",
            Architecture::Aarch64 => "aarch64",
        })
    }
}

/// A 64-bit general register. Narrower names (`eax`, `w3`) are the low part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Register {
    architecture: Architecture,
    /// x86-64: the number in instruction encodings, 16 is rip. aarch64: 31 is sp, 32 is pc.
    number: u8,
}

/// Names by the number in encodings: 64, 32, 16 and 8 bits.
const X86_64_NAMES: [[&str; 4]; 17] = [
    ["rax", "eax", "ax", "al"],
    ["rcx", "ecx", "cx", "cl"],
    ["rdx", "edx", "dx", "dl"],
    ["rbx", "ebx", "bx", "bl"],
    ["rsp", "esp", "sp", "spl"],
    ["rbp", "ebp", "bp", "bpl"],
    ["rsi", "esi", "si", "sil"],
    ["rdi", "edi", "di", "dil"],
    ["r8", "r8d", "r8w", "r8b"],
    ["r9", "r9d", "r9w", "r9b"],
    ["r10", "r10d", "r10w", "r10b"],
    ["r11", "r11d", "r11w", "r11b"],
    ["r12", "r12d", "r12w", "r12b"],
    ["r13", "r13d", "r13w", "r13b"],
    ["r14", "r14d", "r14w", "r14b"],
    ["r15", "r15d", "r15w", "r15b"],
    ["rip", "eip", "ip", "ip"],
];

/// Offsets in x86-64's `struct pt_regs` (arch/x86/include/uapi/asm/ptrace.h), by the same number.
const X86_64_OFFSETS: [u16; 17] = [
    80, 88, 96, 40, 152, 32, 104, 112, 72, 64, 56, 48, 24, 16, 8, 0, 128,
];

/// The registers of the first six integer arguments by the System V calling convention.
const X86_64_ARGUMENTS: [u8; 6] = [7, 6, 2, 1, 8, 9];

/// The registers of the first integer arguments by Go's calling convention on x86-64: rax, rbx,
/// rcx, rdi, rsi, r8, r9, r10, r11 (Go's `cmd/compile/abi-internal.md`, Go 1.17 and newer).
const X86_64_GO_ARGUMENTS: [u8; 9] = [0, 3, 1, 7, 6, 8, 9, 10, 11];

impl Register {
    /// The register that a function's integer argument `index` (from 0) is passed in, or none
    /// where arguments are passed in memory.
    #[must_use]
    pub fn of_argument(architecture: Architecture, index: u8) -> Option<Self> {
        let number = match architecture {
            Architecture::X86_64 => *X86_64_ARGUMENTS.get(usize::from(index))?,
            Architecture::Aarch64 => (index < 8).then_some(index)?,
        };
        Some(Register {
            architecture,
            number,
        })
    }

    /// The same by Go's own calling convention, ABIInternal. A receiver is argument 0; a string
    /// takes two, a slice three.
    #[must_use]
    pub fn of_go_argument(architecture: Architecture, index: u8) -> Option<Self> {
        let number = match architecture {
            Architecture::X86_64 => *X86_64_GO_ARGUMENTS.get(usize::from(index))?,
            Architecture::Aarch64 => (index < 16).then_some(index)?,
        };
        Some(Register {
            architecture,
            number,
        })
    }

    /// The register with this name (`rdi`, `eax`, `x0`, `w0`, `sp`), without a `%`. The second
    /// bytes of x86 registers (`ah`) and vector registers are none.
    #[must_use]
    pub fn named(architecture: Architecture, name: &str) -> Option<Self> {
        let number = match architecture {
            Architecture::X86_64 => X86_64_NAMES
                .iter()
                .position(|names| names.contains(&name))? as u8,
            Architecture::Aarch64 => match name {
                "sp" | "wsp" => 31,
                "fp" => 29,
                "lr" => 30,
                "pc" => 32,
                _ => name
                    .strip_prefix(['x', 'w'])
                    .and_then(|digits| digits.parse().ok())
                    .filter(|number: &u8| *number <= 30)?,
            },
        };
        Some(Register {
            architecture,
            number,
        })
    }

    /// The x86-64 register with this number in instruction encodings (0 is rax, 7 is rdi).
    pub(super) fn x86_64(number: u8) -> Option<Self> {
        (number < 16).then_some(Register {
            architecture: Architecture::X86_64,
            number,
        })
    }

    /// The number in instruction encodings.
    #[must_use]
    pub fn number(self) -> u8 {
        self.number
    }

    /// Where this register is in the registers that a BPF program at a user probe is given, in
    /// bytes: the kernel's `struct pt_regs` on x86-64, `struct user_pt_regs` on aarch64.
    #[must_use]
    pub fn offset_in_registers(self) -> u16 {
        match self.architecture {
            Architecture::X86_64 => X86_64_OFFSETS[usize::from(self.number)],
            Architecture::Aarch64 => u16::from(self.number) * 8,
        }
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.architecture, self.number) {
            (Architecture::X86_64, number) => f.write_str(X86_64_NAMES[usize::from(number)][0]),
            (Architecture::Aarch64, 31) => f.write_str("sp"),
            (Architecture::Aarch64, 32) => f.write_str("pc"),
            (Architecture::Aarch64, number) => write!(f, "x{number}"),
        }
    }
}

impl Serialize for Register {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Architecture, Register};

    #[test]
    fn narrow_names_are_the_wide_register() {
        for (narrow, wide) in [("eax", "rax"), ("dil", "rdi"), ("r9d", "r9"), ("bp", "rbp")] {
            let register = Register::named(Architecture::X86_64, narrow).unwrap();
            assert_eq!(register.to_string(), wide);
        }
        let w7 = Register::named(Architecture::Aarch64, "w7").unwrap();
        assert_eq!(w7.to_string(), "x7");
    }

    #[test]
    fn what_is_no_general_register_is_none() {
        for name in ["ah", "xmm0", "", "r16", "%rax"] {
            assert_eq!(Register::named(Architecture::X86_64, name), None, "{name}");
        }
        for name in ["x31", "d0", "x", "x-1"] {
            assert_eq!(Register::named(Architecture::Aarch64, name), None, "{name}");
        }
    }

    #[test]
    fn arguments_of_go_functions_are_in_registers_of_their_own() {
        let names: Vec<String> = (0..9)
            .map(|i| Register::of_go_argument(Architecture::X86_64, i).unwrap())
            .map(|register| register.to_string())
            .collect();
        let expected = ["rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11"];
        assert_eq!(names, expected);
        assert_eq!(Register::of_go_argument(Architecture::X86_64, 9), None);
    }

    #[test]
    fn arguments_are_where_the_kernel_saves_their_registers() {
        // PT_REGS_PARM1..3 of libbpf's bpf_tracing.h: di, si, dx.
        let offsets: Vec<u16> = (0..6)
            .map(|i| Register::of_argument(Architecture::X86_64, i).unwrap())
            .map(Register::offset_in_registers)
            .collect();
        assert_eq!(offsets, [112, 104, 96, 88, 72, 64]);
        assert_eq!(Register::of_argument(Architecture::X86_64, 6), None);
    }
}
