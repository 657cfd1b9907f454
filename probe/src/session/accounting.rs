//! What the programs cost: sampled, because asking costs, too.
//!
//! The kernel accounts the run time of programs only while somebody wants it, and reads the clock
//! twice for each run then, which takes as long as a short program. So it is asked for a fifth of a
//! second in each ten, and its answer stands for the time between.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use aya::sys::{Stats, enable_stats};

use crate::programs::Programs;

const SAMPLE: Duration = Duration::from_millis(200);
const BETWEEN: Duration = Duration::from_secs(10);

/// Runs and nanoseconds of programs, per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rates {
    pub runs: f64,
    pub nanoseconds: f64,
}

pub(crate) struct Accounting {
    /// While it is held, the kernel accounts.
    sample: Option<(OwnedFd, Instant, HashMap<String, (u64, u64)>)>,
    next: Instant,
    rates: Rates,
    /// What is accounted for a run of nothing.
    pub empty_ns: f64,
    /// The kernel does not let us ask.
    pub refused: bool,
}

impl Accounting {
    pub fn new() -> Accounting {
        Accounting {
            sample: None,
            next: Instant::now(),
            rates: Rates::default(),
            empty_ns: 0.0,
            refused: false,
        }
    }

    /// Begins or ends a sample, if it is time.
    pub fn step(&mut self, programs: &Programs) {
        let now = Instant::now();
        match self.sample.take() {
            Some((kernel, since, before)) if now.duration_since(since) >= SAMPLE => {
                let (mut runs, mut nanoseconds) = (0, 0);
                for (name, all_runs, all_time) in programs.runs() {
                    let (old_runs, old_time) = before.get(name).copied().unwrap_or_default();
                    runs += all_runs - old_runs;
                    nanoseconds += all_time - old_time;
                }
                let seconds = now.duration_since(since).as_secs_f64();
                drop(kernel);
                let own = nanoseconds as f64 - runs as f64 * self.empty_ns;
                self.rates = Rates {
                    runs: runs as f64 / seconds,
                    nanoseconds: own.max(0.0) / seconds,
                };
                self.next = now + BETWEEN;
            }
            None if now >= self.next && !self.refused => match enable_stats(Stats::RunTime) {
                Ok(kernel) => {
                    let before = programs
                        .runs()
                        .into_iter()
                        .map(|(name, runs, time)| (name.to_owned(), (runs, time)))
                        .collect();
                    self.sample = Some((kernel, now, before));
                }
                Err(_) => self.refused = true,
            },
            sample => self.sample = sample,
        }
    }

    /// As of the last sample.
    pub fn rates(&self) -> Rates {
        self.rates
    }
}
