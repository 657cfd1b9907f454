//! What is asked of the host: one [`Check`] for each thing that the tracing commands use.
//!
//! A check asks by doing where that is possible (loads a program of two instructions, makes a map,
//! opens an event) and reads a version only where it is not: what a kernel can do depends on its
//! configuration, on backports, and on what the user may do. All checks together take some tens of
//! milliseconds and leave nothing behind.

mod bpf;
mod container;
mod machine;
mod permissions;
mod probes;
mod target;
mod tracepoints;

use serde::Serialize;

use super::btf::Btf;
use super::kernel_config::KernelConfig;
use super::privileges::Privileges;
pub use target::checks_of_process;
pub use tracepoints::{RawTracepoint, TRACEPOINTS, has_tracepoint};

/// One thing that the host has or lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was asked about; unique among the checks.
    pub name: &'static str,
    /// Which part of the host it belongs to.
    pub area: Area,
    /// Whether the host has it.
    pub outcome: Outcome,
    /// What was found: a value, or the reason for the outcome.
    pub found: String,
    /// What follows for tracing; empty where nothing does.
    pub consequence: String,
    /// The command that changes the outcome, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// Whether tracing needs it.
    pub need: Need,
}

/// Whether the host has what was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It could not be found out, mostly for want of privileges.
    Unknown,
}

/// Whether tracing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The default series cannot do without.
    Required,
    /// Something is better with it, as the consequence says.
    Optional,
    /// Tailcut does without; said for the sake of other tools and of those who wonder.
    Unused,
}

/// A part of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// What the kernel can do.
    Kernel,
    /// What this user may do.
    Permissions,
    /// What it runs on.
    Machine,
    /// The process that was named.
    Process,
}

/// What several checks use, gathered once.
#[derive(Debug)]
pub(super) struct Facts {
    pub privileges: Privileges,
    pub config: Option<KernelConfig>,
    pub btf: Result<Btf, String>,
}

impl Facts {
    /// Reads the kernel's types and configuration, and what this process may do.
    pub(super) fn gather() -> Self {
        Self {
            privileges: Privileges::of_this_thread(),
            config: KernelConfig::read(),
            btf: Btf::of_kernel().map_err(|error| error.to_string()),
        }
    }

    /// A check to which the kernel said that this user may not: without the capabilities that
    /// tells nothing about the kernel, with them it does.
    fn refused(&self, check: Check, consequence: &str) -> Check {
        if self.privileges.may_load_programs() && self.privileges.may_open_events() {
            check.no("refused, although the capabilities are held", consequence)
        } else {
            check.unknown("not permitted, so it cannot be found out", consequence)
        }
    }

    /// Why the kernel lacks something, as far as its configuration tells; empty if it does not.
    fn why_absent(&self, options: &[&str]) -> String {
        let Some(config) = &self.config else {
            return String::new();
        };
        let unset: Vec<&str> = options
            .iter()
            .copied()
            .filter(|option| !config.is_set(option))
            .collect();
        match unset.as_slice() {
            [] => String::new(),
            unset => format!("built without {} ({})", unset.join(", "), config.path()),
        }
    }
}

/// Everything that does not depend on a target.
pub(super) fn all(facts: &Facts) -> Vec<Check> {
    [
        bpf::checks(facts),
        probes::checks(facts),
        tracepoints::checks(facts),
        permissions::checks(facts),
        container::checks(),
        machine::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Check {
    /// A check whose outcome is not known yet.
    fn new(area: Area, name: &'static str, need: Need) -> Self {
        Self {
            name,
            area,
            outcome: Outcome::Unknown,
            found: String::new(),
            consequence: String::new(),
            cure: None,
            need,
        }
    }

    fn required(area: Area, name: &'static str) -> Self {
        Self::new(area, name, Need::Required)
    }

    fn unused(area: Area, name: &'static str) -> Self {
        Self::new(area, name, Need::Unused)
    }

    fn optional(area: Area, name: &'static str) -> Self {
        Self::new(area, name, Need::Optional)
    }

    fn yes(self, found: impl Into<String>) -> Self {
        self.with(Outcome::Yes, found, "")
    }

    fn no(self, found: impl Into<String>, consequence: impl Into<String>) -> Self {
        self.with(Outcome::No, found, consequence)
    }

    fn unknown(self, found: impl Into<String>, consequence: impl Into<String>) -> Self {
        self.with(Outcome::Unknown, found, consequence)
    }

    fn with(
        mut self,
        outcome: Outcome,
        found: impl Into<String>,
        consequence: impl Into<String>,
    ) -> Self {
        self.outcome = outcome;
        self.found = found.into();
        self.consequence = consequence.into();
        self
    }

    fn cure(mut self, command: impl Into<String>) -> Self {
        self.cure = Some(command.into());
        self
    }

    /// Whether something that tracing needs is missing.
    pub fn is_missing(&self) -> bool {
        self.need == Need::Required && self.outcome != Outcome::Yes
    }
}

/// The trimmed text of a small file of /proc or /sys; `None` if it cannot be read.
fn line_of(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}
