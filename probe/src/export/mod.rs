//! The exporter: what `tailcut serve` runs.
//!
//! It keeps a session with a target, sums up what it sees, and serves the sums over HTTP at
//! `/metrics`: in Prometheus' text format, in OpenMetrics, or in protobuf with native histograms,
//! whichever a scraper asks for. When the target ends it waits for the next that matches and goes
//! on; counters never fall.
//!
//! | metric | |
//! |---|---|
//! | `tailcut_series_seconds{process,group,series}` | histogram of lengths; also `_size_bytes`, `_things` |
//! | `tailcut_series_events_total`, `_bytes_total` | estimated for all the time |
//! | `tailcut_series_sampled_ratio` | the share that was seen |
//! | `tailcut_target_up` | 0 while there is no target |
//! | `tailcut_probe_cpu_ratio`, `_budget_ratio` | what tracing costs, and may |
//! | `tailcut_lost_total{what}` | what was lost |
//!
//! Without a scrape it costs what the session costs; a scrape of 20 series takes less than
//! 1.6 ms (the figure of a build without optimisation) and 48 kB. The address is a loopback one unless the caller says that it may be another: there is
//! neither encryption nor authentication.

mod distribution;
mod families;
mod follow;
mod http;
mod negotiation;
mod protobuf;
#[cfg(test)]
mod tests;
mod text;
mod totals;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use self::totals::Totals;
use crate::live::{Source, clean};
use crate::stop::Stop;
use crate::target_choice::{ChoiceError, Process, ProcessTable, Several, TargetChoice};

/// Where the exporter listens by default.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9184);

/// Whom to observe, and where to serve it.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Address to listen on; port 0 takes a free one, which [`ServeEvent::Listening`] tells.
    pub listen: SocketAddr,
    /// Allows an address that other machines can reach.
    pub allow_remote: bool,
    /// Whom to observe.
    pub choice: TargetChoice,
    /// What to do when several match.
    pub several: Several,
    /// Where to look for processes.
    pub processes: ProcessTable,
    /// Ends the exporter; see [`Stop::on_signals`].
    pub stop: Stop,
}

impl ServeOptions {
    /// With the default address, for this machine's processes.
    pub fn new(choice: TargetChoice, stop: Stop) -> ServeOptions {
        ServeOptions {
            listen: DEFAULT_ADDRESS,
            allow_remote: false,
            choice,
            several: Several::default(),
            processes: ProcessTable::here(),
            stop,
        }
    }
}

/// What happens meanwhile, for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServeEvent {
    /// Metrics can be had.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// There is no target, as yet or again; told once for each reason.
    Waiting {
        /// Why.
        reason: String,
    },
    /// A session began.
    Attached {
        /// With whom.
        process: Box<Process>,
    },
    /// The target ended.
    Ended {
        /// Its number.
        pid: u32,
    },
    /// A session could not begin, or broke; there will be another attempt.
    Failed {
        /// The number of the process.
        pid: u32,
        /// Why.
        error: String,
    },
}

impl fmt::Display for ServeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeEvent::Listening { address } => write!(f, "metrics at http://{address}/metrics"),
            ServeEvent::Waiting { reason } => write!(f, "waiting: {reason}"),
            ServeEvent::Attached { process } => {
                write!(f, "observing {} ({})", process.pid, clean(&process.name))
            }
            ServeEvent::Ended { pid } => write!(f, "process {pid} has ended"),
            ServeEvent::Failed { pid, error } => {
                write!(f, "no session with process {pid}: {error}; trying again")
            }
        }
    }
}

/// Why the exporter ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError<E: std::error::Error + 'static> {
    /// Other machines could read what is served.
    #[error(
        "{address} can be reached from other machines, and the exporter has no authentication; listen on 127.0.0.1 or \
         [::1], or spell out --allow-remote"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; --listen takes another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The server failed.
    #[error("the HTTP server failed: {0}")]
    Http(#[source] io::Error),
    /// The process of the number that was given cannot be had.
    #[error(transparent)]
    Choice(ChoiceError),
    /// The first session could not begin.
    #[error(transparent)]
    Session(E),
}

/// Observes whom `options` choose, with the sessions that `attach` begins, and serves what they see.
///
/// Ends when `options.stop` is set, or with the process if it was chosen by its number. `report` is
/// told what happens meanwhile.
///
/// # Errors
///
/// The address is refused; the server fails; a chosen number is no process; or the very first
/// session cannot begin. Later failures are reported and tried again.
///
/// # Panics
///
/// A panic of the server's thread is handed on.
pub fn serve<S: Source>(
    options: &ServeOptions,
    mut attach: impl FnMut(&Process) -> Result<S, S::Error>,
    mut report: impl FnMut(&ServeEvent),
) -> Result<(), ServeError<S::Error>> {
    let address = options.listen;
    if !address.ip().is_loopback() && !options.allow_remote {
        return Err(ServeError::NotLoopback { address });
    }
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    report(&ServeEvent::Listening { address });

    let totals = Arc::new(Mutex::new(Totals::default()));
    // Ends the server with the observation, and the observation with the server.
    let over = Stop::new();
    let options = &ServeOptions {
        stop: options.stop.joined(&over),
        ..options.clone()
    };
    thread::scope(|scope| {
        let server = thread::Builder::new()
            .name("tailcut-http".to_owned())
            .spawn_scoped(scope, || {
                let served = http::run(listener, &totals, &options.stop);
                over.set();
                served
            })
            .map_err(ServeError::Http)?;
        let followed = {
            let _over = SetOnDrop(&over);
            follow::follow(options, &totals, &mut attach, &mut report)
        };
        match server.join() {
            Ok(served) => served.map_err(ServeError::Http)?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        followed
    })
}

/// Ends the server when the observation ends, also by a panic.
struct SetOnDrop<'a>(&'a Stop);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}
