//! That what is drawn is a Poisson process, and the same one everywhere.

use super::*;

const START: Nanos = Nanos(1_000);

fn poisson(rate: u64, seed: u64) -> Poisson {
    Poisson::new(START, Rate::per_second(rate).unwrap(), seed)
}

/// When the first `count` requests of all `lanes` lanes together are due, in order.
fn merged(process: &Poisson, lanes: u32, count: usize) -> Vec<u64> {
    let mut due = Vec::new();
    for worker in 0..lanes {
        let mut lane = process.lane(worker, lanes);
        for _ in 0..count {
            due.push(lane.intended().0);
            lane.advance();
        }
    }
    due.sort_unstable();
    due.truncate(count);
    due
}

fn gaps(due: &[u64]) -> Vec<f64> {
    let mut last = START.0;
    due.iter()
        .map(|&due| (due - std::mem::replace(&mut last, due)) as f64)
        .collect()
}

/// The largest distance between the distribution of `gaps` and the exponential one of this mean.
fn kolmogorov_smirnov(mut gaps: Vec<f64>, mean: f64) -> f64 {
    gaps.sort_unstable_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let distance = gaps.iter().enumerate().map(|(index, gap)| {
        let expected = 1.0 - (-gap / mean).exp();
        let below = (expected - index as f64 / count).abs();
        below.max((expected - (index + 1) as f64 / count).abs())
    });
    distance.fold(0.0, f64::max)
}

const DRAWN: usize = 200_000;

/// Exceeded by one in a hundred exponential samples (Kolmogorov's distribution at 0.99).
fn at_one_percent() -> f64 {
    1.628 / (DRAWN as f64).sqrt()
}

#[test]
fn gaps_are_exponential_by_kolmogorov_and_smirnov() {
    for (rate, seed) in [(1_000, 1), (20_000, 2), (50, 3)] {
        let due = merged(&poisson(rate, seed), 1, DRAWN);
        let distance = kolmogorov_smirnov(gaps(&due), 1e9 / rate as f64);
        assert!(distance < at_one_percent(), "{rate}/s: {distance}");
    }
}

#[test]
fn lanes_laid_over_each_other_have_exponential_gaps_of_the_whole_rate() {
    for (lanes, seed) in [(2, 1), (3, 7), (16, 9)] {
        let due = merged(&poisson(10_000, seed), lanes, DRAWN);
        let distance = kolmogorov_smirnov(gaps(&due), 100_000.0);
        assert!(distance < at_one_percent(), "{lanes} lanes: {distance}");
    }
}

#[test]
fn the_test_of_gaps_tells_other_distributions_apart() {
    let even = vec![1.0; DRAWN];
    assert!(kolmogorov_smirnov(even, 1.0) > at_one_percent());
    let due = merged(&poisson(1_000, 1), 1, DRAWN);
    assert!(kolmogorov_smirnov(gaps(&due), 1.01e6) > at_one_percent());
}

#[test]
fn a_gap_says_nothing_of_the_next() {
    let gaps = gaps(&merged(&poisson(1_000, 5), 1, DRAWN));
    let mean = gaps.iter().sum::<f64>() / DRAWN as f64;
    let both = |lag: usize| {
        let pairs = gaps.iter().zip(&gaps[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>()
    };
    for lag in 1..5 {
        // A sample's correlation of nothing has a deviation of 1 / sqrt(n).
        let correlation = both(lag) / both(0);
        assert!(
            correlation.abs() < 3.3 / (DRAWN as f64).sqrt(),
            "{lag}: {correlation}"
        );
    }
}

#[test]
fn counts_per_window_vary_as_a_poisson_processs_do_by_chi_square() {
    for (rate, lanes) in [(100_000_u64, 1), (100_000, 4), (5_000, 2)] {
        let window = 1_000_000; // 1 ms
        let expected = rate as f64 / 1000.0;
        let due = merged(&poisson(rate, 11), lanes, DRAWN);
        let windows = (due[DRAWN - 1] - START.0) / window;
        let mut counts = vec![0_u32; windows as usize + 1];
        for due in due {
            counts[((due - START.0) / window) as usize] += 1;
        }
        counts.pop(); // the last is not whole
        let spread: f64 = counts
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2) / expected)
            .sum();
        // Fisher's dispersion test: chi-square with as many degrees of freedom as windows; normal for so many.
        let free = counts.len() as f64;
        let off = (spread - free) / (2.0 * free + free / expected).sqrt();
        assert!(off.abs() < 2.58, "{rate}/s by {lanes} lanes: {off}");
    }
}

#[test]
fn as_many_are_due_as_the_rate_says() {
    for rate in [1_000_u64, 1_000_000, 10_000_000] {
        let span = Nanos(200_000 * 1_000_000_000 / rate);
        let due = poisson(rate, 3).lane(0, 1).left_before(START + span);
        // Four standard deviations of a Poisson count of 200,000.
        assert!(
            (due as f64 - 200_000.0).abs() < 4.0 * 200_000_f64.sqrt(),
            "{rate}/s: {due}"
        );
    }
}

#[test]
fn a_seed_gives_the_same_schedule_on_every_machine() {
    let first = |seed, worker, workers| {
        let mut lane = poisson(1_000_000, seed).lane(worker, workers);
        [(); 4].map(|()| {
            let due = lane.intended().0 - START.0;
            lane.advance();
            due
        })
    };
    assert_eq!(first(1, 0, 1), [824, 2_000, 2_148, 2_281]);
    assert_eq!(first(1, 1, 2), [4_062, 5_586, 6_815, 7_561]);
    assert_ne!(first(2, 0, 1), first(1, 0, 1));
    assert_ne!(first(1, 0, 2), first(1, 1, 2));
}

#[test]
fn fractions_of_a_nanosecond_add_up() {
    // 3 ns a request: rounding each gap down would lose a sixth of the time.
    let requests = 500_000_u64;
    let mut lane = poisson(333_333_333, 4).lane(0, 1);
    lane.skip(requests);
    let mean = (lane.intended().0 - START.0) as f64 / requests as f64;
    assert!((mean - 3.0).abs() < 0.03, "{mean}");
}

#[test]
fn the_slowest_rate_there_is_does_not_overflow() {
    let rate = "0.000001".parse().unwrap();
    let mut lane = Poisson::new(Nanos(5), rate, 1).lane(0, u32::MAX);
    lane.skip(1_000);
    assert_eq!(lane.intended(), Nanos(u64::MAX));
}
