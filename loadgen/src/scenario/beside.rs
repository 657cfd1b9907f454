//! What goes on beside the load of a run: faults on purpose, and samples of the target's resources.
//!
//! Everything is found and prepared before the run begins; the thread that records asks [`Beside::turn`]
//! every few milliseconds for what there is to write. Whatever ends the run ends this, too.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tailcut_report::recording::{Mark, ResourceSample};

use super::fault::{FaultKind, FaultTargets, Faults, SetDelay};
use super::{Fault, Scenario, Watched};
use crate::clock::{Nanos, monotonic_ns};
use crate::error::LoadError;
use crate::proxy::DelayProxy;
use crate::resources::{Listening, Sampler, TargetUse, find_listeners};

/// The shortest and the longest time between two samples.
const SAMPLES_APART: (Nanos, Nanos) = (Nanos::from_millis(100), Nanos::SECOND);
/// Samples of a run that its length is divided by.
const SAMPLES: u64 = 600;
/// How often there is something to take.
const TAKE_EVERY: Nanos = Nanos::from_millis(100);

/// The server of a run, as far as it concerns what goes on beside.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// How.
    pub listening: Listening,
}

/// A proxy, and what its delays are drawn from.
#[derive(Debug)]
struct Proxy {
    proxy: DelayProxy,
    seed: u64,
}

impl SetDelay for Proxy {
    fn set_delay(&self, by: Nanos, jitter: Nanos) {
        self.proxy.set_delay(by, jitter, self.seed);
    }
}

/// What there is to write.
#[derive(Debug, Default)]
pub struct Taken {
    /// What happened.
    pub marks: Vec<Mark>,
    /// What the target used.
    pub resources: Vec<ResourceSample>,
}

/// What goes on beside a run.
#[derive(Debug, Default)]
pub struct Beside {
    /// Start of the recorded part; 0 while it is not known.
    recorded_from: Arc<AtomicU64>,
    /// In front of the server, where it is to be delayed.
    proxy: Option<Arc<Proxy>>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    faults: Option<Faults>,
    sampler: Option<Sampler>,
    taken_at: Nanos,
    /// The first and the last sample of the recorded part.
    first: Option<ResourceSample>,
    last: Option<ResourceSample>,
}

impl Beside {
    /// Nothing goes on.
    #[must_use]
    pub fn nothing() -> Beside {
        Beside::default()
    }

    /// Prepares the faults of `scenario`, and begins to sample whom it watches. `server` is `None` for a
    /// service within this process.
    ///
    /// # Errors
    /// A fault that cannot be done; a process that was named and cannot be watched. A listener that is not
    /// found is none: the server may be on another machine.
    pub fn start(scenario: &Scenario, server: Option<Server>) -> Result<Beside, LoadError> {
        let processes = match (scenario.watched, &server) {
            (Watched::Nobody, _) | (Watched::Listener, None) => Vec::new(),
            (Watched::Process(process), _) => vec![process],
            (Watched::Listener, Some(server)) => {
                // Those that may not be looked at are as good as not there.
                find_listeners(server.address, server.listening).unwrap_or_default()
            }
        };
        let ours = std::process::id();
        let sampler = match (
            processes.is_empty() || processes.contains(&ours),
            scenario.watched,
        ) {
            (true, _) => None,
            (false, Watched::Process(_)) => Some(Sampler::start(&processes, apart(scenario))?),
            // It may end, or be another user's, between being found and being looked at.
            (false, _) => Sampler::start(&processes, apart(scenario)).ok(),
        };
        let delays = |fault: &Fault| matches!(fault.kind, FaultKind::Delay { .. });
        let proxy = match &server {
            // In datagrams there is no order to keep: such a fault is refused for want of a proxy.
            Some(server)
                if server.listening == Listening::Tcp && scenario.faults.iter().any(delays) =>
            {
                let proxy = DelayProxy::start(server.address)?;
                Some(Arc::new(Proxy {
                    proxy,
                    seed: scenario.seed,
                }))
            }
            _ => None,
        };
        let recorded_from = Arc::new(AtomicU64::new(0));
        let known = Arc::clone(&recorded_from);
        let targets = FaultTargets {
            processes,
            proxy: proxy.clone().map(|proxy| proxy as Arc<dyn SetDelay>),
            helper: None,
        };
        let faults = Faults::start(&scenario.faults, &targets, move || {
            Some(Nanos(known.load(Ordering::Acquire))).filter(|start| start.0 > 0)
        })?;
        Ok(Beside {
            recorded_from,
            proxy,
            inner: Mutex::new(Inner {
                faults: (!scenario.faults.is_empty()).then_some(faults),
                sampler,
                ..Inner::default()
            }),
        })
    }

    /// Where the server is to be reached, if not at its own address.
    #[must_use]
    pub fn via(&self) -> Option<SocketAddr> {
        self.proxy.as_ref().map(|proxy| proxy.proxy.address())
    }

    /// Says when the recorded part begins, once that is known, and takes what there is to write: ten times
    /// a second something, else nothing at all. Costs a reading of the clock.
    pub fn turn(&self, recorded_from: Option<Nanos>) -> Taken {
        if let Some(start) = recorded_from {
            self.recorded_from.store(start.0, Ordering::Release);
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Nanos(monotonic_ns());
        if now < inner.taken_at + TAKE_EVERY {
            return Taken::default();
        }
        inner.taken_at = now;
        self.take(&mut inner)
    }

    /// Undoes all faults, ends sampling, and takes what is left to write.
    pub fn finish(&self) -> Taken {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.take(&mut inner);
        if let Some(faults) = inner.faults.take() {
            taken.marks.extend(faults.finish());
        }
        inner.sampler = None;
        taken
    }

    /// What the target used in the recorded part; `None` where that was not sampled.
    pub fn target_use(&self) -> Option<TargetUse> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        TargetUse::of(&[inner.first.clone()?, inner.last.clone()?])
    }

    fn take(&self, inner: &mut Inner) -> Taken {
        let mut taken = Taken::default();
        if let Some(faults) = &inner.faults {
            taken.marks.extend(faults.take_marks());
        }
        if let Some(sampler) = &inner.sampler {
            taken.marks.extend(sampler.take_marks());
            taken.resources = sampler.take();
        }
        let start = self.recorded_from.load(Ordering::Acquire);
        for sample in &taken.resources {
            if start > 0 && sample.at_ns >= start {
                inner.first.get_or_insert_with(|| sample.clone());
                inner.last = Some(sample.clone());
            }
        }
        taken
    }
}

fn apart(scenario: &Scenario) -> Nanos {
    let (shortest, longest) = SAMPLES_APART;
    Nanos(scenario.duration.0 / SAMPLES).clamp(shortest, longest)
}
