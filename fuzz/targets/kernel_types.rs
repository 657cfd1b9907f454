//! The kernel's description of its own types (BTF), or what claims to be it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailcut_probe::host::btf::Btf;

fuzz_target!(|data: &[u8]| {
    if let Ok(types) = Btf::parse(data) {
        let _ = types.field_offset("task_struct", "thread.sp");
        let _ = types.struct_size("mm_struct");
        let _ = types.function_number("schedule");
        let _ = types.raw_tracepoint_arguments("sched_switch");
    }
});
