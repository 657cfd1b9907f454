//! Rates, durations and counts as people write them: `2.4M`, `500ms`, `120_000`.
//!
//! One home for what is accepted and for what the refusal says. Decimals are read exactly, never
//! through a float: a rate that is off by one part in 10^16 would drift.

use crate::clock::Nanos;
use std::fmt;
use std::str::FromStr;

/// Why a quantity was refused. Every message says what was read and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a plain decimal number with a known suffix.
    #[error("'{text}' is not {what}; write {accepted}")]
    NotANumber {
        /// What was read.
        text: String,
        /// What it should have been.
        what: &'static str,
        /// Examples that are accepted.
        accepted: &'static str,
    },
    /// Zero, where at least something is needed.
    #[error("{what} is zero; write {accepted}")]
    Zero {
        /// What it should have been.
        what: &'static str,
        /// Examples that are accepted.
        accepted: &'static str,
    },
    /// Below zero.
    #[error("{what} cannot be negative ('{text}'); write {accepted}")]
    Negative {
        /// What was read.
        text: String,
        /// What it should have been.
        what: &'static str,
        /// Examples that are accepted.
        accepted: &'static str,
    },
    /// More than any machine could do.
    #[error("{what} of {text} is out of range: the most that is accepted is {most}")]
    TooLarge {
        /// What was read.
        text: String,
        /// What it should have been.
        what: &'static str,
        /// The limit.
        most: &'static str,
    },
    /// Not zero, but below what can be represented.
    #[error("{what} of {text} is out of range: the least that is accepted is {least}")]
    TooSmall {
        /// What was read.
        text: String,
        /// What it should have been.
        what: &'static str,
        /// The limit.
        least: &'static str,
    },
}

/// Requests per second, exact to a millionth, above zero and at most a thousand million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    micro: u64,
}

impl Rate {
    const KIND: Kind = Kind {
        what: "a rate in requests per second",
        accepted: "for example 2.4M, 500k, 2_400_000 or 0.5",
    };
    const MOST: u64 = 1_000_000_000;

    /// A whole number of requests per second.
    ///
    /// # Errors
    /// Zero, or more than 10^9.
    pub fn per_second(requests: u64) -> Result<Rate, QuantityError> {
        Rate::from_micro(u128::from(requests) * 1_000_000, &requests.to_string())
    }

    fn from_micro(micro: u128, text: &str) -> Result<Rate, QuantityError> {
        if micro == 0 {
            return Err(Self::KIND.zero());
        }
        match u64::try_from(micro) {
            Ok(micro) if micro <= Self::MOST * 1_000_000 => Ok(Rate { micro }),
            _ => Err(Self::KIND.too_large(text, "1000M (a request every nanosecond)")),
        }
    }

    /// Requests per second, for people and for reports.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // at most 10^15
    pub fn as_f64(self) -> f64 {
        self.micro as f64 / 1e6
    }

    /// Requests per million seconds: the exact value.
    #[must_use]
    pub const fn per_million_seconds(self) -> u64 {
        self.micro
    }
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Rate, QuantityError> {
        let body = text.trim();
        let body = body.strip_suffix("/s").unwrap_or(body).trim_end();
        let (number, scale) = split_metric(body);
        let micro = Self::KIND.decimal(text, number, scale * 1_000_000)?;
        match micro {
            Scaled::Exact(0) => Err(Self::KIND.zero()),
            Scaled::BelowResolution => Err(Self::KIND.too_small(text, "0.000001")),
            Scaled::Exact(micro) => Rate::from_micro(micro, text),
        }
    }
}

impl fmt::Display for Rate {
    /// The number that [`Rate::from_str`] reads back: `2400000`, `0.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.micro / 1_000_000, self.micro % 1_000_000);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        write!(
            f,
            "{whole}.{}",
            format!("{fraction:06}").trim_end_matches('0')
        )
    }
}

/// Reads a duration: a number with its unit, `ns`, `us`, `ms`, `s`, `m` or `h`. Zero is a duration.
///
/// # Errors
/// No number, no unit or an unknown one, negative, or more than 30 days.
pub fn parse_duration(text: &str) -> Result<Nanos, QuantityError> {
    const KIND: Kind = Kind {
        what: "a duration",
        accepted: "for example 7s, 500ms, 250us or 1.5m",
    };
    const MOST: u64 = 30 * 86_400 * 1_000_000_000;
    const UNITS: [(&str, u128); 7] = [
        // Longer names first: "ms" ends in "s".
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let body = text.trim();
    let unit = UNITS
        .iter()
        .find_map(|&(name, scale)| Some((body.strip_suffix(name)?, scale)));
    let Some((number, scale)) = unit else {
        return Err(KIND.not_a_number(text));
    };
    match KIND.decimal(text, number.trim_end(), scale)? {
        Scaled::BelowResolution => Err(KIND.too_small(text, "1ns")),
        Scaled::Exact(nanos) => match u64::try_from(nanos) {
            Ok(nanos) if nanos <= MOST => Ok(Nanos(nanos)),
            _ => Err(KIND.too_large(text, "30 days (720h)")),
        },
    }
}

/// Reads a count of things (orders in a window, requests): `120000`, `120_000`, `120k`, `1.5M`.
///
/// # Errors
/// Not a whole number, zero, negative, or more than 10^12.
pub fn parse_count(text: &str) -> Result<u64, QuantityError> {
    const KIND: Kind = Kind {
        what: "a count",
        accepted: "a whole number, for example 120000, 120_000 or 120k",
    };
    let (number, scale) = split_metric(text.trim());
    match KIND.decimal(text, number, scale)? {
        Scaled::BelowResolution => Err(KIND.not_a_number(text)),
        Scaled::Exact(0) => Err(KIND.zero()),
        Scaled::Exact(count) => match u64::try_from(count) {
            Ok(count) if count <= 1_000_000_000_000 => Ok(count),
            _ => Err(KIND.too_large(text, "1000000M")),
        },
    }
}

/// Reads a size of memory: `1GiB`, `512MiB`, `64KiB`, `1.5GB`, `4096` (bytes).
///
/// # Errors
/// Not a whole number of bytes, zero, negative, or more than a pebibyte.
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    const KIND: Kind = Kind {
        what: "a size of memory",
        accepted: "for example 512MiB, 1GiB or 1.5GB",
    };
    const UNITS: [(&str, u128); 12] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("B", 1),
    ];
    let body = text.trim();
    let unit = UNITS
        .iter()
        .find_map(|&(name, scale)| Some((body.strip_suffix(name)?, scale)));
    let (number, scale) = unit.unwrap_or((body, 1));
    match KIND.decimal(text, number.trim_end(), scale)? {
        Scaled::BelowResolution => Err(KIND.not_a_number(text)),
        Scaled::Exact(0) => Err(KIND.zero()),
        Scaled::Exact(bytes) => match u64::try_from(bytes) {
            Ok(bytes) if bytes <= 1 << 50 => Ok(bytes),
            _ => Err(KIND.too_large(text, "1024TiB")),
        },
    }
}

/// A number of bytes, printed in the unit that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        #[allow(clippy::cast_precision_loss)] // printed to one decimal
        for (name, size) in UNITS {
            if self.0 >= size {
                return write!(f, "{:.1} {name}", self.0 as f64 / size as f64);
            }
        }
        write!(f, "{} B", self.0)
    }
}

fn split_metric(text: &str) -> (&str, u128) {
    const SUFFIXES: [(char, u128); 4] = [
        ('k', 1_000),
        ('K', 1_000),
        ('M', 1_000_000),
        ('G', 1_000_000_000),
    ];
    for (suffix, scale) in SUFFIXES {
        if let Some(number) = text.strip_suffix(suffix) {
            return (number.trim_end(), scale);
        }
    }
    (text, 1)
}

/// What is being read: the words of its refusals.
struct Kind {
    what: &'static str,
    accepted: &'static str,
}

enum Scaled {
    Exact(u128),
    /// Digits remain below the last place that can be represented.
    BelowResolution,
}

/// Digits behind the point that are looked at one by one; further ones must be zero. No scale is above
/// 10^15, so that the product stays below 2^128.
const MOST_PLACES: u128 = 10_u128.pow(20);

impl Kind {
    /// `number * scale`, exactly. `text` is what the user wrote, for the message.
    fn decimal(&self, text: &str, number: &str, scale: u128) -> Result<Scaled, QuantityError> {
        if let Some(rest) = number.strip_prefix('-')
            && rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        {
            return Err(QuantityError::Negative {
                text: text.into(),
                what: self.what,
                accepted: self.accepted,
            });
        }
        let number = number.strip_prefix('+').unwrap_or(number);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let mut digits = 0_usize;
        let mut value = 0_u128;
        for byte in whole.bytes() {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    // Saturating: whatever is that large is refused by its range.
                    value = value
                        .saturating_mul(10)
                        .saturating_add(u128::from(byte - b'0'));
                }
                b'_' if digits > 0 => {}
                _ => return Err(self.not_a_number(text)),
            }
        }
        let mut value = value.saturating_mul(scale);
        // The fraction is `numerator / denominator`: exact if the scale makes a whole number of it.
        let (mut numerator, mut denominator) = (0_u128, 1_u128);
        let mut below = false;
        for byte in fraction.bytes() {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    let digit = u128::from(byte - b'0');
                    if denominator < MOST_PLACES {
                        numerator = numerator * 10 + digit;
                        denominator *= 10;
                    } else {
                        below |= digit != 0;
                    }
                }
                b'_' => {}
                _ => return Err(self.not_a_number(text)),
            }
        }
        let scaled = numerator * scale;
        below |= !scaled.is_multiple_of(denominator);
        value = value.saturating_add(scaled / denominator);
        match (digits, below) {
            (0, _) => Err(self.not_a_number(text)),
            (_, true) => Ok(Scaled::BelowResolution),
            (_, false) => Ok(Scaled::Exact(value)),
        }
    }

    fn not_a_number(&self, text: &str) -> QuantityError {
        QuantityError::NotANumber {
            text: text.into(),
            what: self.what,
            accepted: self.accepted,
        }
    }

    fn zero(&self) -> QuantityError {
        QuantityError::Zero {
            what: self.what,
            accepted: self.accepted,
        }
    }

    fn too_large(&self, text: &str, most: &'static str) -> QuantityError {
        QuantityError::TooLarge {
            text: text.into(),
            what: self.what,
            most,
        }
    }

    fn too_small(&self, text: &str, least: &'static str) -> QuantityError {
        QuantityError::TooSmall {
            text: text.into(),
            what: self.what,
            least,
        }
    }
}

#[cfg(test)]
mod tests;
