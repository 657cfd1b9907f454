//! What this user may do: capabilities, and the switches by which a host restricts tracing.

use super::super::privileges::{Missing, missing_from};
use super::{Area, Check, Facts, Outcome, line_of};

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = capabilities(facts);
    checks.extend([
        perf_event_paranoid(facts),
        pointer_restriction(facts),
        lockdown(),
        ptrace_scope(facts),
        locked_memory(),
    ]);
    checks
}

fn capabilities(facts: &Facts) -> Vec<Check> {
    let missing = missing_from(&facts.privileges);
    let mut checks = Vec::new();
    for (name, wanted) in Missing::ALL {
        let check = Check::new(Area::Permissions, name, wanted.need());
        checks.push(if missing.contains(&wanted) {
            let found = if facts.privileges.holds(wanted.capability()) {
                "held in this user namespace only"
            } else {
                "not held"
            };
            check
                .no(found, wanted.consequence())
                .cure(facts.privileges.cure())
        } else if facts.privileges.holds(wanted.capability()) {
            check.yes("held")
        } else {
            check.yes("covered by CAP_SYS_ADMIN")
        });
    }
    checks
}

fn perf_event_paranoid(facts: &Facts) -> Check {
    let check = Check::optional(Area::Permissions, "perf_event_paranoid");
    let path = "/proc/sys/kernel/perf_event_paranoid";
    let Some(value) = line_of(path) else {
        return check.unknown(format!("{path} is absent"), "the kernel has no perf events");
    };
    if facts.privileges.may_open_events() {
        check.yes(format!("{value}, which does not bind this process"))
    } else {
        let harmless = value.parse::<i32>().is_ok_and(|value| value <= 1);
        let outcome = if harmless { Outcome::Yes } else { Outcome::No };
        let consequence = "no perf events on the kernel's side without CAP_PERFMON";
        check.with(outcome, value, if harmless { "" } else { consequence })
    }
}

fn pointer_restriction(facts: &Facts) -> Check {
    let check = Check::optional(Area::Permissions, "kptr_restrict");
    let value = line_of("/proc/sys/kernel/kptr_restrict").unwrap_or_else(|| "absent".into());
    let hidden = match value.as_str() {
        "2" => true,
        "0" => false,
        _ => !facts.privileges.may_read_kernel_addresses(),
    };
    if hidden {
        check
            .no(value, "kernel frames of stacks have no names")
            .cure("sysctl kernel.kptr_restrict=0")
    } else {
        check.yes(value)
    }
}

/// The file is `none [integrity] confidentiality`, the brackets around what holds.
fn lockdown() -> Check {
    let check = Check::required(Area::Permissions, "lockdown");
    let text = line_of("/sys/kernel/security/lockdown");
    let state = text.as_deref().and_then(|text| {
        let (_, rest) = text.split_once('[')?;
        Some(rest.split_once(']')?.0)
    });
    match state {
        Some("confidentiality") => check.no(
            "confidentiality",
            "BPF programs may not read kernel memory; boot with lockdown=integrity, or with Secure \
             Boot off",
        ),
        Some(state) => check.yes(state),
        None => check.yes("none, or securityfs is not mounted"),
    }
}

fn ptrace_scope(facts: &Facts) -> Check {
    let check = Check::optional(Area::Permissions, "ptrace_scope");
    let consequence = "programs started by others cannot be opened without CAP_SYS_PTRACE";
    let path = "/proc/sys/kernel/yama/ptrace_scope";
    match line_of(path).as_deref() {
        None => check.yes("no Yama, so nothing beyond the usual rights"),
        Some("0") => check.yes("0"),
        Some("3") => check.no(
            "3, which cannot be lowered without a restart",
            "no process may be attached to by ptrace; reading its maps still works",
        ),
        Some(value) if facts.privileges.may_trace_others() => {
            check.yes(format!("{value}, which does not bind this process"))
        }
        Some(value) => check
            .no(value, consequence)
            .cure("sysctl kernel.yama.ptrace_scope=0"),
    }
}

fn locked_memory() -> Check {
    let check = Check::optional(Area::Permissions, "locked memory");
    let Ok((soft, _)) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK)
    else {
        return check.unknown("RLIMIT_MEMLOCK cannot be read", "");
    };
    if soft == nix::sys::resource::RLIM_INFINITY {
        return check.yes("unlimited");
    }
    let found = format!("{} KiB", soft / 1024);
    if super::super::kernel_version() >= (5, 11) {
        check.yes(format!("{found}; BPF does not count since Linux 5.11"))
    } else {
        check
            .no(found, "maps larger than the limit are refused")
            .cure("ulimit -l unlimited")
    }
}
