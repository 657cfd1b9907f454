//! Whether a line goes with what was said before it.

use super::lines::{EndedLine, Second, Started};
use crate::clock::Nanos;

/// How far the beginning of a second may lie from where it should.
const SLACK: u64 = 5_000_000;
/// How long ago the schedule may have begun when it is announced: the line waited to be read.
const LONGEST_AGO: u64 = 60_000_000_000;
/// How far ahead: a day of warm-up.
const LONGEST_AHEAD: u64 = 86_400_000_000_000;

/// The schedule as it was announced, and how much of it has been told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    start_ns: u64,
    /// The seconds that the schedule holds.
    seconds: u64,
    /// The next one to be told.
    next: u64,
    /// Requests that were due, and that were done, so far.
    pub(super) due: u64,
    pub(super) done: u64,
}

impl Course {
    /// `process` is the one that was started; `now` the time on `CLOCK_MONOTONIC`; `duration` the schedule's length.
    pub(super) fn begin(
        started: &Started,
        process: Option<u32>,
        now: u64,
        duration: Nanos,
    ) -> Result<Course, String> {
        if let Some(expected) = process.filter(|process| *process != started.process) {
            return Err(format!(
                "says that it is of process {}, where process {expected} was started",
                started.process
            ));
        }
        let start_ns = started.start_ns;
        if start_ns < now.saturating_sub(LONGEST_AGO)
            || start_ns > now.saturating_add(LONGEST_AHEAD)
        {
            return Err(format!(
                "says that the schedule begins at {start_ns}, which is no time near now, {now}, on CLOCK_MONOTONIC"
            ));
        }
        Ok(Course {
            start_ns,
            seconds: duration.0.div_ceil(Nanos::SECOND.0),
            next: 0,
            due: 0,
            done: 0,
        })
    }

    /// Takes the next second. Returns where it begins: where the schedule says, to the nanosecond.
    pub(super) fn second(&mut self, second: &Second) -> Result<Nanos, String> {
        if second.index != self.next {
            return Err(format!(
                "is of second {}, where {} was due",
                second.index, self.next
            ));
        }
        if self.next >= self.seconds {
            return Err(format!(
                "is of second {}, where the schedule has {}",
                second.index, self.seconds
            ));
        }
        let begins = self.start_ns + self.next * Nanos::SECOND.0;
        if second.start_ns.abs_diff(begins) > SLACK {
            return Err(format!(
                "says that second {} begins at {}, where the schedule has it at {begins}",
                second.index, second.start_ns
            ));
        }
        // A program that could not turn the page in time may have told two seconds as one.
        let end = self.start_ns + self.seconds * Nanos::SECOND.0 + SLACK;
        let outside = |due: u64| due.saturating_add(SLACK) < begins || due > end;
        if let Some((due, ..)) = second.slow.iter().find(|(due, ..)| outside(*due)) {
            return Err(format!(
                "has a slow request that was due at {due}, which is before that second or after the schedule"
            ));
        }
        self.next += 1;
        self.due += second.due;
        self.done += second.done;
        Ok(Nanos(begins))
    }

    /// How long the part of the schedule is that has been told.
    pub(super) fn told(&self) -> Nanos {
        Nanos(self.next * Nanos::SECOND.0)
    }

    /// The number of a request that was due at `due`, if they are evenly spaced.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    pub(super) fn request(&self, due: u64, rate: f64) -> u64 {
        (due.saturating_sub(self.start_ns) as f64 * rate / 1e9).round() as u64
    }

    /// Whether the last line is about the same requests.
    pub(super) fn end(&self, ended: &EndedLine) -> Result<(), String> {
        if ended.partial.is_some() {
            return Ok(());
        }
        if self.next != self.seconds {
            return Err(format!(
                "ends the run after {} of its {} seconds",
                self.next, self.seconds
            ));
        }
        if ended.requests != self.done {
            return Err(format!(
                "says that {} requests were served, where the seconds have {}",
                ended.requests, self.done
            ));
        }
        if ended.unserved != self.due - self.done {
            return Err(format!(
                "says that {} requests were never served, where the seconds have {}",
                ended.unserved,
                self.due - self.done
            ));
        }
        Ok(())
    }
}
