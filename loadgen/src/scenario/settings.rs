//! What somebody has decided about a run so far: a file, flags, or one over the other.
//!
//! Every setting may be absent. [`Settings::over`] lays flags over a file, key by key;
//! [`Settings::resolve`] fills in what nobody decided, reads the files that are named, and makes the [`Scenario`](super::Scenario).
//! The same type is the layout of a scenario file (see [`super::file`]), so a key, a flag and a field cannot part
//! ways.

mod resolve;
mod written;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::notation::{ArrivalsNotation, Header, HexBytes, WallInstant};
use super::{Fault, Shard, Slo, WarmUp, Watched};
use crate::clock::Nanos;
use crate::network::target::NetworkTarget;
use crate::plan::{Form, Service};
use crate::quantity::Rate;

/// Settings of a run, each of which may be left open.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a scenario")]
pub struct Settings {
    /// What recording and report call the run; default: the file's name, or the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Length of the recorded part; default: 10 s.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Nanos>,
    /// What comes before it, and is not recorded; default: auto, at most 30 s.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub warmup: Option<WarmUp>,
    /// Threads that make the load; default: see [`Settings::resolve`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Whether the threads are bound to their cores; default: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<bool>,
    /// Connections of all workers together; default: 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Requests that a connection carries at the same time; default: 1; with tcp and udp 64, h2 and grpc 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<u32>,
    /// From when on an unanswered request is given up; default: 5 s.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Nanos>,
    /// Of everything drawn at random; default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Whose resources are sampled along; default: the listener.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watched>,
    /// When the schedule begins; default: at once.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub start_at: Option<WallInstant>,
    /// Which part of the load this process makes; default: all.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// What is loaded.
    #[serde(skip_serializing_if = "is_default")]
    pub target: TargetSettings,
    /// When requests are sent.
    #[serde(skip_serializing_if = "is_default")]
    pub pacing: PacingSettings,
    /// What requests are made of.
    #[serde(skip_serializing_if = "is_default")]
    pub request: RequestSettings,
    /// How TLS is spoken.
    #[serde(skip_serializing_if = "is_default")]
    pub tls: TlsSettings,
    /// What must hold.
    #[serde(skip_serializing_if = "is_default")]
    pub slo: SloSettings,
    /// What goes wrong on purpose.
    #[serde(with = "written::faults", skip_serializing_if = "Vec::is_empty")]
    pub fault: Vec<Fault>,
}

/// `[target]`: either a server's URL, or a service within the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a section: [target] with url = \"...\" or in_process = \"pool\" below it"
)]
pub struct TargetSettings {
    /// The server.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub url: Option<NetworkTarget>,
    /// The service.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub in_process: Option<Service>,
    /// Who does what within the process; default: inline.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// Live orders that are settled at once; default: 120,000.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
}

/// `[pacing]`: either a rate and how it is spaced, or closed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a section: [pacing] with rate = \"10k\" below it"
)]
pub struct PacingSettings {
    /// Requests per second.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How they are spaced; default: constant.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<ArrivalsNotation>,
    /// A trace itself, instead of `arrivals = "trace:FILE"`: nanoseconds from the schedule's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_ns: Option<Vec<u64>>,
    /// Whether requests wait for answers instead of following a schedule; default: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,
}

/// `[request]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a section: [request] with keys such as method below it"
)]
pub struct RequestSettings {
    /// HTTP: the method; default: GET, or POST with a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Further headers.
    #[serde(with = "written::list", skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// The body, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body, as hexadecimal digits.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub body_hex: Option<HexBytes>,
    /// A file that is the body.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub body_file: Option<PathBuf>,
    /// gRPC: `package.Service/Method`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_method: Option<String>,
    /// gRPC: a file with a `FileDescriptorSet`; default: reflection.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub descriptor_set: Option<PathBuf>,
    /// Redis: the command with its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
}

/// `[tls]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a section: [tls] with keys such as ca below it"
)]
pub struct TlsSettings {
    /// Trust only the certificates in this PEM file.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Trust any certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// The name that the certificate must bear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// `[slo]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a section: [slo] with objectives = \"p99.9<1ms,errors<0.05%\" below it"
)]
pub struct SloSettings {
    /// All of them, separated by commas.
    #[serde(with = "written", skip_serializing_if = "Option::is_none")]
    pub objectives: Option<Slo>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Settings {
    /// These settings, and where they leave something open, those of `base`.
    ///
    /// Settings that exclude each other go together: a target, a pacing or a body decided here leaves nothing of
    /// another one there. Faults and headers given here replace all of those there.
    #[must_use]
    pub fn over(self, base: Settings) -> Settings {
        Settings {
            name: self.name.or(base.name),
            duration: self.duration.or(base.duration),
            warmup: self.warmup.or(base.warmup),
            workers: self.workers.or(base.workers),
            connections: self.connections.or(base.connections),
            pipeline: self.pipeline.or(base.pipeline),
            timeout: self.timeout.or(base.timeout),
            seed: self.seed.or(base.seed),
            watch: self.watch.or(base.watch),
            start_at: self.start_at.or(base.start_at),
            pin: self.pin.or(base.pin),
            shard: self.shard.or(base.shard),
            target: self.target.over(base.target),
            pacing: self.pacing.over(base.pacing),
            request: self.request.over(base.request),
            tls: self.tls.over(base.tls),
            slo: SloSettings {
                objectives: self.slo.objectives.or(base.slo.objectives),
            },
            fault: unless_empty(self.fault, base.fault),
        }
    }

    /// Paths that are relative become relative to `dir`.
    pub(super) fn rebase(&mut self, dir: &Path) {
        let paths = [
            &mut self.request.body_file,
            &mut self.request.descriptor_set,
            &mut self.tls.ca,
        ];
        for path in paths.into_iter().flatten() {
            *path = dir.join(&path);
        }
        if let Some(ArrivalsNotation::Trace(file)) = &mut self.pacing.arrivals {
            *file = dir.join(&file);
        }
    }
}

impl TargetSettings {
    fn over(self, base: TargetSettings) -> TargetSettings {
        let decided = self.url.is_some() || self.in_process.is_some();
        TargetSettings {
            form: self.form.or(base.form.filter(|_| self.url.is_none())),
            window: self.window.or(base.window.filter(|_| self.url.is_none())),
            url: self.url.or(base.url.filter(|_| !decided)),
            in_process: self.in_process.or(base.in_process.filter(|_| !decided)),
        }
    }
}

impl PacingSettings {
    fn over(self, base: PacingSettings) -> PacingSettings {
        let closed = self.closed == Some(true);
        let open = self.rate.is_some();
        let spaced = self.arrivals.is_some() || self.trace_ns.is_some();
        PacingSettings {
            rate: self.rate.or(base.rate.filter(|_| !closed)),
            closed: self.closed.or(base.closed.filter(|_| !open)),
            arrivals: self
                .arrivals
                .or(base.arrivals.filter(|_| !closed && !spaced)),
            trace_ns: self
                .trace_ns
                .or(base.trace_ns.filter(|_| !closed && !spaced)),
        }
    }
}

impl RequestSettings {
    fn over(self, base: RequestSettings) -> RequestSettings {
        let body = self.body.is_some() || self.body_hex.is_some() || self.body_file.is_some();
        RequestSettings {
            method: self.method.or(base.method),
            headers: unless_empty(self.headers, base.headers),
            body: self.body.or(base.body.filter(|_| !body)),
            body_hex: self.body_hex.or(base.body_hex.filter(|_| !body)),
            body_file: self.body_file.or(base.body_file.filter(|_| !body)),
            grpc_method: self.grpc_method.or(base.grpc_method),
            descriptor_set: self.descriptor_set.or(base.descriptor_set),
            command: unless_empty(self.command, base.command),
        }
    }
}

impl TlsSettings {
    fn over(self, base: TlsSettings) -> TlsSettings {
        let insecure = self.insecure == Some(true);
        let trusting = self.ca.is_some();
        TlsSettings {
            ca: self.ca.or(base.ca.filter(|_| !insecure)),
            insecure: self.insecure.or(base.insecure.filter(|_| !trusting)),
            server_name: self.server_name.or(base.server_name),
        }
    }
}

fn unless_empty<T>(these: Vec<T>, others: Vec<T>) -> Vec<T> {
    if these.is_empty() { others } else { these }
}

#[cfg(test)]
mod tests;
