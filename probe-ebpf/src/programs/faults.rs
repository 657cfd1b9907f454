//! Page faults: from the tracepoint at their beginning to the software event at their end.
//!
//! The kernel counts a fault as minor or major when it has been handled (`mm_account_fault`), and
//! that count can be listened to as a perf event. So a fault has a length even on kernels without
//! kprobes. What is missing is the way into and out of the kernel itself: some 100 ns.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{perf_event, raw_tracepoint};
use aya_ebpf::programs::{PerfEventContext, RawTracePointContext};
use tailcut_probe_ebpf::records::VALID_FAULTS;
use tailcut_probe_ebpf::series::Fixed;

use super::maps::THREADS;
use super::recording::{NOBODY, Span, is_valid, now, record, send_stack};
use super::target::{current, state_of};

/// `page_fault_user(address, registers, error code)`.
#[raw_tracepoint(tracepoint = "page_fault_user")]
pub fn page_fault_user(ctx: RawTracePointContext) -> i32 {
    begin(&ctx)
}

/// `page_fault_kernel(...)`: the kernel touches the process's memory, in a `read`, say.
#[raw_tracepoint(tracepoint = "page_fault_kernel")]
pub fn page_fault_kernel(ctx: RawTracePointContext) -> i32 {
    begin(&ctx)
}

#[inline(always)]
fn begin(ctx: &RawTracePointContext) -> i32 {
    if let Some(who) = current()
        && let Some(state) = state_of(who.thread)
    {
        // SAFETY: a map's value, valid while the program runs, of the current thread.
        unsafe {
            (*state).fault_address = ctx.arg(0);
            (*state).fault_ns = now();
        }
    }
    0
}

/// A fault was handled without waiting for a device.
#[perf_event]
pub fn minor_fault(ctx: PerfEventContext) -> i32 {
    end(&ctx, Fixed::PageFault)
}

/// A fault was handled after waiting for a device.
#[perf_event]
pub fn major_fault(ctx: PerfEventContext) -> i32 {
    end(&ctx, Fixed::MajorFault)
}

#[inline(always)]
fn end(ctx: &PerfEventContext, series: Fixed) -> i32 {
    let Some(who) = current() else { return 0 };
    let Some(state) = THREADS.get_ptr_mut(who.thread) else {
        return 0;
    };
    // SAFETY: a map's value, valid while the program runs, of the current thread.
    let (start_ns, address) = unsafe { ((*state).fault_ns, (*state).fault_address) };
    if !is_valid(start_ns, VALID_FAULTS) {
        return 0;
    }
    // SAFETY: as above.
    unsafe { (*state).fault_ns = 0 };
    let mut span = Span::new(series as u32, who, start_ns, now());
    span.detail = address;
    let id = record(&span, 0, &NOBODY);
    if id != 0 {
        // SAFETY: the context of a perf event begins with the registers of the fault.
        let (ip, sp, bp) = unsafe {
            let registers = &raw const (*ctx
                .as_ptr()
                .cast::<aya_ebpf::bindings::bpf_perf_event_data>())
            .regs;
            ((*registers).rip, (*registers).rsp, (*registers).rbp)
        };
        send_stack(&who, id, ip, sp, bp);
    }
    0
}
