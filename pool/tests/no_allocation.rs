//! After build, the pool never touches the global allocator, on either path.
#![cfg(not(loom))]

mod common;

use common::both_paths;
use std::alloc::System;
use tailcut_pool::meter::{self, Metered};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

#[test]
fn getting_putting_refusing_and_bulk_return_allocate_nothing() {
    both_paths(|builder| {
        let pool = builder.capacity(1000).build().unwrap();
        let mut held = Vec::with_capacity(1000);
        let before = meter::counts();
        for _ in 0..20 {
            let mut window = pool.window();
            while let Ok(guard) = pool.try_get() {
                held.push(guard);
            }
            held.truncate(300);
            held.drain(..).for_each(|guard| window.push(guard));
        }
        assert_eq!(meter::counts() - before, meter::Counts::default());
        // Another thread's first get and put, counted there.
        let elsewhere = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let before = meter::counts();
                for _ in 0..100 {
                    drop([pool.try_get().unwrap(), pool.try_get().unwrap()]);
                }
                meter::counts() - before
            });
            thread.join().unwrap()
        });
        assert_eq!(elsewhere, meter::Counts::default());
    });
}

#[test]
fn the_meter_counts_what_a_collection_asks_for() {
    let before = meter::counts();
    let mut bytes: Vec<u8> = Vec::with_capacity(10);
    bytes.reserve_exact(100);
    drop(bytes);
    let spent = meter::counts() - before;
    assert_eq!(
        spent,
        meter::Counts {
            allocations: 2,
            frees: 1,
            bytes: 110
        }
    );
}
