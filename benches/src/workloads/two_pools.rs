//! One thread uses two pools in turn: get, touch, put from one, then from the other.
//!
//! What a pool keeps for the last pool that a thread used (a thread-local slot, say) is always the
//! other one's here. The figure is per get and put: that of one pool is in the table of one thread.

use std::time::Instant;

use crate::rows::{self, Measurement};
use crate::source::{Plan, Source, touch};
use crate::workload::{Figure, Row, Workload};

const PLAN: Plan = Plan {
    capacity: 1024,
    in_use: 1,
};

/// The workload.
#[must_use]
pub fn workload(name: &'static str) -> Workload {
    Workload {
        name,
        title: "Two pools in turn, one thread: get, touch, put an object of 256 bytes".to_owned(),
        unit: "get + put",
        units: 2.0,
        figure: Figure::Whole,
        round_ms: 2.0,
        fewest: 1000,
        cores: 1,
        pinned: true,
        rows: Box::new(|_| rows::all::<256>(&TwoPools)),
    }
}

fn in_turn<S: Source>((one, other): (&S, &S), repetitions: u64) -> f64 {
    let start = Instant::now();
    for repetition in 0..repetitions {
        let mut held = one.get();
        touch::<S>(&mut held, repetition);
        one.put(held);
        let mut held = other.get();
        touch::<S>(&mut held, repetition);
        other.put(held);
    }
    start.elapsed().as_nanos() as f64
}

struct TwoPools;

impl Measurement for TwoPools {
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send,
    {
        Some(self.local::<S>())
    }

    fn local<S: Source>(&self) -> Row {
        if let Some(why) = S::ONE_PER_TYPE {
            return Row::absent(S::NAME, S::KIND, why);
        }
        // An allocator's two are the same one, as in a service.
        Row::of::<S>(S::new(PLAN).and_then(|one| {
            let other = S::new(PLAN)?;
            Ok(Box::new(move |repetitions| Ok(in_turn((&one, &other), repetitions))) as _)
        }))
    }
}
