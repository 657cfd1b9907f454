//! tailcut-pool against its own past: what did a change do? The rows beside other pools are
//! measured by `pool-table`, in turn, which criterion cannot do.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tailcut_benches::placement::Placement;
use tailcut_benches::rows::{TailcutPortable, TailcutRseq};
use tailcut_benches::source::{Plan, Source};
use tailcut_benches::workloads::one_thread::pairs;

const PLAN: Plan = Plan {
    capacity: 1024,
    in_use: 1,
};

fn get_and_put(criterion: &mut Criterion) {
    Placement::of_this_process().pin(0);
    row::<TailcutRseq<256>>(criterion);
    row::<TailcutPortable<256>>(criterion);
}

fn row<S: Source>(criterion: &mut Criterion) {
    match S::new(PLAN) {
        Ok(source) => {
            criterion.bench_function(&format!("get + put/{}", S::NAME), |bencher| {
                bencher.iter_custom(|pairs_wanted| {
                    Duration::from_nanos(pairs(&source, pairs_wanted) as u64)
                });
            });
        }
        Err(why) => eprintln!("{}: not measured: {why}", S::NAME),
    }
}

criterion_group!(benches, get_and_put);
criterion_main!(benches);
