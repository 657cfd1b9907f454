//! One thread gets an object, writes a byte of it, and puts it back.

use std::time::Instant;

use crate::rows::{self, GoWorkload, HeaplessPool, Measurement, ThreadLocalVec};
use crate::source::{Plan, Source, touch};
use crate::workload::{Figure, Row, Workload};

/// The workload with objects of `N` bytes.
pub fn workload<const N: usize>(name: &'static str, capacity: usize) -> Workload
where
    HeaplessPool<N>: Source + Sync,
    for<'a> <HeaplessPool<N> as Source>::Held<'a>: Send,
    ThreadLocalVec<N>: Source + Sync,
    for<'a> <ThreadLocalVec<N> as Source>::Held<'a>: Send,
{
    Workload {
        name,
        title: format!(
            "One thread: get, touch, put an object of {N} bytes ({capacity} in the pool)"
        ),
        unit: "get + put",
        units: 1.0,
        figure: Figure::Whole,
        round_ms: 2.0,
        fewest: 1000,
        cores: 1,
        pinned: true,
        rows: Box::new(move |context| {
            let mut all = rows::all::<N>(&OneThread {
                plan: Plan {
                    capacity,
                    in_use: 1,
                },
            });
            all.push(Row::go(
                &context.go,
                GoWorkload {
                    goroutines: 1,
                    object_bytes: N,
                },
            ));
            all
        }),
    }
}

/// The measured loop: nanoseconds of so many pairs.
pub fn pairs<S: Source>(source: &S, repetitions: u64) -> f64 {
    let start = Instant::now();
    for repetition in 0..repetitions {
        let mut held = source.get();
        touch::<S>(&mut held, repetition);
        source.put(held);
    }
    start.elapsed().as_nanos() as f64
}

struct OneThread {
    plan: Plan,
}

impl Measurement for OneThread {
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send,
    {
        Some(self.local::<S>())
    }

    fn local<S: Source>(&self) -> Row {
        Row::new(S::new(self.plan), pairs::<S>)
    }
}
