//! `KIND[=AMOUNT]@AT+LASTS`: how a fault is written, in a file as on a command line.

use std::fmt;
use std::str::FromStr;

use super::{Fault, FaultKind};
use crate::clock::Nanos;
use crate::quantity::{parse_bytes, parse_duration};
use crate::scenario::ScenarioError;
use crate::scenario::notation::Notation as _;

/// The kinds, as they are written.
const KINDS: [&str; 4] = ["freeze", "hog-cpu", "hog-memory", "delay"];

impl FromStr for Fault {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Fault, ScenarioError> {
        let refused = |why: &str| {
            ScenarioError::Refused(format!(
                "'{text}' is no fault: {why}; write KIND[=AMOUNT]@AT+LASTS, for example freeze@3s+1400ms, \
                 hog-cpu=2@1s+2s, hog-memory=1GiB@1s+2s or delay=5ms~2ms@1s+2s"
            ))
        };
        let (what, when) = text
            .trim()
            .split_once('@')
            .ok_or_else(|| refused("it does not say when"))?;
        let (at, lasts) = when
            .split_once('+')
            .ok_or_else(|| refused("it does not say how long it lasts"))?;
        let time = |text: &str| parse_duration(text).map_err(|error| refused(&error.to_string()));
        let (kind, amount) = match what.split_once('=') {
            Some((kind, amount)) => (kind.trim(), Some(amount.trim())),
            None => (what.trim(), None),
        };
        let amount_of = |example: &str| {
            amount.ok_or_else(|| {
                refused(&format!("{kind} needs an amount, such as {kind}={example}"))
            })
        };
        let kind = match kind {
            "freeze" if amount.is_some() => return Err(refused("freeze takes no amount")),
            "freeze" => FaultKind::Freeze,
            "hog-cpu" => FaultKind::HogCpu {
                threads: amount_of("2")?
                    .parse()
                    .map_err(|_| refused("hog-cpu takes a whole number of threads"))?,
            },
            "hog-memory" => FaultKind::HogMemory {
                bytes: parse_bytes(amount_of("1GiB")?)
                    .map_err(|error| refused(&error.to_string()))?,
            },
            "delay" => {
                let amount = amount_of("5ms~2ms")?;
                let (by, jitter) = amount.split_once('~').unwrap_or((amount, "0s"));
                FaultKind::Delay {
                    by: time(by)?,
                    jitter: time(jitter)?,
                }
            }
            other => return Err(refused(&unknown(other))),
        };
        Ok(Fault {
            at: time(at)?,
            lasts: time(lasts)?,
            kind,
        })
    }
}

/// What to say of a kind that there is not.
fn unknown(kind: &str) -> String {
    let plain = kind.to_lowercase().replace('_', "-");
    let nearest = KINDS
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&plain, known), known))
        .min()
        .filter(|(distance, known)| distance * 2 <= known.len());
    match nearest {
        Some((_, known)) => format!("there is no kind '{kind}'; did you mean {known}?"),
        None => format!("there is no kind '{kind}'; there are {}", KINDS.join(", ")),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}@{}+{}",
            self.kind,
            self.at.write(),
            self.lasts.write()
        )
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            FaultKind::Freeze => f.write_str("freeze"),
            FaultKind::HogCpu { threads } => write!(f, "hog-cpu={threads}"),
            FaultKind::HogMemory { bytes } => write!(f, "hog-memory={}", Size(bytes)),
            FaultKind::Delay {
                by,
                jitter: Nanos(0),
            } => write!(f, "delay={}", by.write()),
            FaultKind::Delay { by, jitter } => {
                write!(f, "delay={}~{}", by.write(), jitter.write())
            }
        }
    }
}

/// Bytes in the largest unit that leaves a whole number.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [("GiB", 30), ("MiB", 20), ("KiB", 10)]
            .into_iter()
            .find(|(_, shift)| self.0 > 0 && self.0.trailing_zeros() >= *shift);
        match unit {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Fault {
        text.parse().expect("a fault")
    }

    fn refusal(text: &str) -> String {
        text.parse::<Fault>().expect_err("no fault").to_string()
    }

    #[test]
    fn each_kind_is_read_as_it_is_documented() {
        let ms = Nanos::from_millis;
        let freeze = read("freeze@3s+1400ms");
        assert_eq!((freeze.at, freeze.lasts), (ms(3_000), ms(1_400)));
        assert_eq!(freeze.kind, FaultKind::Freeze);
        assert_eq!(
            read("hog-cpu=2@1s+2s").kind,
            FaultKind::HogCpu { threads: 2 }
        );
        assert_eq!(
            read("hog-memory=1.5GiB@0s+2s").kind,
            FaultKind::HogMemory { bytes: 3 << 29 }
        );
        let delay = |by, jitter| FaultKind::Delay { by, jitter };
        assert_eq!(read("delay=5ms~2ms@1s+2s").kind, delay(ms(5), ms(2)));
        assert_eq!(read(" delay=5ms@1s+2s ").kind, delay(ms(5), ms(0)));
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_what_would_be_right() {
        for (text, part) in [
            ("freeze", "does not say when"),
            ("freeze@3s", "how long"),
            ("freeze=2@3s+1s", "takes no amount"),
            ("freese@3s+1s", "did you mean freeze?"),
            ("hog_cpu=1@3s+1s", "did you mean hog-cpu?"),
            ("meteorite@3s+1s", "there are freeze, hog-cpu"),
            ("hog-cpu@3s+1s", "such as hog-cpu=2"),
            ("hog-cpu=1.5@3s+1s", "whole number"),
            ("hog-memory=much@3s+1s", "not a size of memory"),
            ("delay=5@3s+1s", "not a duration"),
            ("freeze@soon+1s", "not a duration"),
        ] {
            let said = refusal(text);
            assert!(said.contains(part), "{said}");
            assert!(said.contains("freeze@3s+1400ms"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_the_same(
            at in 0..1u64 << 50,
            lasts in 0..1u64 << 50,
            amount in 1..1u64 << 49,
            kind in 0..4u8,
        ) {
            let kind = match kind {
                0 => FaultKind::Freeze,
                1 => FaultKind::HogCpu { threads: (amount % 5_000) as u32 },
                2 => FaultKind::HogMemory { bytes: amount },
                _ => FaultKind::Delay { by: Nanos(amount), jitter: Nanos(at) },
            };
            let fault = Fault { at: Nanos(at), lasts: Nanos(lasts), kind };
            prop_assert_eq!(read(&fault.to_string()), fault);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}", amount in "[0-9a-zA-Z~.]{0,12}") {
            let _ = text.parse::<Fault>();
            let _ = format!("delay={amount}@{amount}+1s").parse::<Fault>();
            let _ = format!("hog-memory={amount}@1s+1s").parse::<Fault>();
        }
    }
}
