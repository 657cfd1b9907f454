//! A scenario: one load run, wholly decided before it starts, whatever it loads.
//!
//! Flags and a TOML file say the same things ([`settings`]); both become a [`Scenario`], which
//! [`Scenario::check`] finds runnable, and [`run`] runs: in this process, by the engine of [`crate::run`], or
//! against a server, by [`crate::network`]. Searches, sweeps and comparisons are made of scenarios.

pub mod arrivals;
pub mod beside;
mod check;
pub mod fault;
pub mod file;
pub mod in_process;
pub mod notation;
mod run;
pub mod settings;
pub mod slo;
pub mod warmup;

use std::path::PathBuf;

use crate::clock::Nanos;
use crate::network::target::NetworkTarget;
use crate::plan::{Form, Service};
use crate::quantity::Rate;

pub use arrivals::Arrivals;
pub use fault::Fault;
pub use file::SCENARIO_FILE;
pub use run::{judge, run};
pub use settings::Settings;
pub use slo::Slo;
pub use warmup::WarmUp;

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Settings that do not go together, or cannot run here.
    #[error("{0}")]
    Refused(String),
    /// A file that cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A scenario file that says something wrong.
    #[error("{path}:{line}:{column}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there, and what would be right.
        reason: String,
    },
}

/// What is loaded.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A service within this process: no network, no system calls.
    InProcess {
        /// Which.
        service: Service,
        /// Who does what.
        form: Form,
        /// Live orders that are settled at once.
        window: u64,
    },
    /// A server.
    Network(NetworkTarget),
}

/// When requests are sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Pacing {
    /// By a schedule that nothing delays.
    Open {
        /// Requests per second of all workers (and shards) together.
        rate: Rate,
        /// How they are spaced.
        arrivals: Arrivals,
    },
    /// Each connection sends the next request when the one before it is answered. It finds a server's
    /// ceiling; its latencies suffer coordinated omission, and the recording says so.
    Closed,
}

/// What a request to a server is made of. What a transport has no use for is refused, not
/// ignored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestOptions {
    /// HTTP: the method [GET, or POST with a body].
    pub method: Option<String>,
    /// HTTP, WebSocket, gRPC (as metadata): further headers.
    pub headers: Vec<(String, String)>,
    /// HTTP: the body. WebSocket: the message. gRPC: the message as JSON.
    pub body: Option<Vec<u8>>,
    /// gRPC: the method, `package.Service/Method`.
    pub grpc_method: Option<String>,
    /// gRPC: a file with a `FileDescriptorSet` [ask the server by reflection].
    pub descriptor_set: Option<PathBuf>,
    /// Redis: the command with its arguments; `{n}` stands for the request's number.
    pub command: Vec<String>,
}

/// How a server's certificate is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Trust only the certificates in this PEM file [the system's].
    pub certificate_authority: Option<PathBuf>,
    /// Trust any certificate: for tests.
    pub insecure: bool,
    /// The name that the certificate must bear [the target's host].
    pub server_name: Option<String>,
}

/// One part of a load that several machines make together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Which, from 0.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

/// Whose use of resources is sampled along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// The process that listens at the target's address, if it is on this machine and can be found.
    Listener,
    /// This process.
    Process(u32),
    /// None.
    Nobody,
}

/// One load run.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What the recording and the report call it: the recording's variant.
    pub name: String,
    /// What is loaded.
    pub target: Target,
    /// When requests are sent.
    pub pacing: Pacing,
    /// Length of the recorded part.
    pub duration: Nanos,
    /// What comes before it, and is not recorded.
    pub warmup: WarmUp,
    /// Threads, each on a core of its own.
    pub workers: u32,
    /// Whether the threads are bound to their cores; else the scheduler places them. Over the network they are
    /// bound only where a core is left for the target.
    pub pin: bool,
    /// Connections of all workers together. Meaningless within this process.
    pub connections: u32,
    /// Requests that a connection carries at the same time.
    pub pipeline: u32,
    /// From when on an unanswered request is given up.
    pub timeout: Nanos,
    /// Of everything drawn at random: arrivals, orders.
    pub seed: u64,
    /// What requests are made of.
    pub request: RequestOptions,
    /// How TLS is spoken, where it is.
    pub tls: TlsOptions,
    /// What must hold.
    pub slo: Option<Slo>,
    /// What goes wrong on purpose during the recorded part.
    pub faults: Vec<Fault>,
    /// Whose resources are sampled along.
    pub watched: Watched,
    /// The schedule begins at this instant of the wall clock, in nanoseconds since 1970 [at once].
    pub start_at_unix_ns: Option<u64>,
    /// Which part of the load this process makes [all of it].
    pub shard: Option<Shard>,
}
