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
//! `struct rseq` lies from the thread pointer. A thread that is not registered all the same (one
//! made without the C library, say) shows a `cpu_id` that fails the bounds check of each sequence,
//! and takes the slow path, which never assumes a magazine.
//!
//! # Protocol between local and remote operations
//!
//! **Local** (`pop`, `push` and their batch forms, in [`sequence`]), all inside one sequence:
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
mod sequence;

use core::mem::size_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

pub(crate) use self::sequence::Access;
use super::{Fallback, FenceRefused, MagazineCounts};

/// The most objects that one magazine can hold.
pub(crate) const MAX_CEILING: usize = 64;

/// No length is above this floor: every taking sequence finds the gate shut.
const SHUT_FLOOR: u32 = u32::MAX;

/// One CPU's magazine. The sequences know this layout by `offset_of!`.
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
    /// How many objects came by batches, and how many went by batches or thieves: with these, the
    /// count and the length tell gets from puts.
    batched_in: AtomicU64,
    batched_out: AtomicU64,
}

const AREA_SHIFT: u32 = 10;
const _: () = assert!(size_of::<Area>() == 1 << AREA_SHIFT);

const LENGTH_BITS: u32 = 16;
const LENGTH_MASK: u64 = (1 << LENGTH_BITS) - 1;

/// The magazines of all CPUs.
pub(crate) struct Magazines {
    /// Points to `cpus + 1` areas, which these magazines own; the last one is a header that only
    /// counts aborts.
    access: Access,
    ceiling: u32,
    /// What an open gate's ceiling is now: `ceiling`, or 0 while somebody waits for a slot.
    open_ceiling: AtomicU32,
}

impl std::fmt::Debug for Magazines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Magazines")
            .field("cpus", &self.access.cpus)
            .field("ceiling", &self.ceiling)
            .finish_non_exhaustive()
    }
}

impl Area {
    fn new(ceiling: u32) -> Self {
        Area {
            word: AtomicU64::new(0),
            floor: AtomicU32::new(0),
            ceiling: AtomicU32::new(ceiling),
            aborts: AtomicU64::new(0),
            thief: AtomicBool::new(false),
            objects: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            batched_in: AtomicU64::new(0),
            batched_out: AtomicU64::new(0),
        }
    }

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
        let areas: Box<[Area]> = (0..=cpus).map(|_| Area::new(ceiling)).collect();
        Ok(Magazines {
            access: Access {
                areas: NonNull::from(Box::leak(areas)).cast(),
                rseq_offset,
                cpus,
            },
            ceiling,
            open_ceiling: AtomicU32::new(ceiling),
        })
    }

    /// Announces to the kernel once more that this process fences. (Linux has a child inherit that,
    /// and its one thread's registration for sequences, but no manual promises it.)
    #[cfg(not(shuttle))]
    pub(crate) fn announce() {
        // If the kernel refuses, so will it refuse the fences: a limit that the crate's front page
        // names.
        let _ = fence::register();
    }

    /// What get and put need.
    #[inline(always)]
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// How many CPUs can ever exist here.
    pub(crate) fn cpus(&self) -> usize {
        self.access.cpus as usize
    }

    /// The CPU that this thread runs on, if the thread is registered.
    pub(crate) fn here(&self) -> Option<usize> {
        let cpu = registration::current_cpu(self.access.rseq_offset);
        (cpu < self.access.cpus).then_some(cpu as usize)
    }

    /// The areas of the CPUs and, last, the header.
    fn areas(&self) -> &[Area] {
        // SAFETY: made in `new` with `cpus + 1` areas, freed in `drop` only.
        unsafe { std::slice::from_raw_parts(self.access.areas.as_ptr(), self.cpus() + 1) }
    }

    fn cpu_areas(&self) -> &[Area] {
        &self.areas()[..self.cpus()]
    }

    /// Takes the `into.len()` objects (at least one) that this CPU was given last: all or none.
    pub(crate) fn pop_batch(&self, into: &mut [NonNull<u8>]) -> bool {
        let Some(area) = self.access.pop_batch(into) else {
            return false;
        };
        // SAFETY: an area of these magazines.
        let area = unsafe { area.as_ref() };
        area.batched_out
            .fetch_add(into.len() as u64, Ordering::Relaxed);
        true
    }

    /// Leaves all of `objects` (at least one) with this CPU, or none and `false`.
    pub(crate) fn push_batch(&self, objects: &[NonNull<u8>]) -> bool {
        let Some(area) = self.access.push_batch(objects) else {
            return false;
        };
        // SAFETY: an area of these magazines.
        let area = unsafe { area.as_ref() };
        area.batched_in
            .fetch_add(objects.len() as u64, Ordering::Relaxed);
        true
    }

    /// Takes up to half of some CPU's objects (at least one, at most `into.len()`), the ones given
    /// last; returns how many and whose, or `None` when every magazine that it could reach was
    /// empty.
    ///
    /// Cost: about 0.5 us for the fence, and that CPU's gets and puts take the slow path for as
    /// long.
    ///
    /// # Errors
    /// The kernel refuses the fence (a sandbox forbade it after the pool was made): what lies in
    /// other cores' magazines is out of reach.
    pub(crate) fn steal(
        &self,
        into: &mut [NonNull<u8>],
    ) -> Result<Option<(usize, usize)>, FenceRefused> {
        let start = self.here().map_or(0, |cpu| cpu + 1);
        for offset in 0..self.cpus() {
            let cpu = (start + offset) % self.cpus();
            let area = &self.cpu_areas()[cpu];
            if area.word().0 == 0 || area.thief.swap(true, Ordering::Acquire) {
                continue;
            }
            let taken = self.steal_from(cpu as u32, area, into);
            area.thief.store(false, Ordering::Release);
            match taken? {
                0 => {}
                taken => return Ok(Some((taken, cpu))),
            }
        }
        Ok(None)
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
            area.batched_out.fetch_add(taken as u64, Ordering::Relaxed);
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
    /// The caller sees to it that only one thread does this at a time.
    ///
    /// # Errors
    /// The kernel refuses the fence: the magazines are shut, but a push that was under way may
    /// commit after the return.
    pub(crate) fn shut_for_giving(&self, shut: bool) -> Result<(), FenceRefused> {
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
            fence::restart_all_sequences().map_err(|_| FenceRefused)?;
        }
        Ok(())
    }

    /// After a fork, in the child: no sequence and no thief is at work anywhere, and the magazines
    /// are open unless the pool is closed. (A sequence that was cut off has committed or not; a thief
    /// that was has taken its objects or not.)
    #[cfg(not(shuttle))]
    pub(crate) fn nobody_is_at_work(&self, closed: bool) {
        let ceiling = if closed { 0 } else { self.ceiling };
        self.open_ceiling.store(ceiling, Ordering::Relaxed);
        for area in self.cpu_areas() {
            // Written only if need be: each page that is written is copied then.
            if area.thief.load(Ordering::Relaxed) {
                area.thief.store(false, Ordering::Relaxed);
            }
            if area.floor.load(Ordering::Relaxed) != 0 {
                area.floor.store(0, Ordering::Relaxed);
            }
            if area.ceiling.load(Ordering::Relaxed) != ceiling {
                area.ceiling.store(ceiling, Ordering::Relaxed);
            }
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
        self.areas()[self.cpus()].aborts.load(Ordering::Relaxed)
    }

    /// What one CPU's magazine holds, and how many single gets and puts it has served. Exact while
    /// nobody uses the magazine; otherwise a batch on its way may be missing on one side.
    pub(crate) fn counts(&self, cpu: usize) -> MagazineCounts {
        let area = &self.cpu_areas()[cpu];
        let came = area.batched_in.load(Ordering::Relaxed);
        let went = area.batched_out.load(Ordering::Relaxed);
        let (length, count) = area.word();
        MagazineCounts::derived(length, count, came, went)
    }
}

impl Drop for Magazines {
    fn drop(&mut self) {
        let areas = std::ptr::slice_from_raw_parts_mut(self.access.areas.as_ptr(), self.cpus() + 1);
        // SAFETY: leaked from such a box in `new`; nobody uses the pool any more.
        drop(unsafe { Box::from_raw(areas) });
    }
}
