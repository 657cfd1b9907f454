//! Stands in for parts that are not there yet.

use std::fmt;
use std::str::FromStr;

use super::fault::FaultKind;
use super::notation::Notation as _;
use super::{Fault, ScenarioError};
use crate::quantity::parse_duration;

impl FromStr for Fault {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Fault, ScenarioError> {
        let refused = || ScenarioError::Refused(format!("'{text}' is no fault"));
        let (what, when) = text.split_once('@').ok_or_else(refused)?;
        let (at, lasts) = when.split_once('+').ok_or_else(refused)?;
        let time = |text: &str| parse_duration(text).map_err(|_| refused());
        let (kind, amount) = what.split_once('=').unwrap_or((what, ""));
        let kind = match kind {
            "freeze" => FaultKind::Freeze,
            "hog-cpu" => FaultKind::HogCpu {
                threads: amount.parse().map_err(|_| refused())?,
            },
            "hog-memory" => FaultKind::HogMemory {
                bytes: amount.parse().map_err(|_| refused())?,
            },
            "delay" => {
                let (by, jitter) = amount.split_once('~').unwrap_or((amount, "0s"));
                FaultKind::Delay {
                    by: time(by)?,
                    jitter: time(jitter)?,
                }
            }
            _ => return Err(refused()),
        };
        Ok(Fault {
            at: time(at)?,
            lasts: time(lasts)?,
            kind,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::Freeze => f.write_str("freeze")?,
            FaultKind::HogCpu { threads } => write!(f, "hog-cpu={threads}")?,
            FaultKind::HogMemory { bytes } => write!(f, "hog-memory={bytes}")?,
            FaultKind::Delay { by, jitter } => {
                write!(f, "delay={}~{}", by.write(), jitter.write())?;
            }
        }
        write!(f, "@{}+{}", self.at.write(), self.lasts.write())
    }
}
