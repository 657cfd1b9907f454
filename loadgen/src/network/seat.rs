//! One worker's thread, from its connections to its last answer.

use super::session::MakeSession;
use super::source::Source;
use super::tally::{Exchange, Tally};
use super::timeline::{HaltOnPanic, Shared, Timeline};
use super::worker::{Settings, Worker, WorkerEnd};
use crate::clock::{Clock, Nanos};
use crate::engine::machine::thread_id;
use crate::engine::placement::pin;
use crate::error::LoadError;
use crate::scenario::{Pacing, Scenario, Shard};
use crate::schedule::Schedule;
use hdrhistogram::Histogram;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// One worker's place in the run.
pub(super) struct Seat<'a> {
    pub(super) index: usize,
    pub(super) cpu: u32,
    pub(super) scenario: &'a Scenario,
    pub(super) shared: &'a Shared,
    /// Connection times from before the schedule, of all workers.
    pub(super) before: &'a Mutex<Histogram<u64>>,
    pub(super) settings: Settings,
}

impl Seat<'_> {
    /// Makes the connections, waits for the timeline, works; a failure ends the whole run.
    pub(super) fn work<C: Clock, M: MakeSession>(
        self,
        clock: &C,
        maker: &M,
        exchange: Exchange,
    ) -> Result<WorkerEnd, LoadError> {
        let _halt = HaltOnPanic(self.shared);
        let shared = self.shared;
        let end = self.work_on(clock, maker, exchange);
        if end.is_err() {
            shared.halt();
        }
        end
    }

    fn work_on<C: Clock, M: MakeSession>(
        self,
        clock: &C,
        maker: &M,
        exchange: Exchange,
    ) -> Result<WorkerEnd, LoadError> {
        let Seat {
            index,
            cpu,
            scenario,
            shared,
            before,
            settings,
        } = self;
        if settings.pin {
            pin(cpu)?;
        }
        let mut worker = Worker::new(clock, maker, shared, index, settings)?;
        worker.connect()?;
        let _ = lock(before).add(worker.connect_times());
        shared.workers[index]
            .ready
            .store(thread_id(), Ordering::Release);
        let Some(timeline) = wait_for_timeline(shared) else {
            return Ok(WorkerEnd::default());
        };
        let source = source(scenario, timeline.begin, index);
        let tally = Tally::new(exchange, timeline, &shared.workers[index]);
        Ok(worker.run(timeline, source, tally)?)
    }
}

fn wait_for_timeline(shared: &Shared) -> Option<&Timeline> {
    loop {
        if shared.halted() {
            return None;
        }
        if let Some(timeline) = shared.timeline.get() {
            return Some(timeline);
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// The requests of worker `index`.
fn source(scenario: &Scenario, begin: Nanos, index: usize) -> Source {
    let shard = scenario.shard.unwrap_or(Shard { index: 0, of: 1 });
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let lane = shard.index * scenario.workers + index;
    let lanes = shard.of * scenario.workers;
    match &scenario.pacing {
        Pacing::Open { rate, arrivals } => {
            let schedule = Schedule::new(begin, *rate, arrivals, scenario.seed);
            Source::Open(schedule.lane(lane, lanes))
        }
        Pacing::Closed => Source::Closed {
            next: u64::from(lane),
            stride: u64::from(lanes),
            begin,
        },
    }
}

/// Connection times from before the schedule.
pub(super) fn lock(before: &Mutex<Histogram<u64>>) -> MutexGuard<'_, Histogram<u64>> {
    before.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of `all` connections worker `index` of `workers` has.
pub(super) fn share(all: u32, index: usize, workers: usize) -> u32 {
    let (index, workers) = (
        u32::try_from(index).unwrap_or(u32::MAX),
        u32::try_from(workers).unwrap_or(u32::MAX).max(1),
    );
    all / workers + u32::from(index < all % workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_shared_out_evenly_and_none_is_lost() {
        for (all, workers) in [(7, 3), (16, 4), (10_000, 7), (3, 3)] {
            let shares: Vec<u32> = (0..workers)
                .map(|index| share(all, index, workers))
                .collect();
            assert_eq!(shares.iter().sum::<u32>(), all);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
