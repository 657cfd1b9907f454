//! System calls that change a process's memory map: how long, and how many bytes.
//!
//! **Cost.** These hooks are hit by every system call of every process on the machine, and make the
//! kernel leave its fastest way in and out; see the figure in `tailcut-probe`'s catalogue.

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tailcut_probe_ebpf::records::{SYSTEM_CALLS, VALID_SYSTEM_CALLS};
use tailcut_probe_ebpf::series::Fixed;

use super::maps::{CALLS, THREADS};
use super::recording::{NOBODY, Span, is_valid, now, record, send_stack, send_wanted_stack};
use super::target::{current, state_of};

/// Offsets in the kernel's `pt_regs` on x86-64.
const RBP: usize = 4 * 8;
const RIP: usize = 16 * 8;
const RSP: usize = 19 * 8;

/// `sys_enter(registers, number)`.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn sys_enter(ctx: RawTracePointContext) -> i32 {
    let Some(who) = current() else { return 0 };
    let number: u64 = ctx.arg(1);
    if number >= u64::from(SYSTEM_CALLS) {
        return 0;
    }
    let Some(call) = CALLS.get(number as u32) else {
        return 0;
    };
    if call.series_plus_one == 0 {
        return 0;
    }
    let Some(state) = state_of(who.thread) else {
        return 0;
    };
    let registers: *const u8 = ctx.arg(0);
    let bytes = register(registers, usize::from(call.bytes_register));
    // SAFETY: a map's value, valid while the program runs, of the current thread.
    unsafe {
        (*state).call_series = call.series_plus_one;
        (*state).call_bytes = bytes;
        (*state).call_ns = now();
    }
    0
}

/// `sys_exit(registers, value)`.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    let Some(who) = current() else { return 0 };
    let Some(state) = THREADS.get_ptr_mut(who.thread) else {
        return 0;
    };
    // SAFETY: a map's value, valid while the program runs, of the current thread.
    let (series_plus_one, start_ns, bytes, wanted) = unsafe {
        (
            (*state).call_series,
            (*state).call_ns,
            (*state).call_bytes,
            (*state).stack_wanted,
        )
    };
    if series_plus_one == 0 && wanted == 0 {
        return 0;
    }
    let registers: *const u8 = ctx.arg(0);
    if wanted != 0 {
        let (ip, sp, bp) = user_registers(registers);
        send_wanted_stack(who, state, ip, sp, bp);
    }
    if series_plus_one != 0 {
        // SAFETY: as above.
        unsafe { (*state).call_series = 0 };
        if !is_valid(start_ns, VALID_SYSTEM_CALLS) {
            return 0;
        }
        let mut span = Span::new(series_plus_one - 1, who, start_ns, now());
        let value: i64 = ctx.arg(1);
        span.detail = bytes;
        // `brk` is given an address; and what failed moved nothing.
        if series_plus_one - 1 != Fixed::Brk as u32 && value >= 0 {
            span.bytes = bytes;
        }
        let id = record(&span, 0, &NOBODY);
        if id != 0 {
            let (ip, sp, bp) = user_registers(registers);
            send_stack(&who, id, ip, sp, bp);
        }
    }
    0
}

#[inline(always)]
fn user_registers(registers: *const u8) -> (u64, u64, u64) {
    (
        register(registers, RIP),
        register(registers, RSP),
        register(registers, RBP),
    )
}

#[inline(always)]
fn register(registers: *const u8, offset: usize) -> u64 {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(registers.wrapping_add(offset).cast::<u64>()) }.unwrap_or(0)
}
