//! The eBPF programs: allocator calls and pauses of one process, counted in the kernel.
//!
//! Each program does little: it asks whether the current thread belongs to the target, takes the
//! time, finds the beginning that an earlier hit left in the thread's state, and counts the
//! difference in a histogram of this CPU. Only what took longer than its series' threshold is sent
//! to user space, at a bounded rate; what is beyond it is counted as lost.
//!
//! Kernel hooks are raw tracepoints and software perf events, so that neither tracefs nor kprobes
//! are needed; offsets within kernel types are given by user space, from the running kernel's BTF.
//!
//! | file | hooks |
//! |---|---|
//! | `scheduler.rs` | `sched_switch`, `sched_wakeup`, `sched_wakeup_new` |
//! | `system_calls.rs` | `sys_enter`, `sys_exit` |
//! | `faults.rs` | `page_fault_user`, `page_fault_kernel`; the software events of minor and major faults |
//! | `memory.rs` | `contention_begin`, `contention_end`, `tlb_flush`, compaction and direct reclaim |
//! | `lives.rs` | `sched_process_fork`, `sched_process_exec`, `sched_process_exit` |
//! | `calls.rs` | probe sites in user space: allocators, static probes |
//! | `go.rs` | probe sites in Go's runtime |
//! | `registers.rs` | what all of them read: the site that was hit, its arguments |
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod programs {
    pub mod calls;
    pub mod faults;
    pub mod go;
    pub mod lives;
    pub mod maps;
    pub mod memory;
    pub mod recording;
    pub mod registers;
    pub mod scheduler;
    pub mod system_calls;
    pub mod target;
}

/// Some helpers are reserved for programs under a licence that the kernel takes as GPL-compatible.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never reached: a program that could panic would not pass the verifier.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
