//! The host: what its kernel, its user and its machine allow a tracer to do.
//!
//! [`Doctor::examine`] asks for everything at once, which is what `tailcut doctor` shows. The parts
//! serve the recorder as well: [`btf`] for offsets of the kernel's structures, [`hit_cost`] for the
//! floor below which no latency can be told, [`uprobe_pmu`] for attaching, [`privileges`] for giving
//! up what is no longer needed.

pub mod btf;
mod checks;
mod doctor;
pub mod hit_cost;
mod kernel_config;
pub(crate) mod own_code;
pub mod privileges;
mod series;
mod system_calls;
#[cfg(test)]
pub(crate) mod testing;
mod text;
pub mod uprobe_pmu;

pub use checks::{
    Area, Check, Need, Outcome, RawTracepoint, TRACEPOINTS, checks_of_process, has_tracepoint,
};
pub use doctor::{Doctor, Measured, Verdict};
pub use series::{Possible, Series, series_of};

/// The running kernel's release, as `uname -r` shows it.
fn kernel_release() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}

/// The first two numbers of the release; zeros if it has none.
fn kernel_version() -> (u32, u32) {
    let release = kernel_release();
    let mut numbers = release
        .split(|one: char| !one.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether this process is in the host's namespace of a kind (`user` or `pid`), not in a
/// container's; `None` if the kernel does not say.
fn is_first_namespace(kind: &str) -> Option<bool> {
    // Fixed in the kernel (`include/linux/proc_ns.h`).
    let first = match kind {
        "user" => "user:[4026531837]",
        _ => "pid:[4026531836]",
    };
    let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
    Some(link.as_os_str() == first)
}
