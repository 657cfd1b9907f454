//! The parts: opened, put in order, and found to be of one load.

use std::path::{Path, PathBuf};

use tailcut_report::recording::{Meta, RESPONSE, Reader};

use super::{MOST_SKEW, MergeError};
use crate::clock::Nanos;

/// One part.
pub(super) struct Shard {
    pub(super) reader: Reader,
    /// Which, from 0.
    pub(super) index: u32,
    /// Where its recorded part begins, on its own `CLOCK_MONOTONIC`.
    pub(super) record_ns: u64,
    /// The same on its wall clock.
    pub(super) start_unix_ns: u64,
}

impl Shard {
    /// An instant of this shard's clock on that of `to`.
    pub(super) fn moved(&self, at_ns: u64, to: &Shard) -> u64 {
        let (from, to) = (self.reader.meta().clock, to.reader.meta().clock);
        let unix = i128::from(at_ns) - i128::from(from.monotonic_ns) + i128::from(from.unix_ns);
        let moved = unix - i128::from(to.unix_ns) + i128::from(to.monotonic_ns);
        u64::try_from(moved).unwrap_or(0)
    }

    /// The machine, for people.
    pub(super) fn host(&self) -> String {
        let host = &self.reader.meta().host;
        format!(
            "{} CPUs of {}, Linux {}",
            host.cpus, host.cpu_model, host.kernel
        )
    }
}

/// Opens them all, in the order of their numbers.
pub(super) fn open(dirs: &[PathBuf]) -> Result<Vec<Shard>, MergeError> {
    let mut shards = Vec::new();
    for dir in dirs {
        shards.push(open_one(dir)?);
    }
    shards.sort_by_key(|shard| shard.index);
    let Some((first, rest)) = shards.split_first() else {
        return Err(MergeError::Nothing);
    };
    let refused = |shard: &Shard, reason: String| MergeError::NotAPart {
        dir: shard.reader.dir().to_path_buf(),
        reason,
    };
    let meta = first.reader.meta();
    for shard in rest {
        if let Some(reason) = difference(meta, shard.reader.meta()) {
            let other = first.reader.dir().display();
            return Err(refused(
                shard,
                format!("this is of another load than {other}: {reason}"),
            ));
        }
        let apart = Nanos(shard.start_unix_ns.abs_diff(first.start_unix_ns));
        if apart > MOST_SKEW {
            return Err(refused(
                shard,
                format!(
                    "it began {apart} apart from {}: start all shards at one instant (--start-at), on machines whose \
                     clocks agree to within {MOST_SKEW}",
                    first.reader.dir().display()
                ),
            ));
        }
    }
    for pair in shards.windows(2) {
        if pair[0].index == pair[1].index {
            let other = pair[0].reader.dir().display();
            return Err(refused(
                &pair[1],
                format!("this is shard {}, and so is {other}", pair[1].index),
            ));
        }
    }
    let of = meta.load.shard_of.unwrap_or(1);
    let missing = (0..of).find(|&index| shards.iter().all(|shard| shard.index != index));
    match missing {
        None => Ok(shards),
        Some(missing) => Err(MergeError::Missing {
            missing,
            of,
            given: shards.len(),
        }),
    }
}

fn open_one(dir: &Path) -> Result<Shard, MergeError> {
    let reader = Reader::open(dir)?;
    let refused = |reason: &str| MergeError::NotAPart {
        dir: dir.to_path_buf(),
        reason: reason.to_owned(),
    };
    let load = &reader.meta().load;
    let (Some(index), Some(of)) = (load.shard_index, load.shard_of) else {
        return Err(refused(
            "this is no part of a load: it was recorded without --shard. Runs of whole loads are compared, not merged",
        ));
    };
    if index >= of {
        return Err(refused(
            "its number is not among its shards: the recording is damaged",
        ));
    }
    if reader.meta().result.is_none() {
        return Err(refused(
            "its run never ended, so that its counts are not known",
        ));
    }
    let mut record_ns = None;
    for interval in reader.intervals() {
        let interval = interval?;
        if interval.series == RESPONSE {
            record_ns = Some(interval.start_monotonic_ns);
            break;
        }
    }
    let record_ns = record_ns.ok_or_else(|| refused("it holds no response times"))?;
    let clock = reader.meta().clock;
    let start_unix_ns = clock
        .unix_ns
        .saturating_add(record_ns.saturating_sub(clock.monotonic_ns));
    Ok(Shard {
        index,
        record_ns,
        start_unix_ns,
        reader,
    })
}

/// The first thing in which two loads differ.
fn difference(a: &Meta, b: &Meta) -> Option<String> {
    let (one, two) = (&a.load, &b.load);
    let texts = [
        ("target", one.target.clone(), two.target.clone()),
        ("name", a.variant.clone(), b.variant.clone()),
        ("tool", a.tool.clone(), b.tool.clone()),
        (
            "number of shards",
            format!("{:?}", one.shard_of),
            format!("{:?}", two.shard_of),
        ),
        (
            "rate of a shard",
            one.rate_target.to_string(),
            two.rate_target.to_string(),
        ),
        ("arrivals", one.pacing.clone(), two.pacing.clone()),
        ("seed", one.seed.to_string(), two.seed.to_string()),
        (
            "duration",
            Nanos(one.duration_ns).to_string(),
            Nanos(two.duration_ns).to_string(),
        ),
        (
            "warm-up",
            Nanos(one.warmup_ns).to_string(),
            Nanos(two.warmup_ns).to_string(),
        ),
        ("workers", one.workers.to_string(), two.workers.to_string()),
        (
            "timeout",
            Nanos(one.timeout_ns).to_string(),
            Nanos(two.timeout_ns).to_string(),
        ),
        (
            "objectives",
            format!("{:?}", one.slo),
            format!("{:?}", two.slo),
        ),
    ];
    let different = texts.into_iter().find(|(_, one, two)| one != two)?;
    let (what, one, two) = different;
    Some(format!("the {what} is {two}, there it is {one}"))
}
