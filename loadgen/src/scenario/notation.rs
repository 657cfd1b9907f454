//! How a scenario's values are written, in a file as on a command line: `2.4M`, `auto:30s`, `0/4`.
//!
//! One home for both: a file's key and a flag of the same meaning are read, refused and written by the
//! same function. What [`Notation::write`] writes is read back as the same value, exactly; a
//! property test holds every type to it.

mod parts;

use std::path::PathBuf;

use super::{Shard, Slo, Target, WarmUp, Watched};
use crate::clock::Nanos;
use crate::network::target::NetworkTarget;
use crate::plan::{Form, Service};
use crate::quantity::{Rate, parse_count, parse_duration};

pub use parts::{Header, HexBytes};

/// The longest that an automatic warm-up takes, unless another limit is given.
pub const AUTO_WARM_UP_AT_MOST: Nanos = Nanos(30 * Nanos::SECOND.0);

/// A value that is written as a short text.
pub trait Notation: Sized {
    /// What it is, with an example: for the message that refuses something of another type.
    const EXPECTED: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// One sentence: what was read, and what would be accepted.
    fn read(text: &str) -> Result<Self, String>;

    /// Writes it, as [`Notation::read`] reads it.
    fn write(&self) -> String;
}

/// [`Notation::read`], for what takes a function.
///
/// # Errors
/// As [`Notation::read`].
pub fn read<T: Notation>(text: &str) -> Result<T, String> {
    T::read(text)
}

/// Requests per second.
impl Notation for Rate {
    const EXPECTED: &'static str = "a rate in requests per second, for example \"2.4M\" or 500";

    fn read(text: &str) -> Result<Rate, String> {
        text.parse().map_err(|error| format!("{error}"))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A duration, in the largest unit that leaves a whole number.
impl Notation for Nanos {
    const EXPECTED: &'static str = "a duration with its unit, for example \"10s\" or \"250us\"";

    fn read(text: &str) -> Result<Nanos, String> {
        parse_duration(text).map_err(|error| error.to_string())
    }

    fn write(&self) -> String {
        let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
        let (scale, unit) = units
            .into_iter()
            .find(|&(scale, _)| self.0.is_multiple_of(scale))
            .unwrap_or((1, "ns"));
        format!("{}{unit}", self.0 / scale)
    }
}

/// How many.
impl Notation for u64 {
    const EXPECTED: &'static str = "a count, for example 120000 or \"120k\"";

    fn read(text: &str) -> Result<u64, String> {
        parse_count(text).map_err(|error| error.to_string())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// `auto`, `auto:TIME` or `TIME`.
impl Notation for WarmUp {
    const EXPECTED: &'static str = "a warm-up, for example \"auto\", \"auto:30s\" or \"2s\"";

    fn read(text: &str) -> Result<WarmUp, String> {
        let body = text.trim();
        if body == "auto" {
            return Ok(WarmUp::Auto {
                at_most: AUTO_WARM_UP_AT_MOST,
            });
        }
        if let Some(limit) = body.strip_prefix("auto:") {
            let at_most = parse_duration(limit).map_err(|error| error.to_string())?;
            return Ok(WarmUp::Auto { at_most });
        }
        parse_duration(body).map(WarmUp::Fixed).map_err(|_| {
            format!("'{text}' is no warm-up; write auto, auto:30s (at most so long) or a duration such as 2s")
        })
    }

    fn write(&self) -> String {
        match self {
            WarmUp::Fixed(length) => length.write(),
            WarmUp::Auto { at_most } if *at_most == AUTO_WARM_UP_AT_MOST => "auto".to_owned(),
            WarmUp::Auto { at_most } => format!("auto:{}", at_most.write()),
        }
    }
}

/// How intended starts are spaced, before a trace is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArrivalsNotation {
    /// `constant`
    Constant,
    /// `poisson`
    Poisson,
    /// `burst:SIZE`
    Burst(u32),
    /// `trace:FILE`
    Trace(PathBuf),
}

impl Notation for ArrivalsNotation {
    const EXPECTED: &'static str =
        "arrivals: \"constant\", \"poisson\", \"burst:SIZE\" or \"trace:FILE\"";

    fn read(text: &str) -> Result<ArrivalsNotation, String> {
        let refused = |why: &str| {
            Err(format!(
                "'{text}' {why}; write constant, poisson, burst:100 (so many at once) or trace:FILE"
            ))
        };
        match text.split_once(':').unwrap_or((text, "")) {
            ("constant", "") => Ok(ArrivalsNotation::Constant),
            ("poisson", "") => Ok(ArrivalsNotation::Poisson),
            ("burst", size) => match parse_count(size).ok().map(u32::try_from) {
                Some(Ok(size)) => Ok(ArrivalsNotation::Burst(size)),
                _ => refused("does not say how many requests a burst has"),
            },
            ("trace", "") => refused("names no file"),
            ("trace", file) => Ok(ArrivalsNotation::Trace(file.into())),
            _ => refused("is no kind of arrivals"),
        }
    }

    fn write(&self) -> String {
        match self {
            ArrivalsNotation::Constant => "constant".to_owned(),
            ArrivalsNotation::Poisson => "poisson".to_owned(),
            ArrivalsNotation::Burst(size) => format!("burst:{size}"),
            ArrivalsNotation::Trace(file) => format!("trace:{}", file.display()),
        }
    }
}

/// `listener`, `none` or a process id.
impl Notation for Watched {
    const EXPECTED: &'static str = "whom to watch: \"listener\", \"none\" or a process id";

    fn read(text: &str) -> Result<Watched, String> {
        match text.trim() {
            "listener" => Ok(Watched::Listener),
            "none" => Ok(Watched::Nobody),
            // Process ids are positive and fit into 31 bits: a larger one would become a group.
            number => match number.parse::<i32>() {
                Ok(id) if id > 0 => Ok(Watched::Process(id.cast_unsigned())),
                _ => Err(format!(
                    "'{text}' is nobody to watch; write listener (whoever listens at the target's address), a \
                     process id, or none"
                )),
            },
        }
    }

    fn write(&self) -> String {
        match self {
            Watched::Listener => "listener".to_owned(),
            Watched::Nobody => "none".to_owned(),
            Watched::Process(id) => id.to_string(),
        }
    }
}

/// `INDEX/OF`, the index from 0.
impl Notation for Shard {
    const EXPECTED: &'static str = "a shard, for example \"0/4\": the first of four";

    fn read(text: &str) -> Result<Shard, String> {
        let parts = text.trim().split_once('/');
        let numbers = parts.and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((index, of)) if index < of => Ok(Shard { index, of }),
            _ => Err(format!(
                "'{text}' is no shard; write INDEX/OF, counted from 0: 0/4 is the first of four, 3/4 the last"
            )),
        }
    }

    fn write(&self) -> String {
        format!("{}/{}", self.index, self.of)
    }
}

/// An instant of the wall clock, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallInstant(pub u64);

impl Notation for WallInstant {
    const EXPECTED: &'static str = "an instant, for example \"2026-01-31T12:00:00Z\"";

    /// RFC 3339 with an offset, or seconds since 1970, as `date +%s` prints them.
    fn read(text: &str) -> Result<WallInstant, String> {
        let body = text.trim();
        let seconds = body.parse::<i64>().ok();
        let instant = match seconds {
            Some(seconds) => jiff::Timestamp::from_second(seconds).ok(),
            None => body.parse::<jiff::Timestamp>().ok(),
        };
        instant
            .and_then(|instant| u64::try_from(instant.as_nanosecond()).ok())
            .map(WallInstant)
            .ok_or_else(|| {
                format!(
                    "'{text}' is no instant to start at; write 2026-01-31T12:00:00Z, or seconds since 1970 (date +%s)"
                )
            })
    }

    fn write(&self) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).map_or_else(
            |_| (self.0 / 1_000_000_000).to_string(),
            |at| at.to_string(),
        )
    }
}

impl Notation for Slo {
    const EXPECTED: &'static str = "objectives, for example \"p99.9<1ms,errors<0.05%\"";

    fn read(text: &str) -> Result<Slo, String> {
        text.parse().map_err(|error| format!("{error}"))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Notation for Form {
    const EXPECTED: &'static str = "a form: \"inline\" or \"handoff\"";

    fn read(text: &str) -> Result<Form, String> {
        match text {
            "inline" => Ok(Form::Inline),
            "handoff" => Ok(Form::Handoff),
            _ => Err(format!(
                "'{text}' is no form; write inline (a worker does whole orders) or handoff (one decodes, another \
                 settles)"
            )),
        }
    }

    fn write(&self) -> String {
        self.name().to_owned()
    }
}

/// The services within this process, by their names.
const SERVICES: [(&str, Service); 4] = [
    ("noop", Service::Noop),
    ("heap", Service::Heap),
    ("heap-preshaped", Service::HeapPreshaped),
    ("pool", Service::Pool),
];

impl Notation for Service {
    const EXPECTED: &'static str = "a service: \"noop\", \"heap\", \"heap-preshaped\" or \"pool\"";

    fn read(text: &str) -> Result<Service, String> {
        SERVICES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|&(_, service)| service)
            .ok_or_else(|| {
                format!("'{text}' is no service of this process; write noop, heap, heap-preshaped or pool")
            })
    }

    fn write(&self) -> String {
        let named = SERVICES.iter().find(|(_, service)| service == self);
        named.map_or("noop", |(name, _)| name).to_owned()
    }
}

impl Notation for NetworkTarget {
    const EXPECTED: &'static str = "a URL, for example \"http://127.0.0.1:8080/\"";

    fn read(text: &str) -> Result<NetworkTarget, String> {
        text.parse::<NetworkTarget>()
            .map_err(|error| error.to_string())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// What is loaded, before form and window are known.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetNotation {
    /// `in-process:SERVICE`
    InProcess(Service),
    /// A URL.
    Network(NetworkTarget),
}

impl Notation for TargetNotation {
    const EXPECTED: &'static str = "a URL, or \"in-process:pool\"";

    fn read(text: &str) -> Result<TargetNotation, String> {
        match text.trim() {
            "in-process" => Ok(TargetNotation::InProcess(Service::Pool)),
            body => match body.strip_prefix("in-process:") {
                Some(service) => Service::read(service).map(TargetNotation::InProcess),
                None => NetworkTarget::read(body).map(TargetNotation::Network),
            },
        }
    }

    fn write(&self) -> String {
        match self {
            TargetNotation::InProcess(service) => format!("in-process:{}", service.write()),
            TargetNotation::Network(target) => target.write(),
        }
    }
}

impl Target {
    /// Its name for people and for recordings: the URL, or `in-process:pool`.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Target::InProcess { service, .. } => TargetNotation::InProcess(*service).write(),
            Target::Network(target) => target.write(),
        }
    }
}

#[cfg(test)]
mod tests;
