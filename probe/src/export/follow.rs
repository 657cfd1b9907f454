//! Keeps a session with the target: finds it, attaches, and after its end waits for the next.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::totals::Totals;
use super::{ServeError, ServeEvent, ServeOptions};
use crate::live::Source;
use crate::target_choice::{Process, TargetChoice};

/// How long to wait at most before looking whether to end.
const PATIENCE: Duration = Duration::from_millis(100);
/// Between two looks for a process: a look reads all of `/proc`.
const LOOKS: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(4));
/// Between two attempts to attach: an attempt stops the target's threads for a moment.
const ATTEMPTS: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// Observes one process after the other, until the choice can have no further one or `stop` is set.
pub(super) fn follow<S: Source>(
    options: &ServeOptions,
    totals: &Mutex<Totals>,
    attach: &mut impl FnMut(&Process) -> Result<S, S::Error>,
    report: &mut impl FnMut(&ServeEvent),
) -> Result<(), ServeError<S::Error>> {
    let mut first = true;
    let mut ended: Option<Process> = None;
    let mut attempts = ATTEMPTS;
    while let Some(process) = wait_for_target(options, ended.as_ref(), report)? {
        match attach(&process) {
            Ok(mut source) => {
                first = false;
                report(&ServeEvent::Attached {
                    process: Box::new(process.clone()),
                });
                let observed = observe(options, totals, &mut source);
                // Detaches before the next is looked for.
                drop(source);
                lock(totals).end();
                match observed {
                    Ok(Observed::Stopped) => return Ok(()),
                    Ok(Observed::Ended) => {
                        report(&ServeEvent::Ended { pid: process.pid });
                        attempts = ATTEMPTS;
                        if let TargetChoice::Pid(_) = options.choice {
                            return Ok(());
                        }
                        ended = Some(process);
                    }
                    Err(error) => {
                        lock(totals).failed += 1;
                        report(&ServeEvent::Failed {
                            pid: process.pid,
                            error: error.to_string(),
                        });
                        attempts.wait(options);
                    }
                }
            }
            // At the start somebody is there to read it, and it will not go away by itself; but a
            // process that ended meanwhile proves nothing.
            Err(error) if first && process.still_runs(&options.processes) => {
                return Err(ServeError::Session(error));
            }
            Err(error) => {
                lock(totals).failed += 1;
                report(&ServeEvent::Failed {
                    pid: process.pid,
                    error: error.to_string(),
                });
                attempts.wait(options);
            }
        }
    }
    Ok(())
}

/// The process to observe next; `None` when stopped.
///
/// # Errors
///
/// At the start, when nobody matches several do or a number is wrong, there is somebody to tell.
fn wait_for_target<E: std::error::Error + Send + Sync + 'static>(
    options: &ServeOptions,
    ended: Option<&Process>,
    report: &mut impl FnMut(&ServeEvent),
) -> Result<Option<Process>, ServeError<E>> {
    let mut told = String::new();
    let mut looks = LOOKS;
    while !options.stop.is_set() {
        match options.choice.find(&options.processes, options.several) {
            // The one that has just ended may still be listed for a moment.
            Ok(process) if ended.is_none_or(|ended| !is_same(ended, &process)) => {
                return Ok(Some(process));
            }
            Ok(_) => {}
            Err(error) if matches!(options.choice, TargetChoice::Pid(_)) => {
                return Err(ServeError::Choice(error));
            }
            Err(error) => {
                let reason = error.to_string();
                if reason != told {
                    report(&ServeEvent::Waiting {
                        reason: reason.clone(),
                    });
                    told = reason;
                }
            }
        }
        looks.wait(options);
    }
    Ok(None)
}

fn is_same(a: &Process, b: &Process) -> bool {
    (a.pid, a.started) == (b.pid, b.started)
}

enum Observed {
    Stopped,
    Ended,
}

fn observe<S: Source>(
    options: &ServeOptions,
    totals: &Mutex<Totals>,
    source: &mut S,
) -> Result<Observed, S::Error> {
    lock(totals).begin(&source.describe());
    while !options.stop.is_set() {
        let Some(tick) = source.next(PATIENCE)? else {
            continue;
        };
        lock(totals).absorb(&tick, &source.describe());
        if tick.ended {
            return Ok(Observed::Ended);
        }
    }
    Ok(Observed::Stopped)
}

fn lock(totals: &Mutex<Totals>) -> MutexGuard<'_, Totals> {
    // Sums are sums, even if a thread died between two of them.
    totals.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits that grow up to a limit.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    const fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff {
            next: first,
            longest,
        }
    }

    /// Waits, but not longer than until `stop` is set.
    fn wait(&mut self, options: &ServeOptions) {
        let end = Instant::now() + self.next;
        self.next = (self.next * 2).min(self.longest);
        while !options.stop.is_set() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(PATIENCE));
        }
    }
}
