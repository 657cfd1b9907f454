//! A line of text as what it says, under limits: in length here, in depth by the JSON parser.
//!
//! What one line alone can show to be wrong is refused here, the rest in [`check`](super::check).

use std::io::{BufRead, Read};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ExternalError;
use crate::clock::Nanos;
use crate::engine::interval::HIGHEST;

/// The longest line, in bytes. One of a second with every bucket in use has some 400 kilobytes.
pub const LONGEST_LINE: u64 = 4 << 20;
/// The most slow requests of a second.
pub const MOST_SLOW: usize = 1024;
/// The most workers.
const MOST_WORKERS: usize = 4096;
/// The most requests of a second; no service has as many.
const MOST_REQUESTS: u64 = 10_000_000_000;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Started {
    pub(super) process: u32,
    #[serde(default)]
    pub(super) go: String,
    #[serde(default)]
    pub(super) gomaxprocs: u32,
    #[serde(default)]
    pub(super) gogc: String,
    #[serde(default)]
    pub(super) gomemlimit: String,
    pub(super) workers: Vec<Worker>,
    pub(super) start_ns: u64,
}

/// A thread that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Worker {
    pub(super) thread: u32,
}

/// One second of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Second {
    pub(super) index: u64,
    pub(super) start_ns: u64,
    pub(super) due: u64,
    pub(super) done: u64,
    // Values, and how many requests had each.
    pub(super) response: Vec<(u64, u64)>,
    pub(super) service: Vec<(u64, u64)>,
    // Intended start, start, end, thread.
    #[serde(default)]
    pub(super) slow: Vec<(u64, u64, u64, u32)>,
}

/// The last line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct EndedLine {
    pub(super) requests: u64,
    pub(super) unserved: u64,
    #[serde(default)]
    pub(super) late: u64,
    #[serde(default)]
    pub(super) refused: u64,
    #[serde(default)]
    pub(super) settled_windows: u64,
    pub(super) checksum: String,
    pub(super) schedule_kept: bool,
    #[serde(default)]
    pub(super) gc: Option<Collections>,
    #[serde(default)]
    pub(super) mallocs: Option<u64>,
    #[serde(default)]
    pub(super) allocated_bytes: Option<u64>,
    #[serde(default)]
    pub(super) mallocs_per_request: Option<f64>,
    #[serde(default)]
    pub(super) bytes_per_request: Option<f64>,
    #[serde(default)]
    pub(super) partial: Option<String>,
}

/// The collector's own account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Collections {
    pub(super) cycles: u64,
    pub(super) pause_total_ns: u64,
    // The difference of two estimates may come out below zero.
    #[serde(default)]
    pub(super) assist_cpu_ns: Option<i64>,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    Started(Started),
    Second(Second),
    Ended(EndedLine),
}

/// Reads lines one at a time.
pub(super) struct Lines<R> {
    input: R,
    /// The last line's number, from 1.
    pub(super) number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Lines<R> {
        Lines {
            input,
            number: 0,
            buffer: Vec::new(),
        }
    }

    /// The next line that is not empty; `None` at the end. A last line without its end was torn by whatever killed the
    /// program, and is no line.
    pub(super) fn next(&mut self) -> Result<Option<Line>, ExternalError> {
        loop {
            self.buffer.clear();
            let mut limited = self.input.by_ref().take(LONGEST_LINE + 1);
            limited.read_until(b'\n', &mut self.buffer)?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if self.buffer.len() as u64 > LONGEST_LINE {
                return Err(self.refuse(format!("is longer than {LONGEST_LINE} bytes")));
            }
            if self.buffer.pop() != Some(b'\n') {
                return Ok(None);
            }
            if !self.buffer.trim_ascii().is_empty() {
                return line(&self.buffer)
                    .map(Some)
                    .map_err(|reason| self.refuse(reason));
            }
        }
    }

    /// An error about the line that was read last.
    pub(super) fn refuse(&self, reason: String) -> ExternalError {
        ExternalError::Line {
            line: self.number,
            reason,
        }
    }
}

/// One line, without its end.
pub(super) fn line(text: &[u8]) -> Result<Line, String> {
    #[derive(Deserialize)]
    struct Kind {
        kind: String,
    }
    let Kind { kind } = object(text)?;
    match kind.as_str() {
        "started" => {
            let started: Started = object(text)?;
            checked_start(&started)?;
            Ok(Line::Started(started))
        }
        "second" => {
            let second: Second = object(text)?;
            checked_second(&second)?;
            Ok(Line::Second(second))
        }
        "ended" => {
            let ended: EndedLine = object(text)?;
            checked_end(&ended)?;
            Ok(Line::Ended(ended))
        }
        other => Err(format!(
            "is of the kind {:?}, which is none of started, second and ended",
            other.chars().take(40).collect::<String>()
        )),
    }
}

fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|cause| format!("cannot be understood: {cause}"))
}

fn checked_start(started: &Started) -> Result<(), String> {
    let workers = started.workers.len();
    if !(1..=MOST_WORKERS).contains(&workers) {
        return Err(format!("names {workers} workers, not 1 to {MOST_WORKERS}"));
    }
    Ok(())
}

fn checked_second(second: &Second) -> Result<(), String> {
    let Second { due, done, .. } = *second;
    if due > MOST_REQUESTS {
        return Err(format!("says that {due} requests were due in one second"));
    }
    if done > due {
        return Err(format!("says that {done} of {due} requests were done"));
    }
    let response = requests("response", &second.response)?;
    if !(done..=due).contains(&response) {
        return Err(format!(
            "counts {response} response times, where {done} of {due} requests were done"
        ));
    }
    let service = requests("service", &second.service)?;
    if service != done {
        return Err(format!(
            "counts {service} service times of {done} requests that were done"
        ));
    }
    if second.slow.len() > MOST_SLOW {
        return Err(format!(
            "lists {} slow requests, more than {MOST_SLOW}",
            second.slow.len()
        ));
    }
    let ordered = |&&(due, start, end, _): &&(u64, u64, u64, u32)| due <= start && start <= end;
    match second.slow.iter().find(|slow| !ordered(slow)) {
        Some((due, start, end, _)) => Err(format!(
            "has a request that was due at {due}, began at {start} and ended at {end}, which is no order in time"
        )),
        None => Ok(()),
    }
}

/// How many requests a list of values counts.
fn requests(name: &str, values: &[(u64, u64)]) -> Result<u64, String> {
    let ascending = values.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if !ascending {
        return Err(format!("has values of {name} that do not ascend"));
    }
    if let Some((value, _)) = values.last().filter(|(value, _)| *value > HIGHEST * 1000) {
        return Err(format!(
            "has a {name} of {}, longer than any run",
            Nanos(*value)
        ));
    }
    values
        .iter()
        .try_fold(0u64, |sum, (_, count)| sum.checked_add(*count))
        .ok_or_else(|| format!("counts more values of {name} than there can be"))
}

fn checked_end(ended: &EndedLine) -> Result<(), String> {
    let digits = ended.checksum.len() == 16
        && (ended.checksum.bytes()).all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !digits && !ended.checksum.is_empty() {
        return Err("has a checksum that is not 16 hexadecimal digits".to_owned());
    }
    let averages = [ended.mallocs_per_request, ended.bytes_per_request];
    if let Some(average) = averages
        .into_iter()
        .flatten()
        .find(|average| *average < 0.0)
    {
        return Err(format!("says that a request allocates {average}"));
    }
    if ended.late > ended.requests {
        return Err(format!(
            "says that {} of {} requests ended late",
            ended.late, ended.requests
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STARTED: &str = r#"{"kind":"started","process":7,"go":"go1.19.8","gomaxprocs":2,"gogc":"100","gomemlimit":"off","workers":[{"worker":0,"thread":9}],"start_ns":5}"#;
    const SECOND: &str = r#"{"kind":"second","index":0,"start_ns":5,"due":3,"done":2,"response":[[10,1],[20,2]],"service":[[8,2]],"slow":[[5,6,7,9]],"late_ns_max":1}"#;
    const ENDED: &str = r#"{"kind":"ended","requests":2,"unserved":1,"checksum":"0123456789abcdef","send_late":{},"gc":{"cycles":1,"pause_total_ns":2,"assist_cpu_ns":null},"mallocs":3,"allocated_bytes":4,"schedule_kept":false}"#;

    fn refusal(text: &str) -> String {
        line(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_three_kinds_of_line_are_understood() {
        assert!(
            matches!(line(STARTED.as_bytes()), Ok(Line::Started(started)) if started.workers[0].thread == 9)
        );
        assert!(
            matches!(line(SECOND.as_bytes()), Ok(Line::Second(second)) if second.response[1] == (20, 2))
        );
        assert!(
            matches!(line(ENDED.as_bytes()), Ok(Line::Ended(ended)) if ended.gc.as_ref().is_some_and(|gc| gc.assist_cpu_ns.is_none()))
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_its_reason() {
        for (from, to, reason) in [
            (r#""done":2"#, r#""done":4"#, "4 of 3"),
            ("[20,2]", "[20,3]", "4 response times"),
            ("[[8,2]]", "[[8,1]]", "1 service times of 2"),
            ("[[10,1],[20,2]]", "[[20,1],[10,2]]", "do not ascend"),
            ("[5,6,7,9]", "[6,5,7,9]", "no order in time"),
            ("[20,2]", "[20,18446744073709551615]", "than there can be"),
            (r#""due":3"#, r#""due":99999999999999"#, "in one second"),
            (r#""kind":"second""#, r#""kind":"minute""#, "minute"),
            (r#""index":0"#, r#""index":-1"#, "cannot be understood"),
        ] {
            let changed = SECOND.replace(from, to);
            assert_ne!(changed, SECOND);
            assert!(refusal(&changed).contains(reason), "{}", refusal(&changed));
        }
        assert!(refusal(&ENDED.replace("0123456789abcdef", "no")).contains("checksum"));
        assert!(refusal(&STARTED.replace(r#"{"worker":0,"thread":9}"#, "")).contains("0 workers"));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_the_longest() {
        let endless = std::io::repeat(b'[');
        let mut lines = Lines::new(std::io::BufReader::new(endless));
        let refused = lines.next().unwrap_err().to_string();
        assert!(
            refused.contains("line 1") && refused.contains("longer"),
            "{refused}"
        );
    }

    #[test]
    fn a_deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
        let deep = format!(r#"{{"kind":"second","x":{}"#, "[".repeat(1 << 20));
        assert!(refusal(&deep).contains("cannot be understood"));
    }

    #[test]
    fn the_last_line_counts_only_with_its_end() {
        let torn = format!("{STARTED}\n\n{}", &SECOND[..40]);
        let mut lines = Lines::new(torn.as_bytes());
        assert!(matches!(lines.next(), Ok(Some(Line::Started(_)))));
        assert!(matches!(lines.next(), Ok(None)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = line(&bytes);
        }

        #[test]
        fn no_change_of_a_good_line_makes_it_panic(which in 0..3usize, at in 0..400usize, byte in any::<u8>()) {
            let mut bytes = [STARTED, SECOND, ENDED][which].as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = line(&bytes);
        }
    }
}
