//! Log-linear buckets, counted in the kernel.
//!
//! Values below 32 have a bucket each; above, each power of two is divided into 32 equal parts, so
//! that a bucket is at most 1/32 of its values wide and its middle at most 1.6% off. This is the
//! layout of HdrHistogram with five bits of precision; user space turns the difference between two
//! readings into one.
//!
//! **Cost.** 9.5 KiB a series and CPU. Counting is a handful of instructions and one atomic add to
//! memory of this CPU.

/// Parts that each power of two is divided into, as a power of two.
const PRECISION_BITS: u32 = 5;
/// Buckets of one power of two.
const PARTS: u64 = 1 << PRECISION_BITS;
/// Values from here on share the last bucket: 2^41 ns are 37 minutes.
const MAX_EXPONENT: u32 = 41;

/// Buckets of a histogram.
pub const BUCKETS: usize = ((MAX_EXPONENT - PRECISION_BITS + 1) as usize) << PRECISION_BITS;

/// One series on one CPU, counted since the programs were loaded; never reset.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Histogram {
    /// Values counted in each bucket.
    pub counts: [u64; BUCKETS],
    /// Sum of all values.
    pub total: u64,
    /// Sum of the bytes that belonged to them: allocated, mapped, unmapped.
    pub bytes: u64,
}

/// Bucket of `value`; the last one for all that are beyond the range.
#[inline(always)]
pub const fn bucket_of(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let exponent = 63 - value.leading_zeros();
    if exponent >= MAX_EXPONENT {
        return BUCKETS - 1;
    }
    let shift = exponent - PRECISION_BITS;
    ((((shift + 1) as u64) << PRECISION_BITS) + ((value >> shift) & (PARTS - 1))) as usize
}

/// Smallest and largest value of a bucket.
pub const fn bounds_of(bucket: usize) -> (u64, u64) {
    let bucket = bucket as u64;
    if bucket < 2 * PARTS {
        return (bucket, bucket);
    }
    let shift = (bucket >> PRECISION_BITS) - 1;
    let low = (PARTS + (bucket & (PARTS - 1))) << shift;
    (low, low + (1 << shift) - 1)
}

/// Middle of a bucket: at most 1.6% from each of its values.
pub const fn middle_of(bucket: usize) -> u64 {
    let (low, high) = bounds_of(bucket);
    low + (high - low) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_its_bucket() {
        let mut value = 0_u64;
        while value < 1 << (MAX_EXPONENT - 1) {
            for near in [value.saturating_sub(1), value, value + 1] {
                let (low, high) = bounds_of(bucket_of(near));
                assert!(
                    low <= near && near <= high,
                    "{near} is not in {low}..={high}"
                );
            }
            value = value * 9 / 8 + 1;
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 1..BUCKETS {
            assert_eq!(bounds_of(bucket - 1).1 + 1, bounds_of(bucket).0);
        }
    }

    #[test]
    fn a_middle_is_never_more_than_two_per_cent_off() {
        for bucket in 1..BUCKETS {
            let (low, high) = bounds_of(bucket);
            let middle = middle_of(bucket) as f64;
            assert!((middle - low as f64) / low as f64 <= 0.016);
            assert!((high as f64 - middle) / high as f64 <= 0.016);
        }
    }

    #[test]
    fn values_beyond_the_range_share_the_last_bucket() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(1 << MAX_EXPONENT), BUCKETS - 1);
        assert_eq!(bucket_of((1 << MAX_EXPONENT) - 1), BUCKETS - 1);
    }
}
