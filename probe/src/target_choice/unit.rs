//! The main process of a systemd unit.

use std::collections::HashSet;
use std::fmt;
use std::process::{Command, Stdio};
use std::str::FromStr;

use super::{ChoiceError, Process, ProcessTable};
use crate::live::fit;

/// The longest name that systemd accepts.
const LONGEST: usize = 255;

/// Name of a systemd unit, with its suffix: `nginx.service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitName(String);

impl UnitName {
    /// Its main process, as systemd knows it; `None` without systemd, or if there is none.
    pub(super) fn main_pid(&self) -> Option<u32> {
        let output = Command::new("systemctl")
            .args(["show", "--property=MainPID", "--value", "--"])
            .arg(&self.0)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let pid = text.trim().parse().ok()?;
        // 0: the unit does not run, or is no service.
        (output.status.success() && pid != 0).then_some(pid)
    }

    /// Those of its processes whose parents belong to something else: the main process of most
    /// services, and those that it left behind.
    pub(super) fn first_processes(
        &self,
        table: &ProcessTable,
    ) -> Result<Vec<Process>, ChoiceError> {
        let mut members = table.all()?;
        members.retain(|process| !process.has_ended && table.is_in_group(process.pid, &self.0));
        let numbers: HashSet<u32> = members.iter().map(|process| process.pid).collect();
        members.retain(|process| !numbers.contains(&process.parent));
        Ok(members)
    }
}

impl FromStr for UnitName {
    type Err = ChoiceError;

    /// A name without a suffix is a service's.
    fn from_str(text: &str) -> Result<UnitName, ChoiceError> {
        // What systemd.unit(5) allows. It must not look like an option of systemctl either.
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        let valid = !text.is_empty()
            && text.len() + ".service".len() <= LONGEST
            && !text.starts_with(['-', '.'])
            && text.chars().all(allowed);
        if !valid {
            return Err(ChoiceError::BadUnit {
                name: fit(text, 60).into_owned(),
            });
        }
        let has_suffix = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];
        let has_suffix = has_suffix.iter().any(|suffix| text.ends_with(suffix));
        Ok(UnitName(match has_suffix {
            true => text.to_owned(),
            false => format!("{text}.service"),
        }))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
