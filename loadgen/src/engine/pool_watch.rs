//! Looks at the pool of a run, for the recording: what it holds and has done, and how large it should be.
//!
//! The thread that records looks at every turn of its loop, some 200 times a second, and writes one sample a second.
//! Looking only when a second closes would mislead: a window that fills and empties 20 times a second is then
//! always seen at the same place, and the mean of what is in use would be that place.
//!
//! A look reads counters that the pool keeps anyway, some words per core, on the recorder's own core. A worker pays
//! for it by fetching back the line that was read. Its gets and puts do nothing more than without it.

use super::interval::Timeline;
use crate::clock::Nanos;
use crate::order::preshaped::FlatOrder;
use std::time::Duration;
use tailcut_pool::sizing::{Rate, Sizing};
use tailcut_pool::{Path, Pool, Statistics};
use tailcut_report::recording::{PoolSample, PoolSizing};

/// A pool, whatever its objects are.
pub(crate) trait Watched {
    /// Which per-core path it uses.
    fn path(&self) -> Path;

    /// What it holds and has done.
    fn statistics(&self) -> Statistics;
}

impl Watched for Pool<FlatOrder> {
    fn path(&self) -> Path {
        Pool::path(self)
    }

    fn statistics(&self) -> Statistics {
        Pool::statistics(self)
    }
}

/// Watches the pool of a run, if it has one.
pub(crate) struct PoolWatch<'a> {
    pool: Option<&'a dyn Watched>,
    /// When the next sample is due; nothing before the first.
    next: Option<Nanos>,
    /// The recorded schedule has ended.
    over: bool,
    /// Since the last sample, and since the first.
    recent: Seen,
    whole: Seen,
    first: PoolSample,
    last: PoolSample,
}

/// What was in use, over some looks.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    looks: u64,
    sum: u64,
    most: u64,
}

impl Seen {
    fn add(&mut self, in_use: u64) {
        self.looks += 1;
        self.sum = self.sum.saturating_add(in_use);
        self.most = self.most.max(in_use);
    }

    #[allow(clippy::cast_precision_loss)] // a mean
    fn mean(&self) -> f64 {
        self.sum as f64 / self.looks.max(1) as f64
    }
}

impl<'a> PoolWatch<'a> {
    pub(crate) fn new(pool: Option<&'a dyn Watched>) -> PoolWatch<'a> {
        PoolWatch {
            pool,
            next: None,
            over: false,
            recent: Seen::default(),
            whole: Seen::default(),
            first: PoolSample::default(),
            last: PoolSample::default(),
        }
    }

    /// Looks at the pool, if `now` is within the recorded schedule; a sample where it begins, then once a second, and
    /// where it ends.
    pub(crate) fn turn(&mut self, now: Nanos, timeline: &Timeline) -> Option<PoolSample> {
        let pool = self.pool?;
        if self.over || now < timeline.record {
            return None;
        }
        let statistics = pool.statistics();
        let in_use = statistics.in_use as u64;
        self.recent.add(in_use);
        self.whole.add(in_use);
        self.over = now >= timeline.end;
        if !self.over && self.next.is_some_and(|next| now < next) {
            return None;
        }
        let first = self.next.is_none();
        self.next = Some(self.next.unwrap_or(timeline.record).max(now) + Nanos::SECOND);
        let sample = sample(now, &statistics, std::mem::take(&mut self.recent));
        if first {
            self.first = sample.clone();
        }
        self.last = sample.clone();
        Some(sample)
    }

    /// How large the pool should be by what was seen; nothing without a pool that was used.
    pub(crate) fn sizing(&self) -> Option<PoolSizing> {
        let gets = self.last.gets.saturating_sub(self.first.gets);
        let time = Duration::from_nanos(self.last.at_ns.saturating_sub(self.first.at_ns));
        if gets == 0 || time.is_zero() {
            return None;
        }
        #[allow(clippy::cast_precision_loss)] // far below 2^53
        let rate = gets as f64 / time.as_secs_f64();
        // Little's law the other way round: what is held on average, over what is taken in a second.
        let held = Duration::try_from_secs_f64(self.whole.mean() / rate).ok()?;
        let advice = Sizing::for_load(Rate::per_second(rate), held)
            .recommend()
            .ok()?;
        let for_peak = Sizing::from_peak(self.last.high_water).recommend();
        Some(PoolSizing {
            rate,
            held_ns: u64::try_from(held.as_nanos()).unwrap_or(u64::MAX),
            in_use: advice.in_use,
            capacity: advice.capacity as u64,
            back_pressure_at: advice.back_pressure_at as u64,
            capacity_for_peak: for_peak.map_or(0, |advice| advice.capacity as u64),
        })
    }
}

fn sample(now: Nanos, statistics: &Statistics, seen: Seen) -> PoolSample {
    let total = statistics.total();
    PoolSample {
        at_ns: now.0,
        pool: String::new(),
        capacity: statistics.capacity as u64,
        in_use: statistics.in_use as u64,
        // A tenth of an object is as exact as anybody reads it.
        in_use_mean: (seen.mean() * 10.0).round() / 10.0,
        in_use_max: seen.most,
        looks: seen.looks,
        high_water: statistics.high_water as u64,
        in_depot: (statistics.in_depot + statistics.loose) as u64,
        at_hand: total.resident as u64,
        waiting: statistics.waiting as u64,
        gets: total.gets,
        puts: total.puts,
        refills: total.refills,
        spills: total.spills,
        steals: total.steals,
        misses: total.misses,
        waits: total.waits,
        grown: statistics.grown,
        shrunk: statistics.shrunk,
        discarded: statistics.discarded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    fn timeline(seconds: u64) -> Timeline {
        let second = Nanos::SECOND;
        Timeline::new(Nanos(second.0 * 10), second, Nanos(second.0 * seconds))
    }

    /// Looks every 5 ms from before the beginning to after the end, while `with` takes and gives back.
    fn watch(
        pool: &Pool<FlatOrder>,
        seconds: u64,
        mut with: impl FnMut(u64),
    ) -> (Vec<PoolSample>, Option<PoolSizing>) {
        let timeline = timeline(seconds);
        let mut watch = PoolWatch::new(Some(pool));
        let mut samples = Vec::new();
        for turn in 0..(seconds + 3) * 200 {
            with(turn);
            let now = Nanos(timeline.begin.0 + turn * 5 * MILLISECOND);
            samples.extend(watch.turn(now, &timeline));
        }
        (samples, watch.sizing())
    }

    fn pool() -> Pool<FlatOrder> {
        Pool::builder(FlatOrder::new)
            .capacity(1_000)
            .build()
            .expect("a small pool")
    }

    #[test]
    fn there_is_a_sample_at_the_beginning_each_second_and_at_the_end_of_the_schedule_only() {
        let pool = pool();
        let timeline = timeline(3);
        let (samples, _) = watch(&pool, 3, |_| {});
        let at: Vec<u64> = samples
            .iter()
            .map(|sample| (sample.at_ns - timeline.record.0) / Nanos::SECOND.0)
            .collect();
        assert_eq!(at, [0, 1, 2, 3]);
        assert_eq!(samples[1].looks, 200);
    }

    #[test]
    fn a_window_that_fills_and_empties_in_step_with_the_samples_is_seen_at_its_mean_and_its_peak() {
        let pool = pool();
        let mut held = Vec::new();
        // Full with 200, every second: at each sample it has just been emptied.
        let (samples, sizing) = watch(&pool, 2, |turn| {
            if turn % 200 == 0 {
                held.clear();
            }
            held.push(pool.try_get().expect("there is room"));
        });
        let second = &samples[1];
        assert!(second.in_use <= 2, "{second:?}");
        assert!((second.in_use_mean - 100.0).abs() < 2.0, "{second:?}");
        assert!((199..=200).contains(&second.in_use_max), "{second:?}");
        // 200 a second, each held for half a second on average.
        let sizing = sizing.expect("it was used");
        assert!((sizing.rate - 200.0).abs() < 2.0, "{sizing:?}");
        assert!((sizing.in_use - 100.0).abs() < 2.0, "{sizing:?}");
        assert_eq!((sizing.capacity, sizing.back_pressure_at), (256, 192));
        assert!(sizing.capacity_for_peak >= 512, "{sizing:?}");
    }

    #[test]
    fn a_pool_that_nobody_uses_has_no_size_to_recommend_and_no_pool_has_no_sample() {
        assert_eq!(watch(&pool(), 1, |_| {}).1, None);
        let timeline = timeline(1);
        let mut watch = PoolWatch::new(None);
        assert_eq!(watch.turn(timeline.record, &timeline), None);
        assert_eq!(watch.sizing(), None);
    }
}
