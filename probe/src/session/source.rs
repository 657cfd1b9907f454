//! A session as the live view and the exporter want it.

use std::time::Duration;

use super::{Session, SessionError};
use crate::live::{LeftOut, Source, TargetDescription};
use crate::tick::Tick;

impl Source for Session {
    type Error = SessionError;

    fn next(&mut self, timeout: Duration) -> Result<Option<Tick>, SessionError> {
        let patience = std::time::Instant::now() + timeout;
        while !self.is_over() {
            let left = patience.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.watch(left)?;
        }
        self.end_interval().map(Some)
    }

    fn describe(&self) -> TargetDescription {
        TargetDescription {
            name: self.target.name.clone(),
            process: self.pid,
            command: self.target.command.join(" "),
            age: None,
            allocators: self.target.allocators.clone(),
            attached: self.series.iter().map(|(_, name)| name.clone()).collect(),
            left_out: self
                .left_out
                .iter()
                .map(|reason| {
                    let (series, reason) = reason.split_once(": ").unwrap_or(("", reason));
                    LeftOut {
                        series: series.to_owned(),
                        reason: reason.to_owned(),
                    }
                })
                .collect(),
            floor_ns: self.calibration.floors().emulated,
        }
    }
}
