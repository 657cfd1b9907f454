//! Half of the pool is in use; each step gets an object and puts back the oldest one.
//!
//! So every object comes round: the cost grows with the number of objects by cache misses, which
//! the control row (the same objects, no pool) has too, and by nothing else if the pool is flat.

use std::time::Instant;

use crate::rows::{self, Measurement};
use crate::source::{Plan, Source, touch};
use crate::workload::{Figure, Row, Workload};

/// The workload.
#[must_use]
pub fn workload((name, capacity): (&'static str, usize)) -> Workload {
    Workload {
        name,
        title: format!(
            "Pool of {capacity}, half in use: get, touch, put the oldest, objects of 64 bytes, above the cache misses"
        ),
        unit: "get + put",
        units: 1.0,
        figure: Figure::AboveControl,
        round_ms: 2.0,
        fewest: 1000,
        cores: 1,
        pinned: true,
        rows: Box::new(move |_| {
            rows::all::<64>(&Live {
                plan: Plan {
                    capacity,
                    in_use: capacity / 2 + 1,
                },
            })
        }),
    }
}

/// Nanoseconds of so many steps; filling up before and emptying afterwards is not counted. The
/// circle is gone round at least twice, so that the order of filling is forgotten.
fn replace_oldest<S: Source>(source: &S, in_use: usize, repetitions: u64) -> f64 {
    let mut live: Vec<Option<S::Held<'_>>> = Vec::with_capacity(in_use);
    for object in 0..in_use {
        let mut held = source.get();
        touch::<S>(&mut held, object as u64);
        live.push(Some(held));
    }
    let mut oldest = 0;
    let mut steps = |count: u64| {
        let start = Instant::now();
        for step in 0..count {
            let mut held = source.get();
            touch::<S>(&mut held, step);
            if let Some(held) = live[oldest].replace(held) {
                source.put(held);
            }
            oldest = if oldest + 1 < in_use { oldest + 1 } else { 0 };
        }
        start.elapsed().as_nanos() as f64
    };
    steps(in_use as u64);
    let measured = steps(repetitions);
    live.into_iter().flatten().for_each(|held| source.put(held));
    measured
}

struct Live {
    plan: Plan,
}

impl Measurement for Live {
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send,
    {
        Some(self.local::<S>())
    }

    fn local<S: Source>(&self) -> Row {
        if let Some(why) = S::ARENA {
            return Row::absent(S::NAME, S::KIND, why);
        }
        let in_use = self.plan.in_use - 1;
        let measure = move |source: &S, steps| replace_oldest(source, in_use, steps);
        Row::new(S::new(self.plan), measure)
    }
}
