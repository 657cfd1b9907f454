//! What a reader must know about the machine to judge a figure.

use crate::quantity::Bytes;
use std::fs::read_to_string;
use tailcut_report::recording::{ClockPair, Host};

/// Facts about this machine. What cannot be read says so; nothing here fails.
///
/// `allocator` comes from the program: only the program knows which one it was linked with.
#[must_use]
pub fn describe(allocator: &str) -> Host {
    let uname = nix::sys::utsname::uname();
    let kernel = uname
        .as_ref()
        .map_or_else(|_| unknown(), |name| text(name.release()));
    let arch = uname.as_ref().map_or_else(
        |_| std::env::consts::ARCH.to_owned(),
        |name| text(name.machine()),
    );
    Host {
        os: operating_system(),
        kernel,
        arch,
        cpu_model: cpu_model(),
        cpus: online_cpus(),
        memory_bytes: meminfo("MemTotal").map_or(0, |bytes| bytes.0),
        libc: libc_version(),
        allocator: allocator.to_owned(),
        transparent_huge_pages: transparent_huge_pages(),
        privileged: nix::unistd::geteuid().is_root(),
    }
}

/// `CLOCK_MONOTONIC` and wall time, read together.
#[must_use]
pub fn clock_pair() -> ClockPair {
    // The wall clock is bracketed, and the tightest of a few brackets is taken: a stall between
    // two reads would shift the whole recording.
    let bracket = || {
        let before = crate::clock::monotonic_ns();
        let unix_ns = crate::clock::clock_ns(libc::CLOCK_REALTIME);
        let width = crate::clock::monotonic_ns() - before;
        (
            width,
            ClockPair {
                monotonic_ns: before + width / 2,
                unix_ns,
            },
        )
    };
    let first = bracket();
    (0..20)
        .map(|_| bracket())
        .fold(
            first,
            |best, next| if next.0 < best.0 { next } else { best },
        )
        .1
}

/// A line of `/proc/meminfo`.
pub(crate) fn meminfo(name: &str) -> Option<Bytes> {
    let text = read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kibibytes * 1024))
}

/// All that are online, not only those that this process may use.
fn online_cpus() -> u32 {
    let online = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN)
        .ok()
        .flatten();
    online
        .and_then(|cpus| u32::try_from(cpus).ok())
        .unwrap_or(1)
}

fn operating_system() -> String {
    let release = read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(
        || std::env::consts::OS.to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}

fn cpu_model() -> String {
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    model
        .and_then(|model| Some(model.split_once(':')?.1.trim().to_owned()))
        .unwrap_or_else(unknown)
}

/// The setting in brackets: `always`, `madvise` or `never`.
fn transparent_huge_pages() -> String {
    let setting = read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let chosen = setting
        .split_once('[')
        .and_then(|(_, rest)| Some(rest.split_once(']')?.0));
    chosen.map_or_else(unknown, str::to_owned)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn libc_version() -> String {
    // SAFETY: returns a pointer to a static string that lives as long as the process.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("glibc {}", version.to_string_lossy())
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn libc_version() -> String {
    format!(
        "not glibc ({})",
        if cfg!(target_env = "musl") {
            "musl"
        } else {
            "unknown"
        }
    )
}

fn text(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_described_without_gaps() {
        let host = describe("system");
        assert!(host.cpus > 0 && host.memory_bytes > 0);
        assert!(!host.kernel.is_empty() && !host.os.is_empty() && !host.cpu_model.is_empty());
        assert_eq!(host.allocator, "system");
    }

    #[test]
    fn both_clocks_of_a_pair_advance_alike() {
        let first = clock_pair();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let second = clock_pair();
        let monotonic = second.monotonic_ns - first.monotonic_ns;
        let wall = second.unix_ns - first.unix_ns;
        // Slewing changes the wall clock by 500 ppm at most; a step would show.
        assert!(monotonic.abs_diff(wall) < 1_000_000, "{monotonic} {wall}");
    }
}
