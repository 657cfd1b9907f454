//! A program to attach a tracer to: orders from a pool that is too small, and an allocator that
//! samples.
//!
//! ```text
//! RUSTFLAGS="-C force-frame-pointers=yes" cargo build --release --example probes
//! target/release/examples/probes                # runs for a minute, or as many seconds as given
//! sudo bpftrace -l 'usdt:target/release/examples/probes:*'
//! sudo bpftrace -p PID -e 'usdt:*:otel_memory:alloc { @bytes[ustack(4)] = sum(arg2); }'
//! sudo bpftrace -p PID -e 'usdt:*:tailcut_pool:* { @[probe] = count(); }'
//! ```
//!
//! Frame pointers are for bpftrace's stacks, and for nothing else.

use std::alloc::System;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tailcut_pool::Pool;
use tailcut_pool::meter::{ByteSampled, DEFAULT_MEAN_BYTES, Metered};

#[global_allocator]
static ALLOCATOR: Metered<System, ByteSampled> = Metered::sampling(System, DEFAULT_MEAN_BYTES);

#[derive(Default)]
struct Order {
    items: Vec<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(60), |text| text.parse())?;
    println!("process {}", std::process::id());
    let orders = Pool::builder(|| Order {
        items: Vec::with_capacity(8),
    })
    .capacity(100)
    .recycle_with(|order| order.items.clear())
    .sample_lifetimes(64)
    .build()?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut served, mut refused) = (0_u64, 0_u64);
    while Instant::now() < end {
        let mut held = Vec::new(); // allocates, unlike the orders
        for item in 0..110 {
            match orders.try_get() {
                Ok(mut order) => {
                    order.items.push(item);
                    held.push(order);
                    served += 1;
                }
                Err(_) => refused += 1,
            }
        }
        drop(black_box(held));
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("{served} orders served, {refused} refused");
    Ok(())
}
