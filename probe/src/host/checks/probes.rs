//! Ways to attach: user probes and their forms, kernel probes, software events, tracefs.

use std::io;

use super::super::system_calls::{AttachType, has_uprobe_links, open_software_event};
use super::super::uprobe_pmu::{UprobePmu, UprobePmuError};
use super::bpf::is_refusal;
use super::{Area, Check, Facts};

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let pmu = UprobePmu::read();
    vec![
        user_probes(&pmu, facts),
        semaphores(&pmu),
        many_in_one_link(
            facts,
            Check::optional(Area::Kernel, "user probes by one link"),
            AttachType::UprobeMulti,
            "each place is attached by a perf event of its own; detaching takes about 0.1 s a place",
            "Linux 6.10",
        ),
        many_in_one_link(
            facts,
            Check::optional(Area::Kernel, "entry and return by one link"),
            AttachType::UprobeSession,
            "entry and return of a call are attached apart and paired through a map",
            "Linux 6.13",
        ),
        kernel_probes(facts),
        software_events(facts),
        tracefs(),
    ]
}

fn user_probes(pmu: &Result<UprobePmu, UprobePmuError>, facts: &Facts) -> Check {
    let check = Check::required(Area::Kernel, "user probes");
    match pmu {
        Ok(pmu) => check.yes(format!("type {} of perf event", pmu.event_type)),
        Err(error) => {
            let why = facts.why_absent(&["CONFIG_UPROBES", "CONFIG_UPROBE_EVENTS"]);
            let found = [error.to_string(), why].join("; ");
            check.no(
                found.trim_end_matches("; "),
                "no allocator calls and no static probes can be traced",
            )
        }
    }
}

fn semaphores(pmu: &Result<UprobePmu, UprobePmuError>) -> Check {
    let check = Check::optional(Area::Kernel, "semaphores of static probes");
    match pmu.as_ref().map(|pmu| pmu.semaphore_shift) {
        Ok(Some(_)) => check.yes("raised by the kernel while attached"),
        Ok(None) => check.no(
            "the kernel's user probes have no ref_ctr_offset (Linux 4.20)",
            "static probes that are switched by a semaphore stay silent",
        ),
        Err(_) => check.unknown("no user probes", "no static probes can be traced"),
    }
}

fn many_in_one_link(
    facts: &Facts,
    check: Check,
    attach: AttachType,
    without: &str,
    since: &str,
) -> Check {
    match has_uprobe_links(attach) {
        Ok(true) => check.yes("supported"),
        Ok(false) => check.no(format!("not in this kernel ({since} has it)"), without),
        Err(error) if is_refusal(&error) => facts.refused(check, without),
        Err(error) => check.no(error.to_string(), without),
    }
}

fn kernel_probes(facts: &Facts) -> Check {
    let check = Check::unused(Area::Kernel, "kernel probes");
    if super::line_of("/sys/bus/event_source/devices/kprobe/type").is_some() {
        return check.yes("present; tailcut uses tracepoints instead");
    }
    let why = facts.why_absent(&["CONFIG_KPROBES", "CONFIG_KPROBE_EVENTS"]);
    let found = if why.is_empty() { "absent" } else { &why };
    check.no(found, "nothing for tailcut, which uses tracepoints instead")
}

/// Opens the two counters of page faults on this thread, as they are opened on a target.
fn software_events(facts: &Facts) -> Check {
    const MINOR_FAULTS: u64 = 5;
    const MAJOR_FAULTS: u64 = 6;
    let check = Check::optional(Area::Kernel, "page fault events");
    let consequence = "the end of a page fault is not seen: faults are counted, without latency";
    let opened: io::Result<Vec<_>> = [MINOR_FAULTS, MAJOR_FAULTS]
        .map(open_software_event)
        .into_iter()
        .collect();
    match opened {
        Ok(_) => check.yes("minor and major"),
        Err(error) if is_refusal(&error) => facts.refused(check, consequence),
        Err(error) => check.no(error.to_string(), consequence),
    }
}

fn tracefs() -> Check {
    let check = Check::unused(Area::Kernel, "tracefs");
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let place = words.next()?;
        (words.next()? == "tracefs").then_some(place)
    });
    match mounted {
        Some(place) => check.yes(format!("mounted at {place}; tailcut does without")),
        None => check
            .no(
                "not mounted",
                "nothing for tailcut, which does without; perf and bpftrace want it",
            )
            .cure("mount -t tracefs nodev /sys/kernel/tracing"),
    }
}
