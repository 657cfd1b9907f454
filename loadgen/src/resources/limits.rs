//! How much CPU processes may use: by their affinity, and by the quota of their control group.

use std::path::{Path, PathBuf};

use super::process::{affinity, number, read};

/// Groups above a process's own that are looked at.
const MOST_LEVELS: usize = 32;

/// Thousandths of a CPU that `process` may use; 0 where that cannot be told.
pub(super) fn allowed_millicpus(process: u32) -> u32 {
    let cpus = affinity(process).map_or(0, |cpus| cpus.saturating_mul(1000));
    match quota(process) {
        Some(quota) if cpus == 0 || quota < cpus => quota,
        _ => cpus,
    }
}

/// The tightest quota of its control group and those above it, in thousandths of a CPU.
fn quota(process: u32) -> Option<u32> {
    let groups = read(Path::new(&format!("/proc/{process}/cgroup"))).ok()?;
    let own = version_two(&groups)?;
    let root = Path::new("/sys/fs/cgroup");
    let mut group: PathBuf = root.join(own);
    let mut tightest = None;
    for _ in 0..MOST_LEVELS {
        if let Some(here) = read(&group.join("cpu.max"))
            .ok()
            .and_then(|text| parse_quota(&text))
        {
            tightest = Some(tightest.map_or(here, |known: u32| known.min(here)));
        }
        if group == root || !group.pop() {
            break;
        }
    }
    tightest
}

/// The path of the unified hierarchy, below its root. Nothing that leads out of it.
fn version_two(groups: &[u8]) -> Option<&str> {
    let path = groups
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::/"))?;
    let path = std::str::from_utf8(path).ok()?;
    (!path.split('/').any(|part| part == "..")).then_some(path)
}

/// `max 100000` is no quota; `150000 100000` is one and a half CPUs.
fn parse_quota(text: &[u8]) -> Option<u32> {
    let mut numbers = text.split(u8::is_ascii_whitespace).map(number);
    let (quota, period) = (numbers.next()??, numbers.next()??);
    let millicpus = u128::from(quota) * 1000 / u128::from(period.max(1));
    u32::try_from(millicpus).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_as_cpus_and_none_is_none() {
        assert_eq!(parse_quota(b"150000 100000\n"), Some(1500));
        assert_eq!(parse_quota(b"max 100000\n"), None);
        for damaged in [&b""[..], b"7", b"-5 3", b"\xff 1"] {
            assert_eq!(parse_quota(damaged), None);
        }
        assert_eq!(parse_quota(b"5 0"), Some(5000));
    }

    #[test]
    fn the_path_of_a_group_never_leads_out_of_the_hierarchy() {
        assert_eq!(version_two(b"1:cpu:/x\n0::/a/b\n"), Some("a/b"));
        assert_eq!(version_two(b"0::/\n"), Some(""));
        assert_eq!(version_two(b"0::/../../etc\n"), None);
        assert_eq!(version_two(b"1:cpu:/x\n"), None);
    }

    #[test]
    fn this_process_may_use_some_cpu() {
        assert!(allowed_millicpus(std::process::id()) > 0);
    }
}
