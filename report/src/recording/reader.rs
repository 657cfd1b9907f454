//! Reads a recording, whatever its writer came to.

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde::de::DeserializeOwned;

use super::whole_file::read;
use super::{
    Interval, LATENCY_FILE, META_FILE, Mark, Marks, Meta, PauseReader, Pauses, PoolSample,
    PoolSamples, RecordingError, ResourceSample, Resources, SCHEMA, SLOW_FILE, SlowRequest, State,
    beside, hlog, merged,
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
    /// Marks and samples beyond those.
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
            not_read: marks_not_read + resources_not_read + pool_not_read,
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
    torn: bool,
    log: Vec<u8>,
    pauses: Option<PauseReader>,
}

impl Reader {
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
        let meta_bytes =
            read(&dir.join(META_FILE), u64::MAX)?.ok_or_else(|| RecordingError::NotARecording {
                dir: dir.to_path_buf(),
            })?;
        let mut meta: Meta = parse_versioned(&dir.join(META_FILE), &meta_bytes)?;

        let mut log = read(&dir.join(LATENCY_FILE), u64::MAX)?.unwrap_or_default();
        let log_torn = drop_torn_line(&mut log);

        let slow_path = dir.join(SLOW_FILE);
        let mut slow_bytes = read(&slow_path, u64::MAX)?.unwrap_or_default();
        let slow_torn = drop_torn_line(&mut slow_bytes);

        let torn = log_torn || slow_torn || beside::torn(dir)?;
        settle_state(&mut meta, torn);
        Ok(Reader {
            dir: dir.to_path_buf(),
            meta,
            slow: parse_slow(&slow_path, &slow_bytes)?,
            torn,
            log,
            pauses: PauseReader::open(dir)?,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What ran; never [`State::Running`].
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The slow requests that were kept.
    pub fn slow(&self) -> &[SlowRequest] {
        &self.slow
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

    /// All intervals of all series, in the order of the log, decoded as they are asked for. Ends
    /// after the first error.
    pub fn intervals(&self) -> Intervals<'_> {
        Intervals {
            path: self.dir.join(LATENCY_FILE),
            rest: &self.log,
            line: 0,
            decoder: hlog::Decoder::new(self.meta.clock),
        }
    }
}

/// Iterator over the intervals of a [`Reader`].
pub struct Intervals<'a> {
    path: PathBuf,
    rest: &'a [u8],
    line: usize,
    decoder: hlog::Decoder,
}

impl Iterator for Intervals<'_> {
    type Item = Result<Interval, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let (line, rest) = self
                .rest
                .split_at(end.map_or(self.rest.len(), |end| end + 1));
            self.rest = rest;
            self.line += 1;
            match self.decoder.line(line) {
                Ok(Some(interval)) => return Some(Ok(interval)),
                Ok(None) => {}
                Err(reason) => {
                    self.rest = &[];
                    return Some(Err(RecordingError::Corrupt {
                        path: self.path.clone(),
                        line: self.line,
                        reason,
                    }));
                }
            }
        }
        None
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

/// Cuts off what follows the last line end; says whether there was anything.
fn drop_torn_line(bytes: &mut Vec<u8>) -> bool {
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let torn = whole < bytes.len();
    bytes.truncate(whole);
    torn
}

fn parse_slow(path: &Path, bytes: &[u8]) -> Result<Vec<SlowRequest>, RecordingError> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|cause| RecordingError::Corrupt {
                path: path.to_path_buf(),
                line: index + 1,
                reason: format!("this is no slow request: {cause}"),
            })
        })
        .collect()
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
