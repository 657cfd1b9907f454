//! tailcut-pool against its own past: what did a change do? The rows beside other pools are
//! measured by `pool-table`, in turn, which criterion cannot do.
//!
//! And what the tables' [dispatch](tailcut_benches::allocator) to one of several allocators costs
//! the rows that need it: the C library's allocator, directly and by dispatch.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tailcut_benches::allocator::Chosen;
use tailcut_benches::order::Order;
use tailcut_benches::placement::Placement;
use tailcut_benches::rows::{Orders, TailcutOrders, TailcutPortable, TailcutRseq};
use tailcut_benches::source::{Plan, Source};
use tailcut_benches::workloads::one_thread::pairs;
use tailcut_benches::workloads::order::{Content, recycled};
use tailcut_loadgen::order::preshaped::FlatOrder;

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
    compare(criterion, "get + put", S::NAME, S::new(PLAN), pairs);
}

fn order(criterion: &mut Criterion) {
    Placement::of_this_process().pin(0);
    order_row::<FlatOrder, TailcutOrders<FlatOrder, false>>(criterion);
    order_row::<FlatOrder, TailcutOrders<FlatOrder, true>>(criterion);
}

fn order_row<O: Order, P: Orders<O>>(criterion: &mut Criterion) {
    for (group, content) in [
        ("order, filled in", Content::FilledIn),
        ("order, empty", Content::Empty),
    ] {
        compare(
            criterion,
            group,
            P::NAME,
            P::new(PLAN.capacity),
            |pool, orders| recycled(pool, content, orders),
        );
    }
}

/// One of our rows, by the loop that measures it in the tables.
fn compare<S>(
    criterion: &mut Criterion,
    group: &str,
    name: &str,
    source: Result<S, String>,
    nanoseconds: impl Fn(&S, u64) -> f64,
) {
    match source {
        Ok(source) => {
            criterion.bench_function(&format!("{group}/{name}"), |bencher| {
                bencher.iter_custom(|repetitions| {
                    Duration::from_nanos(nanoseconds(&source, repetitions) as u64)
                });
            });
        }
        Err(why) => eprintln!("{name}: not measured: {why}"),
    }
}

fn dispatch(criterion: &mut Criterion) {
    Placement::of_this_process().pin(0);
    pair_of_calls(criterion, "directly", &System);
    pair_of_calls(criterion, "dispatched", &Chosen);
}

/// Allocates and frees 64 bytes.
fn pair_of_calls(criterion: &mut Criterion, name: &str, allocator: &impl GlobalAlloc) {
    let layout = Layout::new::<[u64; 8]>();
    criterion.bench_function(&format!("dispatch/alloc + free, {name}"), |bencher| {
        bencher.iter(|| {
            // SAFETY: the layout is not of size zero; what is freed was just allocated by it.
            unsafe {
                let start = black_box(allocator.alloc(black_box(layout)));
                allocator.dealloc(start, layout);
            }
        });
    });
}

criterion_group!(benches, get_and_put, order, dispatch);
criterion_main!(benches);
