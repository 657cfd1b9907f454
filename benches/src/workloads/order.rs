//! A real order instead of plain bytes: one after the other is made or taken, and given up.
//!
//! Two tables tell the parts apart:
//! - **filled in**: with the content of 1024 distinct orders, decoded before. The control fills
//!   one flat order again and again: its figure is what filling costs, and what a row costs above
//!   it is the row's own part (for a pool: get, recycle, put; for an allocator: making the
//!   order's parts and freeing them, and what copying into them costs more).
//! - **empty**: nothing is filled in. The heap makes what a service makes before it fills (a box,
//!   a vector for 8 items, a map for 4 entries, a lock) and frees it; a pool takes such an order,
//!   recycles it and puts it back.
//!
//! Where a row names an allocator, the whole process runs on it, and so does every part of the
//! order. Such a row takes as long as a program of that allocator alone would, but for the
//! dispatch (see [`allocator`](crate::allocator)): five allocations and as many frees an order.

use std::hint::black_box;
use std::time::Instant;

use tailcut_loadgen::order::heap::HeapStore;
use tailcut_loadgen::order::preshaped::{FlatOrder, PreshapedStore};
use tailcut_loadgen::order::store::Store;

use crate::allocator::Allocator;
use crate::alone::{self, Task};
use crate::order::{NestedOrder, Order, content, views};
use crate::rows::{
    Control, Orders, PeerLinear, PeerObjectPool, PeerOpool, PeerShardedSlab, PeerSpin,
    TailcutOrders,
};
use crate::source::{Kind, Source};
use crate::workload::{Figure, Row, Workload};

const CAPACITY: usize = 1024;

/// What is done with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// An order's content is copied into it.
    FilledIn,
    /// Nothing.
    Empty,
}

/// How an order is kept by a process on one allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a service usually keeps it: a box, a vector, a map, strings. Made and freed each time.
    Heap,
    /// One flat object in a box, made and freed each time.
    BoxedFlat,
    /// Taken from our pool, its vector and map cleared: its strings still come from the allocator.
    PooledNested,
    /// The box, the vector and the map, empty. Made and freed each time.
    HeapEmpty,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 4] = [
        Form::Heap,
        Form::BoxedFlat,
        Form::PooledNested,
        Form::HeapEmpty,
    ];

    /// On a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Form::Heap => "heap",
            Form::BoxedFlat => "boxed-flat",
            Form::PooledNested => "pooled-nested",
            Form::HeapEmpty => "heap-empty",
        }
    }

    /// The name and the kind of its row.
    fn row(self, allocator: Allocator) -> (&'static str, Kind) {
        macro_rules! named {
            ($allocator:literal) => {
                match self {
                    Form::Heap | Form::HeapEmpty => ($allocator, Kind::Allocator),
                    Form::BoxedFlat => (concat!($allocator, ", boxed flat"), Kind::FlatAllocator),
                    Form::PooledNested => {
                        (concat!("tailcut, nested on ", $allocator), Kind::Tailcut)
                    }
                }
            };
        }
        match allocator {
            Allocator::Glibc => named!("glibc malloc"),
            Allocator::Jemalloc => named!("jemalloc"),
            Allocator::Mimalloc => named!("mimalloc"),
            #[cfg(feature = "snmalloc")]
            Allocator::Snmalloc => named!("snmalloc"),
        }
    }
}

/// The workload.
#[must_use]
pub fn workload(name: &'static str, content: Content) -> Workload {
    let title = match content {
        Content::FilledIn => {
            "Order, filled in: 1 to 8 items, 0 to 4 entries; median with filling, above control without"
        }
        Content::Empty => {
            "Order, empty: items for 8, a map for 4, a lock, made and freed, or taken, recycled, put back"
        }
    };
    Workload {
        name,
        title: title.to_owned(),
        unit: "order",
        units: 1.0,
        figure: Figure::AboveControl,
        round_ms: 2.0,
        fewest: 1000,
        cores: 1,
        pinned: true,
        rows: Box::new(move |_| rows(content)),
    }
}

fn rows(content: Content) -> Vec<Row> {
    let (mut all, forms): (_, &[Form]) = match content {
        Content::FilledIn => (
            of_pools::<FlatOrder>(content),
            &[Form::Heap, Form::BoxedFlat, Form::PooledNested],
        ),
        Content::Empty => (of_pools::<NestedOrder>(content), &[Form::HeapEmpty]),
    };
    for &form in forms {
        for &allocator in Allocator::ALL {
            let (name, kind) = form.row(allocator);
            let run = alone::run(&Task::Order(form), allocator);
            all.push(Row::named(name, kind, Ok(run)));
        }
    }
    #[cfg(not(feature = "snmalloc"))]
    all.push(Row::absent(
        "snmalloc",
        Kind::Allocator,
        crate::rows::NO_SNMALLOC,
    ));
    all
}

/// The control, and each pool, with orders of the same type.
fn of_pools<O: Order + Sync>(content: Content) -> Vec<Row> {
    let control = move |repetitions| Ok(without_a_pool::<O>(content, repetitions));
    vec![
        Row::named(
            <Control<8> as Source>::NAME,
            Kind::Control,
            Ok(Box::new(control)),
        ),
        of_pool::<O, TailcutOrders<O, false>>(content),
        of_pool::<O, TailcutOrders<O, true>>(content),
        of_pool::<O, PeerOpool<O>>(content),
        of_pool::<O, PeerObjectPool<O>>(content),
        of_pool::<O, PeerLinear<O>>(content),
        of_pool::<O, PeerSpin<O>>(content),
        of_pool::<O, PeerShardedSlab<O>>(content),
    ]
}

fn of_pool<O: Order, P: Orders<O>>(content: Content) -> Row {
    let run = P::new(CAPACITY)
        .map(|pool| Box::new(move |repetitions| Ok(recycled(&pool, content, repetitions))) as _);
    Row::named(P::NAME, P::KIND, run)
}

/// Nanoseconds of so many orders, each taken from the pool and put back.
pub fn recycled<O: Order, P: Orders<O>>(pool: &P, what: Content, repetitions: u64) -> f64 {
    let views = views();
    match what {
        Content::FilledIn => time(repetitions, |n| {
            let mut held = pool.get();
            let order = P::order(&mut held);
            order.fill(content(views, n));
            black_box(order);
        }),
        Content::Empty => time(repetitions, |_| {
            let mut held = pool.get();
            black_box(P::order(&mut held));
        }),
    }
}

/// The same of one order that is always there: what any pool of such orders would pay.
fn without_a_pool<O: Order>(what: Content, repetitions: u64) -> f64 {
    let views = views();
    let mut order = O::preshaped();
    match what {
        Content::FilledIn => time(repetitions, |n| {
            order.reset();
            order.fill(content(views, n));
            black_box(&mut order);
        }),
        Content::Empty => time(repetitions, |_| {
            black_box(&mut order);
        }),
    }
}

/// Nanoseconds of so many orders in a process that runs on one allocator.
///
/// # Errors
/// There is no such measurement here.
pub fn alone(form: Form, repetitions: u64) -> Result<f64, String> {
    match form {
        Form::Heap => Ok(stored(HeapStore, repetitions)),
        Form::BoxedFlat => Ok(stored(PreshapedStore, repetitions)),
        Form::PooledNested => {
            let pool = TailcutOrders::<NestedOrder, false>::new(CAPACITY)?;
            Ok(recycled(&pool, Content::FilledIn, repetitions))
        }
        Form::HeapEmpty => Ok(time(repetitions, |_| {
            black_box(&mut Box::new(NestedOrder::preshaped()));
        })),
    }
}

fn stored<S: Store>(mut store: S, repetitions: u64) -> f64 {
    let views = views();
    time(repetitions, |n| {
        let mut order = store.keep(content(views, n));
        black_box(&mut order);
    })
}

/// Nanoseconds of so many uses, after a tenth more (at least every distinct order twice) that warm
/// up: a process of its own begins cold.
fn time(repetitions: u64, mut one_use: impl FnMut(u64)) -> f64 {
    (0..repetitions / 10 + 2048).for_each(&mut one_use);
    let start = Instant::now();
    (0..repetitions).for_each(&mut one_use);
    start.elapsed().as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allocator_and_form_has_a_row_of_its_own_in_a_table() {
        for what in [Content::FilledIn, Content::Empty] {
            let mut names: Vec<_> = rows(what).iter().map(|row| row.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{names:?}");
        }
    }
}
