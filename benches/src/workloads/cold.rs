//! The very first get of a fresh process, and the first byte written: what a pool has put off
//! until then (pages that were never touched, caches that are made when first asked for).
//!
//! Each figure is of a process of its own, which makes the source, sweeps the first two levels of
//! the core's caches, gets one object and touches it. An allocator's is its first allocation of
//! this size, after whatever starting the process needed of it (glibc: a lot; the others: none).
//! The control row has no source: the clock, code that runs for the first time, and one object that
//! is in no near cache.

use std::cell::RefCell;
use std::time::Instant;

use crate::allocator::Allocator;
use crate::alone::{self, Task};
use crate::rows::{self, Measurement};
use crate::source::{Plan, Source, touch};
use crate::workload::{Figure, Row, Run, Workload};

/// 2.5 MiB of objects: more than a core's own caches.
const PLAN: Plan = Plan {
    capacity: 10_000,
    in_use: 1,
};

/// The workload.
#[must_use]
pub fn workload(name: &'static str) -> Workload {
    Workload {
        name,
        title: "Cold: a fresh process's first get and touch of 256 bytes, caches swept".to_owned(),
        unit: "first get",
        units: 1.0,
        figure: Figure::Whole,
        round_ms: 0.0,
        fewest: 5,
        cores: 1,
        pinned: true,
        rows: Box::new(|_| rows::all::<256>(&InFreshProcesses)),
    }
}

/// The nanoseconds of the first get of the row named so, in this process.
///
/// # Errors
/// Why it cannot be measured; no row is named so.
pub fn first_get(row: &str) -> Result<f64, String> {
    let here = Here {
        wanted: row,
        found: RefCell::new(Err(format!("no row is named '{row}'"))),
    };
    rows::all::<256>(&here);
    here.found.into_inner()
}

fn measure<S: Source>() -> Result<f64, String> {
    let source = S::new(PLAN)?;
    // The clock's own first call is not to be measured.
    std::hint::black_box(Instant::now().elapsed());
    sweep_caches();
    let start = Instant::now();
    let mut held = source.get();
    touch::<S>(&mut held, 1);
    let nanoseconds = start.elapsed().as_nanos() as f64;
    source.put(held);
    Ok(nanoseconds)
}

/// Writes 16 MiB: more than the first two levels hold. (The last one, shared with other cores, may
/// keep some of what it had; a service's would, too.)
fn sweep_caches() {
    let mut sweep = vec![0_u8; 16 << 20];
    sweep.iter_mut().step_by(64).for_each(|byte| *byte = 1);
    std::hint::black_box(&mut sweep);
}

/// Measures one row at once, and makes no other.
struct Here<'w> {
    wanted: &'w str,
    found: RefCell<Result<f64, String>>,
}

impl Measurement for Here<'_> {
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send,
    {
        Some(self.local::<S>())
    }

    fn local<S: Source>(&self) -> Row {
        if S::NAME == self.wanted {
            *self.found.borrow_mut() = measure::<S>();
        }
        Row::absent(S::NAME, S::KIND, "measured already")
    }
}

/// Measures each row in a process for each repetition, and takes their median.
struct InFreshProcesses;

impl Measurement for InFreshProcesses {
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send,
    {
        Some(self.local::<S>())
    }

    fn local<S: Source>(&self) -> Row {
        let mut process = alone::run(&Task::Cold(S::NAME.to_owned()), Allocator::Glibc);
        let run: Run = Box::new(move |processes| {
            let mut times = (0..processes)
                .map(|_| process(1))
                .collect::<Result<Vec<f64>, String>>()?;
            times.sort_by(f64::total_cmp);
            Ok(times[times.len() / 2] * processes as f64)
        });
        Row::of::<S>(Ok(run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Glibc;

    #[test]
    fn a_row_is_found_by_its_name_and_another_name_is_refused() {
        let first = first_get(<Glibc<256> as Source>::NAME).unwrap();
        assert!(first > 0.0);
        let refused = first_get("nobody").unwrap_err();
        assert!(refused.contains("nobody"), "{refused}");
    }
}
