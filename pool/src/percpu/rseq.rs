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
//! 3. read `word`, which holds the length; compare with the gate; read or write `slots`;
//! 4. commit: one store of `word`.
//!
//! **Remote** ([`Magazines::steal`], from any CPU):
//! 1. take the area's `thief` flag (one thief at a time);
//! 2. shut the gate: `floor` = [`SHUT_FLOOR`], `ceiling` = 0;
//! 3. fence that CPU: `membarrier(PRIVATE_EXPEDITED_RSEQ, cpu)` restarts a sequence that runs
//!    there now. Those that start later find the gate shut. From here the thief owns the area;
//! 4. read `slots`, store `word`;
//! 5. open the gate, release `thief`.
//!
//! Step 2 of the local part must come before its step 3: a sequence that read `word` first could
//! read it before the thief's step 4 and the gate after its step 5, and would commit a stale
//! length. With the gate read first, x86's ordering of loads (and of the thief's stores) leaves
//! two cases: the gate is seen open because it was not yet shut, and then the fence restarts the
//! sequence; or because it was opened again, and then `word` is the thief's. The loom model in
//! `steal_model.rs` checks this, and finds the stale commit when the two reads are swapped.
//!
//! # Layout of `word`
//! Low 16 bits: length. High 48 bits: how many single gets and puts committed here. Both change
//! in the one committing store, so that the count is exact and costs nothing: a pop adds
//! 2^16 - 1, a push adds 2^16 + 1. (Two counters would need two stores, of which an abort between
//! them would count one twice.)
//!
//! # Rejected
//! - `cpu_id_start` without a bounds check: always in range, but an unregistered thread would
//!   then work on CPU 0's area unprotected.
//! - Reading the gate as the memory operand of the comparison, after `word`: one instruction
//!   less, and wrong (see above).
//! - A pointer per slot instead of a 32-bit number: a magazine of 64 would fill eight lines, not
//!   four, and a batch in the depot four, not two.

use core::arch::asm;
use core::mem::{offset_of, size_of};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::{Fallback, FenceRefused};
use crate::slab::SlotId;

/// The most slots that one magazine can hold.
pub(crate) const MAX_CEILING: usize = 64;

/// No length is above this floor: every taking sequence finds the gate shut.
const SHUT_FLOOR: u32 = u32::MAX;

/// One CPU's magazine. The sequences below know this layout by `offset_of!`.
#[repr(C, align(512))]
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
    slots: [AtomicU32; MAX_CEILING],
}

const AREA_SHIFT: u32 = 9;
const _: () = assert!(size_of::<Area>() == 1 << AREA_SHIFT);
/// The abort handler is preceded by this, or the kernel refuses to jump there.
const SIGNATURE: u32 = 0x5305_3053;
/// `struct rseq`: the fields that the sequences use.
const CPU_ID: usize = 4;
const RSEQ_CS: usize = 8;

const LENGTH_MASK: u64 = 0xffff;

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
/// whose last instruction must be the committing store. `75f` refuses: `refuse` runs out of line.
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
            "mov {word:e}, {cpus:e}\n",
            "shl {word}, {area_shift}\n",
            "lock inc qword ptr [{areas} + {word} + {aborts}]\n",
            "jmp 76f\n",
            ".popsection\n",
            "76:\n",
            "lea {word}, [rip + 77b]\n",
            "mov qword ptr fs:[{rseq} + {rseq_cs}], {word}\n",
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
            word = out(reg) _,
            area = out(reg) _,
            areas = in(reg) $magazines.areas.as_ptr(),
            rseq = in(reg) $magazines.rseq_offset,
            cpus = in(reg) $magazines.cpus,
            slots = const offset_of!(Area, slots),
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
                slots: std::array::from_fn(|_| AtomicU32::new(0)),
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

    /// Takes the slot that this CPU was given last.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<SlotId> {
        let slot: u32;
        // SAFETY: the sequence follows the protocol above. It reads `cpu_id` and writes `rseq_cs`
        // of this thread's `struct rseq`, `rseq_offset` being glibc's, the same for every thread;
        // an unregistered thread fails the bounds check. `cpu < cpus` makes the area one of
        // `areas`; the length is at most `ceiling` by `push`'s check and above 0 by this one, so
        // `slots[length - 1]` is in bounds. What the sequence shares is touched by sequences and,
        // when the protocol gives it the area, by the thief through atomics. No stack is used,
        // only the declared registers change, and inputs are intact when it restarts.
        unsafe {
            run!(
                self,
                sequence!(
                    refuse: "mov {slot:e}, -1",
                    "mov {slot:e}, dword ptr [{area} + {floor}]",
                    "mov {word}, qword ptr [{area}]",
                    "movzx {length:e}, {word:x}",
                    "cmp {length:e}, {slot:e}",
                    "jbe 75f",
                    "mov {slot:e}, dword ptr [{area} + {length}*4 + {slots} - 4]",
                    "add {word}, 0xffff",
                    "mov qword ptr [{area}], {word}",
                ),
                slot = out(reg) slot,
                length = out(reg) _,
                floor = const offset_of!(Area, floor),
            );
        }
        (slot != u32::MAX).then_some(SlotId(slot))
    }

    /// Leaves a slot with this CPU; `false` when its magazine is full or shut.
    #[inline(always)]
    pub(crate) fn push(&self, slot: SlotId) -> bool {
        // SAFETY: as in `pop`; the length is below `ceiling <= MAX_CEILING` when `slots[length]`
        // is written, and what lies at or above the length belongs to nobody.
        unsafe {
            run!(
                self,
                sequence!(
                    refuse: "jmp {refused}",
                    "mov {gate:e}, dword ptr [{area} + {ceiling}]",
                    "mov {word}, qword ptr [{area}]",
                    "movzx {length:e}, {word:x}",
                    "cmp {length:e}, {gate:e}",
                    "jae 75f",
                    "mov dword ptr [{area} + {length}*4 + {slots}], {slot:e}",
                    "add {word}, 0x10001",
                    "mov qword ptr [{area}], {word}",
                ),
                gate = out(reg) _,
                length = out(reg) _,
                slot = in(reg) slot.0,
                ceiling = const offset_of!(Area, ceiling),
                // A jump, not a flag to be set and tested: 0.1 ns. (`pop` cannot do this: stable
                // Rust has no labels beside outputs yet.)
                refused = label { return false },
            );
        }
        true
    }

    /// Takes the `into.len()` slots that this CPU was given last: all, or none and `false`.
    pub(crate) fn pop_batch(&self, into: &mut [SlotId]) -> bool {
        if into.is_empty() {
            return true;
        }
        let left: u64;
        // SAFETY: as in `pop`. The copy reads `slots[length - size..length]`, in bounds by the
        // comparison with `size`, and writes `into[..size]` (`SlotId` is a transparent `u32`),
        // which is this thread's own: writing it again after a restart does no harm. `left` is
        // set anew by each restart and is 0 at the commit.
        unsafe {
            run!(
                self,
                sequence!(
                    refuse: "mov {left:e}, 1",
                    "mov {left:e}, dword ptr [{area} + {floor}]",
                    "mov {word}, qword ptr [{area}]",
                    "movzx {batch:e}, {word:x}",
                    "cmp {batch:e}, {left:e}",
                    "jbe 75f",
                    "sub {batch:e}, {size:e}",
                    "jb 75f",
                    "lea {batch}, [{area} + {batch}*4 + {slots}]",
                    "mov {left:e}, {size:e}",
                    "78:",
                    "mov {slot:e}, dword ptr [{batch} + {left}*4 - 4]",
                    "mov dword ptr [{into} + {left}*4 - 4], {slot:e}",
                    "dec {left:e}",
                    "jnz 78b",
                    "sub {word}, {size}",
                    "mov qword ptr [{area}], {word}",
                ),
                left = out(reg) left,
                batch = out(reg) _,
                slot = out(reg) _,
                into = in(reg) into.as_mut_ptr(),
                size = in(reg) into.len(),
                floor = const offset_of!(Area, floor),
            );
        }
        left == 0
    }

    /// Leaves all of `slots` with this CPU, or none and `false`.
    pub(crate) fn push_batch(&self, slots: &[SlotId]) -> bool {
        if slots.is_empty() {
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
                    "mov {word}, qword ptr [{area}]",
                    "movzx {batch:e}, {word:x}",
                    "sub {left:e}, {batch:e}",
                    "jb 75f",
                    "cmp {left:e}, {size:e}",
                    "jb 75f",
                    "lea {batch}, [{area} + {batch}*4 + {slots}]",
                    "mov {left:e}, {size:e}",
                    "78:",
                    "mov {slot:e}, dword ptr [{from} + {left}*4 - 4]",
                    "mov dword ptr [{batch} + {left}*4 - 4], {slot:e}",
                    "dec {left:e}",
                    "jnz 78b",
                    "add {word}, {size}",
                    "mov qword ptr [{area}], {word}",
                ),
                left = out(reg) left,
                batch = out(reg) _,
                slot = out(reg) _,
                from = in(reg) slots.as_ptr(),
                size = in(reg) slots.len(),
                ceiling = const offset_of!(Area, ceiling),
            );
        }
        left == 0
    }

    /// Takes up to half of some CPU's slots (at least one, at most `into.len()`), the ones given
    /// last; returns how many, 0 when every magazine that it could reach was empty.
    ///
    /// Cost: about 0.5 us for the fence, and that CPU's gets and puts take the slow path for as
    /// long.
    ///
    /// # Errors
    /// The kernel refuses the fence (a sandbox forbade it after the pool was made): what lies in
    /// other cores' magazines is out of reach.
    pub(crate) fn steal(&self, into: &mut [SlotId]) -> Result<usize, FenceRefused> {
        let here = registration::current_cpu(self.rseq_offset);
        let start = if here < self.cpus { here + 1 } else { 0 };
        for offset in 0..self.cpus {
            let cpu = (start + offset) % self.cpus;
            let area = &self.areas[cpu as usize];
            if area.word.load(Ordering::Relaxed) & LENGTH_MASK == 0
                || area.thief.swap(true, Ordering::Acquire)
            {
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
        into: &mut [SlotId],
    ) -> Result<usize, FenceRefused> {
        area.floor.store(SHUT_FLOOR, Ordering::Relaxed);
        area.ceiling.store(0, Ordering::Relaxed);
        let fenced = fence::restart_sequences_on(cpu);
        let taken = fenced.map(|()| {
            let word = area.word.load(Ordering::Acquire);
            let length = (word & LENGTH_MASK) as usize;
            let taken = length.div_ceil(2).min(into.len());
            for (slot, cell) in into.iter_mut().zip(&area.slots[length - taken..length]) {
                *slot = SlotId(cell.load(Ordering::Relaxed));
            }
            area.word.store(word - taken as u64, Ordering::Release);
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

    /// How many slots lie here, and a number that differs after any single get or put: two equal
    /// readings with nothing in transit between them show the magazines at one moment.
    pub(crate) fn census(&self) -> (usize, u64) {
        self.cpu_areas()
            .iter()
            .fold((0, 0), |(slots, changes), area| {
                let word = area.word.load(Ordering::Acquire);
                (
                    slots + (word & LENGTH_MASK) as usize,
                    changes + (word >> 16),
                )
            })
    }

    /// How often a sequence was restarted by the kernel.
    pub(crate) fn aborts(&self) -> u64 {
        let header = &self.areas[self.cpus as usize];
        header.aborts.load(Ordering::Relaxed)
    }
}

/// How glibc registered this process's threads, and which CPUs there can be.
mod registration {
    use core::arch::asm;

    /// Where each thread's `struct rseq` lies from its thread pointer, if glibc registers any.
    pub(super) fn rseq_offset() -> Option<isize> {
        // SAFETY: a null-terminated name, and a lookup that touches nothing.
        let (offset, size) = unsafe {
            (
                libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>(),
                libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>(),
            )
        };
        if offset.is_null() || size.is_null() {
            return None;
        }
        // SAFETY: glibc's `extern const ptrdiff_t __rseq_offset` and `unsigned int __rseq_size`
        // (<sys/rseq.h>), written before main. Size 0 says that registration failed.
        unsafe { (*size != 0).then(|| *offset) }
    }

    /// The CPU this thread runs on, or a huge number if the thread is not registered.
    #[inline]
    pub(super) fn current_cpu(rseq_offset: isize) -> u32 {
        let cpu: u32;
        // SAFETY: reads one field of this thread's `struct rseq`.
        unsafe {
            asm!("mov {cpu:e}, dword ptr fs:[{rseq} + 4]", cpu = out(reg) cpu, rseq = in(reg) rseq_offset,
                options(nostack, readonly, preserves_flags));
        }
        cpu
    }

    /// One more than the highest CPU number that can ever run here: the kernel's possible CPUs,
    /// not those online or allowed now, so that hotplug and affinity changes need no care.
    pub(super) fn possible_cpus() -> u32 {
        let listed = std::fs::read_to_string("/sys/devices/system/cpu/possible").ok();
        let highest = listed.as_deref().and_then(|list| {
            list.trim()
                .split(',')
                .filter_map(|range| range.rsplit('-').next()?.parse::<u32>().ok())
                .max()
        });
        match highest {
            Some(highest) => highest + 1,
            // SAFETY: no memory is involved.
            None => unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) }.clamp(1, 8192) as u32,
        }
    }
}

/// `membarrier(2)` for restartable sequences.
mod fence {
    use std::io;

    const PRIVATE_EXPEDITED_RSEQ: libc::c_int = 1 << 7;
    const REGISTER_PRIVATE_EXPEDITED_RSEQ: libc::c_int = 1 << 8;
    const FLAG_CPU: libc::c_uint = 1;

    fn membarrier(command: libc::c_int, flags: libc::c_uint, cpu: u32) -> io::Result<()> {
        // SAFETY: the call takes three integers and touches no memory of ours.
        match unsafe { libc::syscall(libc::SYS_membarrier, command, flags, cpu as libc::c_int) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Announces that this process will fence; needed once, allowed again.
    pub(super) fn register() -> io::Result<()> {
        membarrier(REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0)
    }

    /// Restarts every sequence that a thread of this process runs now.
    pub(super) fn restart_all_sequences() -> io::Result<()> {
        membarrier(PRIVATE_EXPEDITED_RSEQ, 0, 0)
    }

    /// Restarts the sequence, if any, that a thread of this process runs on `cpu` now.
    pub(super) fn restart_sequences_on(cpu: u32) -> io::Result<()> {
        membarrier(PRIVATE_EXPEDITED_RSEQ, FLAG_CPU, cpu)
    }
}
