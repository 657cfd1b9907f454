//! What is left out at the beginning of a run, by a rule that is stated.
//!
//! Memory is faulted in, caches and predictors fill, pools grow, a JIT compiles: the first seconds are
//! not those that come after. Either their number is given, or [`Stationarity`] decides it while the
//! run goes on; the recording says which, and how it ended ([`WarmUpEnd`]).

pub mod stationarity;
mod trend;

use std::fmt;

use crate::clock::Nanos;

pub use stationarity::Stationarity;

/// How long the unrecorded beginning is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUp {
    /// So long.
    Fixed(Nanos),
    /// Until latency is stationary, in whole seconds, at most so long.
    Auto {
        /// The recorded part then begins, and the recording says that it was not stationary.
        at_most: Nanos,
    },
}

/// How a warm-up ended: what a recording says as its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUpEnd {
    /// Its length was given.
    Fixed(Nanos),
    /// Its last seconds were stationary.
    Stationary {
        /// How many whole seconds had been judged. The recorded part begins at the next change of
        /// seconds that no worker has reached.
        after_seconds: u64,
    },
    /// The longest warm-up that was allowed had passed.
    NotStationary {
        /// How many seconds that was.
        after_seconds: u64,
    },
    /// The run ended before its warm-up did.
    Undecided,
}

impl fmt::Display for WarmUpEnd {
    /// `1 s, fixed`; `auto: stationary after 3 s`; `auto: NOT stationary after 30 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WarmUpEnd::Fixed(length) => write!(f, "{length}, fixed"),
            WarmUpEnd::Stationary { after_seconds } => {
                write!(f, "auto: stationary after {after_seconds} s")
            }
            WarmUpEnd::NotStationary { after_seconds } => {
                write!(f, "auto: NOT stationary after {after_seconds} s")
            }
            WarmUpEnd::Undecided => write!(f, "auto: the run ended before it was decided"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_states_how_the_warm_up_ended() {
        for (end, text) in [
            (WarmUpEnd::Fixed(Nanos::SECOND), "1 s, fixed"),
            (
                WarmUpEnd::Stationary { after_seconds: 3 },
                "auto: stationary after 3 s",
            ),
            (
                WarmUpEnd::NotStationary { after_seconds: 30 },
                "auto: NOT stationary after 30 s",
            ),
        ] {
            assert_eq!(end.to_string(), text);
        }
    }
}
