//! One run's further series, marks and resources, reduced to what a report shows.
//!
//! Four histograms at most, [`MOST_MARKS`] marks, and two numbers a second: bounded by the run's
//! length, whatever the files hold. Texts are cleaned here, once.

use hdrhistogram::Histogram;

use super::resources::{ResourceDigest, ResourceDigestBuilder};
use super::summary::SeriesUnit;
use crate::digest::Second;
use crate::recording::{
    self, CONNECT, FIRST_BYTE, Interval, Mark, QUEUE_DEPTH, ResourceSample, SEND_LATENESS,
};
use crate::text;

/// Marks kept of a run; those beyond are counted.
const MOST_MARKS: usize = 200;

/// The series that are known beside response and service times: tag, name, unit, meaning.
pub(crate) const SERIES: [(&str, &str, SeriesUnit, &str); 4] = [
    (
        FIRST_BYTE,
        "First byte",
        SeriesUnit::Nanoseconds,
        "From a request's send to the first byte of its answer",
    ),
    (
        CONNECT,
        "Connect",
        SeriesUnit::Nanoseconds,
        "How long connections took to be made, TLS included",
    ),
    (
        SEND_LATENESS,
        "Send lateness",
        SeriesUnit::Nanoseconds,
        "How late the generator itself sent, beside what the target made it wait",
    ),
    (
        QUEUE_DEPTH,
        "Queue depth",
        SeriesUnit::Count,
        "Requests under way on the connection at each send: a count, not a time",
    ),
];

/// What a report knows of one run beside its response times.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadDigest {
    /// By place in [`SERIES`]; `None` where the run recorded none.
    pub(crate) series: [Option<Histogram<u64>>; SERIES.len()],
    /// In the order of their beginning.
    pub(crate) marks: Vec<DigestedMark>,
    /// Marks beyond those.
    pub(crate) marks_left_out: u64,
    /// `None` where nobody's were sampled.
    pub(crate) resources: Option<ResourceDigest>,
}

/// A mark as it is shown: its texts are clean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DigestedMark {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) kind: String,
    pub(crate) detail: String,
}

impl LoadDigest {
    /// Takes an interval of any series; those that are not known are left out, since nobody can
    /// tell their unit.
    pub(crate) fn interval(&mut self, interval: &Interval) {
        let known = SERIES
            .iter()
            .position(|(tag, ..)| *tag == interval.series.as_str());
        if let Some(place) = known {
            let whole = self.series[place].get_or_insert_with(recording::empty);
            recording::add(whole, &interval.histogram);
        }
    }

    /// Takes a mark, in any order.
    pub(crate) fn mark(&mut self, mark: &Mark) {
        if self.marks.len() == MOST_MARKS {
            self.marks_left_out += 1;
            return;
        }
        let place = self
            .marks
            .partition_point(|known| known.start_ns <= mark.start_ns);
        let digested = DigestedMark {
            start_ns: mark.start_ns,
            end_ns: mark.end_ns.max(mark.start_ns),
            kind: match text::name(&mark.kind) {
                kind if kind.is_empty() => "unnamed".to_owned(),
                kind => kind,
            },
            detail: text::name(&mark.detail),
        };
        self.marks.insert(place, digested);
    }

    /// Takes all samples of a run whose measured seconds are `seconds`.
    pub(crate) fn resources<E>(
        &mut self,
        samples: impl Iterator<Item = Result<ResourceSample, E>>,
        seconds: &[Second],
    ) -> Result<(), E> {
        let mut builder = ResourceDigestBuilder::new(seconds);
        for sample in samples {
            builder.sample(&sample?);
        }
        self.resources = builder.finish();
        Ok(())
    }
}

impl DigestedMark {
    /// Its length in nanoseconds.
    pub(crate) fn length_ns(&self) -> u64 {
        self.end_ns - self.start_ns
    }

    /// What it is called: `hog_cpu` reads `hog cpu`.
    pub(crate) fn name(&self) -> String {
        self.kind.replace('_', " ")
    }
}
