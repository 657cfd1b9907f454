//! What the kernel does with a probed instruction (arch/x86/kernel/uprobes.c), and what that costs.
//!
//! A probe replaces an instruction by a trap. When it is hit, the kernel must still carry the
//! instruction out. Some it emulates; all others it copies elsewhere, executes alone in single
//! steps, and returns: two more exceptions. From 6.18 on a five-byte `nop` is replaced by a call.
//!
//! Measured on Linux 6.18 (AMD, in a virtual machine), bpftrace, a program that only sets a
//! variable, ns a hit:
//!
//! | instruction | ns | |
//! |---|---|---|
//! | `nop` of 5 bytes | 720 | called |
//! | `nop` of 1 to 4 and 7 bytes | 760 to 1,000 | emulated |
//! | `push` of a register | 850 to 960 | emulated |
//! | `jmp`, `je` and the like, short and near; `call` to a fixed address | 870 to 980 | emulated |
//! | `endbr64`, `mov`, `lea`, `test`, `xor`, `sub rsp`, `push` of a constant, `pop`, `ret` | 9,700 to 14,000 | single-stepped |
//! | `jmp` and `call` through memory or a register | 16,000 to 18,000 | single-stepped |
//! | anything with a `lock`, `cs`, `ss`, `ds` or `es` prefix (a `nop` of 10 bytes, `notrack`) | | refused |
//!
//! Not tried here, by what is known of them: kernels before 6.18 single-step every `nop` longer than one byte but `66 90`; before 5.1 also `push`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What happens at a hit, cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HitCost {
    /// A call in place of a trap.
    Called,
    /// A trap; the kernel carries the instruction out itself.
    Emulated,
    /// A trap, and a single step out of line.
    SingleStepped,
    /// The kernel does not place a probe here, or should not be asked to.
    Refused,
}

impl fmt::Display for HitCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HitCost::Called => "a call instead of a trap",
            HitCost::Emulated => "emulated",
            HitCost::SingleStepped => "single-stepped",
            HitCost::Refused => "refused",
        })
    }
}

/// What a hit takes on this host, in nanoseconds. The default is what was measured by the
/// prototype on Linux 6.18; a calibration replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitCosts {
    /// Of a probe that is called.
    pub called: u32,
    /// Of one whose instruction is emulated.
    pub emulated: u32,
    /// Of one whose instruction is single-stepped.
    pub single_stepped: u32,
    /// What a return probe adds to the probe at its entry.
    pub return_probe: u32,
}

impl Default for HitCosts {
    fn default() -> Self {
        HitCosts {
            called: 700,
            emulated: 1000,
            single_stepped: 12_300,
            return_probe: 900,
        }
    }
}

impl HitCosts {
    /// What one hit takes, in nanoseconds; the greatest number where a probe is refused.
    #[must_use]
    pub fn of(&self, cost: HitCost) -> u32 {
        match cost {
            HitCost::Called => self.called,
            HitCost::Emulated => self.emulated,
            HitCost::SingleStepped => self.single_stepped,
            HitCost::Refused => u32::MAX,
        }
    }
}

/// What a kernel emulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KernelRules {
    /// Whether a five-byte `nop` is replaced by a call.
    pub calls_for_long_nops: bool,
    /// Whether such a `nop` is left alone. A child that is forked while it is a call dies of SIGSEGV
    /// when it comes by on Linux 6.18 (seen: 40 of 80 children of a plain C program, none of 80
    /// with a `nop` of one byte): the page that is called is not the child's. A tracer must not
    /// kill whom it observes, so none is probed until a kernel is known to have mended it.
    pub spares_long_nops: bool,
    /// Whether `nop`s of several bytes are emulated.
    pub emulates_long_nops: bool,
    /// Whether `push` is emulated.
    pub emulates_push: bool,
}

impl KernelRules {
    /// The rules of Linux `major.minor`.
    #[must_use]
    pub fn of_release(major: u32, minor: u32) -> Self {
        let release = (major, minor);
        KernelRules {
            calls_for_long_nops: release >= (6, 18),
            spares_long_nops: false,
            emulates_long_nops: release >= (6, 18),
            emulates_push: release >= (5, 1),
        }
    }

    /// The rules of the running kernel; those of 6.1 where its release cannot be read.
    ///
    /// By its number only: a distribution may have brought something back. A calibration tells.
    #[must_use]
    pub fn running() -> Self {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => KernelRules {
                spares_long_nops: true,
                ..Self::of_release(major, minor)
            },
            _ => Self::of_release(6, 1),
        }
    }

    /// What a hit on the instruction of these bytes costs, at this virtual address. `bytes` are
    /// exactly the instruction's.
    #[must_use]
    pub fn cost_of(&self, bytes: &[u8], address: u64) -> HitCost {
        let Prefixed {
            refused,
            prefixes,
            rex,
            opcode,
        } = Prefixed::split(bytes);
        if refused {
            return HitCost::Refused;
        }
        let sixteen_bits = prefixes.contains(&0x66);
        let emulated_if = |emulated: bool| match emulated {
            true => HitCost::Emulated,
            false => HitCost::SingleStepped,
        };
        match opcode {
            // No prefix but the one byte that names r8 to r15.
            [0x50..=0x57] => emulated_if(
                self.emulates_push && prefixes.is_empty() && matches!(rex, None | Some(0x41)),
            ),
            // With that prefix it is an exchange of r8 and rax.
            [0x90] => emulated_if(rex.is_none()),
            [0xeb | 0xe9 | 0xe8 | 0x70..=0x7f, ..] | [0x0f, 0x80..=0x8f, ..] => {
                if sixteen_bits {
                    HitCost::Refused
                } else {
                    HitCost::Emulated
                }
            }
            [0x0f, 0x1f, 0x44, 0, 0] if prefixes.is_empty() && rex.is_none() => {
                // It cannot be replaced at once where it lies across two pages.
                let in_one_page = address & 0xfff <= 0xffb;
                match self.calls_for_long_nops && in_one_page {
                    true if self.spares_long_nops => HitCost::Refused,
                    true => HitCost::Called,
                    false => emulated_if(self.emulates_long_nops),
                }
            }
            [0x0f, 0x1f, ..] => emulated_if(self.emulates_long_nops),
            // Traps, interrupts, input and output, halt, undefined.
            [0xcc | 0xcd | 0xce | 0xcf | 0xf1 | 0xf4 | 0xfa | 0xfb, ..]
            | [0xe4..=0xe7 | 0xec..=0xef | 0x6c..=0x6f, ..]
            | [0x0f, 0x05 | 0x07 | 0x0b | 0x34 | 0x35 | 0xb9 | 0xff, ..]
            | [] => HitCost::Refused,
            _ => HitCost::SingleStepped,
        }
    }
}

/// An instruction taken apart.
struct Prefixed<'a> {
    /// A prefix is among those that the kernel does not take.
    refused: bool,
    /// The prefixes before REX.
    prefixes: &'a [u8],
    rex: Option<u8>,
    /// Opcode and what follows.
    opcode: &'a [u8],
}

impl<'a> Prefixed<'a> {
    fn split(bytes: &'a [u8]) -> Self {
        const LEGACY: [u8; 11] = [
            0x66, 0x67, 0xf2, 0xf3, 0x64, 0x65, 0x26, 0x2e, 0x36, 0x3e, 0xf0,
        ];
        let count = bytes
            .iter()
            .take_while(|byte| LEGACY.contains(byte))
            .count();
        let (prefixes, rest) = bytes.split_at(count);
        let refused = prefixes
            .iter()
            .any(|byte| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0xf0));
        let (rex, opcode) = match rest {
            [rex @ 0x40..=0x4f, opcode @ ..] => (Some(*rex), opcode),
            opcode => (None, opcode),
        };
        Prefixed {
            refused,
            prefixes,
            rex,
            opcode,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HitCost::{Called, Emulated, Refused, SingleStepped};
    use super::KernelRules;

    #[test]
    fn costs_are_those_that_were_measured_on_6_18() {
        let rules = KernelRules::of_release(6, 18);
        for (bytes, cost) in [
            (&[0x0f, 0x1f, 0x44, 0, 0][..], Called),
            (&[0x90], Emulated),
            (&[0x66, 0x90], Emulated),
            (&[0x0f, 0x1f, 0], Emulated),
            (&[0x0f, 0x1f, 0x40, 0], Emulated),
            (&[0x0f, 0x1f, 0x80, 0, 0, 0, 0], Emulated),
            (&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], Refused),
            (&[0x53], Emulated),                                       // push rbx
            (&[0x41, 0x54], Emulated),                                 // push r12
            (&[0x6a, 5], SingleStepped),                               // push 5
            (&[0xf3, 0x0f, 0x1e, 0xfa], SingleStepped),                // endbr64
            (&[0x48, 0x83, 0xec, 8], SingleStepped),                   // sub rsp, 8
            (&[0x48, 0x89, 0xf8], SingleStepped),                      // mov rax, rdi
            (&[0x48, 0x85, 0xff], SingleStepped),                      // test rdi, rdi
            (&[0x74, 1], Emulated),                                    // je
            (&[0x0f, 0x84, 1, 0, 0, 0], Emulated),                     // je, near
            (&[0xeb, 1], Emulated),                                    // jmp
            (&[0xe9, 1, 0, 0, 0], Emulated),                           // jmp, near
            (&[0xe8, 0, 0, 0, 0], Emulated),                           // call
            (&[0xc3], SingleStepped),                                  // ret
            (&[0xff, 0x25, 0, 0, 0, 0], SingleStepped),                // jmp [rip]
            (&[0x64, 0x48, 0x8b, 4, 0x25, 0, 0, 0, 0], SingleStepped), // mov rax, fs:[0]
            (&[0xf0, 0x0f, 0xb1, 0x0f], Refused),                      // lock cmpxchg
            (&[0x3e, 0xff, 0xe0], Refused),                            // notrack jmp rax
        ] {
            assert_eq!(rules.cost_of(bytes, 0x1000), cost, "{bytes:x?}");
        }
    }

    #[test]
    fn a_nop_across_two_pages_keeps_its_trap() {
        let rules = KernelRules::of_release(6, 18);
        let nop = [0x0f, 0x1f, 0x44, 0, 0];
        assert_eq!(rules.cost_of(&nop, 0x1ffb), Called);
        assert_eq!(rules.cost_of(&nop, 0x1ffc), Emulated);
    }

    #[test]
    fn older_kernels_emulate_less() {
        let nop = [0x0f, 0x1f, 0x44, 0, 0];
        assert_eq!(
            KernelRules::of_release(6, 17).cost_of(&nop, 0),
            SingleStepped
        );
        assert_eq!(KernelRules::of_release(6, 1).cost_of(&[0x53], 0), Emulated);
        assert_eq!(
            KernelRules::of_release(4, 19).cost_of(&[0x53], 0),
            SingleStepped
        );
    }

    #[test]
    fn what_only_looks_like_a_push_is_not_emulated() {
        let rules = KernelRules::of_release(6, 18);
        assert_eq!(rules.cost_of(&[0x66, 0x53], 0), SingleStepped); // push bx
        assert_eq!(rules.cost_of(&[0x48, 0x53], 0), SingleStepped);
        assert_eq!(rules.cost_of(&[0x41, 0x90], 0), SingleStepped); // xchg r8, rax
        assert_eq!(rules.cost_of(&[0x66, 0xe9, 0, 0], 0), Refused);
    }
}
