//! The rule on simulated series: how long it takes where nothing changes, and what it must not pass.

use super::*;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// What a second looks like before noise: factors of throughput, median and P99.
type Shape = fn(second: u32) -> (f64, f64, f64);

struct Series {
    shape: Shape,
    /// Standard deviation of the median's logarithm; P99's is five times that.
    noise: f64,
    /// A second in ten has a P99 twenty times as high and a median a third higher.
    spikes: bool,
}

/// Nothing changes.
const STEADY: Shape = |_| (1.0, 1.0, 1.0);
/// Every latency is 5% less each second.
const FALLING: Shape = |second| {
    let factor = 0.95_f64.powi(second as i32);
    (1.0, factor, factor)
};
/// A service that is overloaded by a quarter: its backlog grows by as much each second.
const BACKLOG: Shape = |second| {
    let factor = f64::from(second + 1);
    (1.0, factor, factor)
};
/// From four times its final latency, by a time constant of 2 s.
const DECAYING: Shape = |second| {
    let factor = 1.0 + 3.0 * (-f64::from(second) / 2.0).exp();
    (1.0, factor, factor)
};
/// Only the throughput is still rising.
const SPEEDING_UP: Shape = |second| (1.05_f64.powi(second as i32), 1.0, 1.0);
/// Only the tail is still falling, by half each second.
const TAIL_FALLING: Shape = |second| (1.0, 1.0, 0.5_f64.powi(second as i32));

/// A normal deviate, near enough: the sum of twelve uniform ones.
fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    let uniform = |random: &mut Xoshiro256PlusPlus| f64::from(random.next_u32()) / 2.0_f64.powi(32);
    (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
}

impl Series {
    /// After how many seconds, at most `at_most`, this series passes as stationary.
    fn ends(&self, seed: u64, at_most: u32) -> Option<u64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let spike = random.next_u32() % 10;
        let mut stationarity = Stationarity::new();
        for second in 0..at_most {
            let (throughput, median, p99) = (self.shape)(second);
            let (mut up, mut tail_up) = (1.0, 1.0);
            if self.spikes && second % 10 == spike {
                (up, tail_up) = (4.0 / 3.0, 20.0);
            }
            let second = Second {
                throughput: f64::ln(throughput) + 0.002 * normal(&mut random),
                median: f64::ln(median * up) + self.noise * normal(&mut random),
                p99: f64::ln(10.0 * p99 * tail_up) + 5.0 * self.noise * normal(&mut random),
            };
            if stationarity.take_in(Some(second)) {
                return Some(stationarity.seconds());
            }
        }
        None
    }

    /// In which share of `0..seeds` it ends within `at_most` seconds.
    fn share_that_ends(&self, seeds: u64, at_most: u32) -> f64 {
        let ended = (0..seeds).filter(|&seed| self.ends(seed, at_most).is_some());
        ended.count() as f64 / seeds as f64
    }
}

fn series(shape: Shape, noise: f64) -> Series {
    Series {
        shape,
        noise,
        spikes: false,
    }
}

#[test]
fn a_quiet_service_is_stationary_after_three_seconds() {
    assert_eq!(series(STEADY, 0.0).ends(1, 30), Some(FEWEST));
}

#[test]
fn a_steady_but_noisy_service_ends_its_warm_up_in_time() {
    for (noise, within) in [(0.005, 6), (0.01, 8), (0.03, 12), (0.05, 15), (0.1, 20)] {
        let share = series(STEADY, noise).share_that_ends(200, within);
        assert!(share >= 0.95, "noise {noise}: {share} within {within} s");
    }
}

#[test]
fn a_spike_every_ten_seconds_does_not_keep_the_warm_up_going() {
    for (noise, within) in [(0.01, 12), (0.03, 15), (0.05, 18)] {
        let spiky = Series {
            spikes: true,
            ..series(STEADY, noise)
        };
        let share = spiky.share_that_ends(200, within);
        assert!(share >= 0.95, "noise {noise}: {share} within {within} s");
    }
}

#[test]
fn a_service_that_still_gets_faster_by_five_percent_a_second_does_not_pass() {
    for (noise, at_most) in [
        (0.0, 0.0),
        (0.01, 0.0),
        (0.03, 0.03),
        (0.05, 0.04),
        (0.1, 0.07),
    ] {
        let share = series(FALLING, noise).share_that_ends(200, 30);
        assert!(share <= at_most, "noise {noise}: {share} pass");
    }
}

#[test]
fn a_backlog_that_grows_does_not_pass_however_long_it_grows() {
    assert_eq!(series(BACKLOG, 0.02).share_that_ends(20, 100), 0.0);
}

#[test]
fn a_throughput_that_still_rises_does_not_pass() {
    assert_eq!(series(SPEEDING_UP, 0.01).share_that_ends(100, 30), 0.0);
}

#[test]
fn a_tail_that_still_falls_does_not_pass() {
    assert_eq!(series(TAIL_FALLING, 0.005).share_that_ends(100, 30), 0.0);
}

#[test]
fn a_service_that_warms_up_passes_when_it_has() {
    let decaying = series(DECAYING, 0.02);
    assert_eq!(decaying.share_that_ends(100, 8), 0.0);
    assert!(decaying.share_that_ends(100, 20) >= 0.95);
}

#[test]
fn seconds_without_requests_are_never_stationary() {
    let mut stationarity = Stationarity::new();
    let nothing = crate::engine::interval::histogram();
    assert!((0..100).all(|_| !stationarity.second(0, &nothing)));
    assert_eq!(stationarity.seconds(), 100);
}

#[test]
fn the_longest_run_takes_no_more_memory_than_a_short_one() {
    let mut stationarity = Stationarity::new();
    let mut second = crate::engine::interval::histogram();
    second.record(1_000).unwrap();
    for _ in 0..200 {
        stationarity.second(1, &second);
    }
    assert!(stationarity.latest.len() <= LONGEST);
}
