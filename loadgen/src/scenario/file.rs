//! Scenarios in TOML files.
//!
//! ```toml
//! name = "orders"
//! duration = "30s"
//! connections = 8
//!
//! [target]
//! url = "tcp://127.0.0.1:7000"
//!
//! [pacing]
//! rate = "400k"
//! arrivals = "poisson"
//!
//! [slo]
//! objectives = "p99.9<1ms,errors<0.05%"
//!
//! [[fault]]
//! kind = "freeze"
//! at = "10s"
//! lasts = "1400ms"
//! ```
//!
//! The keys are the fields of [`Settings`], and nothing else is accepted: a misspelt key that is ignored would be
//! a measurement of something else. Relative paths in a file are relative to the file.
//!
//! [`Scenario::to_toml`] writes what will run, with everything decided: a recording carries it, so that it can be run
//! again.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::notation::{ArrivalsNotation, Header, HexBytes, WallInstant};
use super::settings::{
    PacingSettings, RequestSettings, Settings, SloSettings, TargetSettings, TlsSettings,
};
use super::{Arrivals, Pacing, RequestOptions, Scenario, ScenarioError, Target};

/// The name of a scenario's file in the folder of its recording.
pub const SCENARIO_FILE: &str = "scenario.toml";

/// No scenario is that long, but for one with a trace or a body in it.
const LARGEST_FILE: u64 = 64 << 20;

/// The sections of a file with their keys: to say where a misplaced key belongs.
const KEYS: [(&str, &[&str]); 7] = [
    (
        "",
        &[
            "name",
            "duration",
            "warmup",
            "workers",
            "pin",
            "connections",
            "pipeline",
            "timeout",
            "seed",
            "watch",
            "start_at",
            "shard",
            "target",
            "pacing",
            "request",
            "tls",
            "slo",
            "fault",
        ],
    ),
    ("[target]", &["url", "in_process", "form", "window"]),
    ("[pacing]", &["rate", "arrivals", "trace_ns", "closed"]),
    (
        "[request]",
        &[
            "method",
            "headers",
            "body",
            "body_hex",
            "body_file",
            "grpc_method",
            "descriptor_set",
            "command",
        ],
    ),
    ("[tls]", &["ca", "insecure", "server_name"]),
    ("[slo]", &["objectives"]),
    ("[[fault]]", &["kind", "amount", "at", "lasts"]),
];

impl Settings {
    /// Reads a scenario file. A name that is not given is the file's.
    ///
    /// # Errors
    /// [`ScenarioError::Read`] if it cannot be read; [`ScenarioError::Syntax`] with line and column if it is no TOML, or
    /// has an unknown key or a value that is not accepted.
    pub fn read_file(path: &Path) -> Result<Settings, ScenarioError> {
        let unreadable = |reason: String| ScenarioError::Read {
            path: path.to_path_buf(),
            reason,
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(error.to_string()))?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(unreadable("a scenario has at most 64 MiB".to_owned()));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable("this is no text (UTF-8), and so no TOML".to_owned()))?;
        let mut settings = Settings::from_toml(&text, path)?;
        if let Some(dir) = path.parent() {
            settings.rebase(dir);
        }
        if settings.name.is_none() {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            settings.name = stem.map(str::to_owned);
        }
        Ok(settings)
    }

    /// Reads a scenario's text; `path` is what messages call it.
    ///
    /// # Errors
    /// As [`Settings::read_file`].
    pub fn from_toml(text: &str, path: &Path) -> Result<Settings, ScenarioError> {
        toml::from_str(text).map_err(|error| {
            let (line, column) = place(text, error.span().map_or(0, |span| span.start));
            ScenarioError::Syntax {
                path: path.to_path_buf(),
                line,
                column,
                reason: reason(error.message()),
            }
        })
    }

    /// The text of a scenario file with these settings.
    ///
    /// # Errors
    /// A number that TOML cannot hold: a seed or an offset of more than 63 bits.
    pub fn to_toml(&self) -> Result<String, ScenarioError> {
        toml::to_string(self).map_err(|error| {
            ScenarioError::Refused(format!("this scenario cannot be written as TOML: {error}"))
        })
    }
}

impl Scenario {
    /// The scenario as a file: every setting is decided, paths are absolute, bodies and traces are in it.
    ///
    /// Reading it back gives an equal scenario ([`Settings::resolve`]).
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    pub fn to_toml(&self) -> Result<String, ScenarioError> {
        self.settings().to_toml()
    }

    /// The settings that resolve to this scenario, and leave nothing open.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let network = matches!(self.target, Target::Network(_));
        Settings {
            name: Some(self.name.clone()),
            duration: Some(self.duration),
            warmup: Some(self.warmup),
            workers: Some(self.workers),
            pin: (!self.pin).then_some(false),
            connections: network.then_some(self.connections),
            pipeline: network.then_some(self.pipeline),
            timeout: network.then_some(self.timeout),
            seed: Some(self.seed),
            watch: Some(self.watched),
            start_at: self.start_at_unix_ns.map(WallInstant),
            shard: self.shard,
            target: target_settings(&self.target),
            pacing: pacing_settings(&self.pacing),
            request: request_settings(&self.request),
            tls: TlsSettings {
                ca: self.tls.certificate_authority.as_deref().map(absolute),
                insecure: self.tls.insecure.then_some(true),
                server_name: self.tls.server_name.clone(),
            },
            slo: SloSettings {
                objectives: self.slo.clone(),
            },
            fault: self.faults.clone(),
        }
    }
}

fn target_settings(target: &Target) -> TargetSettings {
    match target {
        Target::Network(url) => TargetSettings {
            url: Some(url.clone()),
            ..TargetSettings::default()
        },
        Target::InProcess {
            service,
            form,
            window,
        } => TargetSettings {
            url: None,
            in_process: Some(*service),
            form: Some(*form),
            window: Some(*window),
        },
    }
}

fn pacing_settings(pacing: &Pacing) -> PacingSettings {
    let (rate, arrivals) = match pacing {
        Pacing::Closed => {
            return PacingSettings {
                closed: Some(true),
                ..PacingSettings::default()
            };
        }
        Pacing::Open { rate, arrivals } => (*rate, arrivals),
    };
    let (named, trace_ns) = match arrivals {
        Arrivals::Constant => (Some(ArrivalsNotation::Constant), None),
        Arrivals::Poisson => (Some(ArrivalsNotation::Poisson), None),
        Arrivals::Burst { size } => (Some(ArrivalsNotation::Burst(*size)), None),
        Arrivals::Trace(offsets) => (None, Some(offsets.iter().map(|at| at.0).collect())),
    };
    PacingSettings {
        rate: Some(rate),
        arrivals: named,
        trace_ns,
        closed: None,
    }
}

fn request_settings(request: &RequestOptions) -> RequestSettings {
    let (body, body_hex) = match request.body.clone().map(String::from_utf8) {
        None => (None, None),
        Some(Ok(text)) => (Some(text), None),
        Some(Err(bytes)) => (None, Some(HexBytes(bytes.into_bytes()))),
    };
    let header = |(name, value): &(String, String)| Header {
        name: name.clone(),
        value: value.clone(),
    };
    RequestSettings {
        method: request.method.clone(),
        headers: request.headers.iter().map(header).collect(),
        body,
        body_hex,
        body_file: None,
        grpc_method: request.grpc_method.clone(),
        descriptor_set: request.descriptor_set.as_deref().map(absolute),
        command: request.command.clone(),
    }
}

/// From wherever the file is read. A path that cannot be made absolute stays what it is.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Line and column, from 1, of the byte at `offset`.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

/// serde's reason in our words, where it is about a key.
fn reason(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(key) = names
        .next()
        .filter(|_| message.starts_with("unknown field"))
    else {
        return message.to_owned();
    };
    let here: Vec<&str> = names.collect();
    let section = KEYS.iter().find(|(_, keys)| keys.iter().eq(here.iter()));
    let place = match section {
        Some((name, _)) if !name.is_empty() => format!(" in {name}"),
        _ => String::new(),
    };
    let advice = nearest(key, &here)
        .map(|near| format!("did you mean `{near}`?"))
        .or_else(|| {
            let (name, near) = elsewhere(key)?;
            Some(match name {
                "" => format!("`{near}` belongs to the top of the file, above every section"),
                name => format!("`{near}` belongs into {name}"),
            })
        })
        .unwrap_or_else(|| format!("what there is: {}", here.join(", ")));
    format!("unknown key `{key}`{place}: {advice}")
}

/// The key of another section that is probably meant.
fn elsewhere(key: &str) -> Option<(&'static str, &'static str)> {
    KEYS.iter()
        .find_map(|(name, keys)| Some((*name, nearest(key, keys)?)))
}

/// The one of `keys` that is most like `key`, if one is: at most a third of its letters differ.
fn nearest<'k>(key: &str, keys: &[&'k str]) -> Option<&'k str> {
    let plain = key.to_lowercase().replace('-', "_");
    let distance = |other: &str| strsim::damerau_levenshtein(&plain, other);
    let nearest = keys.iter().min_by_key(|other| distance(other))?;
    let longest = plain.chars().count().max(nearest.len());
    (distance(nearest) * 3 <= longest).then_some(nearest)
}

#[cfg(test)]
mod tests;
