//! From settings to a scenario: what nobody decided is filled in, and the files that are named are read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{PacingSettings, RequestSettings, Settings, TargetSettings, TlsSettings};
use crate::clock::Nanos;
use crate::engine::placement::default_workers;
use crate::network::target::Transport;
use crate::plan::Form;
use crate::quantity::Rate;
use crate::scenario::notation::{AUTO_WARM_UP_AT_MOST, ArrivalsNotation, Header};
use crate::scenario::{
    Arrivals, Pacing, RequestOptions, Scenario, ScenarioError, Target, TlsOptions, WarmUp, Watched,
};

/// A body is held once in memory, and written into the recording's folder.
const LARGEST_BODY: u64 = 16 << 20;

/// What one worker is trusted with by default, in requests per second over the network.
const RATE_OF_A_WORKER: f64 = 200_000.0;

impl Settings {
    /// The scenario that these settings describe.
    ///
    /// What is left open:
    /// - the name: the target's, with dashes for what a folder's name should not have;
    /// - 10 s, after a warm-up until latency is stationary, of at most 30 s;
    /// - 16 connections (not more than needed: each is state in the server, too), a request at a time on each;
    ///   with tcp and udp 64 at a time, with h2 and grpc 32, because these are made for it;
    /// - workers: within the process one on each core but one; over the network one for each 200,000 requests a
    ///   second, in a closed loop as many as there may be: at most one on each core but one, and one for each
    ///   connection;
    /// - 5 s until an unanswered request is given up; seed 1; the process that listens at the target is watched;
    /// - within the process the inline form and windows of 120,000 orders.
    ///
    /// A rate is never guessed: a load without one is refused unless it is closed.
    ///
    /// # Errors
    /// No target; no rate; settings that exclude each other or mean nothing for such a target; a file that cannot
    /// be read. Whether the scenario makes sense as a whole is asked by [`Scenario::check`].
    pub fn resolve(self) -> Result<Scenario, ScenarioError> {
        self.refuse_meaningless()?;
        let target = target(self.target)?;
        let pacing = pacing(self.pacing)?;
        let connections = self.connections.unwrap_or(16);
        let workers = self
            .workers
            .unwrap_or_else(|| workers(&target, &pacing, connections));
        let watched = match target {
            Target::InProcess { .. } => Watched::Nobody,
            Target::Network(_) => Watched::Listener,
        };
        Ok(Scenario {
            name: self.name.unwrap_or_else(|| as_a_name(&target.text())),
            pipeline: self.pipeline.unwrap_or_else(|| pipeline(&target)),
            target,
            pacing,
            duration: self.duration.unwrap_or(Nanos(10 * Nanos::SECOND.0)),
            warmup: self.warmup.unwrap_or(WarmUp::Auto {
                at_most: AUTO_WARM_UP_AT_MOST,
            }),
            workers,
            connections,
            timeout: self.timeout.unwrap_or(Nanos(5 * Nanos::SECOND.0)),
            seed: self.seed.unwrap_or(1),
            request: request(self.request)?,
            tls: tls(self.tls),
            slo: self.slo.objectives,
            faults: self.fault,
            watched: self.watch.unwrap_or(watched),
            start_at_unix_ns: self.start_at.map(|at| at.0),
            pin: self.pin.unwrap_or(true),
            shard: self.shard,
        })
    }

    /// Refuses settings that a target within the process could only ignore.
    fn refuse_meaningless(&self) -> Result<(), ScenarioError> {
        if self.target.in_process.is_none() || self.target.url.is_some() {
            return Ok(());
        }
        let decided = [
            ("connections", self.connections.is_some()),
            ("pipeline", self.pipeline.is_some()),
            ("timeout", self.timeout.is_some()),
        ];
        match decided.into_iter().find(|(_, decided)| *decided) {
            Some((key, _)) => Err(ScenarioError::Refused(format!(
                "{key} means nothing for a service within this process, which is called directly: leave it out"
            ))),
            None => Ok(()),
        }
    }
}

fn refused<T>(why: impl Into<String>) -> Result<T, ScenarioError> {
    Err(ScenarioError::Refused(why.into()))
}

fn target(settings: TargetSettings) -> Result<Target, ScenarioError> {
    let TargetSettings {
        url,
        in_process,
        form,
        window,
    } = settings;
    match (url, in_process) {
        (Some(_), Some(_)) => {
            refused("two targets are given, a url and a service in_process: keep one of them")
        }
        (None, None) => refused(
            "no target is given: name a server by its URL, for example http://127.0.0.1:8080/, or a service within \
             this process: in-process:pool",
        ),
        (Some(_), None) if form.is_some() || window.is_some() => refused(
            "form and window are those of a service within this process; a server is given its own when it is started",
        ),
        (Some(url), None) => Ok(Target::Network(url)),
        (None, Some(service)) => Ok(Target::InProcess {
            service,
            form: form.unwrap_or(Form::Inline),
            window: window.unwrap_or(120_000),
        }),
    }
}

fn pacing(settings: PacingSettings) -> Result<Pacing, ScenarioError> {
    let PacingSettings {
        rate,
        arrivals,
        trace_ns,
        closed,
    } = settings;
    let spaced = arrivals.is_some() || trace_ns.is_some();
    if closed == Some(true) {
        return match (rate, spaced) {
            (Some(_), _) => refused(
                "a closed loop has no rate, since each request waits for an answer: leave the rate out, or closed",
            ),
            (None, true) => refused(
                "a closed loop has no arrivals, since each request waits for an answer: leave them out",
            ),
            (None, false) => Ok(Pacing::Closed),
        };
    }
    let Some(rate) = rate else {
        return refused(
            "no rate is given: say how many requests a second, for example 10k (or closed, for as many as the target \
             answers; its latencies then suffer coordinated omission)",
        );
    };
    let arrivals = match (arrivals, trace_ns) {
        (Some(_), Some(_)) => {
            return refused("arrivals are given twice, by name and as trace_ns: keep one of them");
        }
        (None, Some(offsets)) => Arrivals::Trace(offsets.into_iter().map(Nanos).collect()),
        (None | Some(ArrivalsNotation::Constant), None) => Arrivals::Constant,
        (Some(ArrivalsNotation::Poisson), None) => Arrivals::Poisson,
        (Some(ArrivalsNotation::Burst(size)), None) => Arrivals::Burst { size },
        (Some(ArrivalsNotation::Trace(file)), None) => Arrivals::trace_from_file(&file)
            .map_err(|error| ScenarioError::Refused(error.to_string()))?,
    };
    Ok(Pacing::Open { rate, arrivals })
}

fn request(settings: RequestSettings) -> Result<RequestOptions, ScenarioError> {
    let RequestSettings {
        method,
        headers,
        body,
        body_hex,
        body_file,
        grpc_method,
        descriptor_set,
        command,
    } = settings;
    let body = match (body, body_hex, body_file) {
        (None, None, None) => None,
        (Some(text), None, None) => Some(text.into_bytes()),
        (None, Some(bytes), None) => Some(bytes.0),
        (None, None, Some(file)) => Some(read_body(&file)?),
        _ => {
            return refused(
                "more than one of body, body_hex and body_file are given: keep one of them",
            );
        }
    };
    let headers = headers
        .into_iter()
        .map(|Header { name, value }| (name, value));
    Ok(RequestOptions {
        method,
        headers: headers.collect(),
        body,
        grpc_method,
        descriptor_set,
        command,
    })
}

fn read_body(path: &Path) -> Result<Vec<u8>, ScenarioError> {
    let unreadable = |error: std::io::Error| ScenarioError::Read {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    let mut body = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_BODY + 1).read_to_end(&mut body))
        .map_err(unreadable)?;
    if body.len() as u64 > LARGEST_BODY {
        return Err(ScenarioError::Read {
            path: path.to_path_buf(),
            reason: "a request's body has at most 16 MiB".to_owned(),
        });
    }
    Ok(body)
}

fn tls(settings: TlsSettings) -> TlsOptions {
    TlsOptions {
        certificate_authority: settings.ca,
        insecure: settings.insecure.unwrap_or(false),
        server_name: settings.server_name,
    }
}

fn pipeline(target: &Target) -> u32 {
    match target {
        Target::InProcess { .. } => 1,
        Target::Network(server) => match server.transport {
            Transport::Tcp | Transport::Udp => 64,
            Transport::Http2 | Transport::Grpc => 32,
            Transport::Http1 | Transport::WebSocket | Transport::Redis => 1,
        },
    }
}

fn workers(target: &Target, pacing: &Pacing, connections: u32) -> u32 {
    let most = default_workers();
    let wanted = match (target, pacing) {
        // In pairs, and at least one.
        (
            Target::InProcess {
                form: Form::Handoff,
                ..
            },
            _,
        ) => return most.next_multiple_of(2),
        (Target::InProcess { .. }, _) => return most,
        (Target::Network(_), Pacing::Closed) => most,
        (Target::Network(_), Pacing::Open { rate, .. }) => workers_for(*rate),
    };
    wanted.min(most).min(connections).max(1)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 1 to 5,000
fn workers_for(rate: Rate) -> u32 {
    (rate.as_f64() / RATE_OF_A_WORKER).ceil() as u32
}

/// Letters, digits, dots and dashes of `text`; other characters become one dash.
fn as_a_name(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
    let words = text
        .split(|letter| !plain(letter))
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}
