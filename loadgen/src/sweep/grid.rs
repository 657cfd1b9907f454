//! Parameters, their values, and the combinations.

use std::fmt;
use std::str::FromStr;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde::Serialize;

use crate::quantity::{Rate, parse_count};

/// What can be varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// Threads that make the load.
    Workers,
    /// Connections of all workers together.
    Connections,
    /// Requests under way on a connection.
    Pipeline,
    /// Requests per second.
    Rate,
    /// Live orders that are settled at once.
    Window,
    /// Whether threads are bound to cores: 0 or 1.
    Pin,
}

impl Parameter {
    const ALL: [Parameter; 6] = [
        Parameter::Workers,
        Parameter::Connections,
        Parameter::Pipeline,
        Parameter::Rate,
        Parameter::Window,
        Parameter::Pin,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Parameter::Workers => "workers",
            Parameter::Connections => "connections",
            Parameter::Pipeline => "pipeline",
            Parameter::Rate => "rate",
            Parameter::Window => "window",
            Parameter::Pin => "pin",
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A parameter and its values: `connections=1,4,16`, `rate=100k..400k+100k`, `pipeline=1..64*2`.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is varied.
    pub parameter: Parameter,
    /// Its values, ascending, each once.
    pub values: Vec<f64>,
}

/// Why a text is no axis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' cannot be swept: {reason}; write for example connections=1,4,16 or pipeline=1..64*2 or rate=100k..400k+100k"
)]
pub struct AxisError {
    text: String,
    reason: String,
}

/// The most values of an axis: a slip of the hand must not ask for a year of runs.
const MOST_VALUES: usize = 100;

impl FromStr for Axis {
    type Err = AxisError;

    fn from_str(text: &str) -> Result<Axis, AxisError> {
        let refused = |reason: String| AxisError {
            text: text.to_owned(),
            reason,
        };
        let (name, values) = text
            .split_once('=')
            .ok_or_else(|| refused("there is no '='".to_owned()))?;
        let parameter = Parameter::ALL
            .into_iter()
            .find(|parameter| parameter.name() == name.trim())
            .ok_or_else(|| {
                let all = Parameter::ALL.map(Parameter::name).join(", ");
                refused(format!("'{name}' is none of {all}"))
            })?;
        let value = |text: &str| value(parameter, text).map_err(&refused);
        let mut values = match values.split_once("..") {
            None => values
                .split(',')
                .map(value)
                .collect::<Result<Vec<f64>, _>>()?,
            Some((first, rest)) => {
                let place = rest
                    .find(['*', '+'])
                    .ok_or_else(|| refused("a range needs a step: *2 or +10".to_owned()))?;
                let (last, step) = rest.split_at(place);
                let (first, last) = (value(first)?, value(last)?);
                let multiplies = step.starts_with('*');
                let amount: f64 = if multiplies {
                    step[1..].trim().parse().unwrap_or(0.0)
                } else {
                    value(&step[1..])?
                };
                if !amount.is_finite() || amount <= f64::from(u8::from(multiplies)) {
                    return Err(refused(format!("the step '{step}' leads nowhere")));
                }
                range(first, last, multiplies, amount)
                    .ok_or_else(|| refused(format!("it has more than {MOST_VALUES} values")))?
            }
        };
        values.sort_by(f64::total_cmp);
        values.dedup();
        if values.is_empty() {
            return Err(refused("the range is empty".to_owned()));
        }
        if values.len() > MOST_VALUES {
            return Err(refused(format!("it has more than {MOST_VALUES} values")));
        }
        Ok(Axis { parameter, values })
    }
}

/// `None` if there are too many.
fn range(first: f64, last: f64, multiplies: bool, step: f64) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    let mut value = first;
    while value <= last {
        if values.len() == MOST_VALUES {
            return None;
        }
        values.push(if multiplies { value.round() } else { value });
        value = if multiplies {
            value * step
        } else {
            value + step
        };
    }
    Some(values)
}

#[allow(clippy::cast_precision_loss)] // counts of workers and the like
fn value(parameter: Parameter, text: &str) -> Result<f64, String> {
    let text = text.trim();
    if parameter == Parameter::Rate {
        return text
            .parse::<Rate>()
            .map(Rate::as_f64)
            .map_err(|error| error.to_string());
    }
    if parameter == Parameter::Pin {
        return match text {
            "0" => Ok(0.0),
            "1" => Ok(1.0),
            _ => Err(format!("pin is 0 or 1, not {text}")),
        };
    }
    let count = parse_count(text).map_err(|error| error.to_string())?;
    if count > u64::from(u32::MAX) {
        return Err(format!("{text} is out of range"));
    }
    Ok(count as f64)
}

/// Every combination of the axes' values, the last axis fastest.
pub(super) fn combinations(axes: &[Axis]) -> Vec<Vec<(Parameter, f64)>> {
    let mut all = vec![Vec::new()];
    for axis in axes {
        let extended = |so_far: &Vec<(Parameter, f64)>| {
            let so_far = so_far.clone();
            axis.values.iter().map(move |&value| {
                let mut longer = so_far.clone();
                longer.push((axis.parameter, value));
                longer
            })
        };
        all = all.iter().flat_map(extended).collect();
    }
    all
}

/// Fisher and Yates' shuffle; the small bias of the remainder does not matter here.
#[allow(clippy::cast_possible_truncation)] // an index below the length
pub(super) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut random = SplitMix64::seed_from_u64(seed);
    for last in (1..items.len()).rev() {
        let place = (random.next_u64() % (last as u64 + 1)) as usize;
        items.swap(last, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_read() {
        for (text, values) in [
            ("connections=1,4,16", vec![1.0, 4.0, 16.0]),
            ("pipeline=1..10*2", vec![1.0, 2.0, 4.0, 8.0]),
            (
                "rate=100k..300k+100k",
                vec![100_000.0, 200_000.0, 300_000.0],
            ),
            ("workers=2", vec![2.0]),
            ("window=3,1,3", vec![1.0, 3.0]),
            ("pin=1,0", vec![0.0, 1.0]),
        ] {
            assert_eq!(text.parse::<Axis>().unwrap().values, values, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_swept_is_said_with_what_can() {
        for (text, part) in [
            ("connections", "no '='"),
            ("colour=1,2", "none of workers"),
            ("workers=1..4", "needs a step"),
            ("workers=1..4*1", "leads nowhere"),
            ("workers=1..4*x", "leads nowhere"),
            ("workers=4..1*2", "empty"),
            ("workers=one", "one"),
            ("workers=1..1000+1", "more than 100"),
            ("workers=0", "zero"),
            ("pipeline=1,99999999999", "out of range"),
        ] {
            let message = text.parse::<Axis>().unwrap_err().to_string();
            assert!(
                message.contains(part) && message.contains("for example"),
                "{text}: {message}"
            );
        }
    }
}
