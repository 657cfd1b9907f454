//! Calls by what they asked for, in classes of powers of two.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

/// Classes there can be.
const CLASSES: usize = 64;

/// The calls of one series by size.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SizeSummary {
    /// The series: `malloc@jemalloc`.
    pub name: String,
    /// Calls that were seen, of all sizes.
    pub calls: u64,
    /// The classes that have any, smallest first.
    pub classes: Vec<SizeClass>,
}

/// One class of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct SizeClass {
    /// From so many bytes on, up to less than twice that.
    pub bytes: u64,
    /// Calls that were seen.
    pub calls: u64,
    /// Their share, 0 to 1.
    pub share: f64,
}

/// Calls by class, added up.
#[derive(Debug, Clone)]
pub(super) struct Sizes([u64; CLASSES]);

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes([0; CLASSES])
    }
}

impl Sizes {
    /// Adds what a probe counted by class.
    pub(super) fn classes(&mut self, calls: &[u64]) {
        for (sum, calls) in self.0.iter_mut().zip(calls) {
            *sum = sum.saturating_add(*calls);
        }
    }

    /// Adds what a probe recorded as values.
    pub(super) fn values(&mut self, bytes: &Histogram<u64>) {
        for value in bytes.iter_recorded() {
            let lowest = bytes.lowest_equivalent(value.value_iterated_to());
            let sum = &mut self.0[lowest.max(1).ilog2() as usize];
            *sum = sum.saturating_add(value.count_at_value());
        }
    }

    /// `None` without a call.
    pub(super) fn finish(&self, name: String) -> Option<SizeSummary> {
        let calls = self
            .0
            .iter()
            .fold(0_u64, |sum, calls| sum.saturating_add(*calls));
        let class = |(class, of): (usize, &u64)| SizeClass {
            bytes: 1 << class,
            calls: *of,
            share: *of as f64 / calls as f64,
        };
        let classes = self.0.iter().enumerate().filter(|(_, calls)| **calls > 0);
        (calls > 0).then(|| SizeSummary {
            name,
            calls,
            classes: classes.map(class).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording;

    #[test]
    fn a_size_belongs_to_the_power_of_two_below_it_however_it_was_recorded() {
        let mut values = recording::empty();
        for bytes in [1, 16, 24, 31, 32] {
            values.saturating_record(bytes);
        }
        let mut sizes = Sizes::default();
        sizes.values(&values);
        sizes.classes(&[0, 0, 0, 0, 5]);
        let found = sizes.finish("malloc".to_owned()).expect("there are some");
        let classes: Vec<_> = found
            .classes
            .iter()
            .map(|class| (class.bytes, class.calls))
            .collect();
        assert_eq!(classes, [(1, 1), (16, 8), (32, 1)]);
        assert_eq!(found.calls, 10);
        assert!(Sizes::default().finish(String::new()).is_none());
    }
}
