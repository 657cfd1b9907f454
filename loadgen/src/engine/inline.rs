//! One thread does it all: waits, serves, records. One reading of the clock per request: the end
//! of one is where the next begins.

use super::pacer::{Ended, Next, Pacer};
use super::stalls::StallMeter;
use super::tally::Tally;
use crate::clock::Clock;
use crate::order::generate::Corpus;
use crate::schedule::Lane;
use crate::workload::Workload;

/// Serves `pacer`'s requests until it ends.
///
/// A request that follows an idle time starts when the wait is over; one that was due already
/// starts when the one before it ended, and its service time includes the engine's bookkeeping in
/// between, about 15 ns.
#[inline(never)] // one copy for each workload and kind of lane, easy to find in a profile
pub(crate) fn serve<C: Clock, L: Lane, W: Workload>(
    clock: &C,
    pacer: &mut Pacer<'_, L>,
    corpus: &Corpus,
    workload: &mut W,
    tally: &mut Tally<'_>,
    meter: &mut StallMeter,
) -> Ended {
    let mut now = clock.now_ns();
    loop {
        let due = match pacer.next(clock, now, meter) {
            Next::Due(due) => due,
            Next::Ended(ended) => return ended,
        };
        let verdict = workload.handle(corpus.request(due.request));
        let end = clock.now_ns();
        tally.note(due, end, end - due.start, verdict, meter);
        now = end;
    }
}
