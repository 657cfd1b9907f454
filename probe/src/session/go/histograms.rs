//! The Go runtime's own histograms, read from the memory of the process: no probe is needed for them.
//!
//! The runtime counts how long goroutines that could run waited to do so, and how long collections
//! stopped the world (`runtime/metrics` gives the same as `/sched/latencies:seconds` and
//! `/gc/pauses:seconds`). It counts with atomic adds to a table that never moves, so a reader needs no
//! lock; what was added between two readings becomes an HdrHistogram.
//!
//! A value is taken to be in the middle of its bucket, which is up to 6% wide before Go 1.20, and 25% since:
//! see [`HistogramShape`].
//!
//! **Cost.** One read of 6 kB (1.3 kB from Go 1.20 on) an interval, which the target does not notice.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use hdrhistogram::Histogram;

use crate::binary::go::{HistogramPlace, HistogramShape};
use crate::session::counters::empty;

/// One of the runtime's histograms in one process.
#[derive(Debug)]
pub(crate) struct RuntimeHistogram {
    memory: File,
    address: u64,
    shape: HistogramShape,
    last: Vec<u64>,
}

/// What was added between two readings.
#[derive(Debug)]
pub(crate) struct Added {
    pub histogram: Histogram<u64>,
    /// Sum of the values, as near as the buckets tell it.
    pub total: u64,
}

impl RuntimeHistogram {
    /// The histogram at a place of process `pid`. What it holds already does not count.
    ///
    /// # Errors
    /// The memory cannot be read.
    pub fn open(pid: u32, place: &HistogramPlace) -> io::Result<RuntimeHistogram> {
        let mut histogram = RuntimeHistogram {
            memory: File::open(format!("/proc/{pid}/mem"))?,
            address: place.address,
            shape: place.shape,
            last: vec![0; place.shape.counts as usize],
        };
        histogram.last = histogram.read()?;
        Ok(histogram)
    }

    /// What was added since this was last called; nothing if the process has ended.
    pub fn added(&mut self) -> Added {
        let mut added = Added {
            histogram: empty(),
            total: 0,
        };
        let Ok(now) = self.read() else { return added };
        for (bucket, (now, before)) in now.iter().zip(&self.last).enumerate() {
            // Hostile memory may count backwards.
            let count = now.saturating_sub(*before);
            if count == 0 {
                continue;
            }
            let bucket = bucket as u32;
            let low = self.shape.lower_bound(bucket);
            let middle = low + self.shape.lower_bound(bucket + 1).saturating_sub(low) / 2;
            added.histogram.saturating_record_n(middle, count);
            added.total = added.total.saturating_add(middle.saturating_mul(count));
        }
        self.last = now;
        added
    }

    fn read(&self) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; self.last.len() * 8];
        self.memory.read_exact_at(&mut bytes, self.address)?;
        let words = bytes.chunks_exact(8);
        Ok(words
            .map(|word| u64::from_le_bytes(word.try_into().expect("chunks of eight bytes")))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of counters in this very process.
    fn place(counters: &[u64]) -> HistogramPlace {
        HistogramPlace {
            address: counters.as_ptr() as u64,
            shape: HistogramShape::of_counts(counters.len() as u64).unwrap(),
            overflow: None,
        }
    }

    #[test]
    fn what_was_added_between_two_readings_is_told_and_no_more() {
        let mut counters = vec![0_u64; 160];
        counters[40] = 7;
        let mut histogram = RuntimeHistogram::open(std::process::id(), &place(&counters)).unwrap();
        assert_eq!(histogram.added().histogram.len(), 0);
        // Bucket 40 is the first quarter from 2^17 ns on: its middle is 147,456 ns.
        let grown = std::hint::black_box(&mut counters);
        grown[40] += 3;
        grown[3] = 1;
        let added = histogram.added();
        assert_eq!(added.histogram.len(), 4);
        assert_eq!(added.total, 3 * 147_456 + 224);
        assert_eq!(histogram.added().histogram.len(), 0);
    }

    #[test]
    fn memory_that_cannot_be_read_is_an_error() {
        let nowhere = HistogramPlace {
            address: 8,
            ..place(&[0; 160])
        };
        assert!(RuntimeHistogram::open(std::process::id(), &nowhere).is_err());
    }
}
