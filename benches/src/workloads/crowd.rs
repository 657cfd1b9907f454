//! Many threads get and put at the same time.
//!
//! The figure is the time per pair **and core**: what the pair would cost if cores and threads
//! did not meet is the figure of one thread.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::one_thread::pairs;
use crate::rows::{self, GoWorkload, Measurement};
use crate::source::{Kind, Plan, Source};
use crate::workload::{Figure, Row, Workload};

/// The workload.
#[must_use]
pub fn workload((name, threads): (&'static str, usize)) -> Workload {
    Workload {
        name,
        title: format!("{threads} threads: get, touch, put an object of 256 bytes, time per core"),
        unit: "get + put",
        units: 1.0,
        figure: Figure::Whole,
        round_ms: 30.0,
        fewest: 10_000,
        cores: 2,
        pinned: false,
        rows: Box::new(move |context| {
            let cores = context.placement.cores().len().min(threads);
            let mut all = rows::all::<256>(&Crowd { threads, cores });
            all.push(Row::go(
                &context.go,
                GoWorkload {
                    goroutines: threads,
                    object_bytes: 256,
                },
            ));
            all
        }),
    }
}

/// Nanoseconds of so many pairs by all threads together, times the cores.
fn all_at_once<S: Source + Sync>(
    source: &S,
    threads: usize,
    cores: usize,
    repetitions: u64,
) -> f64 {
    let each = repetitions.div_ceil(threads as u64);
    let barrier = Barrier::new(threads);
    let work = || {
        pairs(source, each / 10 + 1);
        barrier.wait();
        let start = Instant::now();
        pairs(source, each);
        (start, Instant::now())
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the loop does not panic"))
            .collect()
    });
    let start = spans
        .iter()
        .map(|span| span.0)
        .min()
        .expect("there is a thread");
    let end = spans
        .iter()
        .map(|span| span.1)
        .max()
        .expect("there is a thread");
    let done = (each * threads as u64) as f64;
    (end - start).as_nanos() as f64 * cores as f64 * repetitions as f64 / done
}

struct Crowd {
    threads: usize,
    cores: usize,
}

impl Measurement for Crowd {
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send,
    {
        if S::KIND == Kind::Control {
            return None; // Its objects are for one getting thread.
        }
        let (threads, cores) = (self.threads, self.cores);
        let plan = Plan {
            capacity: 1024,
            in_use: threads,
        };
        let measure = move |source: &S, pairs| all_at_once(source, threads, cores, pairs);
        Some(Row::new(S::new(plan), measure))
    }
}
