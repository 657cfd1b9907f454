//! Runs that were never made: figures with the noise that runs have, for tests of what is said of them.

use std::path::{Path, PathBuf};

use crate::recording::{self, ClockPair, Load, Meta, RunResult, SCHEMA, State};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::order::{Side, order};
use super::run::Run;
use crate::statistics::power::Normals;

/// How figures differ from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noise {
    /// Normal in the logarithm.
    LogNormal,
    /// The same, and one run in ten is larger by a factor of e on average.
    Outliers,
    /// Exponential in the logarithm.
    Skewed,
}

/// A source of logarithms of figures, one a run.
pub(crate) struct RunToRun {
    noise: Noise,
    size: f64,
    random: Normals,
}

impl RunToRun {
    pub(crate) fn new(noise: Noise, size: f64, seed: u64) -> RunToRun {
        RunToRun {
            noise,
            size,
            random: Normals(Xoshiro256PlusPlus::seed_from_u64(seed)),
        }
    }

    /// So many runs of each of two equal sides.
    pub(crate) fn sides(&mut self, runs: usize) -> (Vec<f64>, Vec<f64>) {
        let mut side = || (0..runs).map(|_| self.next()).collect();
        (side(), side())
    }

    pub(crate) fn next(&mut self) -> f64 {
        let normal = self.random.next() * self.size;
        match self.noise {
            Noise::LogNormal => normal,
            Noise::Outliers if self.random.uniform() < 0.1 => normal + self.exponential(),
            Noise::Outliers => normal,
            Noise::Skewed => self.exponential() * self.size,
        }
    }

    /// The median that the values have in the long run.
    pub(crate) fn median(&self) -> f64 {
        match self.noise {
            Noise::LogNormal => 0.0,
            Noise::Skewed => std::f64::consts::LN_2 * self.size,
            Noise::Outliers => {
                let mut same = RunToRun::new(self.noise, self.size, 99);
                let values: Vec<f64> = (0..100_001).map(|_| same.next()).collect();
                crate::statistics::median_of(&values)
            }
        }
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.random.uniform()).ln()
    }
}

/// A machine and what is compared on it.
///
/// What differs from run to run is a factor on the whole run and one more on each percentile, the larger the higher
/// it is, as measured runs have it; with drift, the machine becomes slower or faster over the session; with
/// outliers one run in ten is slower by a factor of 2.7 on average.
#[derive(Clone, Copy)]
pub(crate) struct Conditions {
    /// Of the factor on a whole run, and of those on P50, P99 and P99.9: standard deviations of logarithms.
    pub(crate) whole_run: f64,
    pub(crate) percentiles: [f64; 3],
    /// Of the drift over a session: standard deviation of its logarithm.
    pub(crate) drift: f64,
    pub(crate) noise: Noise,
    /// B's figures over A's.
    pub(crate) effect: [f64; 3],
}

/// Figures vary by 5 to 10% from run to run.
pub(crate) const QUIET: Conditions = Conditions {
    whole_run: 0.05,
    percentiles: [0.02, 0.06, 0.08],
    drift: 0.0,
    noise: Noise::LogNormal,
    effect: [1.0; 3],
};

/// The same, with drift and one run in ten far out.
pub(crate) const NOISY: Conditions = Conditions {
    drift: 0.3,
    noise: Noise::Outliers,
    ..QUIET
};

/// Makes sessions: P50, P99 and P99.9 of each run, as logarithms.
pub(crate) struct Machine {
    conditions: Conditions,
    whole: RunToRun,
    normal: RunToRun,
}

impl Machine {
    pub(crate) fn new(conditions: Conditions, seed: u64) -> Machine {
        Machine {
            conditions,
            whole: RunToRun::new(conditions.noise, conditions.whole_run, seed),
            normal: RunToRun::new(Noise::LogNormal, 1.0, seed + 1),
        }
    }

    /// So many runs of A and of B, in the order in which they would be made.
    pub(crate) fn session(&mut self, runs: u32) -> [[Vec<f64>; 3]; 2] {
        let conditions = self.conditions;
        let drift = conditions.drift * self.normal.next();
        let mut sides: [[Vec<f64>; 3]; 2] = Default::default();
        for turn in order(runs) {
            let time = f64::from(turn.sequence) / f64::from(2 * runs);
            let of_run = self.whole.next() + drift * time;
            let side = &mut sides[usize::from(turn.side == Side::B)];
            for (index, figures) in side.iter_mut().enumerate() {
                let own = self.normal.next() * conditions.percentiles[index];
                let effect = match turn.side {
                    Side::A => 0.0,
                    Side::B => conditions.effect[index].ln(),
                };
                figures.push(of_run + own + effect);
            }
        }
        sides
    }
}

/// A complete run whose response times are these, in microseconds, made on one machine at 1,000/s.
pub(crate) fn run_of(name: &str, dir: &Path, clock: u64, micros: &[u64]) -> Run {
    let mut response = recording::empty();
    for value in micros {
        response.saturating_record(value * 1_000);
    }
    let offered = micros.len() as u64;
    Run {
        dir: dir.to_path_buf(),
        meta: Meta {
            schema: SCHEMA,
            state: State::Complete,
            variant: name.to_owned(),
            clock: ClockPair {
                monotonic_ns: clock,
                unix_ns: clock,
            },
            load: Load {
                rate_target: 1_000.0,
                duration_ns: 1_000_000_000,
                pacing: "constant".to_owned(),
                target: "http://127.0.0.1:80/".to_owned(),
                ..Load::default()
            },
            result: Some(RunResult {
                offered,
                completed: offered,
                rate_achieved: 1_000.0,
                schedule_kept: true,
                ..RunResult::default()
            }),
            ..Meta::default()
        },
        response,
    }
}

/// Runs of one side, each with a body of requests whose latencies are scaled by a factor of that run.
pub(crate) fn side(name: &str, factors: &[f64]) -> Vec<Run> {
    let run = |(index, factor): (usize, &f64)| {
        // 20,000 requests from 100 us on, a tail of twenty times that.
        let micros: Vec<u64> = (0..20_000_u64)
            .map(|request| {
                100 + 100 * request / 20_000 + if request % 500 == 0 { 2_000 } else { 0 }
            })
            .map(|micros| (micros as f64 * factor) as u64)
            .collect();
        let dir = PathBuf::from(format!("{name}-{index}"));
        // No two runs have the same.
        let clock = u64::from(name.as_bytes()[0]) * 1_000 + index as u64 + 1;
        run_of(name, &dir, clock, &micros)
    };
    factors.iter().enumerate().map(run).collect()
}
