//! Magazines by restartable sequences: get and put without any atomic instruction.
//!
//! Each CPU owns an [`Area`]: a stack of slot numbers, its length, and a gate. The running thread
//! works on the area of the CPU it runs on, by a **restartable sequence**: a few instructions
//! that end in one committing store. If the kernel preempts, migrates or signals the thread
//! before the commit, it sends it back to the start (`rseq(2)`; Paul Turner's and Mathieu
//! Desnoyers' work, as in tcmalloc's `docs/rseq.md`). So nobody else runs on this CPU's area
//! between the first read and the commit, and no lock prefix is needed.
//!
//! glibc 2.35 and newer registers every thread; `__rseq_offset` tells where the thread's
//! `struct rseq` lies from the thread pointer. A thread that is not registered all the same (a
//! sandbox that forbids the call from some moment on) shows a `cpu_id` that fails the bounds
//! check of each sequence, and takes the slow path, which never assumes a magazine.
//!
//! # Protocol between local and remote operations
//!
//! **Local** (`pop`, `push`, `pop_batch`, `push_batch`), all inside one sequence:
//! 1. read `cpu_id`, check it, find the area;
//! 2. read the gate (`floor` for taking, `ceiling` for giving);
//! 3. read `word`, which holds the length; compare with the gate; read or write `objects`;
//! 4. commit: one instruction that stores to `word`.
//!
//! **Remote** ([`Magazines::steal`], from any CPU):
//! 1. take the area's `thief` flag (one thief at a time);
//! 2. shut the gate: `floor` = [`SHUT_FLOOR`], `ceiling` = 0;
//! 3. fence that CPU: `membarrier(PRIVATE_EXPEDITED_RSEQ, cpu)` restarts a sequence that runs
//!    there now. Those that start later find the gate shut. From here the thief owns the area;
//! 4. read `objects`, store `word`;
//! 5. open the gate, release `thief`.
//!
//! Step 2 of the local part must come before its step 3: a sequence that read `word` first could
//! read it before the thief's step 4 and the gate after its step 5, and would commit a stale
//! length. With the gate read first, x86's ordering of loads (and of the thief's stores) leaves
//! two cases: the gate is seen open because it was not yet shut, and then the fence restarts the
//! sequence; or because it was opened again, and then `word` is the thief's. The loom model in
//! `steal_model.rs` checks this, and finds an object taken twice when the two reads are swapped.
//!
//! # Layout of `word`
//! Low 16 bits: length. High 48 bits: how many single gets and puts were committed here. Both
//! change in the one committing store, so that the count is exact and costs nothing: a pop adds
//! 2^16 - 1, a push adds 2^16 + 1. The count is a statistic and a version: the same sum of counts
//! twice shows that no single get or put came between.
//!
//! # Rejected, with a get and put of 256 bytes on the machine of `BENCHMARKS.md`
//! - This form: 2.15 ns (jemalloc in the same loop: 3.72).
//! - 32-bit slot numbers instead of addresses, half the lines: 2.5 ns, because each get and put
//!   converts, on the path from one to the next. The depot keeps numbers: there, a batch's lines
//!   cross from core to core.
//! - Two counts, `given` and `taken`, one for each direction, so that one operation need not wait
//!   for the store of the one before: 2.8 ns, whether committed by a store or by an increment.
//! - A flag set by the sequence and tested after it, where `push` now jumps: 0.1 ns more.
//! - `cpu_id_start` without a bounds check: always in range, but an unregistered thread would
//!   then work on CPU 0's area unprotected.
//! - Reading the gate as the memory operand of the comparison, after `word`: one instruction
//!   less, and wrong (see above).

mod fence;
mod registration;

use core::arch::asm;
use core::mem::{offset_of, size_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use super::{Fallback, FenceRefused};

/// The most objects that one magazine can hold.
pub(crate) const MAX_CEILING: usize = 64;

/// No length is above this floor: every taking sequence finds the gate shut.
const SHUT_FLOOR: u32 = u32::MAX;

/// One CPU's magazine. The sequences below know this layout by `offset_of!`.
#[repr(C, align(1024))]
struct Area {
    /// Length and count: see the module's head.
    word: AtomicU64,
    /// Taking is allowed while the length is above this: 0, or [`SHUT_FLOOR`].
    floor: AtomicU32,
    /// Giving is allowed while the length is below this: the ceiling, or 0 when shut.
    ceiling: AtomicU32,
    /// Restarts counted by the abort handler (in the header area only; slow, so it may be atomic).
    aborts: AtomicU64,
    /// Whether a thief is at work here.
    thief: AtomicBool,
    /// The objects that lie here: `objects[..length]`, the one given last on top.
    objects: [AtomicPtr<u8>; MAX_CEILING],
}

const AREA_SHIFT: u32 = 10;
const _: () = assert!(size_of::<Area>() == 1 << AREA_SHIFT);
/// The abort handler is preceded by this, or the kernel refuses to jump there.
const SIGNATURE: u32 = 0x5305_3053;
/// `struct rseq`: the fields that the sequences use.
const CPU_ID: usize = 4;
const RSEQ_CS: usize = 8;

const LENGTH_BITS: u32 = 16;
const LENGTH_MASK: u64 = (1 << LENGTH_BITS) - 1;

/// The magazines of all CPUs.
pub(crate) struct Magazines {
    /// Of the thread's `struct rseq` from the thread pointer.
    rseq_offset: isize,
    /// `areas[..cpus]`, by CPU; the last one is a header that only counts aborts.
    areas: Box<[Area]>,
    /// How many CPUs can ever exist here.
    cpus: u32,
    ceiling: u32,
    /// What an open gate's ceiling is now: `ceiling`, or 0 while somebody waits for a slot.
    open_ceiling: AtomicU32,
}

impl std::fmt::Debug for Magazines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Magazines")
            .field("cpus", &self.cpus)
            .field("ceiling", &self.ceiling)
            .finish_non_exhaustive()
    }
}

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

/// Runs a [`sequence!`] with the operands that all of them share, and those given.
macro_rules! run {
    ($magazines:expr, $sequence:expr, $($operands:tt)+) => {
        asm!(
            $sequence,
            length = out(reg) _,
            area = out(reg) _,
            areas = in(reg) $magazines.areas.as_ptr(),
            rseq = in(reg) $magazines.rseq_offset,
            cpus = in(reg) $magazines.cpus,
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

impl Area {
    /// Length and count.
    fn word(&self) -> (usize, u64) {
        let word = self.word.load(Ordering::Acquire);
        ((word & LENGTH_MASK) as usize, word >> LENGTH_BITS)
    }
}

impl Magazines {
    /// Magazines of at most `ceiling` slots each (clamped to 1..=[`MAX_CEILING`]), all empty.
    pub(crate) fn new(ceiling: usize) -> Result<Self, Fallback> {
        let rseq_offset = registration::rseq_offset().ok_or(Fallback::NotRegistered)?;
        let cpus = registration::possible_cpus();
        if registration::current_cpu(rseq_offset) >= cpus {
            return Err(Fallback::NotRegistered);
        }
        fence::register().map_err(|_| Fallback::NoFence)?;
        let ceiling = ceiling.clamp(1, MAX_CEILING) as u32;
        let areas = (0..=cpus)
            .map(|_| Area {
                word: AtomicU64::new(0),
                floor: AtomicU32::new(0),
                ceiling: AtomicU32::new(ceiling),
                aborts: AtomicU64::new(0),
                thief: AtomicBool::new(false),
                objects: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            })
            .collect();
        Ok(Magazines {
            rseq_offset,
            areas,
            cpus,
            ceiling,
            open_ceiling: AtomicU32::new(ceiling),
        })
    }

    fn cpu_areas(&self) -> &[Area] {
        &self.areas[..self.cpus as usize]
    }

    /// Takes the object that this CPU was given last.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<NonNull<u8>> {
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
                object = out(reg) object,
                count = out(reg) _,
                floor = const offset_of!(Area, floor),
            );
        }
        NonNull::new(object)
    }

    /// Leaves an object with this CPU; `false` when its magazine is full or shut.
    #[inline(always)]
    pub(crate) fn push(&self, object: NonNull<u8>) -> bool {
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

    /// Takes the `into.len()` objects that this CPU was given last: all, or none and `false`.
    pub(crate) fn pop_batch(&self, into: &mut [NonNull<u8>]) -> bool {
        if into.is_empty() {
            return true;
        }
        let left: u64;
        // SAFETY: as in `pop`. The copy reads `objects[length - size..length]`, in bounds by the
        // comparison with `size`, none of them null, and writes `into[..size]`, which is this
        // thread's own: writing it again after a restart does no harm. `left` is set anew by each
        // restart and is 0 at the commit.
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
                    "mov {left:e}, {size:e}",
                    "78:",
                    "mov {object}, qword ptr [{length} + {left}*8 - 8]",
                    "mov qword ptr [{into} + {left}*8 - 8], {object}",
                    "dec {left:e}",
                    "jnz 78b",
                    "sub qword ptr [{area} + {word}], {size}",
                ),
                left = out(reg) left,
                object = out(reg) _,
                into = in(reg) into.as_mut_ptr(),
                size = in(reg) into.len(),
                floor = const offset_of!(Area, floor),
            );
        }
        left == 0
    }

    /// Leaves all of `objects` with this CPU, or none and `false`.
    pub(crate) fn push_batch(&self, objects: &[NonNull<u8>]) -> bool {
        if objects.is_empty() {
            return true;
        }
        let left: u64;
        // SAFETY: as in `push`; `length + size <= ceiling <= MAX_CEILING` by the comparison.
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
                    "mov {left:e}, {size:e}",
                    "78:",
                    "mov {object}, qword ptr [{from} + {left}*8 - 8]",
                    "mov qword ptr [{length} + {left}*8 - 8], {object}",
                    "dec {left:e}",
                    "jnz 78b",
                    "add qword ptr [{area} + {word}], {size}",
                ),
                left = out(reg) left,
                object = out(reg) _,
                from = in(reg) objects.as_ptr(),
                size = in(reg) objects.len(),
                ceiling = const offset_of!(Area, ceiling),
            );
        }
        left == 0
    }

    /// Takes up to half of some CPU's objects (at least one, at most `into.len()`), the ones given
    /// last; returns how many, 0 when every magazine that it could reach was empty.
    ///
    /// Cost: about 0.5 us for the fence, and that CPU's gets and puts take the slow path for as
    /// long.
    ///
    /// # Errors
    /// The kernel refuses the fence (a sandbox forbade it after the pool was made): what lies in
    /// other cores' magazines is out of reach.
    pub(crate) fn steal(&self, into: &mut [NonNull<u8>]) -> Result<usize, FenceRefused> {
        let here = registration::current_cpu(self.rseq_offset);
        let start = if here < self.cpus { here + 1 } else { 0 };
        for offset in 0..self.cpus {
            let cpu = (start + offset) % self.cpus;
            let area = &self.areas[cpu as usize];
            if area.word().0 == 0 || area.thief.swap(true, Ordering::Acquire) {
                continue;
            }
            let taken = self.steal_from(cpu, area, into);
            area.thief.store(false, Ordering::Release);
            match taken {
                Ok(0) => {}
                found => return found,
            }
        }
        Ok(0)
    }

    /// Steps 2 to 5 of the remote part; the caller holds the area's `thief` flag.
    fn steal_from(
        &self,
        cpu: u32,
        area: &Area,
        into: &mut [NonNull<u8>],
    ) -> Result<usize, FenceRefused> {
        area.floor.store(SHUT_FLOOR, Ordering::Relaxed);
        area.ceiling.store(0, Ordering::Relaxed);
        let fenced = fence::restart_sequences_on(cpu);
        let taken = fenced.map(|()| {
            let (length, _) = area.word();
            let taken = length.div_ceil(2).min(into.len());
            for (place, object) in into.iter_mut().zip(&area.objects[length - taken..length]) {
                if let Some(object) = NonNull::new(object.load(Ordering::Relaxed)) {
                    *place = object;
                }
            }
            // Nobody else stores to the word now: the length alone changes.
            area.word.fetch_sub(taken as u64, Ordering::Release);
            taken
        });
        // Release: a sequence that sees the gate open sees the word, too.
        area.ceiling
            .store(self.open_ceiling.load(Ordering::Relaxed), Ordering::Release);
        area.floor.store(0, Ordering::Release);
        taken.map_err(|_| FenceRefused)
    }

    /// Shuts every magazine for giving, or opens it again. When it returns from shutting, every
    /// push that was under way has committed, and every later one is refused.
    ///
    /// The caller sees to it that only one thread does this at a time. If the kernel refuses the
    /// fence, a push under way may commit after the return.
    pub(crate) fn shut_for_giving(&self, shut: bool) {
        let ceiling = if shut { 0 } else { self.ceiling };
        self.open_ceiling.store(ceiling, Ordering::Relaxed);
        for area in self.cpu_areas() {
            // The area's gate is the thief's while there is one; the next one reads the above.
            let mut attempt = 0;
            while area.thief.swap(true, Ordering::Acquire) {
                crate::sync::relax(&mut attempt);
            }
            area.ceiling.store(ceiling, Ordering::Relaxed);
            area.thief.store(false, Ordering::Release);
        }
        if shut {
            let _ = fence::restart_all_sequences();
        }
    }

    /// Whether any object lies here, and a number that differs after any single get or put: two
    /// equal readings that find nothing, with no batch on its way between them, show that the
    /// magazines were all empty at one moment.
    pub(crate) fn census(&self) -> (bool, u64) {
        let areas = self.cpu_areas().iter().map(Area::word);
        areas.fold((false, 0_u64), |(any, changes), (length, count)| {
            (any || length > 0, changes.wrapping_add(count))
        })
    }

    /// How often a sequence was restarted by the kernel.
    pub(crate) fn aborts(&self) -> u64 {
        let header = &self.areas[self.cpus as usize];
        header.aborts.load(Ordering::Relaxed)
    }
}
