//! The flags that say what to run: every key of a scenario file, by the same name and notation.
//!
//! To be flattened into the arguments of every command that runs scenarios:
//!
//! ```ignore
//! #[command(flatten)]
//! scenario: ScenarioArguments,
//! // ...
//! let scenario = arguments.scenario.scenario(arguments.file.as_deref())?;
//! ```

use std::path::{Path, PathBuf};

use clap::Args;
use tailcut_loadgen::network::target::NetworkTarget;
use tailcut_loadgen::scenario::notation::{
    ArrivalsNotation, Header, TargetNotation, WallInstant, read,
};
use tailcut_loadgen::scenario::settings::{
    PacingSettings, RequestSettings, SloSettings, TargetSettings, TlsSettings,
};
use tailcut_loadgen::scenario::{
    Fault, Scenario, ScenarioError, Settings, Shard, Slo, WarmUp, Watched,
};
use tailcut_loadgen::{Form, Nanos, Rate, Service};

/// What to run. Each flag goes over the same key of a scenario file.
#[derive(Debug, Clone, Default, Args)]
pub struct ScenarioArguments {
    /// The server, by URL: tcp, udp (orders), http, h2, grpc, ws, redis, with TLS tcps, https, h2s, grpcs, wss,
    /// rediss; or a service within this process: in-process:pool, heap, heap-preshaped or noop.
    #[arg(short, long, value_name = "TARGET", value_parser = read::<TargetNotation>)]
    pub target: Option<TargetNotation>,
    /// Requests per second that are due, whatever the target does: 10k, 2.4M, 0.5.
    #[arg(short, long, value_name = "RATE", value_parser = read::<Rate>, conflicts_with = "closed")]
    pub rate: Option<Rate>,
    /// Sends the next request when the one before it is answered, as many tools do: finds a server's ceiling, but
    /// latencies suffer coordinated omission.
    #[arg(long, conflicts_with = "arrivals")]
    pub closed: bool,
    /// How requests are spaced: constant, poisson, burst:SIZE or trace:FILE [default: constant].
    #[arg(long, value_name = "KIND", value_parser = read::<ArrivalsNotation>)]
    pub arrivals: Option<ArrivalsNotation>,
    /// Length of the recorded part [default: 10s].
    #[arg(short, long, value_name = "TIME", value_parser = read::<Nanos>)]
    pub duration: Option<Nanos>,
    /// What comes before it: a time, or auto, until latency is stationary; auto:TIME, at most so long [default:
    /// auto:30s].
    #[arg(long, value_name = "TIME", value_parser = read::<WarmUp>)]
    pub warmup: Option<WarmUp>,
    /// Threads that make the load [default: what the rate needs, at most all cores but one].
    #[arg(short, long, value_name = "N")]
    pub workers: Option<u32>,
    /// Binds each of them to a core of its own; false: the scheduler places them [default: true].
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 1)]
    pub pin: Option<bool>,
    /// Connections of all workers together [default: 16].
    #[arg(short, long, value_name = "N")]
    pub connections: Option<u32>,
    /// Requests under way on a connection at the same time [default: 1; tcp and udp 64, h2 and grpc 32].
    #[arg(long, value_name = "N")]
    pub pipeline: Option<u32>,
    /// From when on an unanswered request is given up [default: 5s].
    #[arg(long, value_name = "TIME", value_parser = read::<Nanos>)]
    pub timeout: Option<Nanos>,
    /// What must hold, all of it: p50 to p99.9999, max, mean<TIME, errors<SHARE, rate>RATE.
    #[arg(long, value_name = "OBJECTIVES", value_parser = read::<Slo>)]
    pub slo: Option<Slo>,
    /// Of everything drawn at random: the same seed, the same schedule [default: 1].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// What recording and report call this run [default: the file's name, or the target].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Whose use of resources is sampled along: listener (at the target's address), a process id, or none.
    #[arg(long, value_name = "WHOM", value_parser = read::<Watched>)]
    pub watch: Option<Watched>,
    /// What goes wrong on purpose, from a time of the recorded part on, for so long: freeze@3s+1400ms,
    /// hog-cpu=2@1s+2s, hog-memory=1GiB@1s+2s, delay=5ms~2ms@1s+2s. Can be given several times.
    #[arg(long, value_name = "KIND[=AMOUNT]@AT+LASTS", value_parser = fault)]
    pub fault: Vec<Fault>,
    /// The schedule begins at this instant of the wall clock: 2026-01-31T12:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "INSTANT", value_parser = read::<WallInstant>)]
    pub start_at: Option<WallInstant>,
    /// Makes only this part of the load, counted from 0; other machines make the others: 0/4.
    #[arg(long, value_name = "I/N", value_parser = read::<Shard>)]
    pub shard: Option<Shard>,
    #[command(flatten)]
    pub request: RequestArguments,
    #[command(flatten)]
    pub tls: TlsArguments,
    #[command(flatten)]
    pub in_process: InProcessArguments,
}

/// What requests are made of.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Requests")]
pub struct RequestArguments {
    /// HTTP: the method [default: GET, or POST with a body].
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub method: Option<String>,
    /// HTTP, WebSocket, gRPC: a further header. Can be given several times.
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = read::<Header>)]
    pub header: Vec<Header>,
    // clap makes a new line of the placeholder itself, so help can only describe it.
    /// HTTP: the body; WebSocket: the message; gRPC: the message as JSON. An n in braces stands for the request's
    /// number.
    #[arg(short, long, value_name = "TEXT", conflicts_with = "body_file")]
    pub body: Option<String>,
    /// The same from a file.
    #[arg(long, value_name = "FILE")]
    pub body_file: Option<PathBuf>,
    /// gRPC: what is called.
    #[arg(long, value_name = "PACKAGE.SERVICE/METHOD")]
    pub grpc_method: Option<String>,
    /// gRPC: a FileDescriptorSet, as protoc --descriptor_set_out --include_imports writes it [default: the server is
    /// asked by reflection].
    #[arg(long, value_name = "FILE")]
    pub descriptor_set: Option<PathBuf>,
    /// Redis: the command, split at blanks; an n in braces stands for the request's number [default: SET, on keys
    /// that differ].
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
}

/// How TLS is spoken.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArguments {
    /// Trusts only the certificates in this PEM file [default: the system's].
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Trusts any certificate: for tests.
    #[arg(long)]
    pub insecure: bool,
    /// The name that the certificate must bear [default: the target's host].
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
}

/// Of services within this process.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Within the process")]
pub struct InProcessArguments {
    /// Who does what: inline, or handoff (one decodes, another settles) [default: inline].
    #[arg(long, value_name = "FORM", value_parser = read::<Form>)]
    pub form: Option<Form>,
    /// Live orders, which are settled all at once when there are so many [default: 120000].
    #[arg(long, value_name = "ORDERS", value_parser = read::<u64>)]
    pub window: Option<u64>,
}

impl ScenarioArguments {
    /// The scenario that a file (if there is one) and these flags over it describe; checked.
    ///
    /// # Errors
    /// What is wrong in the file, with line and column; what does not go together; what cannot run here.
    pub fn scenario(&self, file: Option<&Path>) -> Result<Scenario, ScenarioError> {
        let base = file.map_or_else(|| Ok(Settings::default()), Settings::read_file)?;
        let scenario = self.settings().over(base).resolve()?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The same as settings, each of which may be left open.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let (url, in_process): (Option<NetworkTarget>, Option<Service>) = match self.target.clone()
        {
            None => (None, None),
            Some(TargetNotation::Network(url)) => (Some(url), None),
            Some(TargetNotation::InProcess(service)) => (None, Some(service)),
        };
        let words = |text: &String| text.split_whitespace().map(str::to_owned).collect();
        Settings {
            name: self.name.clone(),
            duration: self.duration,
            warmup: self.warmup,
            workers: self.workers,
            connections: self.connections,
            pipeline: self.pipeline,
            timeout: self.timeout,
            seed: self.seed,
            watch: self.watch,
            start_at: self.start_at,
            pin: self.pin,
            shard: self.shard,
            target: TargetSettings {
                url,
                in_process,
                form: self.in_process.form,
                window: self.in_process.window,
            },
            pacing: PacingSettings {
                rate: self.rate,
                arrivals: self.arrivals.clone(),
                trace_ns: None,
                closed: self.closed.then_some(true),
            },
            request: RequestSettings {
                method: self.request.method.clone(),
                headers: self.request.header.clone(),
                body: self.request.body.clone(),
                body_hex: None,
                body_file: self.request.body_file.clone(),
                grpc_method: self.request.grpc_method.clone(),
                descriptor_set: self.request.descriptor_set.clone(),
                command: self.request.command.as_ref().map_or_else(Vec::new, words),
            },
            tls: TlsSettings {
                ca: self.tls.ca.clone(),
                insecure: self.tls.insecure.then_some(true),
                server_name: self.tls.server_name.clone(),
            },
            slo: SloSettings {
                objectives: self.slo.clone(),
            },
            fault: self.fault.clone(),
        }
    }
}

fn fault(text: &str) -> Result<Fault, String> {
    text.parse::<Fault>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
