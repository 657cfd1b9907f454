//! Lines of an HdrHistogram interval log: one [`Interval`] each.
//!
//! Both directions stand here, so that what one writes the other reads. Encoding is the
//! `hdrhistogram` crate's; this file adds our clock, our units and distrust of what is read.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use super::{ClockPair, payload};

/// Nanoseconds in the unit of the `Interval_Max` column: milliseconds, which is what the log
/// readers of all ports expect of a log of nanoseconds.
const MAX_COLUMN_DIVISOR: f64 = 1e6;

/// What one series recorded in one span of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// The series' tag: [`RESPONSE`](super::RESPONSE), [`SERVICE`](super::SERVICE), `off_cpu`, ...
    pub series: String,
    /// Its start on `CLOCK_MONOTONIC`, in nanoseconds, to the log's resolution of 1 ms.
    pub start_monotonic_ns: u64,
    /// Its length in nanoseconds, to the same resolution.
    pub length_ns: u64,
    /// The values, in nanoseconds; those of a probe's series in the unit that its
    /// [`SeriesMeta`](super::SeriesMeta) names.
    pub histogram: Histogram<u64>,
}

/// Adds histograms up into one that spans them all.
///
/// This is the only way in which percentiles of several intervals or runs are found: percentiles
/// themselves are never averaged. Empty input gives an empty histogram of a recording's usual
/// bounds (1 ns to 100 s, 3 digits).
pub fn merged<'a>(histograms: impl IntoIterator<Item = &'a Histogram<u64>>) -> Histogram<u64> {
    let mut histograms = histograms.into_iter();
    let mut sum = match histograms.next() {
        Some(first) => first.clone(),
        None => empty(),
    };
    sum.auto(true);
    for histogram in histograms {
        add(&mut sum, histogram);
    }
    sum
}

/// Adds `other` to `sum`, growing `sum` where needed.
pub(crate) fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    sum.auto(true);
    if sum.add(other).is_err() {
        // Only an address space too small for the counts gets here: keep every value, clamped.
        for value in other.iter_recorded() {
            sum.saturating_record_n(value.value_iterated_to(), value.count_at_value());
        }
    }
}

/// A histogram of a recording's usual bounds.
pub(crate) fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 100_000_000_000, 3).expect("1 ns to 100 s in 3 digits is valid")
}

/// The lines before the first interval. `values` says in which unit they are.
pub(super) fn header(clock: &ClockPair, values: &str) -> io::Result<Vec<u8>> {
    let base = UNIX_EPOCH + Duration::from_nanos(clock.unix_ns);
    let mut bytes = Vec::new();
    IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!("[{values}]"))
        .with_start_time(base)
        .with_base_time(base)
        .with_max_value_divisor(MAX_COLUMN_DIVISOR)
        .begin_log_with(&mut bytes, &mut V2DeflateSerializer::new())?;
    bytes.extend_from_slice(
        b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
    );
    Ok(bytes)
}

/// Makes lines; keeps its buffers from one to the next.
#[derive(Default)]
pub(super) struct Encoder {
    serializer: V2DeflateSerializer,
    bytes: Vec<u8>,
}

impl Encoder {
    /// One line with its end, placed in time by `clock`, or why there can be none.
    pub(super) fn line(
        &mut self,
        clock: &ClockPair,
        series: &str,
        start_monotonic_ns: u64,
        length_ns: u64,
        histogram: &Histogram<u64>,
    ) -> Result<&[u8], String> {
        let Some(start) = start_monotonic_ns.checked_sub(clock.monotonic_ns) else {
            return Err(format!(
                "an interval starts {} ns before the recording's clock was read",
                clock.monotonic_ns - start_monotonic_ns
            ));
        };
        payload::check_bounds(histogram)?;
        let tag = Tag::new(series)
            .filter(|tag| !tag.is_empty())
            .ok_or_else(|| format!("{series:?} is no name for a series: no blank, no comma"))?;
        self.bytes.clear();
        IntervalLogWriterBuilder::new()
            .with_max_value_divisor(MAX_COLUMN_DIVISOR)
            .begin_log_with(&mut self.bytes, &mut self.serializer)
            .map_err(|cause| cause.to_string())?
            .write_histogram(
                histogram,
                Duration::from_nanos(start),
                Duration::from_nanos(length_ns),
                Some(tag),
            )
            .map_err(|cause| cause.to_string())?;
        // The crate states the divisor in front of every log it begins; the file has it already.
        let comment = self.bytes.iter().position(|byte| *byte == b'\n');
        Ok(&self.bytes[comment.map_or(0, |end| end + 1)..])
    }
}

/// Reads lines; keeps its buffers from one to the next.
pub(super) struct Decoder {
    deserializer: Deserializer,
    clock: ClockPair,
}

impl Decoder {
    pub(super) fn new(clock: ClockPair) -> Decoder {
        Decoder {
            deserializer: Deserializer::new(),
            clock,
        }
    }

    /// The interval of one complete line (its `\n` included); `None` for a comment or a header.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Option<Interval>, String> {
        let entry = match IntervalLogIterator::new(line).next() {
            Some(Ok(LogEntry::Interval(entry))) => entry,
            Some(Ok(_)) | None => return Ok(None),
            Some(Err(_)) => return Err("this is no line of an interval log".to_owned()),
        };
        let compressed = STANDARD
            .decode(entry.encoded_histogram())
            .map_err(|cause| format!("the histogram is not base64: {cause}"))?;
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).ok();
        let start = nanos(entry.start_timestamp())
            .and_then(|start| start.checked_add(self.clock.monotonic_ns));
        let (Some(start_monotonic_ns), Some(length_ns)) = (start, nanos(entry.duration())) else {
            return Err("the interval lies beyond the end of time".to_owned());
        };
        Ok(Some(Interval {
            series: entry.tag().map_or("", |tag| tag.as_str()).to_owned(),
            start_monotonic_ns,
            length_ns,
            histogram: payload::decode(&compressed, &mut self.deserializer)?,
        }))
    }
}
