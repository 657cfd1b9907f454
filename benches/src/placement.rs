//! Which core a thread runs on.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The cores that this process may use.
#[derive(Debug, Clone)]
pub struct Placement {
    allowed: Vec<usize>,
}

impl Placement {
    /// Asks the kernel.
    #[must_use]
    pub fn of_this_process() -> Placement {
        let allowed = sched_getaffinity(Pid::from_raw(0)).map(|set| {
            (0..CpuSet::count())
                .filter(|&cpu| set.is_set(cpu) == Ok(true))
                .collect()
        });
        Placement {
            allowed: allowed.unwrap_or_else(|_| vec![0]),
        }
    }

    /// All of them, in ascending order.
    #[must_use]
    pub fn cores(&self) -> &[usize] {
        &self.allowed
    }

    /// Keeps the calling thread, and threads that it makes, on the `ordinal`-th core. A kernel
    /// that refuses leaves it where it is.
    pub fn pin(&self, ordinal: usize) {
        let mut set = CpuSet::new();
        if set.set(self.allowed[ordinal]).is_ok() {
            let _ = sched_setaffinity(Pid::from_raw(0), &set);
        }
    }
}
