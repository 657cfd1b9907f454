//! The restartable sequences themselves: get, put and their batch forms on this CPU's magazine.
//!
//! See the parent module for the protocol that they follow; here is the assembly and nothing else.

use core::arch::asm;
use core::mem::offset_of;
use std::ptr::NonNull;

use super::{AREA_SHIFT, Area};

/// The abort handler is preceded by this, or the kernel refuses to jump there.
const SIGNATURE: u32 = 0x5305_3053;
/// `struct rseq`: the fields that the sequences use.
const CPU_ID: usize = 4;
const RSEQ_CS: usize = 8;

/// What a sequence needs to know of the magazines, by value: once an object is given back, the
/// pool may be gone (its last owned guard came home), so nothing of it may be read afterwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// The areas of all CPUs, and behind them one that only counts aborts.
    pub(super) areas: NonNull<Area>,
    /// Of the thread's `struct rseq` from the thread pointer.
    pub(super) rseq_offset: isize,
    /// How many CPUs can ever exist here.
    pub(super) cpus: u32,
}

// SAFETY: an address and two numbers; what lies there is reached as the protocol says.
unsafe impl Send for Access {}
// SAFETY: as above.
unsafe impl Sync for Access {}

/// A restartable sequence: the descriptor of the critical section (`struct rseq_cs`), the abort
/// handler, the opening that publishes the descriptor and finds this CPU's area, then the body,
/// whose last instruction must be the commit. `75f` refuses: `refuse` runs out of line.
/// Labels: 77 descriptor, 74 abort, 76 restart, 72 start, 73 after the commit, 79 end. (Labels
/// made only of 0 and 1 are rejected by rustc.)
macro_rules! sequence {
    (refuse: $refuse:literal, $($body:literal),+ $(,)?) => {
        concat!(
            ".pushsection __rseq_cs, \"aw\"\n",
            ".balign 32\n",
            "77:\n",
            // version, flags, start_ip, post_commit_offset, abort_ip
            ".long 0, 0\n",
            ".quad 72f, 73f - 72f, 74f\n",
            ".popsection\n",
            ".pushsection .text.unlikely.tailcut_rseq, \"ax\", @progbits\n",
            // The signature is dressed as the operand of an undefined instruction (ud1).
            ".byte 0x0f, 0xb9, 0x3d\n",
            ".long {signature}\n",
            "74:\n",
            // The header lies behind the last CPU's area.
            "mov {length:e}, {cpus:e}\n",
            "shl {length}, {area_shift}\n",
            "lock inc qword ptr [{areas} + {length} + {aborts}]\n",
            "jmp 76f\n",
            ".popsection\n",
            "76:\n",
            "lea {length}, [rip + 77b]\n",
            "mov qword ptr fs:[{rseq} + {rseq_cs}], {length}\n",
            "72:\n",
            "mov {area:e}, dword ptr fs:[{rseq} + {cpu_id}]\n",
            "cmp {area:e}, {cpus:e}\n",
            "jae 75f\n",
            "shl {area}, {area_shift}\n",
            "add {area}, {areas}\n",
            $($body, "\n",)+
            "73:\n",
            ".pushsection .text.unlikely.tailcut_rseq, \"ax\", @progbits\n",
            "75:\n",
            $refuse, "\n",
            "jmp 79f\n",
            ".popsection\n",
            "79:\n",
        )
    };
}

/// Runs a [`sequence!`] with the operands that all of them share, and those given, `area` among them.
macro_rules! run {
    ($access:expr, $sequence:expr, $($operands:tt)+) => {
        asm!(
            $sequence,
            length = out(reg) _,
            areas = in(reg) $access.areas.as_ptr(),
            rseq = in(reg) $access.rseq_offset,
            cpus = in(reg) $access.cpus,
            word = const offset_of!(Area, word),
            objects = const offset_of!(Area, objects),
            aborts = const offset_of!(Area, aborts),
            area_shift = const AREA_SHIFT,
            cpu_id = const CPU_ID,
            rseq_cs = const RSEQ_CS,
            signature = const SIGNATURE,
            $($operands)+
            options(nostack),
        )
    };
}

impl Access {
    /// Takes the object that this CPU was given last.
    #[inline(always)]
    pub(crate) fn pop(self) -> Option<NonNull<u8>> {
        let object: *mut u8;
        // SAFETY: the sequence follows the protocol above. It reads `cpu_id` and writes `rseq_cs`
        // of this thread's `struct rseq`, `rseq_offset` being glibc's, the same for every thread;
        // an unregistered thread fails the bounds check. `cpu < cpus` makes the area one of
        // `areas`; the length is at most `ceiling` by `push`'s check and above 0 by this one, so
        // `objects[length - 1]` is in bounds. What the sequence shares is touched by sequences
        // and, when the protocol gives it the area, by the thief through atomics. No stack is
        // used, only the declared registers change, and inputs are intact when it restarts.
        unsafe {
            run!(
                self,
                sequence!(
                    refuse: "xor {object:e}, {object:e}",
                    "mov {object:e}, dword ptr [{area} + {floor}]",
                    "mov {count}, qword ptr [{area} + {word}]",
                    "movzx {length:e}, {count:x}",
                    "cmp {length:e}, {object:e}",
                    "jbe 75f",
                    "mov {object}, qword ptr [{area} + {length}*8 + {objects} - 8]",
                    "add {count}, 0xffff",
                    "mov qword ptr [{area} + {word}], {count}",
                ),
                area = out(reg) _,
                object = out(reg) object,
                count = out(reg) _,
                floor = const offset_of!(Area, floor),
            );
        }
        NonNull::new(object)
    }

    /// Leaves an object with this CPU; `false` when its magazine is full or shut.
    #[inline(always)]
    pub(crate) fn push(self, object: NonNull<u8>) -> bool {
        // SAFETY: as in `pop`; the length is below `ceiling <= MAX_CEILING` when
        // `objects[length]` is written, and what lies at or above the length belongs to nobody.
        unsafe {
            run!(
                self,
                sequence!(
                    refuse: "jmp {refused}",
                    "mov {gate:e}, dword ptr [{area} + {ceiling}]",
                    "mov {count}, qword ptr [{area} + {word}]",
                    "movzx {length:e}, {count:x}",
                    "cmp {length:e}, {gate:e}",
                    "jae 75f",
                    "mov qword ptr [{area} + {length}*8 + {objects}], {object}",
                    "add {count}, 0x10001",
                    "mov qword ptr [{area} + {word}], {count}",
                ),
                area = out(reg) _,
                gate = out(reg) _,
                count = out(reg) _,
                object = in(reg) object.as_ptr(),
                ceiling = const offset_of!(Area, ceiling),
                // A jump, not a flag to be set and tested. (`pop` cannot do this: stable Rust has
                // no labels beside outputs yet.)
                refused = label { return false },
            );
        }
        true
    }

    /// Takes the `into.len()` objects that this CPU was given last: all of them, and says whose
    /// magazine it was, or none.
    pub(super) fn pop_batch(self, into: &mut [NonNull<u8>]) -> Option<NonNull<Area>> {
        let left: u64;
        let area: *mut Area;
        // SAFETY: as in `pop`. The copy reads `objects[length - size..length]`, in bounds by the
        // comparison with `size`, none of them null, and writes `into[..size]`, which is this
        // thread's own: writing it again after a restart does no harm. `left` is set anew by each
        // restart and is 0 at the commit. A size of 0 is refused before the copy.
        unsafe {
            run!(
                self,
                sequence!(
                    refuse: "mov {left:e}, 1",
                    "mov {left:e}, dword ptr [{area} + {floor}]",
                    "movzx {length:e}, word ptr [{area} + {word}]",
                    "cmp {length:e}, {left:e}",
                    "jbe 75f",
                    "sub {length:e}, {size:e}",
                    "jb 75f",
                    "lea {length}, [{area} + {length}*8 + {objects}]",
                    "mov {left}, {size}",
                    "test {left:e}, {left:e}",
                    "jz 75f",
                    "78:",
                    "mov {object}, qword ptr [{length} + {left}*8 - 8]",
                    "mov qword ptr [{into} + {left}*8 - 8], {object}",
                    "dec {left:e}",
                    "jnz 78b",
                    "sub qword ptr [{area} + {word}], {size}",
                ),
                area = out(reg) area,
                left = out(reg) left,
                object = out(reg) _,
                into = in(reg) into.as_mut_ptr(),
                size = in(reg) into.len(),
                floor = const offset_of!(Area, floor),
            );
        }
        if left == 0 { NonNull::new(area) } else { None }
    }

    /// Leaves all of `objects` with this CPU, and says whose magazine it is, or none of them.
    pub(super) fn push_batch(self, objects: &[NonNull<u8>]) -> Option<NonNull<Area>> {
        let left: u64;
        let area: *mut Area;
        // SAFETY: as in `push`; `length + size <= ceiling <= MAX_CEILING` by the comparison. A size
        // of 0 is refused before the copy.
        unsafe {
            run!(
                self,
                sequence!(
                    refuse: "mov {left:e}, 1",
                    "mov {left:e}, dword ptr [{area} + {ceiling}]",
                    "movzx {length:e}, word ptr [{area} + {word}]",
                    "sub {left:e}, {length:e}",
                    "jb 75f",
                    "cmp {left:e}, {size:e}",
                    "jb 75f",
                    "lea {length}, [{area} + {length}*8 + {objects}]",
                    "mov {left}, {size}",
                    "test {left:e}, {left:e}",
                    "jz 75f",
                    "78:",
                    "mov {object}, qword ptr [{from} + {left}*8 - 8]",
                    "mov qword ptr [{length} + {left}*8 - 8], {object}",
                    "dec {left:e}",
                    "jnz 78b",
                    "add qword ptr [{area} + {word}], {size}",
                ),
                area = out(reg) area,
                left = out(reg) left,
                object = out(reg) _,
                from = in(reg) objects.as_ptr(),
                size = in(reg) objects.len(),
                ceiling = const offset_of!(Area, ceiling),
            );
        }
        if left == 0 { NonNull::new(area) } else { None }
    }
}
