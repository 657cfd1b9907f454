//! The raw tracepoints that the series are made of: that each exists, with the arguments that the
//! programs take from it.
//!
//! A raw tracepoint passes the arguments of the kernel's own source, which change rarely but do.
//! The first ones are compared with what the programs expect (arguments added at the end do no
//! harm), so that a change is a message instead of nonsense in a histogram. Needs no privileges.

use super::super::btf::Btf;
use super::{Area, Check, Facts, Need};

/// A raw tracepoint and the types of its first arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawTracepoint {
    /// As `BPF_RAW_TRACEPOINT_OPEN` takes it.
    pub name: &'static str,
    /// In C, as [`Btf::raw_tracepoint_arguments`] gives them.
    pub arguments: &'static [&'static str],
}

const TASK: &str = "struct task_struct *";
const REGISTERS: &str = "struct pt_regs *";
const MEMORY: &str = "struct mm_struct *";
const LONG: &str = "long int";
const ADDRESS: &str = "long unsigned int";

/// Every raw tracepoint that a series uses, under the name of the check that asks for it.
#[rustfmt::skip]
pub const TRACEPOINTS: &[(&str, Need, &[RawTracepoint], &str)] = &[
    ("tracepoints of the scheduler", Need::Required, &[
        RawTracepoint { name: "sched_switch", arguments: &["bool", TASK, TASK] },
        RawTracepoint { name: "sched_waking", arguments: &[TASK] },
        RawTracepoint { name: "sched_wakeup", arguments: &[TASK] },
        RawTracepoint { name: "sched_wakeup_new", arguments: &[TASK] },
    ], "no time off the CPU and no run-queue delay"),
    ("tracepoints of processes", Need::Required, &[
        RawTracepoint { name: "sched_process_fork", arguments: &[TASK, TASK] },
        RawTracepoint { name: "sched_process_exec", arguments: &[TASK] },
        RawTracepoint { name: "sched_process_exit", arguments: &[TASK] },
    ], "threads that end and children that begin are not followed"),
    ("tracepoints of system calls", Need::Required, &[
        RawTracepoint { name: "sys_enter", arguments: &[REGISTERS, LONG] },
        RawTracepoint { name: "sys_exit", arguments: &[REGISTERS, LONG] },
    ], "no system call and futex series (CONFIG_FTRACE_SYSCALLS)"),
    ("tracepoints of page faults", Need::Optional, &[
        RawTracepoint { name: "page_fault_user", arguments: &[ADDRESS, REGISTERS, ADDRESS] },
        RawTracepoint { name: "page_fault_kernel", arguments: &[ADDRESS, REGISTERS, ADDRESS] },
    ], "faults are counted by software events, without latency"),
    ("tracepoints of kernel locks", Need::Optional, &[
        RawTracepoint { name: "contention_begin", arguments: &["void *", "unsigned int"] },
        RawTracepoint { name: "contention_end", arguments: &["void *", "int"] },
    ], "waits for the memory map's lock are not told apart (Linux 5.19)"),
    ("tracepoints of the memory map's lock", Need::Optional, &[
        RawTracepoint { name: "mmap_lock_start_locking", arguments: &[MEMORY] },
        RawTracepoint { name: "mmap_lock_acquire_returned", arguments: &[MEMORY] },
        RawTracepoint { name: "mmap_lock_released", arguments: &[MEMORY] },
    ], "waits for the memory map's lock are seen only as lock contention (Linux 5.11)"),
    ("tracepoint of TLB flushes", Need::Optional, &[
        RawTracepoint { name: "tlb_flush", arguments: &["int", ADDRESS] },
    ], "TLB flushes are not counted"),
    ("tracepoints of compaction and reclaim", Need::Optional, &[
        RawTracepoint { name: "mm_compaction_begin", arguments: &[] },
        RawTracepoint { name: "mm_compaction_end", arguments: &[] },
        RawTracepoint { name: "mm_vmscan_direct_reclaim_begin", arguments: &["int"] },
        RawTracepoint { name: "mm_vmscan_direct_reclaim_end", arguments: &[ADDRESS] },
    ], "faults made slow by compaction or reclaim are not told apart"),
];

/// Whether the kernel has a tracepoint with these first arguments; if not, why not.
///
/// # Errors
/// With the reason in words: absent, or passes other arguments.
pub fn has_tracepoint(btf: &Btf, wanted: &RawTracepoint) -> Result<(), String> {
    let name = wanted.name;
    let Some(arguments) = btf.raw_tracepoint_arguments(name) else {
        return Err(format!("{name} is absent"));
    };
    let types = arguments.iter().map(|argument| argument.of_type.as_str());
    if types
        .take(wanted.arguments.len())
        .eq(wanted.arguments.iter().copied())
    {
        return Ok(());
    }
    let passed: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let passed = passed.join(", ");
    let expected = wanted.arguments.join(", ");
    Err(format!("{name} passes ({passed}) instead of ({expected})"))
}

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let groups = TRACEPOINTS.iter();
    groups
        .map(|&(name, need, wanted, consequence)| {
            let check = Check::new(Area::Kernel, name, need);
            let Ok(btf) = &facts.btf else {
                return check.unknown("no BTF to look them up in", consequence);
            };
            let missing: Vec<String> = wanted
                .iter()
                .filter_map(|tracepoint| has_tracepoint(btf, tracepoint).err())
                .collect();
            if missing.is_empty() {
                let names: Vec<&str> = wanted.iter().map(|one| one.name).collect();
                check.yes(names.join(" "))
            } else {
                check.no(missing.join("; "), consequence)
            }
        })
        .collect()
}
