//! The machine: processors, clock, hypervisor.

use super::{Area, Check, line_of};

pub(super) fn checks() -> Vec<Check> {
    vec![kernel(), processors(), clock(), hypervisor()]
}

fn kernel() -> Check {
    let release = super::super::kernel_release();
    let check = Check::required(Area::Machine, "kernel");
    let (major, minor) = super::super::kernel_version();
    let found = format!("Linux {release} on {}", std::env::consts::ARCH);
    if (major, minor) < (5, 8) {
        check.no(
            found,
            "older than 5.8, the first with ring buffers and CAP_BPF",
        )
    } else {
        check.yes(found)
    }
}

fn processors() -> Check {
    let check = Check::optional(Area::Machine, "processors");
    match std::thread::available_parallelism() {
        Ok(count) if count.get() == 1 => check.no(
            "1",
            "tailcut takes turns with the target on the only processor, which is part of what it \
             then sees",
        ),
        Ok(count) => check.yes(count.to_string()),
        Err(error) => check.unknown(error.to_string(), ""),
    }
}

fn clock() -> Check {
    let check = Check::optional(Area::Machine, "clock source");
    let folder = "/sys/devices/system/clocksource/clocksource0";
    let Some(source) = line_of(&format!("{folder}/current_clocksource")) else {
        return check.unknown(format!("{folder} cannot be read"), "");
    };
    if !matches!(
        source.as_str(),
        "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies"
    ) {
        return check.yes(source);
    }
    let available = line_of(&format!("{folder}/available_clocksource")).unwrap_or_default();
    let check = check.no(
        source,
        "reading the time takes a microsecond or more, at every event",
    );
    if available.split_whitespace().any(|one| one == "tsc") {
        check.cure(format!("echo tsc > {folder}/current_clocksource"))
    } else {
        check
    }
}

fn hypervisor() -> Check {
    let check = Check::optional(Area::Machine, "hypervisor");
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let virtualised = processors
        .lines()
        .find_map(|line| line.strip_prefix("flags"))
        .is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
    let vendor =
        line_of("/sys/class/dmi/id/sys_vendor").or_else(|| line_of("/sys/hypervisor/type"));
    if virtualised || vendor.as_deref() == Some("xen") {
        let vendor = vendor.map_or_else(String::new, |vendor| format!(" ({vendor})"));
        check.no(
            format!("a virtual machine{vendor}"),
            "the host can take a processor away; such pauses are seen as long running or stolen time",
        )
    } else {
        check.yes("none seen")
    }
}
