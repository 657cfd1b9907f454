//! Which thread runs where: workers alone on their cores, everything else on the others.
//!
//! Workers take the highest processors that the process may use (the lowest ones tend to get the
//! interrupts). Every other thread of the process is kept off them while the run lasts.

use crate::error::LoadError;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The processors of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    /// One for each worker.
    pub(crate) workers: Vec<u32>,
    /// For all other threads; empty if the workers take them all.
    pub(crate) others: Vec<u32>,
    /// Whether anything is bound to them: else the scheduler puts every thread where it likes.
    pub(crate) bound: bool,
}

impl Placement {
    /// Divides the processors that this process may use.
    pub(crate) fn choose(workers: u32, bound: bool) -> Result<Placement, LoadError> {
        Ok(Placement {
            bound,
            ..Placement::divide(&allowed_cpus(), workers)?
        })
    }

    /// Keeps the other threads off the workers' processors, if threads are bound at all.
    pub(crate) fn confine(&self) -> Confinement {
        Confinement::to(if self.bound { &self.others } else { &[] })
    }

    /// The processors that workers were bound to, for the recording.
    pub(crate) fn worker_cpus(&self) -> Vec<u32> {
        if self.bound {
            self.workers.clone()
        } else {
            Vec::new()
        }
    }

    fn divide(allowed: &[u32], workers: u32) -> Result<Placement, LoadError> {
        let cpus = u32::try_from(allowed.len()).unwrap_or(u32::MAX);
        if workers == 0 {
            return Err(LoadError::NoWorkers);
        }
        if workers > cpus {
            return Err(LoadError::TooManyWorkers { workers, cpus });
        }
        let (others, taken) = allowed.split_at(allowed.len() - workers as usize);
        Ok(Placement {
            workers: taken.iter().rev().copied().collect(),
            others: others.to_vec(),
            bound: true,
        })
    }
}

/// How many processors this process may use.
#[must_use]
pub fn available_cpus() -> u32 {
    u32::try_from(allowed_cpus().len()).unwrap_or(u32::MAX)
}

/// The workers that a run takes if nothing else is asked: all processors but one, at least one.
#[must_use]
pub fn default_workers() -> u32 {
    available_cpus().saturating_sub(1).max(1)
}

/// In ascending order.
fn allowed_cpus() -> Vec<u32> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return vec![0];
    };
    (0..CpuSet::count())
        .filter(|&cpu| set.is_set(cpu).unwrap_or(false))
        .filter_map(|cpu| u32::try_from(cpu).ok())
        .collect()
}

/// Binds the calling thread to one processor.
pub(crate) fn pin(cpu: u32) -> Result<(), LoadError> {
    sched_setaffinity(Pid::from_raw(0), &set_of(&[cpu]))
        .map_err(|cause| LoadError::Pin { cpu, cause })
}

fn set_of(cpus: &[u32]) -> CpuSet {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        // Every number came out of such a set, so it fits into one.
        let _ = set.set(cpu as usize);
    }
    set
}

/// Keeps all threads that the process has now off the workers' processors, until dropped. Threads
/// made by them meanwhile inherit it, and are freed with them.
#[derive(Debug)]
pub(crate) struct Confinement {
    /// What confined threads are bound to.
    confined: CpuSet,
    before: Vec<(Pid, CpuSet)>,
    /// What the calling thread was bound to: for threads that were not there then.
    of_caller: Option<CpuSet>,
}

/// One run at a time in a process: two would share cores, and each would take the other's
/// confinement for what was there before.
pub(crate) fn only_run() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // Nothing lies in the lock that a panic could have broken.
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Confinement {
    /// Best effort: a thread that just ended, or that may not be moved, is left alone.
    pub(crate) fn to(cpus: &[u32]) -> Confinement {
        let confined = set_of(cpus);
        let of_caller = sched_getaffinity(Pid::from_raw(0)).ok();
        let mut before = Vec::new();
        // If the workers take every processor, the others share with them.
        for thread in threads().filter(|_| !cpus.is_empty()) {
            if let Ok(old) = sched_getaffinity(thread)
                && sched_setaffinity(thread, &confined).is_ok()
            {
                before.push((thread, old));
            }
        }
        Confinement {
            confined,
            before,
            of_caller,
        }
    }
}

impl Drop for Confinement {
    fn drop(&mut self) {
        for (thread, old) in self.before.drain(..) {
            let _ = sched_setaffinity(thread, &old);
        }
        let Some(of_caller) = self.of_caller else {
            return;
        };
        for thread in threads() {
            if sched_getaffinity(thread) == Ok(self.confined) {
                let _ = sched_setaffinity(thread, &of_caller);
            }
        }
    }
}

/// The threads of this process.
fn threads() -> impl Iterator<Item = Pid> {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    tasks.filter_map(|task| Some(Pid::from_raw(task.file_name().to_str()?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_take_the_highest_processors_and_leave_the_rest() {
        let placement = Placement::divide(&[0, 2, 5, 7], 2).unwrap();
        assert_eq!(
            placement,
            Placement {
                workers: vec![7, 5],
                others: vec![0, 2],
                bound: true,
            }
        );
        let all = Placement::divide(&[3], 1).unwrap();
        assert!(all.others.is_empty());
    }

    #[test]
    fn more_workers_than_processors_are_refused_with_both_numbers() {
        let message = Placement::divide(&[0, 1], 3).unwrap_err().to_string();
        assert!(message.contains('3') && message.contains('2'), "{message}");
        assert!(Placement::divide(&[0, 1], 0).is_err());
    }

    #[test]
    fn where_nothing_is_bound_every_thread_may_run_anywhere() {
        let _alone = only_run();
        let before = allowed_cpus();
        let placement = Placement::choose(1, false).unwrap();
        let confined = placement.confine();
        assert_eq!(allowed_cpus(), before);
        assert!(placement.worker_cpus().is_empty());
        drop(confined);

        let placement = Placement::choose(1, true).unwrap();
        let confined = placement.confine();
        assert_eq!(allowed_cpus().len(), (before.len() - 1).max(1));
        assert_eq!(placement.worker_cpus(), before[before.len() - 1..]);
        drop(confined);
        assert_eq!(allowed_cpus(), before);
    }

    #[test]
    fn a_confined_process_gets_its_processors_back() {
        let _alone = only_run();
        let before = allowed_cpus();
        let confined = Confinement::to(&before[..1]);
        assert_eq!(allowed_cpus(), before[..1]);
        let (go, gone) = std::sync::mpsc::channel();
        let made_meanwhile = std::thread::spawn(move || {
            gone.recv().unwrap();
            allowed_cpus()
        });
        drop(confined);
        assert_eq!(allowed_cpus(), before);
        go.send(()).unwrap();
        assert_eq!(made_meanwhile.join().unwrap(), before);
    }
}
