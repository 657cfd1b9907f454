//! A pool whose statistics somebody reads while it is used: what does that cost the user?
//!
//! Each path has two rows of **one** pool. In one of them a thread on the other core reads
//! [`Pool::statistics`](tailcut_pool::Pool::statistics) every millisecond, a thousand times as
//! often as an exporter would; it exists during that row's rounds only.

use std::rc::Rc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::one_thread::pairs;
use crate::placement::Placement;
use crate::rows::{Tailcut, TailcutPortable, TailcutRseq};
use crate::source::Plan;
use crate::workload::{Figure, Row, Run, Workload};

const PLAN: Plan = Plan {
    capacity: 1024,
    in_use: 1,
};
const PERIOD: Duration = Duration::from_millis(1);
/// A measured part of so many periods without a single reading says nothing.
const PATIENCE: f64 = 10.0;

/// The row on the path by restartable sequences whose statistics are read.
pub const READ: &str = "tailcut rseq, read";

/// The workload.
#[must_use]
pub fn workload(name: &'static str) -> Workload {
    Workload {
        name,
        title: "Statistics: get, touch, put 256 bytes while they are read every millisecond on the other core".to_owned(),
        unit: "get + put",
        units: 1.0,
        figure: Figure::Whole,
        // Some twenty readings.
        round_ms: 20.0,
        fewest: 1000,
        cores: 2,
        pinned: true,
        rows: Box::new(|context| {
            let mut all = Vec::from(read_and_not::<TailcutRseq<256>>(READ, &context.placement));
            all.extend(read_and_not::<TailcutPortable<256>>(
                "tailcut portable, read",
                &context.placement,
            ));
            all
        }),
    }
}

/// Two rows of one pool.
fn read_and_not<S: Tailcut<256> + Sync>(name: &'static str, placement: &Placement) -> [Row; 2] {
    let placement = placement.clone();
    let shared = S::new(PLAN).map(Rc::new);
    let unread = shared
        .clone()
        .map(|source| -> Run { Box::new(move |repetitions| Ok(pairs(&*source, repetitions))) });
    let read = shared.map(|source| -> Run {
        Box::new(move |repetitions| while_read(&*source, &placement, repetitions))
    });
    [
        Row::of::<S>(unread),
        Row {
            name,
            ..Row::of::<S>(read)
        },
    ]
}

/// Nanoseconds of so many pairs, while another core reads.
fn while_read<S: Tailcut<256> + Sync>(
    source: &S,
    placement: &Placement,
    repetitions: u64,
) -> Result<f64, String> {
    let (begun, end, readings) = (Barrier::new(2), AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            placement.pin(1);
            let mut due = Instant::now();
            begun.wait();
            while !end.load(Ordering::Relaxed) {
                std::hint::black_box(source.pool().statistics());
                readings.fetch_add(1, Ordering::Relaxed);
                due += PERIOD;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
        begun.wait();
        let nanoseconds = pairs(source, repetitions);
        let readings = readings.load(Ordering::Relaxed);
        end.store(true, Ordering::Relaxed);
        if readings == 0 && nanoseconds > PATIENCE * PERIOD.as_nanos() as f64 {
            return Err("the reading thread got no time on the other core".to_owned());
        }
        Ok(nanoseconds)
    })
}
