//! 120,000 objects live together and end together: a window of orders that is settled.

use std::time::{Duration, Instant};

use crate::rows::{self, Measurement, Tailcut, TailcutPortable, TailcutRseq};
use crate::source::{Plan, Source, touch};
use crate::workload::{Figure, Row, Workload};

const WINDOW: usize = 120_000;
const PLAN: Plan = Plan {
    capacity: WINDOW + 1,
    in_use: WINDOW,
};

/// Which part is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Giving all of them back: the pause that a service sees.
    Return,
    /// Getting, touching, keeping and giving back: that the pause was not moved elsewhere.
    Cycle,
}

/// The workload.
#[must_use]
pub fn workload(name: &'static str, part: Part) -> Workload {
    let (title, unit, units) = match part {
        Part::Return => (
            "Bulk return: 120,000 live objects of 256 bytes given back",
            "window",
            1.0,
        ),
        Part::Cycle => (
            "Bulk cycle: get and keep 120,000 objects of 256 bytes, then give them back",
            "object",
            WINDOW as f64,
        ),
    };
    Workload {
        name,
        title: title.to_owned(),
        unit,
        units,
        figure: Figure::Whole,
        round_ms: 0.0,
        fewest: 1,
        cores: 1,
        pinned: true,
        rows: Box::new(move |_| {
            let mut all = rows::all::<256>(&Bulk { part });
            all.push(windows::<TailcutRseq<256>>("tailcut rseq, Window", part));
            all.push(windows::<TailcutPortable<256>>(
                "tailcut portable, Window",
                part,
            ));
            all
        }),
    }
}

/// Where the time goes: the whole cycle, or its end only.
struct Stopwatch {
    part: Part,
    cycle: Instant,
    total: Duration,
}

impl Stopwatch {
    fn new(part: Part) -> Self {
        Stopwatch {
            part,
            cycle: Instant::now(),
            total: Duration::ZERO,
        }
    }

    fn begin(&mut self) {
        self.cycle = Instant::now();
    }

    /// All objects are in use: their return comes next.
    fn full(&mut self) {
        if self.part == Part::Return {
            self.cycle = Instant::now();
        }
    }

    fn end(&mut self) {
        self.total += self.cycle.elapsed();
    }
}

/// Each object is given back by itself, oldest first.
fn one_by_one<S: Source>(source: &S, part: Part, windows: u64) -> f64 {
    let mut live = Vec::with_capacity(WINDOW);
    let mut watch = Stopwatch::new(part);
    for _ in 0..windows {
        watch.begin();
        for object in 0..WINDOW as u64 {
            let mut held = source.get();
            touch::<S>(&mut held, object);
            live.push(held);
        }
        watch.full();
        live.drain(..).for_each(|held| source.put(held));
        watch.end();
    }
    watch.total.as_nanos() as f64
}

/// tailcut's own way.
fn windows<S: Tailcut<256>>(name: &'static str, part: Part) -> Row {
    let measure = move |source: &S, windows| {
        let mut live = source.pool().window();
        let mut watch = Stopwatch::new(part);
        for _ in 0..windows {
            watch.begin();
            for object in 0..WINDOW as u64 {
                let mut guard = source
                    .pool()
                    .try_get()
                    .expect("the plan's capacity suffices");
                guard.0[0] = object as u8;
                std::hint::black_box(guard.start());
                live.push(guard);
            }
            watch.full();
            live.release();
            watch.end();
        }
        watch.total.as_nanos() as f64
    };
    Row {
        name,
        ..Row::new(S::new(PLAN), measure)
    }
}

struct Bulk {
    part: Part,
}

impl Measurement for Bulk {
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send,
    {
        Some(self.local::<S>())
    }

    fn local<S: Source>(&self) -> Row {
        let part = self.part;
        let measure = move |source: &S, windows| one_by_one(source, part, windows);
        Row::new(S::new(PLAN), measure)
    }
}
