//! Two threads share a request: one decodes and stores it, the other settles it.
//!
//! Between them is a bounded ring; the intended start travels with the message, so response time
//! includes the wait in it. Service time is the sum of both threads' parts without that wait. A
//! full ring makes the front wait: its next requests start late, and their responses show it.

use super::pacer::{Due, Ended, Next, Pacer};
use super::stalls::{IDLE_GAP, StallMeter};
use super::tally::Tally;
use crate::clock::{Clock, Nanos};
use crate::order::generate::Corpus;
use crate::schedule::Lane;
use crate::workload::{Back, Front};
use rtrb::{Consumer, Producer, PushError};
use std::sync::OnceLock;

/// How many messages fit between the two threads: half a millisecond at 2.4 million a second,
/// enough for a timer interrupt on either side, and few enough to stay in the second-level cache.
pub(crate) const RING: usize = 1024;

/// A request on its way between the threads.
pub(crate) struct Message<P> {
    due: Due,
    /// Time in the front's service.
    taken: Nanos,
    parcel: P,
}

impl<P> Message<P> {
    /// One that is not on the schedule: from the pass before the run.
    pub(crate) fn unscheduled(parcel: P) -> Message<P> {
        let due = Due {
            request: 0,
            intended: Nanos(0),
            start: Nanos(0),
        };
        Message {
            due,
            taken: Nanos(0),
            parcel,
        }
    }

    pub(crate) fn into_parcel(self) -> P {
        self.parcel
    }
}

/// Where the front stopped: for the back, which accounts for what was never started.
pub(crate) type Stopped<L> = OnceLock<(L, Ended)>;

/// Pushes `message`, waiting for room. Returns whether it had to wait, or `Err` if nobody reads.
#[inline(always)]
pub(crate) fn send<C: Clock, P>(
    clock: &C,
    ring: &mut Producer<Message<P>>,
    message: Message<P>,
) -> Result<bool, ()> {
    let mut unsent = message;
    let mut waited = false;
    loop {
        match ring.push(unsent) {
            Ok(()) => return Ok(waited),
            Err(PushError::Full(_)) if ring.is_abandoned() => return Err(()),
            Err(PushError::Full(back)) => {
                unsent = back;
                waited = true;
                clock.relax();
            }
        }
    }
}

/// Takes in `pacer`'s requests and sends them on until it ends. Drop the ring afterwards: that is
/// how the back learns that no more will come.
#[inline(never)]
pub(crate) fn take_in<C: Clock, L: Lane, F: Front>(
    clock: &C,
    pacer: &mut Pacer<'_, L>,
    corpus: &Corpus,
    front: &mut F,
    ring: &mut Producer<Message<F::Parcel>>,
    meter: &mut StallMeter,
) -> Ended {
    let mut now = clock.now_ns();
    loop {
        let due = match pacer.next(clock, now, meter) {
            Next::Due(due) => due,
            Next::Ended(ended) => return ended,
        };
        let parcel = front.take_in(corpus.request(due.request));
        let end = clock.now_ns();
        let taken = end - due.start;
        now = match send(clock, ring, Message { due, taken, parcel }) {
            Ok(false) => end,
            Ok(true) => clock.now_ns(),
            Err(()) => return Ended::Halted(end),
        };
    }
}

/// Finishes and records what arrives until the front is gone and the ring is empty.
#[inline(never)]
pub(crate) fn finish<C: Clock, B: Back>(
    clock: &C,
    ring: &mut Consumer<Message<B::Parcel>>,
    back: &mut B,
    tally: &mut Tally<'_>,
    meter: &mut StallMeter,
) {
    let mut now = clock.now_ns();
    loop {
        // Asked before the pop: what was sent before the front left is then seen by the pop.
        let abandoned = ring.is_abandoned();
        if let Ok(Message { due, taken, parcel }) = ring.pop() {
            let verdict = back.finish(parcel);
            let end = clock.now_ns();
            tally.note(due, end, taken + (end - now), verdict, meter);
            now = end;
            continue;
        }
        if abandoned {
            return;
        }
        clock.relax();
        let read = clock.now_ns();
        let gap = read.saturating_sub(now);
        if gap > IDLE_GAP {
            meter.idle_gap(gap, read);
        }
        now = read;
    }
}
