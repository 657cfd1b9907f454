//! Begins and ends each fault in time, on a thread of its own, and says what really happened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tailcut_report::recording::Mark;

use super::deeds::{Prepared, Proxy, SetDelay, UnderWay};
use super::helper::{self, Helper};
use super::process::Process;
use super::{Fault, FaultError, FaultKind};
use crate::clock::{Nanos, monotonic_ns};
use crate::host::meminfo;
use crate::quantity::Bytes;

/// How often it is asked whether the recorded part's start is known.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// The last part of a wait is spent looking at the clock: sleeping is no more precise than this.
const LOOK_AT_CLOCK: Nanos = Nanos(150_000);
/// Memory that a hog leaves: a sixteenth of the machine's, and at least so much.
const LEAST_RESERVE: u64 = 256 << 20;

/// Whom faults befall, and who does them.
#[derive(Default, Clone)]
pub struct FaultTargets {
    /// What is frozen: all processes of the target.
    pub processes: Vec<u32>,
    /// What delays.
    pub proxy: Option<Arc<dyn SetDelay>>,
    /// The program that calls [`run_helper`](super::run_helper) when told so by its arguments [the one that
    /// was registered].
    pub helper: Option<PathBuf>,
}

/// Faults of a run: prepared when made, done in time, undone when they end or this is dropped.
#[derive(Debug)]
pub struct Faults {
    marks: Arc<Mutex<Vec<Mark>>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Faults {
    /// Prepares `faults`, then waits for their time on a thread of its own.
    ///
    /// `recorded_from` is asked, about every half millisecond, for the start of the recorded part on
    /// `CLOCK_MONOTONIC`, until it says one. Without a fault nothing is started.
    ///
    /// Costs some milliseconds for each helper process; during the run, nothing between two faults.
    ///
    /// # Errors
    /// A process that is gone or may not be stopped; more memory than is available; no proxy; a helper
    /// that cannot be started.
    pub fn start(
        faults: &[Fault],
        targets: &FaultTargets,
        recorded_from: impl Fn() -> Option<Nanos> + Send + 'static,
    ) -> Result<Faults, FaultError> {
        let marks = Arc::new(Mutex::new(Vec::new()));
        if faults.is_empty() {
            return Ok(Faults {
                marks,
                stop: None,
                thread: None,
            });
        }
        let (stop, stopped) = mpsc::channel();
        let (prepared, preparing) = mpsc::sync_channel(1);
        let (faults, targets) = (faults.to_vec(), targets.clone());
        let of_thread = Arc::clone(&marks);
        // Prepared there too: the kernel ends a helper with the thread that started it.
        let thread = Builder::new()
            .name("faults".to_owned())
            .spawn(move || {
                let made = prepare(&faults, &targets);
                let (plan, answer) = match made {
                    Ok(plan) => (Some(plan), Ok(())),
                    Err(error) => (None, Err(error)),
                };
                let _ = prepared.send(answer);
                if let Some(plan) = plan {
                    conduct(plan, &recorded_from, &stopped, &of_thread);
                }
            })
            .map_err(FaultError::Thread)?;
        let faults = Faults {
            marks,
            stop: Some(stop),
            thread: Some(thread),
        };
        match preparing.recv() {
            Ok(Ok(())) => Ok(faults),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(FaultError::Thread(std::io::Error::other("it panicked"))),
        }
    }

    /// What has happened since the last call, each when it was over: true beginning and end.
    pub fn take_marks(&self) -> Vec<Mark> {
        std::mem::take(&mut lock(&self.marks))
    }

    /// Undoes what is under way, and says of all that happened since the last call.
    #[must_use]
    pub fn finish(mut self) -> Vec<Mark> {
        self.end();
        self.take_marks()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has undone what was under way, like any other end.
            let _ = thread.join();
        }
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(marks: &Mutex<Vec<Mark>>) -> MutexGuard<'_, Vec<Mark>> {
    marks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fault with all that it needs.
struct Planned {
    fault: Fault,
    prepared: Prepared,
}

fn prepare(faults: &[Fault], targets: &FaultTargets) -> Result<Vec<Planned>, FaultError> {
    let helper = targets.helper.clone().or_else(helper::program);
    #[allow(clippy::type_complexity)] // named in the pattern below, and nowhere else
    let mut frozen: Option<(Arc<Vec<Process>>, Option<Arc<Helper>>)> = None;
    let mut plan = Vec::new();
    for fault in faults {
        let start = |deed: &[String]| {
            let program = helper
                .as_ref()
                .ok_or_else(|| FaultError::NoHelper(fault.clone()))?;
            Helper::start(program, deed).map_err(|cause| FaultError::Helper {
                fault: fault.clone(),
                cause,
            })
        };
        let prepared = match fault.kind {
            FaultKind::Freeze => {
                if frozen.is_none() {
                    let processes = Arc::new(to_freeze(fault, &targets.processes)?);
                    let deed: Vec<String> = std::iter::once("guard".to_owned())
                        .chain(processes.iter().map(|process| process.number.to_string()))
                        .collect();
                    let guard = match helper {
                        Some(_) => Some(Arc::new(start(&deed)?)),
                        None => None,
                    };
                    frozen = Some((processes, guard));
                }
                let (processes, guard) = frozen.clone().unwrap_or_default();
                Prepared::Freeze {
                    processes,
                    _guard: guard,
                }
            }
            FaultKind::HogCpu { threads } => Prepared::HogCpu {
                helper: start(&["cpu".to_owned(), threads.to_string()])?,
                threads,
            },
            FaultKind::HogMemory { bytes } => {
                if !allowed(bytes) {
                    return Err(FaultError::Memory {
                        fault: fault.clone(),
                        available: Bytes(available()),
                        reserve: Bytes(reserve()),
                    });
                }
                Prepared::HogMemory {
                    helper: start(&["memory".to_owned(), bytes.to_string()])?,
                    bytes,
                    allowed,
                }
            }
            FaultKind::Delay { by, jitter } => Prepared::Delay {
                proxy: Proxy(
                    targets
                        .proxy
                        .clone()
                        .ok_or_else(|| FaultError::NoProxy(fault.clone()))?,
                ),
                by,
                jitter,
            },
        };
        plan.push(Planned {
            fault: fault.clone(),
            prepared,
        });
    }
    plan.sort_by_key(|planned| Reverse(planned.fault.at)); // taken from the end
    Ok(plan)
}

fn to_freeze(fault: &Fault, processes: &[u32]) -> Result<Vec<Process>, FaultError> {
    if processes.is_empty() {
        return Err(FaultError::NoProcess(fault.clone()));
    }
    let ourselves = |what| FaultError::Ourselves {
        fault: fault.clone(),
        what,
    };
    processes
        .iter()
        .map(|&process| {
            if process == std::process::id() {
                return Err(ourselves("this process itself"));
            }
            if process == 1 {
                return Err(ourselves("the first process of this machine"));
            }
            let found = Process::open(process).and_then(|found| {
                found.may_be_signalled()?;
                Ok(found)
            });
            found.map_err(|cause| match cause.raw_os_error() {
                Some(libc::ESRCH | libc::EINVAL) => FaultError::Gone {
                    fault: fault.clone(),
                    process,
                },
                _ => FaultError::Refused {
                    fault: fault.clone(),
                    process,
                    cause,
                },
            })
        })
        .collect()
}

/// Whether a hog may take so much.
fn allowed(bytes: u64) -> bool {
    bytes <= available().saturating_sub(reserve())
}

fn available() -> u64 {
    meminfo("MemAvailable").map_or(0, |bytes| bytes.0)
}

fn reserve() -> u64 {
    let all = meminfo("MemTotal").map_or(0, |bytes| bytes.0);
    (all / 16).max(LEAST_RESERVE)
}

/// A fault under way, by its end.
struct Open {
    until: u64,
    began: u64,
    fault: Fault,
    under_way: UnderWay,
}

impl PartialEq for Open {
    fn eq(&self, other: &Open) -> bool {
        self.until == other.until
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Open) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    /// The first to end is the greatest, which is what a heap gives first.
    fn cmp(&self, other: &Open) -> std::cmp::Ordering {
        other.until.cmp(&self.until)
    }
}

/// Does the plan, whose first fault stands last. Whatever ends this ends what is under way.
fn conduct(
    mut plan: Vec<Planned>,
    recorded_from: &dyn Fn() -> Option<Nanos>,
    stopped: &Receiver<()>,
    marks: &Mutex<Vec<Mark>>,
) {
    let mut open: BinaryHeap<Open> = BinaryHeap::new();
    let start = loop {
        if let Some(start) = recorded_from() {
            break start.0;
        }
        match stopped.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    };
    loop {
        let begins = plan
            .last()
            .map(|next| start.saturating_add(next.fault.at.0));
        let ends = open.peek().map(|open| open.until);
        let Some(due) = begins.into_iter().chain(ends).min() else {
            return;
        };
        if !wait_until(due, stopped) {
            // In the order of their ends, each with its true one.
            while let Some(open) = open.pop() {
                close(open, marks);
            }
            return;
        }
        // An end before a beginning at the same time: one of a kind at a time.
        if ends == Some(due) {
            open.pop().into_iter().for_each(|open| close(open, marks));
        } else if let Some(Planned { fault, prepared }) = plan.pop() {
            let began = monotonic_ns();
            match prepared.begin() {
                Ok(under_way) => open.push(Open {
                    // As long as was asked for, also where it began late.
                    until: began.saturating_add(fault.lasts.0),
                    began,
                    fault,
                    under_way,
                }),
                Err(cause) => lock(marks).push(Mark {
                    start_ns: began,
                    end_ns: began,
                    kind: format!("{}_failed", kind_name(&fault.kind)),
                    detail: format!("{fault} could not be done: {cause}"),
                }),
            }
        }
    }
}

fn close(open: Open, marks: &Mutex<Vec<Mark>>) {
    let Open {
        began,
        fault,
        under_way,
        ..
    } = open;
    let detail = under_way.detail.clone();
    drop(under_way);
    lock(marks).push(Mark {
        start_ns: began,
        end_ns: monotonic_ns(),
        kind: kind_name(&fault.kind).to_owned(),
        detail,
    });
}

fn kind_name(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Freeze => "freeze",
        FaultKind::HogCpu { .. } => "hog_cpu",
        FaultKind::HogMemory { .. } => "hog_memory",
        FaultKind::Delay { .. } => "delay",
    }
}

/// Whether the time came before the end of the run.
fn wait_until(due: u64, stopped: &Receiver<()>) -> bool {
    loop {
        let left = due.saturating_sub(monotonic_ns());
        if left == 0 {
            return !matches!(stopped.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        }
        if left <= LOOK_AT_CLOCK.0 {
            std::hint::spin_loop();
            continue;
        }
        match stopped.recv_timeout(Duration::from_nanos(left - LOOK_AT_CLOCK.0)) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return false,
        }
    }
}
