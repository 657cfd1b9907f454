//! Whose events count: the target's, and its children's if they are followed.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel};
use tailcut_probe_ebpf::records::{Lost, Thread};

use super::maps::{FOLLOW, PROCESSES, TARGET, TASK_PID, TASK_TGID, THREADS};
use super::recording::lose;

/// Process and thread, as the initial pid namespace numbers them.
#[derive(Clone, Copy)]
pub struct Who {
    pub process: u32,
    pub thread: u32,
}

/// The current thread, if it is traced.
#[inline(always)]
pub fn current() -> Option<Who> {
    let both = bpf_get_current_pid_tgid();
    let who = Who {
        process: (both >> 32) as u32,
        thread: both as u32,
    };
    is_traced(who.process).then_some(who)
}

/// The thread of a `task_struct`, if it is traced.
#[inline(always)]
pub fn of_task(task: *const u8) -> Option<Who> {
    let process = read_u32(task, TASK_TGID.load())?;
    if !is_traced(process) {
        return None;
    }
    let thread = read_u32(task, TASK_PID.load())?;
    Some(Who { process, thread })
}

#[inline(always)]
pub fn is_traced(process: u32) -> bool {
    process == TARGET.load() || (FOLLOW.load() != 0 && PROCESSES.get_ptr(process).is_some())
}

/// The state of `thread`, which is made if this is its first event.
#[inline(always)]
pub fn state_of(thread: u32) -> Option<*mut Thread> {
    if let Some(state) = THREADS.get_ptr_mut(thread) {
        return Some(state);
    }
    // SAFETY: a thread's state is made of integers only, for which all zeros is a value.
    let fresh: Thread = unsafe { core::mem::zeroed() };
    if THREADS.insert(thread, fresh, 0).is_err() {
        lose(Lost::Threads);
        return None;
    }
    THREADS.get_ptr_mut(thread)
}

#[inline(always)]
pub fn read_u32(base: *const u8, offset: u64) -> Option<u32> {
    // SAFETY: the helper checks the address; a wrong one is an error, not a fault.
    unsafe { bpf_probe_read_kernel(base.wrapping_add(offset as usize).cast::<u32>()) }.ok()
}

#[inline(always)]
pub fn read_u64(base: *const u8, offset: u64) -> Option<u64> {
    // SAFETY: the helper checks the address; a wrong one is an error, not a fault.
    unsafe { bpf_probe_read_kernel(base.wrapping_add(offset as usize).cast::<u64>()) }.ok()
}
