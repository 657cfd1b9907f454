//! What processes use: CPU time and memory, of the target and of this one.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// A process that is watched. It is held by a descriptor, so that its number cannot come to mean
/// another one unnoticed.
pub(crate) struct Watched {
    pid: u32,
    handle: OwnedFd,
    clock: Option<libc::clockid_t>,
}

impl Watched {
    pub fn open(pid: u32) -> io::Result<Watched> {
        // SAFETY: the call takes two integers.
        let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
        if handle < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        let handle = unsafe { OwnedFd::from_raw_fd(handle as i32) };
        let mut clock = 0;
        // SAFETY: the call writes to `clock`, which outlives it.
        let failed = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) };
        Ok(Watched {
            pid,
            handle,
            clock: (failed == 0).then_some(clock),
        })
    }

    /// Readable as soon as the process has ended.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// CPU time of all its threads since it began, in nanoseconds; 0 once it has ended.
    pub fn cpu_ns(&self) -> u64 {
        self.clock.and_then(time).unwrap_or(0)
    }

    /// Resident memory in bytes; 0 once it has ended.
    pub fn rss_bytes(&self) -> u64 {
        rss_bytes(&format!("/proc/{}/statm", self.pid))
    }

    pub fn threads(&self) -> u32 {
        fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, |tasks| tasks.count() as u32)
    }
}

/// `CLOCK_MONOTONIC`, in nanoseconds.
pub(crate) fn now() -> u64 {
    time(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn wall_clock() -> u64 {
    time(libc::CLOCK_REALTIME).unwrap_or(0)
}

/// CPU time of this process, in nanoseconds.
pub(crate) fn own_cpu_ns() -> u64 {
    time(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

/// Resident memory of this process, in bytes.
pub(crate) fn own_rss_bytes() -> u64 {
    rss_bytes("/proc/self/statm")
}

fn rss_bytes(statm: &str) -> u64 {
    let pages = fs::read_to_string(statm)
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    // SAFETY: the call takes an integer.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.unwrap_or(0) * u64::try_from(page).unwrap_or(4096)
}

fn time(clock: libc::clockid_t) -> Option<u64> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes to `now`, which outlives it.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut now) };
    (failed == 0).then(|| now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_time_and_memory() {
        let this = Watched::open(std::process::id()).unwrap();
        let before = this.cpu_ns();
        let mut sum = 0_u64;
        for number in 0..3_000_000_u64 {
            sum = std::hint::black_box(sum ^ number);
        }
        assert!(this.cpu_ns() > before, "{sum}");
        assert!(this.rss_bytes() > 100_000);
        assert!(this.threads() >= 1);
    }

    #[test]
    fn a_process_that_is_not_there_cannot_be_watched() {
        // Beyond the largest number that the kernel gives.
        assert!(Watched::open(0x3fff_ffff).is_err());
    }
}
