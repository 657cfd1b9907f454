//! Everything that can keep a run from starting or from ending well.

use crate::clock::Nanos;
use crate::network::NetworkError;
use crate::proxy::ProxyError;
use crate::quantity::Bytes;
use crate::resources::ResourceError;
use crate::scenario::ScenarioError;
use crate::scenario::fault::FaultError;
use tailcut_report::recording::RecordingError;

/// Why there was no run, or none that could be completed. Found before a run starts wherever it
/// can be.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A run needs somebody to do it.
    #[error("0 workers cannot serve anything; give at least 1")]
    NoWorkers,
    /// Two workers on one core would measure each other.
    #[error(
        "{workers} workers need as many cores, but this process may use {cpus}; give at most {cpus} (one less leaves a core for the rest of the machine)"
    )]
    TooManyWorkers {
        /// What was asked for.
        workers: u32,
        /// What there is.
        cpus: u32,
    },
    /// The two-thread form works in pairs.
    #[error(
        "the handoff form decodes on one core and settles on another: it needs an even number of workers, at least 2; {workers} given, {cpus} cores there"
    )]
    HandoffWorkers {
        /// What was asked for.
        workers: u32,
        /// What there is.
        cpus: u32,
    },
    /// A window that is full when it is empty.
    #[error("a window of 0 orders would settle nothing; give at least 1 (120000 is usual)")]
    NoWindow,
    /// A schedule of no length.
    #[error("a duration of 0 leaves nothing to measure; give for example 7s")]
    NoDuration,
    /// The threads were not ready when they should have begun.
    #[error(
        "the run was ready only {late} after the instant that it should have begun at; agree on a later start"
    )]
    NotReadyInTime {
        /// By how much.
        late: Nanos,
    },
    /// The live orders would not fit into memory.
    #[error(
        "{workers} x {window} live orders need about {needed}, but only {available} of memory are free; give a smaller window"
    )]
    WindowTooLarge {
        /// Orders per worker.
        window: u64,
        /// How many workers.
        workers: u32,
        /// The estimate.
        needed: Bytes,
        /// What the kernel says is available.
        available: Bytes,
    },
    /// The pool could not be built.
    #[error("the pool of orders cannot be built: {0}")]
    Pool(#[from] tailcut_pool::BuildError),
    /// A worker could not be bound to its core.
    #[error("cannot bind a worker to core {cpu}: {cause}")]
    Pin {
        /// The core.
        cpu: u32,
        /// The system's reason.
        cause: nix::errno::Errno,
    },
    /// A thread could not be made.
    #[error("cannot start a worker thread: {0}")]
    Spawn(std::io::Error),
    /// The service panicked. What was recorded until then is readable.
    #[error("worker {worker} panicked: {message}")]
    Panicked {
        /// Which, from 0.
        worker: u32,
        /// What it said.
        message: String,
    },
    /// A server could not be loaded.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A scenario that cannot be run as it is.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A fault on purpose that cannot be done.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The target cannot be watched.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// The proxy that delays the target could not be started.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The recording could not be made or ended.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

impl LoadError {
    /// What a worker's thread came to; its panic as an error.
    pub(crate) fn of_thread<T>(
        thread: usize,
        end: std::thread::Result<Result<T, LoadError>>,
    ) -> Result<T, LoadError> {
        end.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let worker = u32::try_from(thread).unwrap_or(u32::MAX);
            Err(LoadError::Panicked {
                worker,
                message: text.unwrap_or_else(|| "without a message".to_owned()),
            })
        })
    }
}
