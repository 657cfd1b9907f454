//! What each thread of a run does, from its start to its totals.

use super::conduct::{Part, Recording, Run, Seat, ThreadEnd};
use super::handoff::{self, Message, RING, Stopped};
use super::inline;
use super::machine::UsageProbe;
use super::outcome::RunOutcome;
use super::pacer::{Ended, Pacer};
use super::placement::pin;
use super::pool_watch::Watched;
use super::rehearsal;
use super::stage::Stage;
use super::stalls::StallMeter;
use super::tally::{Tally, Totals};
use crate::clock::{Clock, Nanos};
use crate::error::LoadError;
use crate::schedule::Lane;
use crate::services::{WithHalves, WithWorkload};
use crate::workload::{Back, Front, Workload};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Every worker a whole service. The second part makes a lane, by the schedule's begin, the lane's number, and how many
/// there are.
pub(crate) struct Inline<'a, C, M>(pub(crate) Run<'a, C>, pub(crate) M);

impl<C: Clock, L: Lane, M: Fn(Nanos, u32, u32) -> L + Sync> WithWorkload for Inline<'_, C, M> {
    type Output = Result<RunOutcome, LoadError>;

    fn with<W: Workload>(
        self,
        make: impl Fn(u32) -> W + Sync,
        pool: Option<&dyn Watched>,
    ) -> Self::Output {
        let Run {
            plan,
            clock,
            corpus,
            ..
        } = self.0;
        let make_lane = &self.1;
        let services = plan.services();
        let seats = self.0.placement.workers.clone();
        let seats = (0..).zip(seats).map(|(service, cpu)| Seat {
            service,
            cpu,
            part: Part::Recording,
        });
        let body = |seat: &Seat, stage: &Stage, recording: Option<Recording>| {
            if plan.pin {
                pin(seat.cpu)?;
            }
            let mut workload = make(seat.service);
            let lanes = (seat.service, services);
            let count = rehearsal::requests(plan.window);
            let rehearsed = rehearsal::rehearse(corpus, count, lanes, &stage.halt, |request| {
                workload.handle(request);
            });
            let checksum = rehearsed.then(|| workload.checksum());
            let settled = workload.settled_windows();
            let (Some(timeline), Some(recording)) = (stage.wait(seat.index(plan)), recording)
            else {
                return Ok(ThreadEnd {
                    checksum,
                    ..ThreadEnd::default()
                });
            };
            let (lane, lanes) = plan.lane(seat.service);
            let lane = make_lane(timeline.begin, lane, lanes);
            let mut pacer = Pacer::new(lane, timeline.end, timeline.cut, &stage.halt);
            let mut meter = StallMeter::new(timeline.record);
            let progress = &stage.progress[seat.service as usize];
            let mut tally = Tally::new(
                recording.first,
                recording.exchange,
                timeline,
                &stage.decision,
                progress,
            );
            let mut serve = |pacer: &mut Pacer<'_, L>, meter: &mut StallMeter| {
                inline::serve(clock, pacer, corpus, &mut workload, &mut tally, meter)
            };
            let ended =
                match stage.through_warm_up(clock, &mut pacer, &timeline, &mut meter, &mut serve) {
                    Ok(timeline) => {
                        pacer.until(timeline.end, timeline.cut);
                        serve(&mut pacer, &mut meter)
                    }
                    Err(early) => early,
                };
            let totals = tally.finish(pacer.lane, ended);
            let settled = workload.settled_windows() - settled;
            Ok(ThreadEnd {
                totals,
                found: meter.found,
                checksum,
                settled,
            })
        };
        self.0.conduct(seats.collect(), pool, &body)
    }
}

/// Every pair of workers a service. The second part makes a lane, as for [`Inline`].
pub(crate) struct Handoff<'a, C, M>(pub(crate) Run<'a, C>, pub(crate) M);

/// What the two threads of a pair share.
struct Between<P, L> {
    /// Each end is taken by its thread.
    send: Mutex<Option<Producer<Message<P>>>>,
    receive: Mutex<Option<Consumer<Message<P>>>>,
    stopped: Stopped<L>,
}

impl<P, L> Between<P, L> {
    fn new() -> Between<P, L> {
        let (send, receive) = RingBuffer::new(RING);
        Between {
            send: Mutex::new(Some(send)),
            receive: Mutex::new(Some(receive)),
            stopped: OnceLock::new(),
        }
    }
}

fn take<T>(end: &Mutex<Option<T>>) -> Option<T> {
    end.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl<C: Clock, L: Lane, M: Fn(Nanos, u32, u32) -> L + Sync> WithHalves for Handoff<'_, C, M> {
    type Output = Result<RunOutcome, LoadError>;

    fn with<F: Front, B: Back<Parcel = F::Parcel>>(
        self,
        make_front: impl Fn(u32) -> F + Sync,
        make_back: impl Fn(u32) -> B + Sync,
        pool: Option<&dyn Watched>,
    ) -> Self::Output {
        let Run {
            plan,
            clock,
            corpus,
            ..
        } = self.0;
        let make_lane = &self.1;
        let services = plan.services();
        let pairs: Vec<Between<F::Parcel, L>> = (0..services).map(|_| Between::new()).collect();
        let cpus = self.0.placement.workers.clone();
        let seats = (0..).zip(cpus).map(|(worker, cpu)| {
            let part = if worker % 2 == 0 {
                Part::Front
            } else {
                Part::Recording
            };
            Seat {
                service: worker / 2,
                cpu,
                part,
            }
        });

        let front = |seat: &Seat, stage: &Stage, between: &Between<F::Parcel, L>| {
            let mut front = make_front(seat.service);
            // Dropped at the end of this thread, whatever happens: so the back learns of it.
            let Some(mut ring) = take(&between.send) else {
                return Ok(ThreadEnd::default());
            };
            let count = rehearsal::requests(plan.window);
            rehearsal::rehearse(
                corpus,
                count,
                (seat.service, services),
                &stage.halt,
                |request| {
                    let message = Message::unscheduled(front.take_in(request));
                    let _ = handoff::send(clock, &mut ring, message);
                },
            );
            let Some(timeline) = stage.wait(seat.index(plan)) else {
                return Ok(ThreadEnd::default());
            };
            let (lane, lanes) = plan.lane(seat.service);
            let lane = make_lane(timeline.begin, lane, lanes);
            let usage = UsageProbe::of_this_thread();
            let mut meter = StallMeter::new(timeline.record);
            let mut pacer = Pacer::new(lane, timeline.end, timeline.cut, &stage.halt);
            let mut take_in = |pacer: &mut Pacer<'_, L>, meter: &mut StallMeter| {
                handoff::take_in(clock, pacer, corpus, &mut front, &mut ring, meter)
            };
            let warm_up =
                stage.through_warm_up(clock, &mut pacer, &timeline, &mut meter, &mut take_in);
            let (ended, before) = match warm_up {
                Ok(timeline) => {
                    // Two stretches, so that this thread's usage is read where the recording begins.
                    pacer.until(timeline.record, timeline.cut);
                    let mut ended = take_in(&mut pacer, &mut meter);
                    let before = usage.read();
                    if ended == Ended::Schedule {
                        pacer.until(timeline.end, timeline.cut);
                        ended = take_in(&mut pacer, &mut meter);
                    }
                    (ended, before)
                }
                Err(early) => (early, usage.read()),
            };
            let _ = between.stopped.set((pacer.lane, ended));
            let totals = Totals {
                usage: usage.read().since(&before),
                ..Totals::default()
            };
            Ok(ThreadEnd {
                totals,
                found: meter.found,
                ..ThreadEnd::default()
            })
        };

        let back =
            |seat: &Seat, stage: &Stage, between: &Between<F::Parcel, L>, recording: Recording| {
                let mut back = make_back(seat.service);
                let Some(mut ring) = take(&between.receive) else {
                    return Ok(ThreadEnd::default());
                };
                let mut left = rehearsal::requests(plan.window);
                while left > 0 && !(stage.halt.load(Ordering::Relaxed) || ring.is_abandoned()) {
                    match ring.pop() {
                        Ok(message) => {
                            back.finish(message.into_parcel());
                            left -= 1;
                        }
                        Err(_) => clock.relax(),
                    }
                }
                let checksum = (left == 0).then(|| back.checksum());
                let settled = back.settled_windows();
                let Some(timeline) = stage.wait(seat.index(plan)) else {
                    return Ok(ThreadEnd {
                        checksum,
                        ..ThreadEnd::default()
                    });
                };
                let mut meter = StallMeter::new(timeline.record);
                let progress = &stage.progress[seat.service as usize];
                let mut tally = Tally::new(
                    recording.first,
                    recording.exchange,
                    timeline,
                    &stage.decision,
                    progress,
                );
                handoff::finish(clock, &mut ring, &mut back, &mut tally, &mut meter);
                let totals = match between.stopped.get() {
                    Some((lane, ended)) => tally.finish(lane.clone(), *ended),
                    None => {
                        // The front died: its panic is reported, and nothing is known of its schedule.
                        tally.finish(make_lane(timeline.end, 0, 1), Ended::Halted(Nanos(0)))
                    }
                };
                let settled = back.settled_windows() - settled;
                Ok(ThreadEnd {
                    totals,
                    found: meter.found,
                    checksum,
                    settled,
                })
            };

        let body = |seat: &Seat, stage: &Stage, recording: Option<Recording>| {
            if plan.pin {
                pin(seat.cpu)?;
            }
            let between = &pairs[seat.service as usize];
            match recording {
                Some(recording) => back(seat, stage, between, recording),
                None => front(seat, stage, between),
            }
        };
        self.0.conduct(seats.collect(), pool, &body)
    }
}

#[cfg(test)]
mod tests;
