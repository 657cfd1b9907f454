//! A program that does nothing but allocate and free, as fast as it can, through an allocator that
//! times one call in a thousand: for a tracer to attach to, or to see what the wrapper costs.
//!
//! ```text
//! cargo build --release --package tailcut-pool --example sampled
//! target/release/examples/sampled               # for a minute, or as many seconds as given
//! sudo bpftrace -p PID -e 'usdt:*:tailcut_alloc:malloc { @ns = hist(arg0); @calls = sum(arg2); }'
//! target/release/examples/sampled compare       # nanoseconds bare, wrapped, and metered besides
//! ```
//!
//! While it runs, it writes each second how many calls it made; a tracer that sums what the
//! samples stand for must come to the same.

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tailcut_pool::meter::{self, DEFAULT_ONE_IN, Metered, Timed};

#[global_allocator]
static ALLOCATOR: Metered<Timed<System>> = Metered::new(TIMED);

const TIMED: Timed<System> = Timed::new(System, DEFAULT_ONE_IN);

/// Blocks alive at a time: enough that the allocator does not hand out the last one freed.
const ALIVE: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1).peekable();
    let comparing = words.next_if(|word| word == "compare").is_some();
    let seconds = words.next().map(|text| text.parse()).transpose()?;
    println!("process {}", std::process::id());
    if comparing {
        compare(seconds.unwrap_or(2));
    } else {
        run(seconds.unwrap_or(60));
    }
    Ok(())
}

/// Replaces the oldest of the blocks alive by a new one of another size, again and again.
fn run(seconds: u64) {
    let mut alive: Vec<Vec<u8>> = (0..ALIVE).map(|_| Vec::new()).collect();
    let mut step = 0_usize;
    for second in 1..=seconds {
        let before = meter::counts();
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            for _ in 0..1000 {
                // Sizes of 16 to 1024 bytes, in an order without a short rhythm.
                let bytes = 16 << ((step.wrapping_mul(40503) >> 13) % 7);
                alive[step % ALIVE] = black_box(Vec::with_capacity(bytes));
                step += 1;
            }
        }
        let made = meter::counts() - before;
        println!(
            "second {second}: {} allocations, {} frees",
            made.allocations, made.frees
        );
    }
}

/// Prints nanoseconds for an allocation and a free of 64 bytes: of each allocator the median of
/// short turns, taken in rotation.
fn compare(seconds: u64) {
    const METERED: Metered<System> = Metered::new(System);
    const BOTH: Metered<Timed<System>> = Metered::new(TIMED);
    let mut turns: [Vec<f64>; 4] = Default::default();
    let end = Instant::now() + Duration::from_secs(seconds);
    while turns[0].is_empty() || Instant::now() < end {
        turns[0].push(pair_ns(&System));
        turns[1].push(pair_ns(&TIMED));
        turns[2].push(pair_ns(&METERED));
        turns[3].push(pair_ns(&BOTH));
    }
    let medians = turns.map(|mut turns| {
        turns.sort_by(f64::total_cmp);
        turns[turns.len() / 2]
    });
    let names = ["System", "Timed", "Metered", "Metered<Timed>"];
    for (name, ns) in names.iter().zip(medians) {
        println!(
            "{name:14} {ns:6.2} ns a pair, {:.3} x bare",
            ns / medians[0]
        );
    }
}

#[inline(never)]
fn pair_ns(allocator: &impl GlobalAlloc) -> f64 {
    const PAIRS: u32 = 50_000;
    let layout = Layout::new::<[u8; 64]>();
    let start = Instant::now();
    for _ in 0..PAIRS {
        // SAFETY: the layout has a size, and a block is freed once, as it was allocated.
        unsafe {
            let block = black_box(allocator.alloc(black_box(layout)));
            allocator.dealloc(block, layout);
        }
    }
    start.elapsed().as_nanos() as f64 / f64::from(PAIRS)
}
