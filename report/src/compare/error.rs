//! Why there is nothing to compare.

use std::path::PathBuf;

use crate::recording::RecordingError;

use super::matching::Difference;
use super::order::Side;

/// Why two sides cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A side has no run.
    #[error("{side} has no complete run to compare")]
    NoRuns {
        /// Which.
        side: Side,
    },
    /// Nothing is to be decided.
    #[error("no percentile is given that the verdict is to be about; give for example p99.9")]
    NothingJudged,
    /// A run ended before its time: its figures are of another length of time than those of the others.
    #[error(
        "{} is not a complete recording ({reason}): leave it out", dir.display()
    )]
    Partial {
        /// The recording.
        dir: PathBuf,
        /// Why it is partial.
        reason: String,
    },
    /// A run without a single response.
    #[error("{} holds no response time: there is nothing to compare", dir.display())]
    Empty {
        /// The recording.
        dir: PathBuf,
    },
    /// The same run, twice.
    #[error(
        "{} and {} are the same run: given twice it would count as two measurements", one.display(), other.display()
    )]
    Twice {
        /// One folder.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// Runs of one side that are not repetitions of each other.
    #[error(
        "the runs of {side} are not repetitions of one run: {what} is {first} in {} but {second} in {}",
        first_dir.display(), second_dir.display()
    )]
    Mixed {
        /// Which side.
        side: Side,
        /// What differs.
        what: &'static str,
        /// In the first run.
        first: String,
        /// The first run.
        first_dir: PathBuf,
        /// In another one.
        second: String,
        /// That one.
        second_dir: PathBuf,
    },
    /// Sides that were not loaded alike, or not on the same machine.
    #[error(
        "A and B cannot be compared, since more than what is compared differs: {}",
        list(differences)
    )]
    Unlike {
        /// All that must be the same, and is not.
        differences: Vec<Difference>,
    },
    /// A recording cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

fn list(differences: &[Difference]) -> String {
    let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
