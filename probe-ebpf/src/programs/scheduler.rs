//! Off-CPU time, by its reason: blocked, preempted, stopped, waiting for work; and the time from
//! being runnable to running.
//!
//! A thread's user registers lie at the end of its kernel stack, and with them the number of the
//! system call that it is in: so the reason of a wait is known without tracing system calls.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tailcut_probe_ebpf::records::{
    NEVER_RAN, SYSTEM_CALLS, Thread, VALID_SCHEDULER, WAITS_FOR_FUTEX, WAITS_FOR_INPUT,
    WAITS_FOR_WORK,
};
use tailcut_probe_ebpf::series::Fixed;

use super::maps::{
    CALLS, LONG_RUNNING_NS, STACK_REGISTERS, TASK_COMM, TASK_PID, TASK_STACK, TASK_STATE, THREADS,
};
use super::recording::{NOBODY, Span, is_valid, now, record};
use super::target::{Who, current, of_task, read_u32, read_u64, state_of};

/// States of a task, from the kernel's `include/linux/sched.h`.
const INTERRUPTIBLE: u32 = 1;
/// Another CPU wakes it up already; what it was before is not known any more.
const WAKING: u32 = 0x200;
const STOPPED_OR_TRACED: u32 = 4 | 8;
/// It never runs again.
const DEAD: u32 = 0x80;

/// The call that goes on with one that a signal interrupted: its wait has that one's reason.
const RESTART_SYSCALL: i32 = 219;

/// `sched_switch(preempt, previous task, next task, ...)`; the previous task is current.
#[raw_tracepoint(tracepoint = "sched_switch")]
pub fn sched_switch(ctx: RawTracePointContext) -> i32 {
    let next: *const u8 = ctx.arg(2);
    if let Some(who) = current() {
        let preempted: u64 = ctx.arg(0);
        let previous: *const u8 = ctx.arg(1);
        switched_out(who, previous, next, preempted & 0xff != 0);
    }
    if let Some(who) = of_task(next) {
        switched_in(who);
    }
    let _ = ctx.as_ptr();
    0
}

#[inline(always)]
fn switched_out(who: Who, previous: *const u8, next: *const u8, preempted: bool) {
    let Some(state) = state_of(who.thread) else {
        return;
    };
    // SAFETY: a map's value, valid while the program runs; only events of this thread and its
    // wake-ups change it.
    let state = unsafe { &mut *state };
    let now = now();
    if is_valid(state.switched_in_ns, VALID_SCHEDULER) {
        let ran = Span::new(Fixed::LongRunning as u32, who, state.switched_in_ns, now);
        if ran.length() >= LONG_RUNNING_NS.load() {
            record(&ran, 0, &NOBODY);
        }
    }
    let kernel_state = read_u32(previous, TASK_STATE.load()).unwrap_or(0);
    if kernel_state & DEAD != 0 {
        let _ = THREADS.remove(who.thread);
        return;
    }
    state.state = if preempted { 0 } else { kernel_state };
    state.switched_in_ns = 0;
    state.switched_out_ns = now;
    state.woken_ns = 0;
    let system_call = system_call_of(previous);
    if system_call != RESTART_SYSCALL {
        state.system_call = system_call;
    }
    if state.state == 0 {
        state.by_thread = read_u32(next, TASK_PID.load()).unwrap_or(0);
        let name = next.wrapping_add(TASK_COMM.load() as usize);
        // SAFETY: the helper checks the address.
        state.by_name = unsafe { bpf_probe_read_kernel(name.cast::<[u8; 16]>()) }.unwrap_or(NOBODY);
    }
}

/// From the `orig_rax` among the user registers at the end of the kernel stack.
#[inline(always)]
pub fn system_call_of(task: *const u8) -> i32 {
    const ORIG_RAX: u64 = 15 * 8;
    match read_u64(task, TASK_STACK.load()) {
        Some(stack) => {
            let registers = STACK_REGISTERS.load();
            read_u64(stack as *const u8, registers + ORIG_RAX).map_or(-1, |number| number as i32)
        }
        None => -1,
    }
}

#[inline(always)]
fn switched_in(who: Who) {
    let Some(state) = state_of(who.thread) else {
        return;
    };
    // SAFETY: as in `switched_out`.
    let state = unsafe { &mut *state };
    let now = now();
    let out = state.switched_out_ns;
    state.switched_in_ns = now;
    state.switched_out_ns = 0;
    if !is_valid(out, VALID_SCHEDULER) {
        return;
    }
    if state.state == NEVER_RAN {
        state.woken_ns = 0;
        let span = Span::new(Fixed::RunQueue as u32, who, out, now);
        record(&span, 0, &NOBODY);
        return;
    }
    if state.state == 0 {
        let span = Span::new(Fixed::Preempted as u32, who, out, now);
        record(&span, state.by_thread, &state.by_name);
        return;
    }
    let woken = if state.woken_ns > out {
        state.woken_ns
    } else {
        now
    };
    let series = reason(state);
    let mut span = Span::new(series, who, out, woken);
    span.detail = state.system_call as u32 as u64;
    let id = record(&span, 0, &NOBODY);
    // Only a thread that waits in a system call comes by the next hook with this very stack.
    if id != 0 && series != Fixed::Sleep as u32 && state.system_call >= 0 {
        state.stack_wanted = id;
    }
    if woken < now {
        record(
            &Span::new(Fixed::RunQueue as u32, who, woken, now),
            0,
            &NOBODY,
        );
    }
    state.woken_ns = 0;
}

/// Why the thread was blocked.
#[inline(always)]
fn reason(state: &Thread) -> u32 {
    let number = state.system_call as u32;
    let class = if number < SYSTEM_CALLS {
        CALLS.get(number).map_or(0, |call| call.class)
    } else {
        0
    };
    let series = if state.state & STOPPED_OR_TRACED != 0 {
        Fixed::Stopped
    } else if class == WAITS_FOR_FUTEX {
        Fixed::Futex
    } else if class == WAITS_FOR_WORK
        || (class == WAITS_FOR_INPUT && state.state & (INTERRUPTIBLE | WAKING) != 0)
    {
        Fixed::Sleep
    } else {
        Fixed::OffCpu
    };
    series as u32
}

/// `sched_wakeup(task)`: from here on it waits for a CPU.
#[raw_tracepoint(tracepoint = "sched_wakeup")]
pub fn sched_wakeup(ctx: RawTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    if let Some(who) = of_task(task)
        && let Some(state) = THREADS.get_ptr_mut(who.thread)
    {
        // SAFETY: as in `switched_out`; a wake-up that races with the switch loses at most its time.
        unsafe {
            if (*state).switched_out_ns != 0 && (*state).woken_ns == 0 {
                (*state).woken_ns = now();
            }
        }
    }
    0
}

/// `sched_wakeup_new(task)`: a new thread waits for its first CPU.
#[raw_tracepoint(tracepoint = "sched_wakeup_new")]
pub fn sched_wakeup_new(ctx: RawTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    if let Some(who) = of_task(task)
        && let Some(state) = state_of(who.thread)
    {
        let now = now();
        // SAFETY: as in `switched_out`.
        unsafe {
            // Not blocked before: all of its wait is for a CPU.
            (*state).switched_out_ns = now;
            (*state).state = NEVER_RAN;
        }
    }
    0
}
