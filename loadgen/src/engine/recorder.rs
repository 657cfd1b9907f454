//! The calling thread's side of a run: writes what the workers hand over, watches the clock and the
//! stop flag, and tells the caller once a second how it goes.

use super::interval::{Interval, Span, Timeline, histogram};
use super::tally::Exchange;
use super::warmup::Judge;
use crate::clock::Nanos;
use crate::scenario::beside::Taken;
use crate::scenario::warmup::WarmUpEnd;
use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::atomic::{AtomicU64, Ordering};
use tailcut_report::recording::{Mark, PoolSample, RESPONSE, RecordingError, SERVICE, Writer};

/// How many intervals a worker has: the one it fills, and three for a recorder that is late by
/// up to three seconds.
const INTERVALS: usize = 4;

/// How many unfinished seconds are kept until every worker has delivered its part. A worker that
/// lags further behind gets lines of its own in the log.
const OPEN_SECONDS: usize = 4;

/// The recorder's ends of a worker's rings.
pub(crate) struct Link {
    full: Consumer<Box<Interval>>,
    clean: Producer<Box<Interval>>,
}

/// Makes a worker's intervals and both ends of its rings; returns the one to fill first, too.
pub(crate) fn link() -> (Link, Box<Interval>, Exchange) {
    let (full_in, full_out) = RingBuffer::new(INTERVALS);
    let (mut clean_in, clean_out) = RingBuffer::new(INTERVALS);
    for _ in 1..INTERVALS {
        // There is room for all of them.
        let _ = clean_in.push(Box::new(Interval::new()));
    }
    let link = Link {
        full: full_out,
        clean: clean_in,
    };
    (
        link,
        Box::new(Interval::new()),
        Exchange {
            full: full_in,
            clean: clean_out,
        },
    )
}

/// How a run stands, once a second.
#[derive(Debug, Clone)]
pub struct LiveSecond {
    /// Since the start of the recorded schedule; zero during warm-up.
    pub elapsed: Nanos,
    /// How long the schedule is.
    pub duration: Nanos,
    /// Whether this is still warm-up.
    pub warming_up: bool,
    /// Requests completed so far, warm-up included.
    pub completed: u64,
    /// Requests due so far, warm-up included.
    pub due: u64,
    /// Completed per second since the last report.
    pub rate: f64,
    /// Response times of the seconds recorded since the last report; nothing when none was.
    pub response: Option<LivePercentiles>,
    /// Requests that failed so far, refusals among them.
    pub failed: u64,
    /// Time stolen from the workers' processors since the last report.
    pub steal: Nanos,
    /// Time that workers waited for their processors since the last report.
    pub run_queue_wait: Nanos,
}

/// Of response time.
#[derive(Debug, Clone, Copy)]
pub struct LivePercentiles {
    /// Median.
    pub p50: Nanos,
    /// 99th percentile.
    pub p99: Nanos,
    /// 99.9th percentile.
    pub p999: Nanos,
    /// The slowest.
    pub max: Nanos,
}

/// Both series, added up.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) response: Histogram<u64>,
    pub(crate) service: Histogram<u64>,
}

impl Both {
    fn new() -> Both {
        Both {
            response: histogram(),
            service: histogram(),
        }
    }

    fn add(&mut self, interval: &Interval) {
        // Bounds are equal, so adding cannot fail.
        let _ = self.response.add(&interval.response);
        let _ = self.service.add(&interval.service);
    }

    fn reset(&mut self) {
        self.response.reset();
        self.service.reset();
    }
}

/// A second that not every worker has delivered yet.
struct OpenSecond {
    /// First and last second, or nothing if free.
    seconds: Option<(u64, u64)>,
    parts: usize,
    sum: Both,
}

/// Writes what the workers hand over.
pub(crate) struct Recorder {
    links: Vec<Link>,
    timeline: Timeline,
    /// While the warm-up has no end yet.
    judge: Option<Judge>,
    writer: Option<Writer>,
    failure: Option<RecordingError>,
    open: Vec<OpenSecond>,
    pub(crate) whole: Both,
    /// Response times since the last report.
    recent: Histogram<u64>,
}

impl Recorder {
    /// `judge` decides when the warm-up ends, where that is left open.
    pub(crate) fn new(
        links: Vec<Link>,
        writer: Writer,
        timeline: Timeline,
        judge: Option<Judge>,
    ) -> Recorder {
        // One worker's intervals are written as they come.
        let open = if links.len() > 1 { OPEN_SECONDS } else { 0 };
        let open_second = || OpenSecond {
            seconds: None,
            parts: 0,
            sum: Both::new(),
        };
        Recorder {
            links,
            timeline,
            judge,
            writer: Some(writer),
            failure: None,
            open: (0..open).map(|_| open_second()).collect(),
            whole: Both::new(),
            recent: histogram(),
        }
    }

    /// Takes in and writes whatever was handed over since the last call. Returns whether writing
    /// still works; after a failure intervals are still taken, so that no worker waits.
    pub(crate) fn drain(&mut self) -> bool {
        for index in 0..self.links.len() {
            while let Ok(mut interval) = self.links[index].full.pop() {
                self.take(&interval);
                interval.reset();
                // There is room for every interval of this worker.
                let _ = self.links[index].clean.push(interval);
            }
        }
        self.failure.is_none()
    }

    /// If the warm-up was left open and is over at `now`: how it ended, and the earliest second that can be recorded.
    pub(crate) fn verdict(&self, now: Nanos) -> Option<(WarmUpEnd, u64)> {
        let judge = self.judge.as_ref()?;
        Some((judge.verdict(now)?, judge.next_second(now)))
    }

    /// From here on it is known when the recorded part begins; `end` says by which rule.
    pub(crate) fn begin_recording(&mut self, timeline: Timeline, end: WarmUpEnd) {
        self.judge = None;
        self.timeline = timeline;
        let mark = Mark {
            start_ns: timeline.begin.0,
            end_ns: timeline.record.0,
            kind: "warm_up".to_owned(),
            detail: end.to_string(),
        };
        self.write(|writer| writer.marks(&[mark]));
    }

    /// Appends what went on beside the load.
    pub(crate) fn beside(&mut self, taken: &Taken) {
        self.write(|writer| writer.marks(&taken.marks));
        self.write(|writer| writer.resources(&taken.resources));
    }

    /// Appends what the pool holds.
    pub(crate) fn pool(&mut self, sample: PoolSample) {
        self.write(|writer| writer.pool(&[sample]));
    }

    fn take(&mut self, interval: &Interval) {
        let (first, last) = match interval.span {
            Span::WarmUp => return,
            Span::Warming { first, last } => {
                if let Some(judge) = &mut self.judge {
                    judge.take(first, last, &interval.response);
                }
                return;
            }
            Span::Seconds { first, last } => (first, last),
        };
        self.whole.add(interval);
        let _ = self.recent.add(&interval.response);
        let mut slow = interval.slow.requests().to_vec();
        slow.sort_unstable_by_key(|request| request.intended_ns);
        self.write(|writer| writer.slow(&slow));
        if self.open.is_empty() {
            let (start, length) = self.timeline.span(first, last);
            self.write(|writer| {
                write_both(writer, start, length, &interval.response, &interval.service)
            });
            return;
        }
        let index = self.open_second(first, last);
        let open = &mut self.open[index];
        open.sum.add(interval);
        open.parts += 1;
        if open.parts == self.links.len() {
            self.close(index);
        }
    }

    /// The place of these seconds; the oldest gives way when all are taken.
    fn open_second(&mut self, first: u64, last: u64) -> usize {
        if let Some(found) = self
            .open
            .iter()
            .position(|open| open.seconds == Some((first, last)))
        {
            return found;
        }
        // `None` sorts before any second: a free place is found first.
        let places = self.open.iter().enumerate();
        let index = places
            .min_by_key(|(_, open)| open.seconds)
            .map_or(0, |(index, _)| index);
        self.close(index);
        self.open[index].seconds = Some((first, last));
        index
    }

    fn close(&mut self, index: usize) {
        let mut open = self.open.swap_remove(index);
        if let Some((first, last)) = open.seconds.take() {
            let (start, length) = self.timeline.span(first, last);
            self.write(|writer| {
                write_both(writer, start, length, &open.sum.response, &open.sum.service)
            });
            open.sum.reset();
            open.parts = 0;
        }
        self.open.push(open);
        let end = self.open.len() - 1;
        self.open.swap(index, end);
    }

    /// After the first failure nothing more is written: a gap in the middle would not be seen.
    fn write(&mut self, action: impl FnOnce(&mut Writer) -> Result<(), RecordingError>) {
        if let Some(writer) = &mut self.writer
            && self.failure.is_none()
        {
            self.failure = action(writer).err();
        }
    }

    /// Percentiles since the last call.
    pub(crate) fn recent(&mut self) -> Option<LivePercentiles> {
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

    /// Writes the seconds that are still open. The threads must have ended.
    pub(crate) fn close_all(&mut self) {
        self.drain();
        while let Some(index) = {
            let left = self
                .open
                .iter()
                .enumerate()
                .filter(|(_, open)| open.seconds.is_some());
            left.min_by_key(|(_, open)| open.seconds)
                .map(|(index, _)| index)
        } {
            self.close(index);
        }
    }

    /// What is left: the sums, the writer, and the first failure.
    pub(crate) fn into_parts(self) -> (Both, Option<Writer>, Option<RecordingError>) {
        (self.whole, self.writer, self.failure)
    }
}

fn write_both(
    writer: &mut Writer,
    start: Nanos,
    length: Nanos,
    response: &Histogram<u64>,
    service: &Histogram<u64>,
) -> Result<(), RecordingError> {
    writer.interval(RESPONSE, start.0, length.0, response)?;
    writer.interval(SERVICE, start.0, length.0, service)
}

/// Requests completed so far by all workers.
pub(crate) fn completed(progress: &[AtomicU64]) -> u64 {
    progress
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .sum()
}
