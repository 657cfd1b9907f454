//! Reads a recording, whatever its writer came to.

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde::de::DeserializeOwned;

use super::lines::is_torn;
use super::whole_file::read;
use super::{
    Interval, Intervals, LATENCY_FILE, META_FILE, META_LIMIT, Mark, Marks, Meta, PauseReader,
    Pauses, PoolSample, PoolSamples, RecordingError, ResourceSample, Resources, SCHEMA, SLOW_FILE,
    SlowRequest, State, beside, merged,
};

/// A recording in memory, every interval of it. For long ones see [`Reader`].
#[derive(Debug, Clone)]
pub struct Recording {
    /// The folder that it was read from.
    pub dir: PathBuf,
    /// What ran; never [`State::Running`].
    pub meta: Meta,
    /// All intervals of all series, in the order of the log.
    pub intervals: Vec<Interval>,
    /// The slow requests that were kept.
    pub slow: Vec<SlowRequest>,
    /// What happened beside the requests: at most [`Recording::MOST_MARKS`].
    pub marks: Vec<Mark>,
    /// The target's use of resources: at most [`Recording::MOST_RESOURCES`].
    pub resources: Vec<ResourceSample>,
    /// What pools held and did: at most [`Recording::MOST_POOL_SAMPLES`].
    pub pool: Vec<PoolSample>,
    /// Marks, samples and slow requests beyond those that are held.
    pub not_read: u64,
    /// A last line of the load generator's files was cut off and has been dropped.
    pub torn: bool,
    /// What a probe recorded of the same run; `None` when nobody traced.
    pub pauses: Option<Pauses>,
}

impl Recording {
    /// Marks that are held at most.
    pub const MOST_MARKS: usize = 10_000;
    /// Samples that are held at most: five hours of ten a second, 16 MB.
    pub const MOST_RESOURCES: usize = 200_000;
    /// Samples of pools that are held at most: a day of one pool, 20 MB.
    pub const MOST_POOL_SAMPLES: usize = 100_000;

    /// Reads a folder.
    ///
    /// # Errors
    /// As [`Reader::open`], and [`RecordingError::Corrupt`] for an interval, a pause, a mark or a
    /// sample that is damaged.
    pub fn read(dir: &Path) -> Result<Recording, RecordingError> {
        let reader = Reader::open(dir)?;
        let intervals = reader.intervals().collect::<Result<_, _>>()?;
        let pauses = reader.pauses.as_ref().map(Pauses::read).transpose()?;
        let (marks, marks_not_read) = beside::at_most(reader.marks(), Recording::MOST_MARKS)?;
        let (resources, resources_not_read) =
            beside::at_most(reader.resources(), Recording::MOST_RESOURCES)?;
        let (pool, pool_not_read) = beside::at_most(reader.pool(), Recording::MOST_POOL_SAMPLES)?;
        let Reader {
            dir,
            meta,
            slow,
            slow_not_read,
            torn,
            ..
        } = reader;
        Ok(Recording {
            dir,
            meta,
            intervals,
            slow,
            marks,
            resources,
            pool,
            not_read: marks_not_read + resources_not_read + pool_not_read + slow_not_read,
            torn,
            pauses,
        })
    }

    /// The intervals of one series, in the order of the log.
    pub fn series<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Interval> + use<'a> {
        let name = name.to_owned();
        self.intervals
            .iter()
            .filter(move |interval| interval.series == name)
    }

    /// One series over the whole run: its intervals, merged.
    pub fn whole(&self, series: &str) -> Histogram<u64> {
        merged(self.series(series).map(|interval| &interval.histogram))
    }
}

/// A recording opened for reading, whose intervals are decoded one at a time.
#[derive(Debug, Clone)]
pub struct Reader {
    dir: PathBuf,
    meta: Meta,
    slow: Vec<SlowRequest>,
    slow_not_read: u64,
    torn: bool,
    pauses: Option<PauseReader>,
}

impl Reader {
    /// Slow requests that are held at most: 40 MB. Writers keep 32 a second.
    pub const MOST_SLOW: usize = 1_000_000;

    /// Reads a folder's files without decoding the intervals yet.
    ///
    /// A log or list that is missing is read as empty: other tools' recordings lack some of them.
    ///
    /// # Errors
    /// [`RecordingError::NotARecording`] without `meta.json`; [`RecordingError::Meta`] and
    /// [`RecordingError::Schema`] when that cannot be understood; [`RecordingError::Io`] when a
    /// file cannot be read; [`RecordingError::Corrupt`] when `slow.jsonl` is damaged. For a
    /// probe's `probe.json` as for `meta.json`, except that it may be missing.
    pub fn open(dir: &Path) -> Result<Reader, RecordingError> {
        let (reader, damage) = Reader::open_damaged(dir)?;
        match damage.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(reader),
        }
    }

    /// As [`Reader::open`], but takes what can be read where a file other than `meta.json` is
    /// damaged, and says what could not be read: the list of slow requests up to its first
    /// damaged line, no pauses where `probe.json` is not understood.
    ///
    /// # Errors
    /// Those of [`Reader::open`] that are about `meta.json`: without it nobody knows what the other
    /// files are of.
    pub fn open_damaged(dir: &Path) -> Result<(Reader, Vec<RecordingError>), RecordingError> {
        let meta_path = dir.join(META_FILE);
        let meta_bytes =
            read(&meta_path, META_LIMIT)?.ok_or_else(|| RecordingError::NotARecording {
                dir: dir.to_path_buf(),
            })?;
        let mut meta: Meta = parse_versioned(&meta_path, &meta_bytes)?;
        let mut damage = Vec::new();
        let (slow, slow_not_read) = read_slow(dir, &mut damage);
        let pauses = PauseReader::open(dir).unwrap_or_else(|error| {
            damage.push(error);
            None
        });
        let torn = [LATENCY_FILE, SLOW_FILE]
            .iter()
            .map(|file| is_torn(&dir.join(file)))
            .chain([beside::torn(dir)])
            .fold(false, |torn, file| {
                torn | file.unwrap_or_else(|error| {
                    damage.push(error);
                    false
                })
            });
        settle_state(&mut meta, torn);
        let reader = Reader {
            dir: dir.to_path_buf(),
            meta,
            slow,
            slow_not_read,
            torn,
            pauses,
        };
        Ok((reader, damage))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What ran; never [`State::Running`].
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The slow requests that were kept: at most [`Reader::MOST_SLOW`].
    pub fn slow(&self) -> &[SlowRequest] {
        &self.slow
    }

    /// Slow requests of the list beyond those.
    pub fn slow_not_read(&self) -> u64 {
        self.slow_not_read
    }

    /// What happened beside the requests, read as it is asked for; none where the file is missing.
    /// Texts in it are as they were written: clean them before showing them.
    pub fn marks(&self) -> Marks {
        beside::marks(&self.dir)
    }

    /// The target's use of resources, read as it is asked for; none where nobody's was sampled.
    pub fn resources(&self) -> Resources {
        beside::resources(&self.dir)
    }

    /// What pools held and did, read as it is asked for; none without a pool.
    pub fn pool(&self) -> PoolSamples {
        beside::pool(&self.dir)
    }

    /// Whether a last line was cut off and has been dropped.
    pub fn torn(&self) -> bool {
        self.torn
    }

    /// What a probe recorded of the same run; `None` when nobody traced.
    pub fn pauses(&self) -> Option<&PauseReader> {
        self.pauses.as_ref()
    }

    /// All intervals of all series, in the order of the log, read and decoded as they are asked
    /// for. Ends after the first error.
    pub fn intervals(&self) -> Intervals {
        Intervals::of(self.dir.join(LATENCY_FILE), self.meta.clock)
    }
}

/// Parses a file of which the schema must be known first.
pub(super) fn parse_versioned<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
) -> Result<T, RecordingError> {
    /// Read first: a newer file may differ in everything else.
    #[derive(serde::Deserialize)]
    struct Version {
        schema: u32,
    }

    let damaged = |source| RecordingError::Meta {
        path: path.to_path_buf(),
        cause: source,
    };
    let Version { schema } = serde_json::from_slice(bytes).map_err(damaged)?;
    if schema > SCHEMA {
        return Err(RecordingError::Schema {
            path: path.to_path_buf(),
            found: schema,
        });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// The slow requests up to the first damaged line, and how many there are beyond the most.
fn read_slow(dir: &Path, damage: &mut Vec<RecordingError>) -> (Vec<SlowRequest>, u64) {
    let mut slow = Vec::new();
    let mut not_read = 0;
    for request in beside::slow(dir) {
        match request {
            Ok(request) if slow.len() < Reader::MOST_SLOW => slow.push(request),
            Ok(_) => not_read += 1,
            Err(error) => damage.push(error),
        }
    }
    (slow, not_read)
}

/// A recording at rest is complete or partial; the reader knows which even when the writer could
/// not say.
fn settle_state(meta: &mut Meta, torn: bool) {
    let reason = match meta.state {
        State::Running => "the recorder ended before it could finish the recording",
        State::Complete if torn => "the last line of a file was cut off and has been dropped",
        State::Complete | State::Partial => return,
    };
    meta.state = State::Partial;
    meta.state_reason.get_or_insert_with(|| reason.to_owned());
}
