//! Which figure of a run is compared: `p99.9`, or `max`.

use std::fmt;
use std::str::FromStr;

use crate::statistics::{maximum, quantile};
use hdrhistogram::Histogram;

/// A percentile of response time; the maximum is one, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentile {
    /// From 0 to 1.
    quantile: f64,
}

impl Percentile {
    /// What a trend is about.
    pub const P999: Percentile = Percentile { quantile: 0.999 };

    /// What a table of a comparison shows.
    pub const SHOWN: [Percentile; 6] = [
        Percentile { quantile: 0.5 },
        Percentile { quantile: 0.9 },
        Percentile { quantile: 0.99 },
        Percentile { quantile: 0.999 },
        Percentile { quantile: 0.9999 },
        Percentile { quantile: 1.0 },
    ];

    /// What a verdict is about unless told otherwise: the usual request, and the tail as far as a run
    /// of some seconds knows it well.
    pub const JUDGED: [Percentile; 3] = [
        Percentile { quantile: 0.5 },
        Percentile { quantile: 0.99 },
        Percentile { quantile: 0.999 },
    ];

    /// From 0 to 1.
    #[must_use]
    pub fn quantile(self) -> f64 {
        self.quantile
    }

    /// Of a run, in nanoseconds; 0 when it has no value.
    #[must_use]
    pub fn of(self, histogram: &Histogram<u64>) -> u64 {
        if self.quantile >= 1.0 {
            maximum(histogram)
        } else {
            quantile(histogram, self.quantile)
        }
    }

    /// Whether so many requests know it: at least ten of them lie beyond. The maximum is what it is.
    #[must_use]
    pub fn is_known_by(self, requests: u64) -> bool {
        #[allow(clippy::cast_precision_loss)] // far from the limit where it would matter
        let beyond = (1.0 - self.quantile) * requests as f64;
        self.quantile >= 1.0 || beyond >= 9.999
    }
}

/// Why a text is no percentile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no percentile; write for example p50, p99.9 or max")]
pub struct PercentileError(String);

impl FromStr for Percentile {
    type Err = PercentileError;

    fn from_str(text: &str) -> Result<Percentile, PercentileError> {
        let refused = || PercentileError(text.to_owned());
        let word = text.trim().to_ascii_lowercase();
        if word == "max" || word == "p100" {
            return Ok(Percentile { quantile: 1.0 });
        }
        let number = word.strip_prefix('p').ok_or_else(refused)?;
        let plain = number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        if !plain || number.len() > 12 {
            return Err(refused());
        }
        let percent: f64 = number.parse().map_err(|_| refused())?;
        if percent <= 0.0 || percent >= 100.0 {
            return Err(refused());
        }
        // As the text says it: 99.9 / 100 is not the number nearest to 0.999.
        let quantile: f64 = format!("{percent}e-2").parse().map_err(|_| refused())?;
        Ok(Percentile { quantile })
    }
}

impl fmt::Display for Percentile {
    /// `P99.9`, `max`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quantile >= 1.0 {
            return f.pad("max");
        }
        let percent = format!("{:.9}", self.quantile * 100.0);
        let percent = percent.trim_end_matches('0').trim_end_matches('.');
        f.pad(&format!("P{percent}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_read_back_as_it_is_shown() {
        for shown in Percentile::SHOWN {
            assert_eq!(shown.to_string().parse(), Ok(shown));
        }
        assert_eq!("p99.9".parse::<Percentile>().map(|p| p.quantile), Ok(0.999));
        assert_eq!(Percentile { quantile: 0.99999 }.to_string(), "P99.999");
    }

    #[test]
    fn what_is_no_percentile_is_refused() {
        for bad in [
            "", "p", "99", "p0", "p-5", "p101", "pNaN", "pinf", "p1e1", "p9.9.9", "median",
        ] {
            assert!(bad.parse::<Percentile>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_percentile_needs_ten_requests_beyond_it() {
        let p999: Percentile = "p99.9".parse().expect("a percentile");
        assert!(p999.is_known_by(10_000) && !p999.is_known_by(9_000));
    }
}
