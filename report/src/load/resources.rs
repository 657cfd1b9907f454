//! Samples of the target's resources, by second of the run.
//!
//! Counters become rates between two samples, spread evenly over the seconds that lie between
//! them. A process that changes, and a clock that stands still or goes back, begin anew.

use crate::digest::Second;
use crate::recording::ResourceSample;

/// The target's use of resources in one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ResourceDigest {
    /// One for each measured second; `None` where there was no sample.
    pub(crate) cores: Vec<Option<f64>>,
    /// Resident memory, the highest of each second, in bytes.
    pub(crate) rss_bytes: Vec<Option<u64>>,
    /// The last process that was seen.
    pub(crate) process: u32,
    /// Samples within the measured time.
    pub(crate) samples: u64,
    /// Time that lies between them, in nanoseconds.
    pub(crate) span_ns: u64,
    /// What was used in that time.
    pub(crate) used: Used,
    /// The highest of all samples.
    pub(crate) peak_rss_bytes: u64,
    pub(crate) peak_threads: u32,
    pub(crate) peak_descriptors: u32,
}

/// Differences of a sample's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) cpu_ns: u64,
    pub(crate) run_queue_wait_ns: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
}

impl Used {
    pub(crate) fn add(&mut self, more: &Used) {
        let sums = [
            (&mut self.cpu_ns, more.cpu_ns),
            (&mut self.run_queue_wait_ns, more.run_queue_wait_ns),
            (&mut self.minor_faults, more.minor_faults),
            (&mut self.major_faults, more.major_faults),
            (&mut self.voluntary_switches, more.voluntary_switches),
            (&mut self.involuntary_switches, more.involuntary_switches),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }

    fn between(before: &ResourceSample, after: &ResourceSample) -> Used {
        let difference = |of: fn(&ResourceSample) -> u64| of(after).saturating_sub(of(before));
        Used {
            cpu_ns: difference(|sample| sample.cpu_ns),
            run_queue_wait_ns: difference(|sample| sample.run_queue_wait_ns),
            minor_faults: difference(|sample| sample.minor_faults),
            major_faults: difference(|sample| sample.major_faults),
            voluntary_switches: difference(|sample| sample.voluntary_switches),
            involuntary_switches: difference(|sample| sample.involuntary_switches),
        }
    }
}

/// Takes samples in the order of time.
pub(super) struct ResourceDigestBuilder<'a> {
    seconds: &'a [Second],
    digest: ResourceDigest,
    /// CPU time and time, by second.
    by_second: Vec<(f64, f64)>,
    last: Option<ResourceSample>,
}

impl<'a> ResourceDigestBuilder<'a> {
    pub(super) fn new(seconds: &'a [Second]) -> ResourceDigestBuilder<'a> {
        ResourceDigestBuilder {
            seconds,
            digest: ResourceDigest {
                rss_bytes: vec![None; seconds.len()],
                ..ResourceDigest::default()
            },
            by_second: vec![(0.0, 0.0); seconds.len()],
            last: None,
        }
    }

    pub(super) fn sample(&mut self, sample: &ResourceSample) {
        let before = self.last.replace(sample.clone());
        let digest = &mut self.digest;
        let inside = match (self.seconds.first(), self.seconds.last()) {
            (Some(first), Some(last)) => {
                let end = last.start_ns.saturating_add(last.length_ns);
                (first.start_ns..=end).contains(&sample.at_ns)
            }
            // A run without a second has samples all the same.
            _ => true,
        };
        if !inside {
            return;
        }
        digest.samples += 1;
        digest.process = sample.process;
        digest.peak_rss_bytes = digest.peak_rss_bytes.max(sample.rss_bytes);
        digest.peak_threads = digest.peak_threads.max(sample.threads);
        digest.peak_descriptors = digest.peak_descriptors.max(sample.descriptors);
        let place = self
            .seconds
            .partition_point(|second| second.start_ns <= sample.at_ns);
        if let Some(rss) = place
            .checked_sub(1)
            .and_then(|place| digest.rss_bytes.get_mut(place))
        {
            *rss = Some(rss.unwrap_or(0).max(sample.rss_bytes));
        }

        let Some(before) =
            before.filter(|before| before.process == sample.process && before.at_ns < sample.at_ns)
        else {
            return;
        };
        let used = Used::between(&before, sample);
        let span_ns = sample.at_ns - before.at_ns;
        digest.span_ns = digest.span_ns.saturating_add(span_ns);
        digest.used.add(&used);
        let cores = used.cpu_ns as f64 / span_ns as f64;
        let first = self.seconds.partition_point(|second| {
            second.start_ns.saturating_add(second.length_ns) <= before.at_ns
        });
        for (second, (cpu, time)) in self.seconds[first..]
            .iter()
            .zip(&mut self.by_second[first..])
            .take_while(|(second, _)| second.start_ns < sample.at_ns)
        {
            let from = second.start_ns.max(before.at_ns);
            let until = second
                .start_ns
                .saturating_add(second.length_ns)
                .min(sample.at_ns);
            let shared = until.saturating_sub(from) as f64;
            *cpu += cores * shared;
            *time += shared;
        }
    }

    /// `None` when there was no sample.
    pub(super) fn finish(mut self) -> Option<ResourceDigest> {
        self.digest.cores = self
            .by_second
            .iter()
            .map(|(cpu, time)| (*time > 0.0).then(|| cpu / time))
            .collect();
        (self.digest.samples > 0).then_some(self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn seconds(number: u64) -> Vec<Second> {
        (0..number)
            .map(|index| Second {
                start_ns: (10 + index) * SECOND,
                length_ns: SECOND,
                requests: 1,
                p50_ns: 1,
                p99_ns: 1,
                p999_ns: 1,
                max_ns: 1,
                heat: Vec::new(),
            })
            .collect()
    }

    fn at(tenths: u64, cpu_tenths: u64, rss_bytes: u64) -> ResourceSample {
        ResourceSample {
            at_ns: 10 * SECOND + tenths * SECOND / 10,
            process: 7,
            cpu_ns: cpu_tenths * SECOND / 10,
            rss_bytes,
            ..ResourceSample::default()
        }
    }

    fn digest(seconds: &[Second], samples: &[ResourceSample]) -> Option<ResourceDigest> {
        let mut builder = ResourceDigestBuilder::new(seconds);
        samples.iter().for_each(|sample| builder.sample(sample));
        builder.finish()
    }

    #[test]
    fn cpu_time_between_two_samples_is_spread_over_the_seconds_between_them() {
        // Half a core for the first second and a half, two cores for the second half of the next.
        let seconds = seconds(3);
        let found = digest(&seconds, &[at(0, 0, 5), at(15, 8, 9), at(20, 18, 7)])
            .expect("there are samples");
        let cores: Vec<f64> = found
            .cores
            .iter()
            .map(|cores| cores.unwrap_or(-1.0))
            .collect();
        assert!((cores[0] - 8.0 / 15.0).abs() < 1e-9, "{cores:?}");
        assert!(
            (cores[1] - (0.5 * 8.0 / 15.0 + 0.5 * 2.0)).abs() < 1e-9,
            "{cores:?}"
        );
        assert_eq!(found.cores[2], None);
        assert_eq!(found.rss_bytes, [Some(5), Some(9), Some(7)]);
        assert_eq!(found.used.cpu_ns, 18 * SECOND / 10);
    }

    #[test]
    fn another_process_or_a_clock_that_goes_back_begins_anew() {
        let seconds = seconds(2);
        let mut other = at(10, 1, 5);
        other.process = 8;
        let found = digest(&seconds, &[at(0, 90, 5), other, at(5, 3, 5), at(5, 9, 5)])
            .expect("there are samples");
        assert_eq!((found.used.cpu_ns, found.span_ns), (0, 0));
    }

    #[test]
    fn samples_outside_the_measured_time_are_left_out_and_none_at_all_is_nothing() {
        let mut early = at(0, 0, 99);
        early.at_ns = 9 * SECOND;
        let seconds = seconds(1);
        let found = digest(&seconds, &[early, at(30, 9, 99)]);
        assert_eq!(found, None);
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let seconds = seconds(2);
        let mut last = at(20, 0, u64::MAX);
        last.cpu_ns = u64::MAX;
        let found = digest(&seconds, &[at(0, 0, 0), last]).expect("there are samples");
        assert!(found.cores.iter().flatten().all(|cores| cores.is_finite()));
    }
}
