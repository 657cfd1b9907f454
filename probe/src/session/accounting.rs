//! What the programs cost: sampled, because asking costs, too.
//!
//! The kernel accounts the run time of programs only while somebody wants it, and reads the clock
//! twice for each run then, which takes as long as a short program. So it is asked for a fifth of a
//! second in each ten (more often in the first seconds), and its answer stands for the time between.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use aya::sys::{Stats, enable_stats};

use crate::programs::Programs;

pub(crate) const SAMPLE: Duration = Duration::from_millis(200);
/// From the first sample to the second; from then on twice as long each time.
const FIRST_BETWEEN: Duration = Duration::from_millis(800);
const BETWEEN: Duration = Duration::from_secs(10);

/// Runs of programs per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rates {
    pub runs: f64,
}

pub(crate) struct Accounting {
    sample: Option<UnderWay>,
    next: Instant,
    between: Duration,
    rates: Rates,
    /// Nanoseconds that each program cost in a second.
    pub by_program: Vec<(String, f64)>,
    /// What is accounted for a run of nothing.
    pub empty_ns: f64,
    /// The kernel does not let us ask.
    pub refused: bool,
}

/// What has become of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sample {
    None,
    Began,
    /// Then the costs are new.
    Ended,
}

/// A sample under way.
struct UnderWay {
    /// While it is held, the kernel accounts.
    kernel: OwnedFd,
    since: Instant,
    /// Runs and nanoseconds of each program at its beginning.
    before: HashMap<String, (u64, u64)>,
}

impl Accounting {
    pub fn new() -> Accounting {
        Accounting {
            sample: None,
            next: Instant::now(),
            between: FIRST_BETWEEN,
            rates: Rates::default(),
            by_program: Vec::new(),
            // Until it is measured: two readings of the clock.
            empty_ns: 45.0,
            refused: false,
        }
    }

    /// Begins or ends a sample, if it is time.
    pub fn step(&mut self, programs: &Programs) -> Sample {
        let now = Instant::now();
        match self.sample.take() {
            Some(UnderWay {
                kernel,
                since,
                before,
            }) if now.duration_since(since) >= SAMPLE => {
                let seconds = now.duration_since(since).as_secs_f64();
                self.rates = Rates::default();
                self.by_program.clear();
                for (name, all_runs, all_time) in programs.runs() {
                    let (old_runs, old_time) = before.get(name).copied().unwrap_or_default();
                    let runs = all_runs.saturating_sub(old_runs) as f64;
                    let time = all_time.saturating_sub(old_time) as f64;
                    // Less what the accounting itself takes.
                    let own = (time - runs * self.empty_ns).max(0.0) / seconds;
                    self.rates.runs += runs / seconds;
                    self.by_program.push((name.to_owned(), own));
                }
                drop(kernel);
                self.next = now + self.between;
                self.between = (self.between * 2).min(BETWEEN);
                return Sample::Ended;
            }
            None if now >= self.next && !self.refused => match enable_stats(Stats::RunTime) {
                Ok(kernel) => {
                    let before = programs
                        .runs()
                        .into_iter()
                        .map(|(name, runs, time)| (name.to_owned(), (runs, time)))
                        .collect();
                    self.sample = Some(UnderWay {
                        kernel,
                        since: now,
                        before,
                    });
                    return Sample::Began;
                }
                Err(_) => self.refused = true,
            },
            sample => self.sample = sample,
        }
        Sample::None
    }

    /// As of the last sample.
    pub fn rates(&self) -> Rates {
        self.rates
    }
}
