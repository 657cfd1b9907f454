//! A loop that takes the pool's slow path, alone and under a tracer.
//!
//! The probes of `tailcut_pool` stand on slow paths only, so a loop of plain pairs would meet none.
//! This one takes a hundred objects and puts a hundred: more than a magazine holds, so that some
//! come from the depot in batches of 32 and go back to it (two `refill`s and two `spill`s in a
//! hundred). Both rows run in a [process of their own](crate::companion); to the second one's
//! [bpftrace](crate::tracer) is attached, and counts both probes. The difference between the rows,
//! times 25 objects per hit, is what a hit costs on this kernel.

use std::time::{Duration, Instant};

use crate::companion::Companion;
use crate::placement::Placement;
use crate::rows::{REFERENCE, TailcutRseq};
use crate::source::{Kind, Plan, Source, touch};
use crate::tracer::{self, Tracer};
use crate::workload::{Figure, Row, Run, Workload};

/// How many objects are taken before the first goes back.
const HELD: usize = 100;
/// Large enough that a machine of a hundred cores still moves 32 at a time.
const PLAN: Plan = Plan {
    capacity: 16_384,
    in_use: HELD,
};
/// Attaching takes about a second, most of which bpftrace spends compiling.
const PATIENCE: Duration = Duration::from_secs(30);

/// The workload.
#[must_use]
pub fn workload(name: &'static str) -> Workload {
    Workload {
        name,
        title: "Traced: take 100 objects of 256 bytes, put 100 (two refills and two spills)"
            .to_owned(),
        unit: "get + put",
        units: HELD as f64,
        figure: Figure::Whole,
        round_ms: 4.0,
        fewest: 1,
        cores: 1,
        pinned: true,
        rows: Box::new(|context| vec![unobserved(), traced(context.placement.clone())]),
    }
}

fn unobserved() -> Row {
    let mut companion = None;
    let run: Run =
        Box::new(move |repetitions| started(&mut companion, Companion::start)?.ask(repetitions));
    Row {
        note: Some("nobody attached: each probe is one nop"),
        ..Row::named(REFERENCE, Kind::Tailcut, Ok(run))
    }
}

fn traced(placement: Placement) -> Row {
    const NAME: &str = "bpftrace attached";
    if let Some(why) = tracer::obstacle() {
        return Row::absent(NAME, Kind::Tailcut, &why);
    }
    let mut observed = None;
    let run: Run = Box::new(move |repetitions| {
        let Observed { tracer, companion } =
            started(&mut observed, || Observed::start(&placement))?;
        let nanoseconds = companion.ask(repetitions)?;
        // Else the figure would be of a process that nobody observes.
        tracer.still_there()?;
        Ok(nanoseconds)
    });
    Row {
        note: Some("bpftrace counts the probes refill and spill"),
        ..Row::named(NAME, Kind::Tailcut, Ok(run))
    }
}

/// Starts what a row needs when its first measurement is asked for, not for rows that are left out.
fn started<T>(
    slot: &mut Option<T>,
    start: impl FnOnce() -> Result<T, String>,
) -> Result<&mut T, String> {
    let running = match slot.take() {
        Some(running) => running,
        None => start()?,
    };
    Ok(slot.insert(running))
}

/// A process and who observes it. The tracer goes first when both are dropped.
struct Observed {
    tracer: Tracer,
    companion: Companion,
}

impl Observed {
    /// Starts both, and lets the loop run until the tracer has seen it.
    fn start(placement: &Placement) -> Result<Observed, String> {
        let mut companion = Companion::start()?;
        let mut tracer = Tracer::start(companion.id(), ["refill", "spill"], placement)?;
        let deadline = Instant::now() + PATIENCE;
        while !tracer.has_seen_all()? {
            companion.ask(1000)?;
            if Instant::now() > deadline {
                return Err(format!("bpftrace saw no probe within {PATIENCE:?}"));
            }
        }
        Ok(Observed { tracer, companion })
    }
}

/// What the companion measures: nanoseconds of so many times a hundred.
///
/// # Errors
/// Why it cannot be measured on this machine.
pub fn slow_path() -> Result<impl FnMut(u64) -> f64, String> {
    let source = TailcutRseq::<256>::new(PLAN)?;
    Ok(move |repetitions| take_and_put(&source, repetitions))
}

fn take_and_put(source: &TailcutRseq<256>, repetitions: u64) -> f64 {
    let mut held = Vec::with_capacity(HELD);
    let start = Instant::now();
    for repetition in 0..repetitions {
        for _ in 0..HELD {
            let mut object = source.get();
            touch::<TailcutRseq<256>>(&mut object, repetition);
            held.push(object);
        }
        held.drain(..).for_each(|object| source.put(object));
    }
    start.elapsed().as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Tailcut;

    #[test]
    fn each_hundred_objects_meets_as_many_spills_as_refills() {
        Placement::of_this_process().pin(0);
        let Ok(source) = TailcutRseq::<256>::new(PLAN) else {
            return; // No restartable sequences here: the row is absent, too.
        };
        take_and_put(&source, 10);
        let before = source.pool().statistics().total();
        take_and_put(&source, 100);
        let after = source.pool().statistics().total();
        let refills = after.refills - before.refills;
        assert!(refills >= 100, "{refills}");
        assert_eq!(refills, after.spills - before.spills);
    }
}
