//! One recording reduced to what a report shows of it, in one pass over its intervals.
//!
//! An hour of intervals is 1.7 GB as histograms and a few megabytes as a digest, so a report of long runs is
//! bounded by the digests and not by the recordings.

use std::cmp::Reverse;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use crate::blame::BlameInput;
use crate::heat;
use crate::load::LoadDigest;
use crate::pauses::{PauseDigest, PauseDigestBuilder};
use crate::pool::PoolDigest;
use crate::prefetch::{prefetch, prefetch_many};
use crate::recording::{
    self, Interval, Meta, PauseReader, PoolSizing, Reader, Recording, RecordingError, SlowRequest,
    StackTable, State,
};
use crate::statistics::{maximum, quantile, total};
use crate::text;

/// Slow requests kept per run: more than a page shows of a variant.
const WORST: usize = 8;
/// Pauses of a run that are looked at; a probe writes half a million.
pub(crate) const MOST_PAUSES: usize = 2_000_000;

/// What a report knows of one run.
#[derive(Debug, Clone)]
pub(crate) struct RunDigest {
    pub(crate) dir: PathBuf,
    pub(crate) meta: Meta,
    /// The whole run's response times.
    pub(crate) response: Histogram<u64>,
    /// The whole run's service times.
    pub(crate) service: Histogram<u64>,
    /// Response times, second by second.
    pub(crate) seconds: Vec<Second>,
    /// The worst of the recorded slow requests, worst first.
    pub(crate) worst: Vec<SlowRequest>,
    /// What a probe saw meanwhile; `None` when nobody traced.
    pub(crate) pauses: Option<PauseDigest>,
    /// What the load generator recorded beside response times.
    pub(crate) load: LoadDigest,
    /// What its pools held; `None` where none was sampled.
    pub(crate) pools: Option<PoolDigest>,
    /// What of the recording could not be read, and why.
    pub(crate) damage: Vec<String>,
    /// Slow requests that were recorded and are in none of the figures.
    pub(crate) slow_not_read: u64,
    /// Slow requests whose times are not in their order.
    pub(crate) disordered: usize,
}

/// What a report knows of one interval of response times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Second {
    pub(crate) start_ns: u64,
    pub(crate) length_ns: u64,
    pub(crate) requests: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
    /// Requests by latency row of the heat map; rows without any are left out.
    pub(crate) heat: Vec<(u8, u64)>,
}

impl RunDigest {
    /// Reduces a recording in memory.
    pub(crate) fn of_recording(recording: Recording) -> RunDigest {
        let mut digest = RunDigest::new(recording.dir, recording.meta, &recording.slow);
        let mut pending = None;
        for interval in recording.intervals {
            digest.take(interval, &mut pending);
        }
        digest.close(pending);
        recording
            .marks
            .iter()
            .for_each(|mark| digest.load.mark(mark));
        let samples = recording.resources.into_iter().map(Ok::<_, Infallible>);
        let Ok(()) = digest.load.resources(samples, &digest.seconds);
        let samples = recording.pool.into_iter().map(Ok::<_, Infallible>);
        let Ok(pools) = PoolDigest::of(samples, &digest.seconds, digest.pool_sizing());
        digest.pools = pools;
        if let Some(pauses) = recording.pauses {
            let mut builder =
                PauseDigestBuilder::new(&pauses.meta, digest.load_of(&recording.slow));
            pauses
                .intervals
                .into_iter()
                .for_each(|interval| builder.interval(interval));
            pauses
                .pauses
                .into_iter()
                .for_each(|pause| builder.pause(pause));
            builder.ignore(pauses.not_read);
            digest.pauses = Some(builder.finish(&pauses.stacks));
        }
        digest
    }

    /// Reduces a recording on disk, one interval at a time, as far as it can be read: what is
    /// damaged ends its file, is named in [`RunDigest::damage`], and makes the run partial.
    ///
    /// # Errors
    /// What is wrong with `meta.json`.
    pub(crate) fn of_folder(dir: &Path) -> Result<RunDigest, RecordingError> {
        let (reader, damage) = Reader::open_damaged(dir)?;
        let mut digest = RunDigest::new(
            reader.dir().to_path_buf(),
            reader.meta().clone(),
            reader.slow(),
        );
        damage.iter().for_each(|error| digest.damaged(error));
        digest.slow_not_read = reader.slow_not_read();
        let mut pending = None;
        std::thread::scope(|scope| {
            for interval in prefetch(scope, reader.intervals()) {
                match interval {
                    Ok(interval) => digest.take(interval, &mut pending),
                    Err(error) => digest.damaged(&error),
                }
            }
        });
        digest.close(pending);
        for mark in reader.marks() {
            match mark {
                Ok(mark) => digest.load.mark(&mark),
                Err(error) => digest.damaged(&error),
            }
        }
        let mut broken = None;
        let samples = reader
            .resources()
            .map_while(|sample| sample.map_err(|error| broken = Some(error)).ok());
        let Ok(()) = digest
            .load
            .resources(samples.map(Ok::<_, Infallible>), &digest.seconds);
        if let Some(error) = broken {
            digest.damaged(&error);
        }
        let mut broken = None;
        let samples = reader
            .pool()
            .map_while(|sample| sample.map_err(|error| broken = Some(error)).ok());
        let sizing = digest.pool_sizing();
        let Ok(pools) = PoolDigest::of(samples.map(Ok::<_, Infallible>), &digest.seconds, sizing);
        digest.pools = pools;
        if let Some(error) = broken {
            digest.damaged(&error);
        }
        if let Some(pauses) = reader.pauses() {
            digest.take_pauses(pauses, reader.slow());
        }
        Ok(digest)
    }

    fn take_pauses(&mut self, pauses: &PauseReader, slow: &[SlowRequest]) {
        let mut damage = Vec::new();
        let mut builder = PauseDigestBuilder::new(pauses.meta(), self.load_of(slow));
        let mut taken = 0;
        std::thread::scope(|scope| {
            for interval in prefetch(scope, pauses.intervals()) {
                match interval {
                    Ok(interval) => builder.interval(interval),
                    Err(error) => damage.push(error),
                }
            }
            for pause in prefetch_many(scope, pauses.pauses().take(MOST_PAUSES)) {
                taken += 1;
                match pause {
                    Ok(pause) => builder.pause(pause),
                    Err(error) => damage.push(error),
                }
            }
        });
        if taken == MOST_PAUSES {
            match pauses.pauses().count_rest() {
                Ok(all) => builder.ignore(all.saturating_sub(taken as u64)),
                Err(error) => damage.push(error),
            }
        }
        let stacks = match builder.points_to_stacks() {
            true => pauses.stacks().unwrap_or_else(|error| {
                damage.push(error);
                StackTable::default()
            }),
            false => StackTable::default(),
        };
        let mut digested = builder.finish(&stacks);
        if let Some(error) = damage.first() {
            digested.meta.state = State::Partial;
            let reason = text::clean(&error.to_string());
            digested.meta.state_reason.get_or_insert(reason);
        }
        self.pauses = Some(digested);
        damage.iter().for_each(|error| self.damaged(error));
    }

    /// Notes that some of it could not be read.
    fn damaged(&mut self, error: &RecordingError) {
        let reason = text::clean(&error.to_string());
        self.meta.state = State::Partial;
        self.meta
            .state_reason
            .get_or_insert_with(|| format!("not all of it can be read: {reason}"));
        self.damage.push(reason);
    }

    fn new(dir: PathBuf, mut meta: Meta, slow: &[SlowRequest]) -> RunDigest {
        // The name of a traced process may be anything, and stands in every table.
        meta.variant = text::name(&meta.variant);
        let (mut worst, disordered): (Vec<SlowRequest>, Vec<SlowRequest>) = slow
            .iter()
            .partition(|slow| slow.intended_ns <= slow.start_ns && slow.start_ns <= slow.end_ns);
        worst.sort_by_key(|request| Reverse(request.response_ns()));
        worst.truncate(WORST);
        RunDigest {
            dir,
            meta,
            response: recording::empty(),
            service: recording::empty(),
            seconds: Vec::new(),
            worst,
            pauses: None,
            load: LoadDigest::default(),
            pools: None,
            damage: Vec::new(),
            slow_not_read: 0,
            disordered: disordered.len(),
        }
    }

    pub(crate) fn load_of<'a>(&'a self, slow: &'a [SlowRequest]) -> BlameInput<'a> {
        BlameInput {
            meta: &self.meta,
            slow,
            service: &self.service,
            seconds: &self.seconds,
        }
    }

    fn take(&mut self, interval: Interval, pending: &mut Option<Interval>) {
        match interval.series.as_str() {
            recording::SERVICE => recording::add(&mut self.service, &interval.histogram),
            recording::RESPONSE => {
                recording::add(&mut self.response, &interval.histogram);
                match pending {
                    // One line per worker and second is as good as one per second.
                    Some(open) if open.start_monotonic_ns == interval.start_monotonic_ns => {
                        recording::add(&mut open.histogram, &interval.histogram);
                    }
                    _ => {
                        let closed = pending.replace(interval);
                        self.close(closed);
                    }
                }
            }
            // A probe's series stand in a log of their own.
            _ => self.load.interval(&interval),
        }
    }

    fn pool_sizing(&self) -> Option<PoolSizing> {
        self.meta.result.as_ref()?.pool_sizing.clone()
    }

    fn close(&mut self, interval: Option<Interval>) {
        if let Some(interval) = interval.filter(|interval| !interval.histogram.is_empty()) {
            self.seconds.push(Second {
                start_ns: interval.start_monotonic_ns,
                length_ns: interval.length_ns,
                requests: interval.histogram.len(),
                p50_ns: quantile(&interval.histogram, 0.5),
                p99_ns: quantile(&interval.histogram, 0.99),
                p999_ns: quantile(&interval.histogram, 0.999),
                max_ns: maximum(&interval.histogram),
                heat: heat::rows(&interval.histogram),
            });
        }
    }

    /// Whether the run was cut short, or its recording was.
    pub(crate) fn partial(&self) -> bool {
        self.meta.state != State::Complete
    }

    /// Whether nothing but pauses was recorded: no load ran.
    pub(crate) fn only_traced(&self) -> bool {
        self.pauses.is_some()
            && self.meta.result.is_none()
            && self.meta.load.rate_target == 0.0
            && self.seconds.is_empty()
    }

    /// Start of the measured time on `CLOCK_MONOTONIC`, in nanoseconds; where nothing was measured,
    /// of the traced time.
    pub(crate) fn start_ns(&self) -> u64 {
        match (self.seconds.first(), &self.pauses) {
            (Some(second), _) => second.start_ns,
            (None, Some(pauses)) => pauses.span().0,
            (None, None) => self.meta.clock.monotonic_ns,
        }
    }

    /// Length of the schedule that was run, in nanoseconds.
    pub(crate) fn duration_ns(&self) -> u64 {
        if self.partial() {
            total(self.seconds.iter().map(|second| second.length_ns))
        } else {
            self.meta.load.duration_ns
        }
    }

    /// Requests finished by the schedule's end.
    pub(crate) fn completed_on_schedule(&self) -> u64 {
        match &self.meta.result {
            Some(result) => result.completed_on_schedule,
            None => self.response.len(),
        }
    }

    /// Whether the run kept its schedule; `None` when it ended before that could be told.
    pub(crate) fn schedule_kept(&self) -> Option<bool> {
        self.meta.result.as_ref().map(|result| result.schedule_kept)
    }

    /// The digest of the results; `None` when the run ended before there was one to compare.
    pub(crate) fn checksum(&self) -> Option<&str> {
        self.meta
            .result
            .as_ref()
            .filter(|result| !self.partial() && !result.checksum.is_empty())
            .map(|result| result.checksum.as_str())
    }
}
