//! What the kernel counts about threads and processors, read around the run and never within.

use crate::clock::Nanos;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The kernel's id of the calling thread, as probes see it.
pub(crate) fn thread_id() -> u32 {
    nix::unistd::gettid().as_raw().cast_unsigned()
}

/// Resource usage of the calling thread.
pub(crate) fn rusage_of_thread() -> libc::rusage {
    rusage(libc::RUSAGE_THREAD)
}

fn rusage(who: libc::c_int) -> libc::rusage {
    // SAFETY: a rusage is plain integers, for which zeroes are a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for the kernel to fill; on failure it stays zero.
    unsafe { libc::getrusage(who, &raw mut usage) };
    usage
}

/// The most memory that this process has had resident, in bytes.
pub(crate) fn max_rss_bytes() -> u64 {
    rusage(libc::RUSAGE_SELF).ru_maxrss.max(0).cast_unsigned() * 1024
}

/// What a thread used and suffered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Ready to run, but another thread ran.
    pub(crate) run_queue_wait: Nanos,
    pub(crate) involuntary_switches: u64,
    pub(crate) major_faults: u64,
    pub(crate) minor_faults: u64,
}

impl Usage {
    pub(crate) fn since(&self, before: &Usage) -> Usage {
        Usage {
            run_queue_wait: self.run_queue_wait.saturating_sub(before.run_queue_wait),
            involuntary_switches: self.involuntary_switches - before.involuntary_switches,
            major_faults: self.major_faults - before.major_faults,
            minor_faults: self.minor_faults - before.minor_faults,
        }
    }

    pub(crate) fn add(&mut self, other: &Usage) {
        let &Usage {
            run_queue_wait,
            involuntary_switches,
            major_faults,
            minor_faults,
        } = other;
        self.run_queue_wait += run_queue_wait;
        self.involuntary_switches += involuntary_switches;
        self.major_faults += major_faults;
        self.minor_faults += minor_faults;
    }
}

/// Reads a thread's usage in two system calls: the file is opened beforehand.
pub(crate) struct UsageProbe {
    /// Absent where the kernel keeps no scheduler statistics.
    schedstat: Option<File>,
}

impl UsageProbe {
    pub(crate) fn of_this_thread() -> UsageProbe {
        UsageProbe::of(thread_id())
    }

    /// Of another thread of this process: [`UsageProbe::run_queue_wait`] only.
    pub(crate) fn of(thread: u32) -> UsageProbe {
        UsageProbe {
            schedstat: File::open(format!("/proc/self/task/{thread}/schedstat")).ok(),
        }
    }

    /// Of the calling thread, which must be the probe's.
    pub(crate) fn read(&self) -> Usage {
        let usage = rusage_of_thread();
        Usage {
            run_queue_wait: self.run_queue_wait(),
            involuntary_switches: usage.ru_nivcsw.max(0).cast_unsigned(),
            major_faults: usage.ru_majflt.max(0).cast_unsigned(),
            minor_faults: usage.ru_minflt.max(0).cast_unsigned(),
        }
    }

    /// The second number of `schedstat`; zero where there is none.
    pub(crate) fn run_queue_wait(&self) -> Nanos {
        let mut text = [0_u8; 80];
        let read = self
            .schedstat
            .as_ref()
            .and_then(|file| file.read_at(&mut text, 0).ok());
        let text = std::str::from_utf8(&text[..read.unwrap_or(0)]).unwrap_or("");
        Nanos(
            text.split_ascii_whitespace()
                .nth(1)
                .and_then(|wait| wait.parse().ok())
                .unwrap_or(0),
        )
    }
}

/// Time that the hypervisor gave to others while the given processors wanted to run. The kernel
/// counts it in ticks of 10 ms.
pub(crate) fn steal(cpus: &[u32]) -> Nanos {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    steal_in(&stat, cpus)
}

fn steal_in(stat: &str, cpus: &[u32]) -> Nanos {
    const TICK: u64 = 10_000_000; // USER_HZ is 100 on every Linux
    let of_line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let cpu: u32 = fields.next()?.strip_prefix("cpu")?.parse().ok()?;
        cpus.contains(&cpu)
            .then(|| fields.nth(7)?.parse::<u64>().ok())
            .flatten()
    };
    Nanos(stat.lines().filter_map(of_line).sum::<u64>() * TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_summed_over_the_workers_processors_only() {
        let stat = "cpu  1 2 3 4 5 6 7 100 0 0\ncpu0 1 2 3 4 5 6 7 30 0 0\ncpu1 1 2 3 4 5 6 7 70 0 0\nintr 9\n";
        assert_eq!(steal_in(stat, &[1]), Nanos::from_millis(700));
        assert_eq!(steal_in(stat, &[0, 1]), Nanos::from_millis(1000));
        assert_eq!(steal_in("cpu1 1 2\ngarbage", &[1]), Nanos(0));
    }

    #[test]
    fn a_threads_faults_are_counted() {
        let probe = UsageProbe::of_this_thread();
        let before = probe.read();
        std::hint::black_box(vec![1_u8; 8 << 20]);
        assert!(probe.read().since(&before).minor_faults > 0);
    }
}
