//! Waits inside the kernel's memory management: locks, compaction, direct reclaim, TLB flushes.
//!
//! All are rare: the hooks stand on slow paths of the kernel, except `tlb_flush`, which every switch
//! between processes hits.

use aya_ebpf::helpers::bpf_get_current_task;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tailcut_probe_ebpf::records::VALID_KERNEL;
use tailcut_probe_ebpf::series::Fixed;

use super::maps::{MM_LOCK, TASK_MM, THREADS};
use super::recording::{NOBODY, Span, count, is_valid, now, record};
use super::scheduler::system_call_of;
use super::target::{current, read_u64, state_of};

/// A wait for a lock that is this old has ended unseen.
const FORGOTTEN_NS: u64 = 10_000_000_000;

/// `contention_begin(lock, flags)`: a lock of the kernel is not free.
#[raw_tracepoint(tracepoint = "contention_begin")]
pub fn contention_begin(ctx: RawTracePointContext) -> i32 {
    if let Some(who) = current()
        && let Some(state) = state_of(who.thread)
    {
        // SAFETY: a map's value, valid while the program runs, of the current thread.
        unsafe {
            // A lock that is waited for within the wait for another (its own spin lock, one of the
            // run queue's) belongs to that wait. One that never ended was not seen to.
            let outer = (*state).lock_ns;
            if is_valid(outer, VALID_KERNEL) && now().saturating_sub(outer) < FORGOTTEN_NS {
                return 0;
            }
            (*state).lock = ctx.arg(0);
            (*state).lock_ns = now();
        }
    }
    0
}

/// `contention_end(lock, result)`.
#[raw_tracepoint(tracepoint = "contention_end")]
pub fn contention_end(ctx: RawTracePointContext) -> i32 {
    let Some(who) = current() else { return 0 };
    let Some(state) = THREADS.get_ptr_mut(who.thread) else {
        return 0;
    };
    let lock: u64 = ctx.arg(0);
    // SAFETY: a map's value, valid while the program runs, of the current thread.
    let (begun, start_ns) = unsafe { ((*state).lock, (*state).lock_ns) };
    if !is_valid(start_ns, VALID_KERNEL) || begun != lock {
        return 0;
    }
    // SAFETY: as above.
    unsafe { (*state).lock_ns = 0 };
    let series = if lock == lock_of_memory_map() {
        Fixed::MmapLock
    } else {
        Fixed::KernelLock
    };
    let mut span = Span::new(series as u32, who, start_ns, now());
    span.detail = lock;
    let id = record(&span, 0, &NOBODY);
    // SAFETY: the helper has no conditions.
    let task = unsafe { bpf_get_current_task() };
    // As after a wait in the scheduler: not within a page fault.
    if id != 0 && system_call_of(task as *const u8) >= 0 {
        // SAFETY: as above.
        unsafe { (*state).stack_wanted = id };
    }
    0
}

/// Address of the current process's `mmap_lock`, or 0.
#[inline(always)]
fn lock_of_memory_map() -> u64 {
    // SAFETY: the helper has no conditions.
    let task = unsafe { bpf_get_current_task() };
    match read_u64(task as *const u8, TASK_MM.load()) {
        Some(mm) if mm != 0 && MM_LOCK.load() != 0 => mm + MM_LOCK.load(),
        _ => 0,
    }
}

/// `tlb_flush(reason, pages)`.
#[raw_tracepoint(tracepoint = "tlb_flush")]
pub fn tlb_flush(ctx: RawTracePointContext) -> i32 {
    /// Flushed since another process runs: no shoot-down.
    const ON_TASK_SWITCH: u64 = 0;
    let reason: u64 = ctx.arg(0);
    if reason & 0xffff_ffff != ON_TASK_SWITCH && current().is_some() {
        let pages: u64 = ctx.arg(1);
        count(Fixed::TlbFlush as u32, pages, 0);
    }
    0
}

/// `mm_compaction_begin(...)`.
#[raw_tracepoint(tracepoint = "mm_compaction_begin")]
pub fn compaction_begin(_ctx: RawTracePointContext) -> i32 {
    if let Some(who) = current()
        && let Some(state) = state_of(who.thread)
    {
        // SAFETY: a map's value, valid while the program runs, of the current thread.
        unsafe { (*state).compaction_ns = now() };
    }
    0
}

/// `mm_compaction_end(...)`.
#[raw_tracepoint(tracepoint = "mm_compaction_end")]
pub fn compaction_end(_ctx: RawTracePointContext) -> i32 {
    if let Some(who) = current()
        && let Some(state) = THREADS.get_ptr_mut(who.thread)
    {
        // SAFETY: as in `compaction_begin`.
        let start_ns = unsafe { core::mem::take(&mut (*state).compaction_ns) };
        if is_valid(start_ns, VALID_KERNEL) {
            record(
                &Span::new(Fixed::Compaction as u32, who, start_ns, now()),
                0,
                &NOBODY,
            );
        }
    }
    0
}

/// `mm_vmscan_direct_reclaim_begin(...)`.
#[raw_tracepoint(tracepoint = "mm_vmscan_direct_reclaim_begin")]
pub fn reclaim_begin(_ctx: RawTracePointContext) -> i32 {
    if let Some(who) = current()
        && let Some(state) = state_of(who.thread)
    {
        // SAFETY: as in `compaction_begin`.
        unsafe { (*state).reclaim_ns = now() };
    }
    0
}

/// `mm_vmscan_direct_reclaim_end(...)`.
#[raw_tracepoint(tracepoint = "mm_vmscan_direct_reclaim_end")]
pub fn reclaim_end(_ctx: RawTracePointContext) -> i32 {
    if let Some(who) = current()
        && let Some(state) = THREADS.get_ptr_mut(who.thread)
    {
        // SAFETY: as in `compaction_begin`.
        let start_ns = unsafe { core::mem::take(&mut (*state).reclaim_ns) };
        if is_valid(start_ns, VALID_KERNEL) {
            record(
                &Span::new(Fixed::Reclaim as u32, who, start_ns, now()),
                0,
                &NOBODY,
            );
        }
    }
    0
}
