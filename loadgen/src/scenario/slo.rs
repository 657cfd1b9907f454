//! Service level objectives: `p99.9<1ms,errors<0.05%`.
//!
//! An objective compares one figure of a run with a limit. What a run measured is never better than the
//! truth: latencies count from the intended start, and what was never answered stands in them at its age. So
//! an objective that is broken is broken for sure, also when the schedule was missed; one that holds says
//! something only if the schedule was kept.

use std::fmt;
use std::str::FromStr;

use hdrhistogram::Histogram;
use tailcut_report::recording::{ObjectiveResult, RunResult};

use crate::engine::RunOutcome;
use crate::quantity::{Rate, parse_duration};

/// What must hold for a run to pass; all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// Each of the objectives.
    pub objectives: Vec<Objective>,
}

/// One objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// As it was written.
    pub text: String,
    /// What is compared.
    pub measure: Measure,
    /// It must be below this: nanoseconds, or a share from 0 to 1. (For [`Measure::Rate`]: above, in requests
    /// per second.)
    pub limit: f64,
}

/// What an objective is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// A quantile of response time, 0 to 1.
    Response(f64),
    /// The largest response time.
    Max,
    /// Mean response time.
    Mean,
    /// Failed or unanswered requests, as a share of those due.
    Errors,
    /// Requests completed per second of the schedule.
    Rate,
}

/// Why a text is no list of objectives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SloError {
    /// There is nothing in it.
    #[error("no objective is given; write for example p99.9<1ms,errors<0.05%")]
    Empty,
    /// One of them has no comparison, or another one than is known.
    #[error(
        "'{objective}' is no objective: write MEASURE<LIMIT, for example p99.9<1ms, max<20ms, mean<200us, \
         errors<0.05%, or rate>2M"
    )]
    Comparison {
        /// The objective, as written.
        objective: String,
    },
    /// Compared the wrong way round.
    #[error("'{objective}' would be met by the worst of runs: write {right}")]
    Direction {
        /// The objective, as written.
        objective: String,
        /// What is probably meant.
        right: String,
    },
    /// What is left of the comparison is not known.
    #[error(
        "'{measure}' in '{objective}' is nothing that is measured; write p50 to p99.9999 (a percentile of response \
         time), max, mean, errors or rate"
    )]
    Measure {
        /// The objective, as written.
        objective: String,
        /// What is on its left.
        measure: String,
    },
    /// What is right of the comparison is no limit.
    #[error("the limit of '{objective}': {reason}")]
    Limit {
        /// The objective, as written.
        objective: String,
        /// What is wrong with it, and what would be accepted.
        reason: String,
    },
    /// The same figure twice.
    #[error("'{first}' and '{second}' limit the same figure: give one of them")]
    Twice {
        /// The one that came first.
        first: String,
        /// The other.
        second: String,
    },
}

impl Slo {
    /// What came of each objective, in their order.
    ///
    /// `response` are the response times of the whole run, `result` its counts. A run without a single request
    /// due meets no objective. Costs a pass over the histogram for each percentile.
    #[must_use]
    pub fn judge_figures(
        &self,
        response: &Histogram<u64>,
        result: &RunResult,
    ) -> Vec<ObjectiveResult> {
        let judge = |objective: &Objective| {
            let measured = objective.measure.of(response, result);
            ObjectiveResult {
                objective: objective.text.clone(),
                measured: measured.unwrap_or(0.0),
                held: measured.is_some_and(|measured| objective.holds(measured)),
            }
        };
        self.objectives.iter().map(judge).collect()
    }

    /// As [`Slo::judge_figures`], for a run that has ended. One without a result meets no objective.
    #[must_use]
    pub fn judge(&self, outcome: &RunOutcome) -> Vec<ObjectiveResult> {
        let nothing = RunResult::default();
        let result = outcome.meta.result.as_ref().unwrap_or(&nothing);
        self.judge_figures(&outcome.response, result)
    }
}

impl Objective {
    /// Whether a run with this figure meets it.
    #[must_use]
    pub fn holds(&self, measured: f64) -> bool {
        match self.measure {
            Measure::Rate => measured > self.limit,
            _ => measured < self.limit,
        }
    }
}

impl Measure {
    /// The figure of a run, in the unit of [`Objective::limit`]; nothing if the run has none.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts of requests and nanoseconds, compared with a limit
    pub fn of(self, response: &Histogram<u64>, result: &RunResult) -> Option<f64> {
        let some = (!response.is_empty()).then_some(response);
        match self {
            Measure::Response(quantile) => some.map(|all| all.value_at_quantile(quantile) as f64),
            Measure::Max => some.map(|all| all.max() as f64),
            Measure::Mean => some.map(Histogram::mean),
            Measure::Errors => result.error_share(),
            Measure::Rate => Some(result.rate_achieved),
        }
    }
}

impl FromStr for Slo {
    type Err = SloError;

    /// Objectives separated by commas; blanks do not matter.
    fn from_str(text: &str) -> Result<Slo, SloError> {
        let mut objectives: Vec<Objective> = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let objective = part.parse::<Objective>()?;
            if let Some(first) = objectives
                .iter()
                .find(|earlier| earlier.measure == objective.measure)
            {
                return Err(SloError::Twice {
                    first: first.text.clone(),
                    second: objective.text,
                });
            }
            objectives.push(objective);
        }
        match objectives.is_empty() {
            true => Err(SloError::Empty),
            false => Ok(Slo { objectives }),
        }
    }
}

impl fmt::Display for Slo {
    /// As it was written, without blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, objective) in self.objectives.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}", objective.text)?;
        }
        Ok(())
    }
}

impl FromStr for Objective {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Objective, SloError> {
        let written: String = text.split_whitespace().collect();
        let objective = || written.clone();
        let comparison = || SloError::Comparison {
            objective: objective(),
        };
        let at = written.find(['<', '>']).ok_or_else(comparison)?;
        let (left, right) = (&written[..at], &written[at + 1..]);
        let above = written[at..].starts_with('>');
        if left.is_empty() || right.is_empty() || right.contains(['<', '>', '=']) {
            return Err(comparison());
        }
        let measure = measure(left).ok_or_else(|| SloError::Measure {
            objective: objective(),
            measure: left.to_owned(),
        })?;
        if above != (measure == Measure::Rate) {
            let sign = if above { '<' } else { '>' };
            return Err(SloError::Direction {
                objective: objective(),
                right: format!("{left}{sign}{right}"),
            });
        }
        let limit = limit(measure, right).map_err(|reason| SloError::Limit {
            objective: objective(),
            reason,
        })?;
        Ok(Objective {
            text: written,
            measure,
            limit,
        })
    }
}

fn measure(text: &str) -> Option<Measure> {
    match text {
        "max" => return Some(Measure::Max),
        "mean" => return Some(Measure::Mean),
        "errors" => return Some(Measure::Errors),
        "rate" => return Some(Measure::Rate),
        _ => {}
    }
    let number = text.strip_prefix(['p', 'P'])?;
    let plain = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    // Shifted in decimal: 99.9 / 100.0 is more than 0.999, and would be the next request's value.
    let quantile: f64 = format!("{number}e-2").parse().ok().filter(|_| plain)?;
    (quantile > 0.0 && quantile < 1.0).then_some(Measure::Response(quantile))
}

#[allow(clippy::cast_precision_loss)] // at most 30 days of nanoseconds
fn limit(measure: Measure, text: &str) -> Result<f64, String> {
    match measure {
        Measure::Rate => text
            .parse::<Rate>()
            .map(Rate::as_f64)
            .map_err(|error| error.to_string()),
        Measure::Errors => share(text),
        Measure::Response(_) | Measure::Max | Measure::Mean => {
            let limit = parse_duration(text).map_err(|error| error.to_string())?;
            if limit.0 == 0 {
                return Err("nothing takes less than no time; write for example 1ms".to_owned());
            }
            Ok(limit.0 as f64)
        }
    }
}

/// `0.05%`, or `0.0005`.
fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let plain = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let share = number
        .parse::<f64>()
        .ok()
        .filter(|_| plain)
        .map(|share| share / scale);
    match share {
        Some(share) if share > 0.0 && share <= 1.0 => Ok(share),
        Some(0.0) => Err(format!(
            "no share of errors is below {text}; write errors<0.0001% to allow almost none"
        )),
        _ => Err(format!(
            "'{text}' is no share of requests; write for example 0.05% or 0.0005, up to 100%"
        )),
    }
}

#[cfg(test)]
mod tests;
