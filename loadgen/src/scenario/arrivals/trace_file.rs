//! Reads recorded arrivals from a file: one time a line, in seconds.
//!
//! Seconds with decimals are what logs and packet captures hold (`1700000000.123456`); digits behind the ninth
//! decimal are cut off. Only the distances between the times count, so times of day will do. Blank lines and lines
//! that start with `#` are passed over. A file is read once, line by line; at most [`MOST`] requests
//! are kept, of eight bytes each.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::Arrivals;
use crate::clock::Nanos;

/// More requests than this are refused.
const MOST: usize = 10_000_000;

/// No line is longer than this, in bytes.
const LONGEST_LINE: u64 = 4096;

/// Why a file is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The system's refusal.
    #[error("cannot read the trace {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: String,
    },
    /// A line is not a time.
    #[error(
        "{}, line {line}: {found:?} is no time; write seconds, one time a line, for example 12.000250",
        path.display()
    )]
    NotATime {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What stands there, cut short.
        found: String,
    },
    /// A line is earlier than the one before.
    #[error("{}, line {line}: this time is before the one above it; sort the file", path.display())]
    NotAscending {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
    },
    /// More lines than are kept in memory.
    #[error("{} holds more than {MOST} requests; cut it, it is repeated anyway", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// No line with a time.
    #[error("{} holds no times; write seconds, one time a line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Arrivals {
    /// Reads a trace: one time a line, in seconds, ascending.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is not a time or goes back, a file with none or too many.
    pub fn trace_from_file(path: &Path) -> Result<Arrivals, TraceError> {
        let file = File::open(path).map_err(|cause| TraceError::Unreadable {
            path: path.to_owned(),
            cause: cause.to_string(),
        })?;
        read(path, BufReader::new(file))
    }
}

fn read(path: &Path, mut input: impl BufRead) -> Result<Arrivals, TraceError> {
    let path = || path.to_owned();
    let mut offsets: Vec<Nanos> = Vec::new();
    let mut bytes = Vec::new();
    for line in 1_u64.. {
        bytes.clear();
        let mut limited = (&mut input).take(LONGEST_LINE);
        let read =
            limited
                .read_until(b'\n', &mut bytes)
                .map_err(|cause| TraceError::Unreadable {
                    path: path(),
                    cause: cause.to_string(),
                })?;
        if read == 0 {
            break;
        }
        let text = bytes.trim_ascii();
        if text.is_empty() || text[0] == b'#' {
            if read as u64 == LONGEST_LINE && bytes.last() != Some(&b'\n') {
                // The rest of a long remark would be taken for the next line.
                return Err(not_a_time(path(), line, text));
            }
            continue;
        }
        let at = seconds(text).ok_or_else(|| not_a_time(path(), line, text))?;
        if offsets.last().is_some_and(|&before| at < before) {
            return Err(TraceError::NotAscending { path: path(), line });
        }
        if offsets.len() == MOST {
            return Err(TraceError::TooLong { path: path() });
        }
        offsets.push(at);
    }
    if offsets.is_empty() {
        return Err(TraceError::Empty { path: path() });
    }
    Ok(Arrivals::Trace(offsets.into()))
}

fn not_a_time(path: PathBuf, line: u64, text: &[u8]) -> TraceError {
    let shown = &text[..text.len().min(40)];
    TraceError::NotATime {
        path,
        line,
        found: String::from_utf8_lossy(shown).into_owned(),
    }
}

/// `12`, `12.5`, `.25`: seconds, as nanoseconds, exactly.
fn seconds(text: &[u8]) -> Option<Nanos> {
    let point = text.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &[][..]),
    };
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut nanos = 0_u64;
    let decimals = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    for digit in whole.iter().copied().chain(decimals.take(9)) {
        nanos = nanos
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    Some(Nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trace(text: &[u8]) -> Result<Vec<u64>, String> {
        match read(Path::new("arrivals.txt"), text) {
            Ok(Arrivals::Trace(offsets)) => Ok(offsets.iter().map(|at| at.0).collect()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn times_are_read_to_the_nanosecond() {
        let text = b"# from a log\n0\n0.5\n\n 1.000000001 \r\n1700000000.123456789999\n";
        assert_eq!(
            trace(text).unwrap(),
            [0, 500_000_000, 1_000_000_001, 1_700_000_000_123_456_789]
        );
    }

    #[test]
    fn a_refusal_names_file_and_line() {
        let refused = |text: &[u8]| trace(text).unwrap_err();
        for (text, said) in [
            (&b"1\ntwo\n"[..], "arrivals.txt, line 2: \"two\" is no time"),
            (b"1\n\n0.9\n", "arrivals.txt, line 3: this time is before"),
            (b"-1\n", "line 1"),
            (b".\n", "line 1"),
            (b"1e3\n", "line 1"),
            (b"99999999999999999999\n", "line 1"),
            (b"# nothing\n", "holds no times"),
        ] {
            assert!(refused(text).contains(said), "{}", refused(text));
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_read_into_memory() {
        let endless = std::io::repeat(b'7').take(1 << 40);
        let refused = read(Path::new("endless"), BufReader::new(endless)).unwrap_err();
        assert!(refused.to_string().len() < 200, "{refused}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let refused = Arrivals::trace_from_file(Path::new("no/such/trace")).unwrap_err();
        assert!(refused.to_string().contains("no/such/trace"), "{refused}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'.'), b'0'..=b'9', any::<u8>()], 0..300)) {
            if let Ok(offsets) = trace(&text) {
                prop_assert!(offsets.is_sorted() && !offsets.is_empty());
            }
        }

        #[test]
        fn what_is_written_as_seconds_is_read_back(nanos in proptest::collection::vec(0_u64..10_000_000_000_000, 1..50)) {
            let mut nanos = nanos;
            nanos.sort_unstable();
            let text: String = nanos.iter().map(|at| format!("{}.{:09}\n", at / 1_000_000_000, at % 1_000_000_000)).collect();
            prop_assert_eq!(trace(text.as_bytes()).unwrap(), nanos);
        }
    }
}
