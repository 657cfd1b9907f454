//! By what rules a function is called, and what that forbids a tracer.

use super::body::{Code, target_of};
use crate::binary::Register;
use crate::binary::register::Architecture;
use iced_x86::{FlowControl, Instruction};
use serde::Serialize;

/// The longest way from a failed check of the stack's size back to the entry, in instructions:
/// each register that holds an argument is saved and restored.
const LONGEST_DETOUR: usize = 96;

/// The calling convention of a function, which its language decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Convention {
    /// That of C and Rust on Unix.
    SystemV,
    /// That of Go 1.17 and newer for functions written in Go (ABIInternal): arguments in
    /// registers, r14 holds the running goroutine's `g`.
    Go,
    /// That of Go before 1.17, and of Go's assembler (ABI0): arguments on the stack, so that no
    /// plan can see one.
    GoStack,
}

impl Convention {
    /// The register of x86-64 that holds the integer argument `index` at entry.
    #[must_use]
    pub fn argument(self, index: u8) -> Option<Register> {
        match self {
            Convention::SystemV => Register::of_argument(Architecture::X86_64, index),
            Convention::Go => Register::of_go_argument(Architecture::X86_64, index),
            Convention::GoStack => None,
        }
    }

    /// Whether the kernel may replace return addresses. Go's runtime walks stacks by them and
    /// copies stacks elsewhere: it stops the program at an address that it does not know.
    #[must_use]
    pub fn allows_return_probes(self) -> bool {
        self == Convention::SystemV
    }

    /// The most sites that the ways out of a function may need. Go's `mallocgc` returns in some
    /// twenty places, and there is no return probe to fall back on.
    pub(super) fn most_exits(self) -> usize {
        match self {
            Convention::SystemV => 16,
            Convention::Go | Convention::GoStack => 96,
        }
    }
}

impl Code {
    /// Whether a branch belongs to the check of the stack's size with which Go functions begin:
    /// it leads to a place where one function is called (`morestack`, which finds a larger stack or
    /// lets another goroutine run) and from where the only way leads back to the entry.
    ///
    /// A loop cannot be taken for it: a Go function that calls another sets up its frame first, and
    /// its loops begin behind that.
    pub(super) fn is_stack_check(&self, branch: &Instruction) -> bool {
        if self.convention == Convention::SystemV
            || branch.flow_control() != FlowControl::ConditionalBranch
        {
            return false;
        }
        let Some(detour) = target_of(branch) else {
            return false;
        };
        let Ok(first) = self
            .instructions
            .binary_search_by_key(&detour, Instruction::ip)
        else {
            return false;
        };
        let mut calls = 0;
        for instruction in self.instructions[first..].iter().take(LONGEST_DETOUR) {
            match instruction.flow_control() {
                FlowControl::Next => {}
                FlowControl::Call => calls += 1,
                FlowControl::UnconditionalBranch => {
                    return calls == 1 && target_of(instruction) == Some(self.start);
                }
                _ => return false,
            }
        }
        false
    }
}
