//! The programs' counters, read once an interval: what was added since the last reading.

use hdrhistogram::Histogram;
use tailcut_probe_ebpf::histogram::{self, BUCKETS, middle_of};
use tailcut_probe_ebpf::series::Fixed;

use super::go::GoTarget;
use crate::programs::{Programs, ProgramsError};

/// Largest value that an interval can hold: the programs' last bucket.
const HIGHEST: u64 = 1 << 42;
/// Two digits keep what the programs' 1.6% left.
const DIGITS: u8 = 2;

/// One series, summed over all CPUs since the programs were loaded.
struct Sum {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
    bytes: u64,
}

/// What one series counted between two readings.
pub(crate) struct Difference {
    pub histogram: Histogram<u64>,
    pub total: u64,
    pub bytes: u64,
    pub under_floor: u64,
}

impl Difference {
    /// What Go's runtime has counted by itself.
    pub fn of_runtime(go: &mut GoTarget, series: u32) -> Difference {
        let added = go.added(series);
        let (histogram, total) =
            added.map_or_else(|| (empty(), 0), |added| (added.histogram, added.total));
        Difference {
            histogram,
            total,
            bytes: 0,
            under_floor: 0,
        }
    }
}

/// Remembers the last reading of each series.
pub(crate) struct Counters {
    last: Vec<(u32, Sum)>,
}

impl Counters {
    pub fn new() -> Counters {
        Counters { last: Vec::new() }
    }

    /// What `series` counted since this was last called for it, or since the beginning. Values below
    /// `floor_ns` are counted apart as well.
    pub fn difference(
        &mut self,
        programs: &Programs,
        series: u32,
        floor_ns: u64,
    ) -> Result<Difference, ProgramsError> {
        let now = sum(programs, series)?;
        let place = match self.last.iter().position(|(number, _)| *number == series) {
            Some(place) => place,
            None => {
                self.last.push((series, Sum::default()));
                self.last.len() - 1
            }
        };
        let before = &mut self.last[place].1;
        let mut difference = Difference {
            histogram: empty(),
            total: now.total.wrapping_sub(before.total),
            bytes: now.bytes.wrapping_sub(before.bytes),
            under_floor: 0,
        };
        for (bucket, (new, old)) in now.counts.iter().zip(before.counts.iter()).enumerate() {
            let added = new.wrapping_sub(*old);
            if added == 0 {
                continue;
            }
            let value = middle_of(bucket);
            difference.histogram.saturating_record_n(value, added);
            if value < floor_ns {
                difference.under_floor += added;
            }
            if series == Fixed::TlbFlush as u32 && bucket == BUCKETS - 1 {
                difference.total = without_full_flushes(difference.total, added);
            }
        }
        *before = now;
        Ok(difference)
    }
}

/// A histogram of the range and precision of all series.
pub(crate) fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST, DIGITS).expect("constant bounds that the library takes")
}

/// The pages of the flushes that had a number of them. Of a flush of everything the kernel says all ones,
/// which is counted in the last bucket, and as -1 in the sum.
fn without_full_flushes(total: u64, full: u64) -> u64 {
    total.wrapping_add(full)
}

impl Default for Sum {
    fn default() -> Sum {
        Sum {
            counts: Box::new([0; BUCKETS]),
            total: 0,
            bytes: 0,
        }
    }
}

fn sum(programs: &Programs, series: u32) -> Result<Sum, ProgramsError> {
    let mut sum = Sum::default();
    for cpu in programs.histogram(series)?.iter() {
        let histogram::Histogram {
            counts,
            total,
            bytes,
        } = &cpu.0;
        for (all, one) in sum.counts.iter_mut().zip(counts) {
            *all += one;
        }
        sum.total = sum.total.wrapping_add(*total);
        sum.bytes = sum.bytes.wrapping_add(*bytes);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_of_all_pages_adds_none_to_their_sum() {
        let mut sum = 0_u64;
        for pages in [1, u64::MAX, 33, u64::MAX] {
            sum = sum.wrapping_add(pages);
        }
        assert_eq!(histogram::bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(without_full_flushes(sum, 2), 34);
    }
}
