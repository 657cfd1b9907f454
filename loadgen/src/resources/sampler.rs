//! Several processes as one target, sampled by a thread of its own.
//!
//! A server of one process is the usual case; one that forks workers is its processes together. What
//! a thread or a process had used when it ended stays in the sums: differences are added up, never
//! totals compared. A target that ends is no error: sampling stops and leaves a mark.

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tailcut_report::recording::{Mark, ResourceSample};

use super::process::{self, ThreadUse};
use super::{ResourceError, limits};
use crate::clock::{Nanos, monotonic_ns};

/// Samples that are held while nobody takes them; the oldest go first.
const MOST_HELD: usize = 36_000;
/// The shortest interval.
const SHORTEST: Nanos = Nanos::from_millis(10);
/// An interval is at least so many times what a sample costs: a hundredth of a core.
const COST_FACTOR: u64 = 100;

/// Samples the processes of a target until it is stopped or dropped, or they have all ended.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Mutex<Shared>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    samples: Vec<ResourceSample>,
    marks: Vec<Mark>,
}

impl Sampler {
    /// Begins to sample `processes` `every` so often (at least 10 ms apart); the first sample is taken
    /// before this returns.
    ///
    /// # Errors
    /// One of the processes is not there, or may not be looked at.
    pub fn start(processes: &[u32], every: Nanos) -> Result<Sampler, ResourceError> {
        let mut target = TargetProcesses::new(processes)?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (stop, stopped) = mpsc::channel();
        let first = target.sample();
        lock(&shared).samples.extend(first);
        let of_thread = Arc::clone(&shared);
        let thread = Builder::new()
            .name("resources".to_owned())
            .spawn(move || {
                let mut due = monotonic_ns();
                let mut pause = every.0.max(SHORTEST.0);
                loop {
                    due = (due + pause).max(monotonic_ns());
                    let wait = Duration::from_nanos(due.saturating_sub(monotonic_ns()));
                    match stopped.recv_timeout(wait) {
                        Err(RecvTimeoutError::Timeout) => {}
                        _ => break,
                    }
                    let began = monotonic_ns();
                    let sample = target.sample();
                    let cost = monotonic_ns() - began;
                    pause = every.0.max(SHORTEST.0).max(cost * COST_FACTOR);
                    let mut shared = lock(&of_thread);
                    match sample {
                        Some(sample) => {
                            if shared.samples.len() >= MOST_HELD {
                                shared.samples.drain(..MOST_HELD / 10);
                            }
                            shared.samples.push(sample);
                        }
                        None => {
                            shared.marks.push(target.ended());
                            break;
                        }
                    }
                }
            })
            .map_err(ResourceError::Thread)?;
        Ok(Sampler {
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The samples since the last call, in the order of time.
    pub fn take(&self) -> Vec<ResourceSample> {
        std::mem::take(&mut lock(&self.shared).samples)
    }

    /// Marks since the last call: that the target has ended.
    pub fn take_marks(&self) -> Vec<Mark> {
        std::mem::take(&mut lock(&self.shared).marks)
    }

    /// Whether the target has ended, so that nothing more will come.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and if it did nothing would be lost but samples.
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processes, with what they had used when they were last looked at.
#[derive(Debug)]
struct TargetProcesses {
    first: u32,
    alive: Vec<Known>,
    allowed_millicpus: u32,
    page_bytes: u64,
    /// What was used since sampling began, by those that have ended too; counters of the first sample
    /// count from the processes' own beginning.
    sum: ResourceSample,
    busiest: HashMap<(u32, u32), u64>,
}

#[derive(Debug)]
struct Known {
    process: u32,
    began: u64,
    cpu_ns: u64,
    minor_faults: u64,
    major_faults: u64,
    threads: HashMap<u32, ThreadUse>,
    /// Whether it was sampled: what threads used before does not make them the busiest.
    seen: bool,
}

impl TargetProcesses {
    fn new(processes: &[u32]) -> Result<TargetProcesses, ResourceError> {
        let first = *processes.first().ok_or(ResourceError::Nobody)?;
        let alive = processes
            .iter()
            .map(|process| {
                let stat = process::stat(*process).map_err(|cause| match cause.kind() {
                    std::io::ErrorKind::PermissionDenied => ResourceError::Refused {
                        process: *process,
                        cause,
                    },
                    _ => ResourceError::NoProcess(*process),
                })?;
                if stat.ended() {
                    return Err(ResourceError::NoProcess(*process));
                }
                Ok(Known {
                    process: *process,
                    began: stat.began,
                    cpu_ns: 0,
                    minor_faults: 0,
                    major_faults: 0,
                    threads: HashMap::new(),
                    seen: false,
                })
            })
            .collect::<Result<Vec<Known>, ResourceError>>()?;
        Ok(TargetProcesses {
            first,
            allowed_millicpus: alive
                .iter()
                .map(|known| limits::allowed_millicpus(known.process))
                .max()
                .unwrap_or(0),
            alive,
            page_bytes: page_bytes(),
            sum: ResourceSample::default(),
            busiest: HashMap::new(),
        })
    }

    /// `None` when none of them is left.
    fn sample(&mut self) -> Option<ResourceSample> {
        self.sum.rss_bytes = 0;
        self.sum.threads = 0;
        self.sum.descriptors = 0;
        let (sum, busiest, page_bytes) = (&mut self.sum, &mut self.busiest, self.page_bytes);
        self.alive
            .retain_mut(|known| known.add_to(sum, busiest, page_bytes).is_some());
        (!self.alive.is_empty()).then(|| ResourceSample {
            at_ns: monotonic_ns(),
            process: self.first,
            busiest_thread_ns: self.busiest.values().copied().max().unwrap_or(0),
            allowed_millicpus: self.allowed_millicpus,
            ..self.sum.clone()
        })
    }

    fn ended(&self) -> Mark {
        let now = monotonic_ns();
        Mark {
            start_ns: now,
            end_ns: now,
            kind: "target_ended".to_owned(),
            detail: format!("process {} was no longer there", self.first),
        }
    }
}

impl Known {
    /// Adds what was used since the last look; `None` when the process has ended, or another one has
    /// its number.
    fn add_to(
        &mut self,
        sum: &mut ResourceSample,
        busiest: &mut HashMap<(u32, u32), u64>,
        page_bytes: u64,
    ) -> Option<()> {
        let stat = process::stat(self.process)
            .ok()
            .filter(|stat| stat.began == self.began && !stat.ended())?;
        let cpu_ns = process::cpu_ns(self.process)?;
        let threads = process::threads(self.process).unwrap_or_default();

        sum.cpu_ns += cpu_ns.saturating_sub(self.cpu_ns);
        sum.minor_faults += stat.minor_faults.saturating_sub(self.minor_faults);
        sum.major_faults += stat.major_faults.saturating_sub(self.major_faults);
        sum.rss_bytes += stat.rss_pages.saturating_mul(page_bytes);
        sum.threads += stat.threads;
        sum.descriptors += process::descriptors(self.process);
        for (number, now) in &threads {
            // A number that was given anew begins at zero, like a thread that is new.
            let before = self
                .threads
                .get(number)
                .filter(|before| before.cpu_ns <= now.cpu_ns)
                .copied()
                .unwrap_or_default();
            sum.run_queue_wait_ns += now.wait_ns.saturating_sub(before.wait_ns);
            sum.voluntary_switches += now.voluntary.saturating_sub(before.voluntary);
            sum.involuntary_switches += now.involuntary.saturating_sub(before.involuntary);
            if self.seen {
                *busiest.entry((self.process, *number)).or_insert(0) +=
                    now.cpu_ns.saturating_sub(before.cpu_ns);
            }
        }
        // A server that makes a thread for each connection would fill memory: keep who may be busiest.
        if busiest.len() > 4096 {
            let most = busiest.values().copied().max().unwrap_or(0);
            busiest.retain(|_, used| *used > most / 2);
        }
        self.cpu_ns = cpu_ns;
        self.minor_faults = stat.minor_faults;
        self.major_faults = stat.major_faults;
        self.threads = threads;
        self.seen = true;
        Some(())
    }
}

fn page_bytes() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::Instant;

    use super::*;

    /// A child that is ended with the test.
    struct Shell(Child);

    impl Shell {
        fn run(script: &str) -> Shell {
            let child = Command::new("sh").arg("-c").arg(script).spawn();
            Shell(child.expect("there is a shell"))
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn wait_for(what: impl Fn() -> bool) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if what() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn a_target_that_spins_is_seen_to_use_cpu_and_one_that_sleeps_is_not() {
        let busy = Shell::run("while :; do :; done");
        let idle = Shell::run("exec sleep 60");
        let used = |process: u32| {
            let sampler = Sampler::start(&[process], Nanos::from_millis(20)).expect("it runs");
            let mut samples = Vec::new();
            assert!(wait_for(|| lock(&sampler.shared).samples.len() >= 8));
            samples.extend(sampler.take());
            assert!(samples.is_sorted_by_key(|sample| sample.at_ns));
            let (first, last) = (&samples[0], &samples[samples.len() - 1]);
            assert!(last.rss_bytes > 0 && last.threads == 1 && last.process == process);
            assert!(last.busiest_thread_ns <= last.cpu_ns);
            let waited = last.run_queue_wait_ns - first.run_queue_wait_ns;
            let wanted = last.cpu_ns - first.cpu_ns + waited;
            wanted as f64 / (last.at_ns - first.at_ns) as f64
        };
        // It runs or waits for a core, all of the time, however many others want one; a wait counts when
        // it is over, and so may lie outside of what is seen of it here.
        let (busy, idle) = (used(busy.0.id()), used(idle.0.id()));
        assert!(busy > 0.2 && busy > 2.0 * idle, "{busy} and {idle}");
    }

    #[test]
    fn a_target_that_ends_leaves_a_mark_and_no_error() {
        let mut target = Shell::run("exec sleep 60");
        let sampler = Sampler::start(&[target.0.id()], Nanos::from_millis(10)).expect("it runs");
        target.0.kill().expect("it runs");
        // Not yet waited for: what is left of it is no target either.
        assert!(wait_for(|| sampler.ended()));
        let marks = sampler.take_marks();
        assert_eq!(marks.len(), 1);
        assert_eq!(marks[0].kind, "target_ended");
        assert!(!sampler.take().is_empty());
    }

    #[test]
    fn what_an_ended_process_used_stays_in_the_sum_of_the_others() {
        let mut first = Shell::run("while :; do :; done");
        let second = Shell::run("exec sleep 60");
        let processes = [first.0.id(), second.0.id()];
        let mut target = TargetProcesses::new(&processes).expect("both run");
        let mut before = target.sample().expect("both run");
        assert!(wait_for(
            || process::cpu_ns(processes[0]).unwrap_or(0) > 20_000_000
        ));
        let both = target.sample().expect("both run");
        assert!(both.cpu_ns > before.cpu_ns && both.threads == 2);
        before = both;
        first.0.kill().expect("it runs");
        first.0.wait().expect("it ends");
        let after = target.sample().expect("one is left");
        assert!(after.cpu_ns >= before.cpu_ns);
        assert_eq!((after.threads, after.process), (1, processes[0]));
    }

    #[test]
    fn who_is_not_there_cannot_be_sampled() {
        let mut gone = Shell::run("exit 0");
        gone.0.wait().expect("it ends");
        let error = Sampler::start(&[gone.0.id()], Nanos::SECOND).expect_err("it ended");
        assert!(error.to_string().contains("there is no process"), "{error}");
        assert!(matches!(
            Sampler::start(&[], Nanos::SECOND),
            Err(ResourceError::Nobody)
        ));
    }
}
