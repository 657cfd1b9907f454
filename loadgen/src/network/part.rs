//! What one worker found about the requests that were due in one second of the schedule.

use crate::clock::Nanos;
use crate::engine::interval::histogram;
use crate::engine::slow::SlowSet;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use tailcut_report::recording;

/// How many kinds of errors are told apart; the rest is counted as [`OTHER`]. What a server says must
/// not make a table grow.
const KINDS: usize = 48;
/// Longer kinds are counted as [`OTHER`], too.
const LONGEST_KIND: usize = 80;
const OTHER: &str = "other";

/// The series of a run over the network; a place in [`Series`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// Intended start to end.
    Response,
    /// Send to end.
    Service,
    /// Send to the first byte of the answer.
    FirstByte,
    /// The generator's own lateness.
    SendLateness,
    /// Requests under way on the connection, at each send.
    QueueDepth,
    /// How long a connection took to stand.
    Connect,
}

impl Tag {
    /// All of them, in their order in [`Series`].
    pub(super) const ALL: [(Tag, &'static str); 6] = [
        (Tag::Response, recording::RESPONSE),
        (Tag::Service, recording::SERVICE),
        (Tag::FirstByte, recording::FIRST_BYTE),
        (Tag::SendLateness, recording::SEND_LATENESS),
        (Tag::QueueDepth, recording::QUEUE_DEPTH),
        (Tag::Connect, recording::CONNECT),
    ];
}

/// One histogram for each [`Tag`]. About 1.4 MB.
#[derive(Debug)]
pub(super) struct Series([Histogram<u64>; Tag::ALL.len()]);

impl Series {
    pub(super) fn new() -> Series {
        Series(std::array::from_fn(|_| histogram()))
    }

    #[inline(always)]
    pub(super) fn record(&mut self, tag: Tag, value: u64) {
        self.0[tag as usize].saturating_record(value);
    }

    /// Records a value `count` times.
    pub(super) fn record_n(&mut self, tag: Tag, value: u64, count: u64) {
        self.0[tag as usize].saturating_record_n(value, count);
    }

    pub(super) fn get(&self, tag: Tag) -> &Histogram<u64> {
        &self.0[tag as usize]
    }

    pub(super) fn add(&mut self, other: &Series) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            // Bounds are equal, so adding cannot fail.
            let _ = own.add(other);
        }
    }

    /// Adds to one series.
    pub(super) fn add_to(&mut self, tag: Tag, other: &Histogram<u64>) {
        let _ = self.0[tag as usize].add(other);
    }

    pub(super) fn reset(&mut self) {
        for histogram in self.0.iter_mut().filter(|histogram| !histogram.is_empty()) {
            histogram.reset();
        }
    }

    /// Takes the histograms out.
    pub(super) fn into_array(self) -> [Histogram<u64>; Tag::ALL.len()] {
        self.0
    }
}

/// Failures by kind.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<(String, u64)>);

impl Errors {
    /// Counts `count` failures of a kind.
    pub(super) fn note(&mut self, kind: &str, count: u64) {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| known == kind) {
            *known += count;
        } else if self.0.len() < KINDS && kind.len() <= LONGEST_KIND {
            self.0.push((kind.to_owned(), count));
        } else {
            self.note_other(count);
        }
    }

    fn note_other(&mut self, count: u64) {
        match self.0.iter_mut().find(|(known, _)| known == OTHER) {
            Some((_, known)) => *known += count,
            None => self.0.push((OTHER.to_owned(), count)),
        }
    }

    pub(super) fn add(&mut self, other: &Errors) {
        for (kind, count) in &other.0 {
            self.note(kind, *count);
        }
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn by_kind(&self) -> BTreeMap<String, u64> {
        self.0.iter().cloned().collect()
    }
}

/// Counts of the requests due in a span of the schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Answered.
    pub(super) completed: u64,
    /// Of these, after the schedule's end.
    pub(super) late: u64,
    /// Answered with a failure.
    pub(super) failed_answers: u64,
    /// Sent, and given up without an answer.
    pub(super) unanswered: u64,
    /// Never sent.
    pub(super) unsent: u64,
    /// Sends that had to wait for a place on a connection.
    pub(super) waited: u64,
    /// Slow requests that gave way to slower ones.
    pub(super) slow_displaced: u64,
    /// Connections lost.
    pub(super) lost: u64,
    /// Connections opened in the place of others.
    pub(super) reconnects: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Counts) {
        let &Counts {
            completed,
            late,
            failed_answers,
            unanswered,
            unsent,
            waited,
            slow_displaced,
            lost,
            reconnects,
        } = other;
        self.completed += completed;
        self.late += late;
        self.failed_answers += failed_answers;
        self.unanswered += unanswered;
        self.unsent += unsent;
        self.waited += waited;
        self.slow_displaced += slow_displaced;
        self.lost += lost;
        self.reconnects += reconnects;
    }
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Part {
    /// Which second of the schedule, from its origin.
    pub(super) second: u64,
    /// Where that second begins.
    pub(super) start: Nanos,
    pub(super) series: Series,
    pub(super) slow: SlowSet,
    pub(super) counts: Counts,
    pub(super) errors: Errors,
    /// Requests due in this second that are on a connection.
    pub(super) under_way: u64,
}

impl Part {
    pub(super) fn new() -> Part {
        Part {
            second: 0,
            start: Nanos(0),
            series: Series::new(),
            slow: SlowSet::new(),
            counts: Counts::default(),
            errors: Errors::default(),
            under_way: 0,
        }
    }

    pub(super) fn reset(&mut self) {
        self.series.reset();
        self.slow.clear();
        self.counts = Counts::default();
        self.errors.clear();
        self.under_way = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_kind_and_their_number_of_kinds_is_bounded() {
        let mut errors = Errors::default();
        for number in 0..10_000 {
            errors.note(&format!("status {number}"), 2);
        }
        errors.note("status 1", 1);
        errors.note(&"x".repeat(1 << 20), 1);
        let kinds = errors.by_kind();
        assert_eq!(kinds.values().sum::<u64>(), 20_002);
        assert_eq!(kinds["status 1"], 3);
        assert!(kinds.len() <= KINDS + 1);
        assert_eq!(kinds[OTHER], 2 * (10_000 - KINDS as u64) + 1);
    }

    #[test]
    fn every_tag_stands_at_its_own_place() {
        let mut series = Series::new();
        for (place, (tag, _)) in Tag::ALL.into_iter().enumerate() {
            assert_eq!(tag as usize, place);
            series.record(tag, place as u64 + 1);
        }
        for (place, (tag, _)) in Tag::ALL.into_iter().enumerate() {
            assert_eq!(
                (series.get(tag).max(), series.get(tag).len()),
                (place as u64 + 1, 1)
            );
        }
    }
}
