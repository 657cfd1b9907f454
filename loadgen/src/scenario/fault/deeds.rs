//! What is done, and undone by being dropped.

use std::io;
use std::sync::Arc;

use super::helper::Helper;
use super::process::Process;
use crate::clock::Nanos;

/// Delays everything between us and the target: a proxy that can be told so while it runs.
pub trait SetDelay: Send + Sync {
    /// From now on everything is late by `by` and up to `jitter` more, in each direction; by zero and zero not
    /// at all.
    fn set_delay(&self, by: Nanos, jitter: Nanos);
}

/// Everything that a fault needs, found or started before the run.
#[derive(Debug)]
pub(super) enum Prepared {
    Freeze {
        processes: Arc<Vec<Process>>,
        /// Thaws them if we are killed. Kept as long as any freeze may come.
        _guard: Option<Arc<Helper>>,
    },
    HogCpu {
        helper: Helper,
        threads: u32,
    },
    HogMemory {
        helper: Helper,
        bytes: u64,
        /// Checks again that so much is there.
        allowed: fn(u64) -> bool,
    },
    Delay {
        proxy: Proxy,
        by: Nanos,
        jitter: Nanos,
    },
}

/// A proxy that can be printed.
#[derive(Clone)]
pub(super) struct Proxy(pub(super) Arc<dyn SetDelay>);

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxy")
    }
}

/// A fault under way. Dropped, it is undone.
#[derive(Debug)]
pub(super) struct UnderWay {
    what: Doing,
    /// For people.
    pub(super) detail: String,
}

/// What ends by being dropped is never read.
#[derive(Debug)]
enum Doing {
    Frozen(#[allow(dead_code)] Frozen),
    Hog(#[allow(dead_code)] Helper),
    Delayed(Proxy),
}

/// Processes that stand still until this is dropped.
#[derive(Debug)]
struct Frozen {
    processes: Arc<Vec<Process>>,
    _guard: Option<Arc<Helper>>,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in self.processes.iter() {
            // One that has ended meanwhile needs no help.
            let _ = process.go_on();
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Doing::Delayed(proxy) = &self.what {
            proxy.0.set_delay(Nanos(0), Nanos(0));
        }
    }
}

impl Prepared {
    /// Does it.
    pub(super) fn begin(self) -> io::Result<UnderWay> {
        match self {
            Prepared::Freeze { processes, _guard } => {
                // First what undoes it: if the second of two cannot be stopped, the first goes on.
                let frozen = Frozen {
                    processes: Arc::clone(&processes),
                    _guard,
                };
                for process in processes.iter() {
                    process.stop()?;
                }
                Ok(UnderWay {
                    what: Doing::Frozen(frozen),
                    detail: format!("{} stopped by SIGSTOP", named(&processes)),
                })
            }
            Prepared::HogCpu {
                mut helper,
                threads,
            } => {
                helper.begin()?;
                Ok(UnderWay {
                    what: Doing::Hog(helper),
                    detail: match threads {
                        1 => "1 thread of another process burned CPU".to_owned(),
                        threads => format!("{threads} threads of another process burned CPU"),
                    },
                })
            }
            Prepared::HogMemory {
                mut helper,
                bytes,
                allowed,
            } => {
                if !allowed(bytes) {
                    return Err(io::Error::other("so much memory is not available any more"));
                }
                helper.begin()?;
                Ok(UnderWay {
                    what: Doing::Hog(helper),
                    detail: format!(
                        "another process took {} of memory",
                        crate::quantity::Bytes(bytes)
                    ),
                })
            }
            Prepared::Delay { proxy, by, jitter } => {
                proxy.0.set_delay(by, jitter);
                let more = match jitter {
                    Nanos(0) => String::new(),
                    jitter => format!(" and up to {jitter} more"),
                };
                Ok(UnderWay {
                    what: Doing::Delayed(proxy),
                    detail: format!(
                        "everything delayed by {by}{more} in each direction, by a proxy"
                    ),
                })
            }
        }
    }
}

fn named(processes: &[Process]) -> String {
    match processes {
        [one] => format!("process {}", one.number),
        several => {
            let numbers: Vec<String> = several
                .iter()
                .take(8)
                .map(|process| process.number.to_string())
                .collect();
            let more = several.len() - numbers.len();
            match more {
                0 => format!("processes {}", numbers.join(", ")),
                more => format!("processes {} and {more} more", numbers.join(", ")),
            }
        }
    }
}
