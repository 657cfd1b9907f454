//! The calling thread's side: adds up what the workers hand over, second by second, and writes it.
//!
//! A second is written when every worker says that it is complete ([`Progress::complete_before`]), or when
//! [`OPEN_SECONDS`] younger ones are open. What comes for it after that is written as another line of the
//! same second: readers add lines up.

use super::part::{Counts, Errors, Part, Series, Tag};
use super::tally::{Exchange, PARTS};
use super::timeline::{Shared, Timeline};
use crate::clock::Nanos;
use crate::engine::LivePercentiles;
use crate::engine::interval::histogram;
use crate::scenario::beside::Taken;
use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::atomic::Ordering;
use tailcut_report::recording::{Mark, RecordingError, Writer};

/// How many seconds are kept open until every worker has delivered its part.
const OPEN_SECONDS: usize = 6;

/// The recorder's ends of a worker's rings.
pub(super) struct Link {
    full: Consumer<Box<Part>>,
    clean: Producer<Box<Part>>,
}

/// Makes a worker's parts and both ends of its rings.
pub(super) fn link() -> (Link, Exchange) {
    let (full_in, full_out) = RingBuffer::new(PARTS + 1);
    let (mut clean_in, clean_out) = RingBuffer::new(PARTS + 1);
    for _ in 0..PARTS {
        // There is room for all of them.
        let _ = clean_in.push(Box::new(Part::new()));
    }
    let link = Link {
        full: full_out,
        clean: clean_in,
    };
    let exchange = Exchange {
        full: full_in,
        clean: clean_out,
    };
    (link, exchange)
}

/// What was found about a span of the schedule, over all workers.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) series: Series,
    pub(super) counts: Counts,
    pub(super) errors: Errors,
}

impl Sum {
    fn new() -> Sum {
        Sum {
            series: Series::new(),
            counts: Counts::default(),
            errors: Errors::default(),
        }
    }
}

/// A second that not every worker has delivered yet.
struct OpenSecond {
    second: u64,
    sum: Sum,
}

/// A second of the schedule that is complete.
pub(super) struct Complete<'a> {
    pub(super) second: u64,
    pub(super) completed: u64,
    pub(super) response: &'a Histogram<u64>,
}

/// See the module's head.
pub(super) struct Recorder {
    links: Vec<Link>,
    writer: Option<Writer>,
    failure: Option<RecordingError>,
    open: Vec<OpenSecond>,
    /// Clean, for seconds to come.
    spare: Vec<Sum>,
    whole: Sum,
    /// Connection times from before the schedule, until they are written with its first second.
    before: Option<Histogram<u64>>,
    /// Response times since the last report.
    recent: Histogram<u64>,
}

impl Recorder {
    /// `before` holds how long the connections took that were made before the schedule.
    pub(super) fn new(links: Vec<Link>, writer: Writer, before: Histogram<u64>) -> Recorder {
        Recorder {
            links,
            writer: Some(writer),
            failure: None,
            open: Vec::with_capacity(OPEN_SECONDS + 1),
            spare: (0..2).map(|_| Sum::new()).collect(),
            whole: Sum::new(),
            before: Some(before),
            recent: histogram(),
        }
    }

    /// Takes in and writes whatever was handed over since the last call, and tells `complete` of each
    /// second of the warm-up that is over. Returns whether writing still works.
    pub(super) fn drain(
        &mut self,
        shared: &Shared,
        timeline: &Timeline,
        complete: &mut dyn FnMut(Complete<'_>),
    ) -> bool {
        // Read before the rings: what a worker says is complete is then in them.
        let progress = shared.workers.iter();
        let complete_before = progress
            .map(|worker| worker.complete_before.load(Ordering::Acquire))
            .min()
            .unwrap_or(u64::MAX);
        for index in 0..self.links.len() {
            while let Ok(mut part) = self.links[index].full.pop() {
                self.take(&part, timeline);
                part.reset();
                let _ = self.links[index].clean.push(part);
            }
        }
        while let Some(index) = self.oldest()
            && (self.open[index].second < complete_before || self.open.len() > OPEN_SECONDS)
        {
            self.close(index, timeline, complete);
        }
        self.failure.is_none()
    }

    fn oldest(&self) -> Option<usize> {
        (0..self.open.len()).min_by_key(|&index| self.open[index].second)
    }

    fn take(&mut self, part: &Part, timeline: &Timeline) {
        let _ = self.recent.add(part.series.get(Tag::Response));
        let index = self.open.iter().position(|open| open.second == part.second);
        let index = index.unwrap_or_else(|| {
            let sum = self.spare.pop().unwrap_or_else(Sum::new);
            let second = part.second;
            self.open.push(OpenSecond { second, sum });
            self.open.len() - 1
        });
        let sum = &mut self.open[index].sum;
        sum.series.add(&part.series);
        sum.counts.add(&part.counts);
        sum.errors.add(&part.errors);
        if is_recorded(timeline, part.start) {
            let mut slow = part.slow.requests().to_vec();
            slow.sort_unstable_by_key(|request| request.intended_ns);
            self.write(|writer| writer.slow(&slow));
        }
    }

    fn close(&mut self, index: usize, timeline: &Timeline, complete: &mut dyn FnMut(Complete<'_>)) {
        let OpenSecond { second, mut sum } = self.open.swap_remove(index);
        let start = timeline.start_of(second);
        if is_recorded(timeline, start) {
            if let Some(before) = self.before.take() {
                sum.series.add_to(Tag::Connect, &before);
            }
            self.whole.series.add(&sum.series);
            self.whole.counts.add(&sum.counts);
            self.whole.errors.add(&sum.errors);
            let end = (start + Nanos::SECOND).min(timeline.end());
            let length = end.saturating_sub(start);
            self.write(|writer| write_second(writer, start, length, &sum));
        } else {
            complete(Complete {
                second,
                completed: sum.counts.completed,
                response: sum.series.get(Tag::Response),
            });
        }
        sum.series.reset();
        sum.counts = Counts::default();
        sum.errors = Errors::default();
        self.spare.push(sum);
    }

    /// After the first failure nothing more is written: a gap in the middle would not be seen.
    fn write(&mut self, action: impl FnOnce(&mut Writer) -> Result<(), RecordingError>) {
        if let Some(writer) = &mut self.writer
            && self.failure.is_none()
        {
            self.failure = action(writer).err();
        }
    }

    /// Appends a mark.
    pub(super) fn mark(&mut self, mark: Mark) {
        self.write(|writer| writer.marks(&[mark]));
    }

    /// Appends what went on beside the load.
    pub(super) fn beside(&mut self, taken: &Taken) {
        self.write(|writer| writer.marks(&taken.marks));
        self.write(|writer| writer.resources(&taken.resources));
    }

    /// Percentiles of what came in since the last call.
    pub(super) fn recent(&mut self) -> Option<LivePercentiles> {
        let at = |quantile| Nanos(self.recent.value_at_quantile(quantile));
        let percentiles = LivePercentiles {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: Nanos(self.recent.max()),
        };
        let any = !self.recent.is_empty();
        self.recent.reset();
        any.then_some(percentiles)
    }

    /// What is left when the threads have ended and everything is drained: the sum over the recorded
    /// part, the writer, and the first failure.
    pub(super) fn into_parts(self) -> (Sum, Option<Writer>, Option<RecordingError>) {
        (self.whole, self.writer, self.failure)
    }
}

fn is_recorded(timeline: &Timeline, start: Nanos) -> bool {
    timeline.record().is_some_and(|record| start >= record)
}

/// A line for each series; response and service always, so that a second in which nothing ended shows
/// as such.
fn write_second(
    writer: &mut Writer,
    start: Nanos,
    length: Nanos,
    sum: &Sum,
) -> Result<(), RecordingError> {
    for (tag, name) in Tag::ALL {
        let histogram = sum.series.get(tag);
        if !histogram.is_empty() || matches!(tag, Tag::Response | Tag::Service) {
            writer.interval(name, start.0, length.0, histogram)?;
        }
    }
    if sum.counts.lost > 0 {
        let mark = Mark {
            start_ns: start.0,
            end_ns: (start + length).0,
            kind: "connections_lost".to_owned(),
            detail: format!(
                "{} connections lost, {} opened again",
                sum.counts.lost, sum.counts.reconnects
            ),
        };
        writer.marks(&[mark])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic_ns;
    use crate::host;
    use crate::network::flight::Request;
    use crate::network::tally::Tally;
    use crate::scenario::WarmUp;
    use tailcut_report::recording::{Meta, RESPONSE, Recording, SCHEMA, State};

    const SECONDS: u64 = 12;

    fn request(number: u64, intended: Nanos) -> Request {
        Request {
            number,
            intended,
            sent: intended,
            first_byte: Nanos(0),
        }
    }

    /// A second's requests, of which one is answered only when ten more seconds have passed: more than
    /// are ever open.
    #[test]
    fn an_answer_that_comes_seconds_later_is_recorded_in_the_second_it_was_due_in() {
        let dir = tempfile::tempdir().unwrap();
        let clock = host::clock_pair();
        let begin = Nanos(monotonic_ns());
        let length = Nanos(SECONDS * Nanos::SECOND.0);
        let timeline = Timeline::new(begin, WarmUp::Fixed(Nanos(0)), length, length);
        let shared = Shared::new(1);
        let (link, exchange) = link();
        let mut meta = Meta {
            schema: SCHEMA,
            clock,
            ..Meta::default()
        };
        let out = dir.path().join("recording");
        let writer = Writer::create(&out, &meta).unwrap();
        let mut recorder = Recorder::new(vec![link], writer, histogram());
        let mut tally = Tally::new(exchange, &timeline, &shared.workers[0]);

        let slow = request(0, begin);
        for second in 0..SECONDS {
            for number in 0..10 {
                let intended = Nanos(timeline.start_of(second).0 + number * 1_000_000);
                tally.sent(intended, intended, Nanos(0), 1);
                if (second, number) != (0, 0) {
                    let request = request(second * 10 + number, intended);
                    let end = intended + Nanos::from_millis(1);
                    tally.answered(&request, end, timeline.end(), None);
                }
            }
            if second == 10 {
                let end = slow.intended + Nanos::from_millis(10_500);
                tally.answered(&slow, end, timeline.end(), None);
            }
            tally.close_until(second + 1);
            recorder.drain(&shared, &timeline, &mut |_| ());
        }
        assert_eq!(tally.finish(), 0);
        recorder.drain(&shared, &timeline, &mut |_| ());
        let (whole, writer, failure) = recorder.into_parts();
        assert!(failure.is_none());
        assert_eq!(whole.counts.completed, 10 * SECONDS);
        meta.state = State::Complete;
        writer.unwrap().finish(&meta).unwrap();

        let recording = Recording::read(&out).unwrap();
        let mut seconds = vec![0; usize::try_from(SECONDS).unwrap()];
        for interval in recording.intervals {
            if interval.series == RESPONSE {
                // The log keeps starts to the millisecond.
                let start = Nanos(interval.start_monotonic_ns + 1_000_000);
                let second = usize::try_from(timeline.second_of(start)).unwrap();
                seconds[second] += interval.histogram.len();
                let slowest = interval.histogram.max();
                assert!(
                    second == 0 || slowest < 1_100_000,
                    "second {second}: {slowest}"
                );
            }
        }
        assert_eq!(seconds, [10; SECONDS as usize]);
    }

    #[test]
    fn a_second_is_complete_only_when_every_worker_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let clock = host::clock_pair();
        let begin = Nanos(monotonic_ns());
        let auto = WarmUp::Auto {
            at_most: Nanos::SECOND,
        };
        let timeline = Timeline::new(begin, auto, Nanos::SECOND, Nanos::SECOND);
        let shared = Shared::new(2);
        let (links, exchanges): (Vec<_>, Vec<_>) = (0..2).map(|_| link()).unzip();
        let meta = Meta {
            schema: SCHEMA,
            clock,
            ..Meta::default()
        };
        let writer = Writer::create(&dir.path().join("recording"), &meta).unwrap();
        let mut recorder = Recorder::new(links, writer, histogram());
        let mut complete = Vec::new();
        for (worker, exchange) in exchanges.into_iter().enumerate() {
            let mut tally = Tally::new(exchange, &timeline, &shared.workers[worker]);
            tally.sent(begin, begin, Nanos(0), 1);
            let end = begin + Nanos(5_000);
            tally.answered(&request(0, begin), end, timeline.end(), None);
            tally.close_until(1);
            recorder.drain(&shared, &timeline, &mut |second| {
                complete.push((
                    worker,
                    second.second,
                    second.completed,
                    second.response.len(),
                ));
            });
        }
        assert_eq!(complete, [(1, 0, 2, 2)]);
    }
}
