//! What makes no sense, or cannot run here, found before anything starts: no thread, no socket, no folder.
//!
//! What a transport has no use for is refused instead of ignored: who gives a header to Redis expects something of
//! it. What only the server or the system can know (whether it listens, how many files may be open) is found when
//! the run begins.

mod faults;
mod requests;

use super::{Arrivals, Pacing, Scenario, ScenarioError, Shard, Target, WarmUp, Watched};
use crate::clock::Nanos;
use crate::engine::interval::HIGHEST;
use crate::engine::placement::available_cpus;
use crate::network::target::Transport;
use crate::plan::{Form, RunPlan, Service};
use crate::scenario::notation::Notation as _;
use crate::scenario::slo::Measure;

/// More connections than any one machine has had to one server, and less than what overflows.
const MOST_CONNECTIONS: u32 = 1_000_000;
/// Requests under way on one connection.
const DEEPEST_PIPELINE: u32 = 65_536;

type Checked = Result<(), ScenarioError>;

/// Refuses, with a sentence.
fn refuse(why: impl Into<String>) -> Checked {
    Err(ScenarioError::Refused(why.into()))
}

impl Scenario {
    /// Refuses what cannot run.
    ///
    /// Costs microseconds, and for a trace one pass over it. Reads how much memory is free where a service within the
    /// process needs it.
    ///
    /// # Errors
    /// One sentence that names the setting, says why, and what would be accepted.
    pub fn check(&self) -> Result<(), ScenarioError> {
        self.check_name()?;
        self.check_times()?;
        self.check_pacing()?;
        self.check_workers()?;
        match &self.target {
            Target::InProcess {
                service,
                form,
                window,
            } => self.check_in_process(*service, *form, *window)?,
            Target::Network(server) => {
                self.check_connections(server.transport)?;
                requests::check(server, &self.request, &self.tls)?;
            }
        }
        self.check_objectives()?;
        faults::check(self)?;
        self.check_shard()
    }

    /// Names stand in tables and become names of folders.
    fn check_name(&self) -> Checked {
        let fine = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let name = &self.name;
        if name.is_empty() || name.len() > 100 || !name.chars().all(fine) || name.starts_with('.') {
            return refuse(format!(
                "the name {name:?} cannot be a folder's: write at most 100 letters, digits, dashes, underscores and \
                 dots, and no dot first"
            ));
        }
        Ok(())
    }

    fn check_times(&self) -> Checked {
        if self.duration < Nanos::SECOND {
            return refuse(format!(
                "a duration of {} has no whole second, the unit of percentiles over time: give 1s or more",
                self.duration.write()
            ));
        }
        if let WarmUp::Auto { at_most } = self.warmup
            && at_most < Nanos(2 * Nanos::SECOND.0)
        {
            return refuse(format!(
                "an automatic warm-up of at most {} is too short to tell whether latency is stationary: give auto:2s or \
                 more, or a fixed time",
                at_most.write()
            ));
        }
        Ok(())
    }

    fn check_pacing(&self) -> Checked {
        let (rate, arrivals) = match (&self.pacing, &self.target) {
            (Pacing::Open { rate, arrivals }, _) => (rate, arrivals),
            (Pacing::Closed, Target::Network(_)) => return Ok(()),
            (Pacing::Closed, Target::InProcess { .. }) => {
                return refuse(
                    "a closed loop within the process would measure nothing but the service's own speed: give a rate",
                );
            }
        };
        let seconds = self.duration.as_secs_f64();
        if rate.as_f64() * seconds < 1.0 {
            return refuse(format!(
                "at {rate} requests/s none is due in {}: give a higher rate, or a longer duration",
                self.duration.write()
            ));
        }
        match arrivals {
            Arrivals::Constant | Arrivals::Poisson => Ok(()),
            Arrivals::Burst { size: 0 } => refuse("a burst of 0 requests: give at least 1"),
            Arrivals::Burst { size } if f64::from(*size) / rate.as_f64() > seconds => {
                refuse(format!(
                    "at {rate} requests/s a burst of {size} comes once in {:.0} s, which is longer than the {} of the run: \
                 give smaller bursts, a higher rate, or a longer duration",
                    f64::from(*size) / rate.as_f64(),
                    self.duration.write()
                ))
            }
            Arrivals::Burst { .. } => Ok(()),
            Arrivals::Trace(offsets) => check_trace(offsets),
        }
    }

    fn check_workers(&self) -> Checked {
        let (workers, cpus) = (self.workers, available_cpus());
        if workers == 0 {
            return refuse("0 workers: give at least 1");
        }
        if workers > cpus {
            return refuse(format!(
                "{workers} workers, but this process may use only {cpus} cores: each worker needs one"
            ));
        }
        Ok(())
    }

    fn check_connections(&self, transport: Transport) -> Checked {
        let Scenario {
            workers,
            connections,
            pipeline,
            timeout,
            ..
        } = *self;
        if connections == 0 || connections > MOST_CONNECTIONS {
            return refuse(format!(
                "{connections} connections: give 1 to {MOST_CONNECTIONS}"
            ));
        }
        if workers > connections {
            return refuse(format!(
                "{workers} workers for {connections} connections: each worker needs at least one connection of its own"
            ));
        }
        if pipeline == 0 || pipeline > DEEPEST_PIPELINE {
            return refuse(format!(
                "a pipeline of {pipeline}: give 1 to {DEEPEST_PIPELINE} requests under way on a connection"
            ));
        }
        if transport == Transport::WebSocket && pipeline > 1 {
            return refuse(format!(
                "a pipeline of {pipeline} over WebSocket: messages do not say which one they answer, so give 1, and \
                 more connections"
            ));
        }
        if timeout.0 == 0 || timeout.0 > HIGHEST {
            return refuse(format!(
                "a timeout of {}: give more than 0s, at most {}, the longest latency that is told apart",
                timeout.write(),
                Nanos(HIGHEST).write()
            ));
        }
        Ok(())
    }

    fn check_in_process(&self, service: Service, form: Form, window: u64) -> Checked {
        if self.request != super::RequestOptions::default()
            || self.tls != super::TlsOptions::default()
        {
            return refuse(
                "requests and TLS are settings of servers; a service within this process is given orders: leave \
                 [request] and [tls] out",
            );
        }
        if self.watched != Watched::Nobody {
            return refuse(
                "a service within this process has no process of its own to watch: leave watch out, or give none",
            );
        }
        let Pacing::Open { rate, .. } = self.pacing else {
            return Ok(());
        };
        let plan = RunPlan {
            form,
            rate,
            duration: self.duration,
            window,
            workers: self.workers,
            ..RunPlan::new(service, "")
        };
        plan.check()
            .map_err(|error| ScenarioError::Refused(error.to_string()))
    }

    fn check_objectives(&self) -> Checked {
        let Some(slo) = &self.slo else {
            return Ok(());
        };
        if slo.objectives.is_empty() {
            return refuse(
                "an slo without objectives: write for example p99.9<1ms, or leave it out",
            );
        }
        let Pacing::Open { rate, .. } = &self.pacing else {
            return Ok(());
        };
        let beyond = slo.objectives.iter().find(|objective| {
            objective.measure == Measure::Rate && objective.limit >= rate.as_f64()
        });
        match beyond {
            Some(objective) => refuse(format!(
                "{} cannot hold at {rate} requests/s, of which no more than all are answered: give a lower limit, or a \
                 higher rate",
                objective.text
            )),
            None => Ok(()),
        }
    }

    fn check_shard(&self) -> Checked {
        let Some(Shard { index, of }) = self.shard else {
            return Ok(());
        };
        if index >= of {
            return refuse(format!(
                "shard {index} of {of}: they are counted from 0, so the last is {}",
                of.saturating_sub(1)
            ));
        }
        if self.pacing == Pacing::Closed {
            return refuse(
                "a closed loop has no schedule that could be divided: leave the shard out",
            );
        }
        if of > 1 && self.start_at_unix_ns.is_none() {
            return refuse(
                "a shard needs to know when all of them begin: give the same start_at to each, for example in 30 s: \
                 --start-at $(($(date +%s) + 30))",
            );
        }
        if of > 1 && !matches!(self.warmup, WarmUp::Fixed(_)) {
            return refuse(
                "shards must begin to record at the same time, which an automatic warm-up does not promise: give a \
                 fixed one, for example 5s",
            );
        }
        Ok(())
    }
}

fn check_trace(offsets: &[Nanos]) -> Checked {
    let Some(last) = offsets.last() else {
        return refuse("the trace is empty: it needs at least one arrival");
    };
    if last.0 == 0 {
        return refuse(
            "all arrivals of the trace are at its start: one of them at least must be later",
        );
    }
    match offsets.windows(2).position(|pair| pair[0] > pair[1]) {
        Some(at) => refuse(format!(
            "arrival {} of the trace, at {} ns, is earlier than the one before it: they must ascend",
            at + 2,
            offsets[at + 1].0
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
