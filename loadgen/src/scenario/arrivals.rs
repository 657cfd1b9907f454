//! How intended starts are spaced.

mod trace_file;

use std::fmt;
use std::sync::Arc;

use super::ScenarioError;
use crate::clock::Nanos;

pub use trace_file::TraceError;

/// How intended starts are spaced; with rate and seed it fixes every one of them before the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// Independently of each other, as many users' requests are: exponential gaps.
    Poisson,
    /// In bursts: `size` requests at the same instant, then nothing until the next burst; bursts are
    /// as far apart as the rate demands.
    Burst {
        /// Requests in a burst.
        size: u32,
    },
    /// As recorded: offsets from the schedule's start in nanoseconds, ascending. The rate stretches
    /// them; what is longer than the trace repeats it. Only the distances between them count: the first
    /// request is due at the schedule's start.
    Trace(Arc<[Nanos]>),
}

impl Arrivals {
    /// Refuses what is no schedule.
    ///
    /// # Errors
    /// A burst of none; a trace without requests, or one that goes back in time.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let refused = |why: String| Err(ScenarioError::Refused(why));
        match self {
            Arrivals::Burst { size: 0 } => {
                refused("a burst of 0 requests: give at least 1".to_owned())
            }
            Arrivals::Trace(offsets) if offsets.is_empty() => {
                refused("a trace without requests has nothing to repeat".to_owned())
            }
            Arrivals::Trace(offsets) => {
                let back = offsets.windows(2).position(|pair| pair[0] > pair[1]);
                back.map_or(Ok(()), |first| {
                    refused(format!(
                        "a trace must ascend, but its request {} comes before its request {}",
                        first + 1,
                        first
                    ))
                })
            }
            Arrivals::Constant | Arrivals::Poisson | Arrivals::Burst { .. } => Ok(()),
        }
    }
}

impl fmt::Display for Arrivals {
    /// What a recording says as its pacing: `constant`, `poisson`, `burst of 64`, `trace of 1000 requests`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arrivals::Constant => f.write_str("constant"),
            Arrivals::Poisson => f.write_str("poisson"),
            Arrivals::Burst { size } => write!(f, "burst of {size}"),
            Arrivals::Trace(offsets) => write!(f, "trace of {} requests", offsets.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        let trace = |offsets: &[u64]| Arrivals::Trace(offsets.iter().copied().map(Nanos).collect());
        let refused = |arrivals: Arrivals| arrivals.check().unwrap_err().to_string();
        assert!(refused(Arrivals::Burst { size: 0 }).contains("burst of 0"));
        assert!(refused(trace(&[])).contains("without requests"));
        assert!(refused(trace(&[1, 2, 2, 1])).contains("request 3 comes before its request 2"));
        for fine in [
            Arrivals::Constant,
            Arrivals::Poisson,
            Arrivals::Burst { size: 1 },
            trace(&[3, 3, 4]),
        ] {
            fine.check().unwrap();
        }
    }
}
