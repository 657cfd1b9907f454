//! Records requests on the thread that sends them and reads their answers.
//!
//! A request belongs to the second in which it was due, and answers come out of order over seconds. So
//! a worker has several seconds open at a time, at most [`OPEN`]; a second is handed to the recorder when
//! nothing due in it is unsent or under way. When there are more, the oldest is handed over unfinished,
//! and what comes for it later goes in a second part, which the recorder writes as a line of its own:
//! histograms add up. No allocation, no lock, no system call per request or second.

use super::flight::Request;
use super::part::{Part, Tag};
use super::timeline::{Progress, Timeline};
use crate::clock::Nanos;
use crate::engine::interval::HIGHEST;
use crate::engine::machine::thread_id;
use rtrb::{Consumer, Producer};
use std::sync::atomic::Ordering;
use tailcut_report::recording::SlowRequest;

/// How many seconds a worker has open at most.
const OPEN: usize = 6;
/// How many parts a worker has: those that are open, and three for a recorder that is late.
pub(super) const PARTS: usize = OPEN + 3;

/// The worker's ends of the rings to and from the recorder.
pub(super) struct Exchange {
    /// Parts to be written. Has room for every part there is: a push cannot fail.
    pub(super) full: Producer<Box<Part>>,
    /// Parts to be filled.
    pub(super) clean: Consumer<Box<Part>>,
}

/// Records one worker's requests.
pub(super) struct Tally<'a> {
    // Boxed: they move between threads, and are 2 KB beside their histograms.
    #[allow(clippy::vec_box)]
    open: Vec<Box<Part>>,
    /// Where the last request sent, and the last answered, were recorded: mostly the next one's place.
    last_sent: usize,
    last_ended: usize,
    exchange: Exchange,
    timeline: &'a Timeline,
    progress: &'a Progress,
    thread: u32,
    completed: u64,
    failed: u64,
    /// Seconds that had to go into the part of another one.
    swaps_missed: u64,
}

impl<'a> Tally<'a> {
    /// For the calling thread.
    pub(super) fn new(
        exchange: Exchange,
        timeline: &'a Timeline,
        progress: &'a Progress,
    ) -> Tally<'a> {
        Tally {
            open: Vec::with_capacity(OPEN),
            last_sent: 0,
            last_ended: 0,
            exchange,
            timeline,
            progress,
            thread: thread_id(),
            completed: 0,
            failed: 0,
            swaps_missed: 0,
        }
    }

    /// Records a send: `free` is since when there was a place for it, `depth` how many requests are now
    /// under way on its connection.
    #[inline(always)]
    pub(super) fn sent(&mut self, intended: Nanos, sent: Nanos, free: Nanos, depth: u32) {
        let place = self.place(intended, self.last_sent);
        self.last_sent = place;
        let part = &mut *self.open[place];
        let lateness = sent.saturating_sub(intended.max(free));
        part.series.record(Tag::SendLateness, lateness.0);
        part.series.record(Tag::QueueDepth, u64::from(depth));
        part.counts.waited += u64::from(intended < free);
        part.under_way += 1;
    }

    /// Records an answer that was read at `end`; `failed` is its kind of failure.
    #[inline(always)]
    pub(super) fn answered(
        &mut self,
        request: &Request,
        end: Nanos,
        schedule_end: Nanos,
        failed: Option<&str>,
    ) {
        let thread = self.thread;
        let place = self.place(request.intended, self.last_ended);
        self.last_ended = place;
        let part = &mut *self.open[place];
        part.under_way = part.under_way.saturating_sub(1);
        let first_byte = if request.first_byte.0 == 0 {
            end
        } else {
            request.first_byte
        };
        let to_first_byte = first_byte.saturating_sub(request.sent);
        part.series.record(Tag::FirstByte, to_first_byte.0);
        ended(part, request, end, thread);
        part.counts.completed += 1;
        part.counts.late += u64::from(end > schedule_end);
        self.completed += 1;
        if let Some(kind) = failed {
            part.counts.failed_answers += 1;
            part.errors.note(kind, 1);
            self.failed += 1;
        }
    }

    /// Records a request that was sent and is given up without an answer: at its age.
    #[cold]
    pub(super) fn given_up(&mut self, request: &Request, at: Nanos, kind: &str) {
        let thread = self.thread;
        let place = self.place(request.intended, self.last_ended);
        self.last_ended = place;
        let part = &mut *self.open[place];
        part.under_way = part.under_way.saturating_sub(1);
        if request.first_byte.0 != 0 {
            let to_first_byte = request.first_byte.saturating_sub(request.sent);
            part.series.record(Tag::FirstByte, to_first_byte.0);
        }
        ended(part, request, at, thread);
        part.counts.unanswered += 1;
        part.errors.note(kind, 1);
        self.failed += 1;
    }

    /// Records a request that fails without having been sent, because nothing can be sent: at its age.
    pub(super) fn refused(&mut self, intended: Nanos, at: Nanos, kind: &str) {
        let place = self.place(intended, self.last_sent);
        self.last_sent = place;
        let part = &mut *self.open[place];
        let age = at.saturating_sub(intended);
        part.series.record(Tag::Response, age.0.min(HIGHEST));
        part.counts.unsent += 1;
        part.errors.note(kind, 1);
        self.failed += 1;
    }

    /// Records `count` requests that were never sent, at the age that they had in the end. `intended` is
    /// the first of them; all are due in the same second.
    pub(super) fn unsent(&mut self, intended: Nanos, age: u64, count: u64) {
        let place = self.place(intended, self.last_sent);
        self.last_sent = place;
        let part = &mut *self.open[place];
        part.series.record_n(Tag::Response, age.min(HIGHEST), count);
        part.counts.unsent += count;
        self.failed += count;
    }

    /// Records that a connection stands, `took` after it was begun; whether it is in the place of another.
    pub(super) fn connected(&mut self, at: Nanos, took: Nanos, again: bool) {
        let place = self.place(at, self.last_sent);
        let part = &mut *self.open[place];
        part.series.record(Tag::Connect, took.0);
        part.counts.reconnects += u64::from(again);
    }

    /// Records that a connection was lost.
    pub(super) fn lost(&mut self, at: Nanos) {
        let place = self.place(at, self.last_sent);
        self.open[place].counts.lost += 1;
    }

    /// Where requests due at `intended` are recorded; `guess` is where to look first.
    #[inline(always)]
    fn place(&mut self, intended: Nanos, guess: usize) -> usize {
        match self.open.get(guess) {
            Some(part) if intended.0.wrapping_sub(part.start.0) < Nanos::SECOND.0 => guess,
            _ => self.find(intended),
        }
    }

    #[inline(never)]
    fn find(&mut self, intended: Nanos) -> usize {
        let second = self.timeline.second_of(intended);
        if let Some(found) = self.open.iter().position(|part| part.second == second) {
            return found;
        }
        if self.open.len() == OPEN {
            let oldest = (0..OPEN).min_by_key(|&place| self.open[place].second);
            self.hand_over(oldest.unwrap_or(0));
        }
        let Ok(mut part) = self.exchange.clean.pop() else {
            // The recorder is late by three seconds or more.
            self.swaps_missed += 1;
            if let Some(nearest) =
                (0..self.open.len()).min_by_key(|&place| self.open[place].second.abs_diff(second))
            {
                return nearest;
            }
            // Not even one is open: the recorder has them all. A new one, once.
            self.open.push(Box::new(Part::new()));
            return self.begin(second);
        };
        part.second = second;
        self.open.push(part);
        self.begin(second)
    }

    /// The part opened last is for `second`.
    fn begin(&mut self, second: u64) -> usize {
        let place = self.open.len() - 1;
        self.open[place].second = second;
        self.open[place].start = self.timeline.start_of(second);
        place
    }

    fn hand_over(&mut self, place: usize) {
        let mut part = self.open.swap_remove(place);
        part.counts.slow_displaced = part.slow.displaced();
        // There is room for every part; if the recorder is gone nobody misses this one.
        let _ = self.exchange.full.push(part);
    }

    /// Hands over the seconds in which nothing is left to do, and tells how far the worker has come.
    /// `next` is the second of the next request to be sent.
    pub(super) fn close_until(&mut self, next: u64) {
        let mut place = 0;
        let mut complete_before = next;
        while let Some(part) = self.open.get(place) {
            if part.second < next && part.under_way == 0 {
                self.hand_over(place);
            } else {
                complete_before = complete_before.min(part.second);
                place += 1;
            }
        }
        self.progress
            .completed
            .store(self.completed, Ordering::Relaxed);
        self.progress.failed.store(self.failed, Ordering::Relaxed);
        // After the pushes: who reads this sees the parts, too.
        self.progress
            .complete_before
            .store(complete_before, Ordering::Release);
    }

    /// The run is over, so waiting disturbs nothing: there will be a part for another second.
    pub(super) fn wait_for_room(&mut self, intended: Nanos) {
        let second = self.timeline.second_of(intended);
        if self.open.iter().any(|part| part.second == second) {
            return;
        }
        while self.exchange.clean.is_empty() && !self.exchange.clean.is_abandoned() {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }

    /// Hands everything over. Returns how many seconds had to share a part.
    pub(super) fn finish(mut self) -> u64 {
        for part in &mut self.open {
            part.under_way = 0;
        }
        self.close_until(u64::MAX);
        self.swaps_missed
    }
}

#[inline(always)]
fn ended(part: &mut Part, request: &Request, end: Nanos, thread: u32) {
    let response = end.saturating_sub(request.intended);
    part.series.record(Tag::Response, response.0);
    let service = end.saturating_sub(request.sent);
    part.series.record(Tag::Service, service.0);
    part.slow.offer(response, || SlowRequest {
        intended_ns: request.intended.0,
        start_ns: request.sent.0,
        end_ns: end.0,
        thread,
        request: request.number,
    });
}
