//! BPF: the system call, types of programs and maps, statistics, BTF.

use std::io;

use super::super::system_calls::{
    AttachType, EMPTY_PROGRAM, MapType, ProgramType, create_map, enable_statistics, load_program,
    open_raw_tracepoint,
};
use super::{Area, Check, Facts};

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    vec![
        system_call(facts),
        btf(facts),
        uprobe_programs(facts),
        raw_tracepoint_programs(facts),
        perf_event_programs(facts),
        function_entry_programs(facts),
        map(
            facts,
            Check::required(Area::Kernel, "ring buffers"),
            MapType::RingBuffer,
            [0, 0, 4096],
            "slow events cannot be delivered; Linux 5.8 and newer have ring buffers",
        ),
        map(
            facts,
            Check::required(Area::Kernel, "hash maps"),
            MapType::Hash,
            [8, 8, 1],
            "entries and returns of calls cannot be paired",
        ),
        map(
            facts,
            Check::required(Area::Kernel, "per-CPU arrays"),
            MapType::PerCpuArray,
            [4, 8, 1],
            "histograms cannot be kept in the kernel",
        ),
        map(
            facts,
            Check::optional(Area::Kernel, "LRU hash maps"),
            MapType::LruHash,
            [8, 8, 64],
            "no lifetimes of sampled allocations",
        ),
        map(
            facts,
            Check::optional(Area::Kernel, "stack trace maps"),
            MapType::StackTrace,
            [4, 8 * 127, 64],
            "no call sites of slow events",
        ),
        statistics(),
        just_in_time(),
    ]
}

fn system_call(facts: &Facts) -> Check {
    let check = Check::required(Area::Kernel, "bpf system call");
    let consequence = "nothing can be traced";
    match create_map(MapType::Hash, 8, 8, 1) {
        Ok(_) => check.yes("usable"),
        Err(error) if is_refusal(&error) => {
            let sysctl = super::line_of("/proc/sys/kernel/unprivileged_bpf_disabled");
            let reserved = match sysctl.as_deref() {
                Some("0") | None => String::new(),
                Some(value) => format!(" (kernel.unprivileged_bpf_disabled = {value})"),
            };
            if facts.privileges.may_load_programs() {
                let found = "refused although this process has the capabilities";
                check
                    .no(found, "nothing can be traced; a seccomp filter or a security module refuses it")
                    .cure("docker run --privileged --pid=host ..., or run tailcut outside the container")
            } else {
                check
                    .no(format!("refused to this user{reserved}"), consequence)
                    .cure(facts.privileges.cure())
            }
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            let why = facts.why_absent(&["CONFIG_BPF_SYSCALL"]);
            check.no(format!("the kernel has none; {why}"), consequence)
        }
        Err(error) => check.unknown(error.to_string(), consequence),
    }
}

fn btf(facts: &Facts) -> Check {
    let check = Check::required(Area::Kernel, "BTF");
    match &facts.btf {
        Ok(_) => check.yes(super::super::btf::KERNEL_BTF),
        Err(reason) => check.no(
            reason,
            "no scheduler, futex and fault series: the offsets of the kernel's fields are unknown",
        ),
    }
}

fn uprobe_programs(facts: &Facts) -> Check {
    program(
        Check::required(Area::Kernel, "programs on user probes"),
        facts,
        load_program(ProgramType::Kprobe, AttachType::Unsaid, 0, &EMPTY_PROGRAM),
        "no allocator calls and no static probes can be traced",
        &facts.why_absent(&["CONFIG_BPF_EVENTS", "CONFIG_UPROBES"]),
    )
}

/// Loads one, and attaches it to a tracepoint that is hit when a process ends.
fn raw_tracepoint_programs(facts: &Facts) -> Check {
    let program_type = ProgramType::RawTracepoint;
    let attached = load_program(program_type, AttachType::Unsaid, 0, &EMPTY_PROGRAM)
        .and_then(|program| open_raw_tracepoint(c"sched_process_exit", &program));
    program(
        Check::required(Area::Kernel, "programs on raw tracepoints"),
        facts,
        attached,
        "no scheduler, futex, fault and system call series",
        &facts.why_absent(&["CONFIG_BPF_EVENTS", "CONFIG_TRACEPOINTS"]),
    )
}

fn perf_event_programs(facts: &Facts) -> Check {
    program(
        Check::optional(Area::Kernel, "programs on perf events"),
        facts,
        load_program(
            ProgramType::PerfEvent,
            AttachType::Unsaid,
            0,
            &EMPTY_PROGRAM,
        ),
        "the end of a page fault is not seen: faults are counted, without latency",
        &facts.why_absent(&["CONFIG_BPF_EVENTS", "CONFIG_PERF_EVENTS"]),
    )
}

fn function_entry_programs(facts: &Facts) -> Check {
    let check = Check::unused(Area::Kernel, "programs on kernel functions");
    let consequence = "nothing for tailcut, which uses tracepoints instead";
    let function = facts.btf.as_ref().ok();
    let Some(function) = function.and_then(|btf| btf.function_number("handle_mm_fault")) else {
        return check.unknown("no BTF to name a function by", consequence);
    };
    let loaded = load_program(
        ProgramType::Tracing,
        AttachType::FunctionEntry,
        function,
        &EMPTY_PROGRAM,
    );
    let why = facts.why_absent(&["CONFIG_FUNCTION_TRACER", "CONFIG_DYNAMIC_FTRACE"]);
    program(check, facts, loaded, consequence, &why)
}

fn program<T>(
    check: Check,
    facts: &Facts,
    loaded: io::Result<T>,
    consequence: &str,
    why: &str,
) -> Check {
    match loaded {
        Ok(_) => check.yes("loaded"),
        Err(error) if is_refusal(&error) => facts.refused(check, consequence),
        Err(error) if why.is_empty() => check.no(error.to_string(), consequence),
        Err(error) => check.no(format!("{error}; {why}"), consequence),
    }
}

fn map(facts: &Facts, check: Check, map: MapType, sizes: [u32; 3], consequence: &str) -> Check {
    let [key, value, entries] = sizes;
    match create_map(map, key, value, entries) {
        Ok(_) => check.yes("made"),
        Err(error) if is_refusal(&error) => facts.refused(check, consequence),
        Err(error) => check.no(error.to_string(), consequence),
    }
}

fn statistics() -> Check {
    let check = Check::optional(Area::Kernel, "run time of programs");
    let consequence = "the probe's own cost is estimated from counts instead of measured";
    let sysctl = super::line_of("/proc/sys/kernel/bpf_stats_enabled");
    match enable_statistics() {
        Ok(_) => check.yes("accounted while tailcut runs"),
        Err(_) if sysctl.as_deref() == Some("1") => check.yes("kernel.bpf_stats_enabled = 1"),
        Err(error) if is_refusal(&error) => check
            .no("takes CAP_SYS_ADMIN", consequence)
            .cure("sudo sysctl kernel.bpf_stats_enabled=1"),
        Err(error) => check.no(error.to_string(), consequence),
    }
}

fn just_in_time() -> Check {
    let check = Check::optional(Area::Kernel, "compiled programs");
    let path = "/proc/sys/net/core/bpf_jit_enable";
    match super::line_of(path).as_deref() {
        Some("0") => check
            .no(
                "net.core.bpf_jit_enable = 0",
                "programs are interpreted: every hit costs several times as much",
            )
            .cure("sysctl net.core.bpf_jit_enable=1"),
        Some(value) => check.yes(format!("net.core.bpf_jit_enable = {value}")),
        None => check.unknown(format!("{path} cannot be read"), ""),
    }
}

/// Whether the kernel says that this user may not, as opposed to that it cannot.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}
