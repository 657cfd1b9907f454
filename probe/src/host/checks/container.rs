//! Whether this process sees the host or a part of it: namespaces, seccomp, limits of its cgroup.

use super::super::is_first_namespace;
use super::{Area, Check, Outcome, line_of};

pub(super) fn checks() -> Vec<Check> {
    vec![
        user_namespace(),
        pid_namespace(),
        seccomp(),
        cgroup_limits(),
    ]
}

fn user_namespace() -> Check {
    let check = Check::required(Area::Permissions, "user namespace");
    match is_first_namespace("user") {
        None => check.unknown("/proc/self/ns/user cannot be read", ""),
        Some(true) => check.yes("the host's"),
        Some(false) => check
            .no(
                "not the host's",
                "capabilities here do not count for BPF; nothing can be traced",
            )
            .cure("run tailcut outside of the rootless container"),
    }
}

fn pid_namespace() -> Check {
    let check = Check::optional(Area::Permissions, "pid namespace");
    match is_first_namespace("pid") {
        None => check.unknown("/proc/self/ns/pid cannot be read", ""),
        Some(true) => check.yes("the host's"),
        Some(false) => check
            .no(
                "not the host's",
                "the kernel's process numbers are not those seen here: only processes of this \
                 container can be named, and system-wide events of others cannot",
            )
            .cure("docker run --pid=host --privileged ..."),
    }
}

fn seccomp() -> Check {
    let check = Check::optional(Area::Permissions, "seccomp");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mode = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"))
        .map(str::trim);
    match mode {
        Some("0") => check.yes("no filter"),
        Some(_) => check.no(
            "system calls are filtered",
            "the filter may refuse bpf and perf_event_open, as Docker's does without --privileged",
        ),
        None => check.unknown("the kernel does not say", ""),
    }
}

/// Limits of version 2, which can slow tailcut itself down.
fn cgroup_limits() -> Check {
    let check = Check::optional(Area::Permissions, "cgroup limits");
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(group) = groups.lines().find_map(|line| line.strip_prefix("0::")) else {
        return check.with(Outcome::Unknown, "no cgroup of version 2", "");
    };
    let limit = |file: &str| {
        let text = line_of(&format!("/sys/fs/cgroup{group}/{file}"))?;
        (!text.starts_with("max")).then(|| format!("{file} {text}"))
    };
    let limits: Vec<String> = ["cpu.max", "memory.max"]
        .into_iter()
        .filter_map(limit)
        .collect();
    if limits.is_empty() {
        check.yes(format!("none in {group}"))
    } else {
        check.no(
            limits.join(", "),
            "tailcut itself is limited: a recorder that starves drops events, and says so",
        )
    }
}
