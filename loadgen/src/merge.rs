//! Recordings of one load that several machines made together, added up exactly.
//!
//! Each shard has every n-th request of one schedule (`--shard i/n`), begun at one instant of the wall clock
//! (`--start-at`), so second k of one is second k of all. Histograms of a second are added; nothing is
//! averaged, and the percentiles of the whole are those of all requests. Objectives are judged anew.
//!
//! Clocks: seconds are matched by their number from the start of the recorded part, and other times are moved
//! to the first shard's clock by wall time. The machines' clocks must agree to within [`MOST_SKEW`]; how
//! far they really were apart is reported.
//!
//! Memory: one second of all series at a time, however long the recordings are.

mod result;
mod shards;

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use tailcut_report::recording::{
    Interval, Mark, Meta, PoolSample, RESPONSE, RecordingError, ResourceSample, SlowRequest, State,
    Writer, merged,
};

use crate::clock::Nanos;
use crate::scenario::Slo;
use shards::Shard;

/// How far apart the starts of the shards may lie: beyond it, requests of different seconds would share an
/// interval.
pub const MOST_SKEW: Nanos = Nanos(500_000_000);

/// Why recordings cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// They are no parts of one load.
    #[error("{}: {reason}", dir.display())]
    NotAPart {
        /// The recording.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A part is missing.
    #[error("shard {missing} of {of} is missing: {given} recordings were given")]
    Missing {
        /// Which, from 0.
        missing: u32,
        /// How many there are.
        of: u32,
        /// How many were given.
        given: usize,
    },
    /// Nothing was given.
    #[error("there is nothing to merge: give the recordings of all shards")]
    Nothing,
    /// A recording cannot be read, or the merged one not be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

/// A merged recording.
#[derive(Debug)]
pub struct MergeOutcome {
    /// Its folder.
    pub dir: PathBuf,
    /// As it stands in the recording.
    pub meta: Meta,
    /// Response time over the whole run.
    pub response: Histogram<u64>,
    /// How many shards there were.
    pub shards: u32,
    /// How far apart they began, by their own clocks.
    pub skew: Nanos,
    /// The machines, each once.
    pub hosts: Vec<String>,
}

/// Merges the recordings of all shards into `out`, which must not hold anything yet.
///
/// # Errors
/// Recordings that are no shards of one load (which differs in what is said), a shard that is missing or
/// there twice, starts too far apart, a folder that cannot be read or written.
pub fn merge(dirs: &[PathBuf], out: &Path) -> Result<MergeOutcome, MergeError> {
    let shards = shards::open(dirs)?;
    let first = &shards[0];
    let starts = shards.iter().map(|shard| shard.start_unix_ns);
    let skew = starts.clone().max().unwrap_or(0) - starts.min().unwrap_or(0);
    let mut meta = result::meta(&shards);
    let mut writer = Writer::create(
        out,
        &Meta {
            state: State::Running,
            ..meta.clone()
        },
    )?;

    let mut whole: Vec<(String, Histogram<u64>)> = Vec::new();
    let mut seconds = Seconds::new(&shards)?;
    while let Some((second, intervals)) = seconds.next()? {
        let mut series: Vec<&str> = intervals.iter().map(|one| one.series.as_str()).collect();
        series.sort_unstable();
        series.dedup();
        for name in series {
            let parts = intervals.iter().filter(|one| one.series == name);
            let length = parts.clone().map(|one| one.length_ns).max().unwrap_or(0);
            let sum = merged(parts.map(|one| &one.histogram));
            let start = first
                .record_ns
                .saturating_add_signed(second * 1_000_000_000);
            writer.interval(name, start, length, &sum)?;
            match whole.iter_mut().find(|(known, _)| known == name) {
                Some((_, total)) => *total = merged([&*total, &sum]),
                None => whole.push((name.to_owned(), sum)),
            }
        }
    }
    drop(seconds);
    writer.slow(&slow(&shards))?;
    writer.marks(&marks(&shards)?)?;
    writer.resources(&resources(&shards)?)?;
    writer.pool(&pools(&shards)?)?;

    let of = |name: &str| whole.iter().find(|(known, _)| known == name);
    let response = of(RESPONSE).map_or_else(|| merged([]), |(_, histogram)| histogram.clone());
    result::finish(&mut meta, &shards, &|name| {
        of(name).map(|(_, histogram)| histogram)
    });
    if let (Some(slo), Some(result)) = (&meta.load.slo, &mut meta.result)
        && let Ok(slo) = slo.parse::<Slo>()
    {
        result.objectives = slo.judge_figures(&response, result);
    }
    writer.finish(&meta)?;
    let mut hosts: Vec<String> = shards.iter().map(Shard::host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    Ok(MergeOutcome {
        dir: out.to_path_buf(),
        meta,
        response,
        shards: u32::try_from(shards.len()).unwrap_or(u32::MAX),
        skew: Nanos(skew),
        hosts,
    })
}

/// Walks all logs together, second by second.
struct Seconds<'a> {
    logs: Vec<Log<'a>>,
}

struct Log<'a> {
    shard: &'a Shard,
    intervals: tailcut_report::recording::Intervals,
    next: Option<Interval>,
}

impl<'a> Seconds<'a> {
    fn new(shards: &'a [Shard]) -> Result<Seconds<'a>, RecordingError> {
        let open = |shard: &'a Shard| {
            let mut intervals = shard.reader.intervals();
            let next = intervals.next().transpose()?;
            Ok(Log {
                shard,
                intervals,
                next,
            })
        };
        Ok(Seconds {
            logs: shards
                .iter()
                .map(open)
                .collect::<Result<_, RecordingError>>()?,
        })
    }

    /// The earliest second that any log stands at, and what all logs have of it there. A log that goes back
    /// gives that second once more, which readers add up.
    fn next(&mut self) -> Result<Option<(i64, Vec<Interval>)>, RecordingError> {
        let ahead = self.logs.iter().filter_map(Log::second).min();
        let Some(second) = ahead else {
            return Ok(None);
        };
        let mut found = Vec::new();
        for log in &mut self.logs {
            while log.second() == Some(second) {
                found.extend(log.next.take());
                log.next = log.intervals.next().transpose()?;
            }
        }
        Ok(Some((second, found)))
    }
}

impl Log<'_> {
    /// The second that it stands at, from the start of the recorded part.
    fn second(&self) -> Option<i64> {
        let start = self.next.as_ref()?.start_monotonic_ns;
        #[allow(clippy::cast_possible_wrap)] // times since boot
        let since = start as i64 - self.shard.record_ns as i64;
        // To the nearest: the log keeps milliseconds.
        Some((since + 500_000_000).div_euclid(1_000_000_000))
    }
}

/// The slow requests of all, in the order in which they were due, on the first shard's clock.
fn slow(shards: &[Shard]) -> Vec<SlowRequest> {
    let mut all: Vec<SlowRequest> = Vec::new();
    for shard in shards {
        all.extend(shard.reader.slow().iter().map(|request| SlowRequest {
            intended_ns: shard.moved(request.intended_ns, &shards[0]),
            start_ns: shard.moved(request.start_ns, &shards[0]),
            end_ns: shard.moved(request.end_ns, &shards[0]),
            ..*request
        }));
    }
    all.sort_by_key(|request| request.intended_ns);
    all
}

fn marks(shards: &[Shard]) -> Result<Vec<Mark>, RecordingError> {
    let mut all = Vec::new();
    for shard in shards {
        for mark in shard.reader.marks() {
            let mark = mark?;
            all.push(Mark {
                start_ns: shard.moved(mark.start_ns, &shards[0]),
                end_ns: shard.moved(mark.end_ns, &shards[0]),
                detail: format!("shard {}: {}", shard.index, mark.detail),
                kind: mark.kind,
            });
        }
    }
    all.sort_by_key(|mark| mark.start_ns);
    Ok(all)
}

/// Those of the first shard that watched the target: more would count it more than once.
fn resources(shards: &[Shard]) -> Result<Vec<ResourceSample>, RecordingError> {
    for shard in shards {
        let mut samples = Vec::new();
        for sample in shard.reader.resources() {
            let sample = sample?;
            samples.push(ResourceSample {
                at_ns: shard.moved(sample.at_ns, &shards[0]),
                ..sample
            });
        }
        if !samples.is_empty() {
            return Ok(samples);
        }
    }
    Ok(Vec::new())
}

/// Each shard's pool stays one of its own.
fn pools(shards: &[Shard]) -> Result<Vec<PoolSample>, RecordingError> {
    let mut all = Vec::new();
    for shard in shards {
        for sample in shard.reader.pool() {
            let sample = sample?;
            let pool = match sample.pool.as_str() {
                "" => format!("shard {}", shard.index),
                name => format!("shard {}: {name}", shard.index),
            };
            all.push(PoolSample {
                at_ns: shard.moved(sample.at_ns, &shards[0]),
                pool,
                ..sample
            });
        }
    }
    all.sort_by_key(|sample| sample.at_ns);
    Ok(all)
}

#[cfg(test)]
mod tests;
