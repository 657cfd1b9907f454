//! What a tracer sees of an allocator that times its calls.
#![cfg(all(target_os = "linux", target_arch = "x86_64", not(any(loom, miri))))]

mod tracer;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tailcut_pool::Pool;
use tailcut_pool::meter::{self, Metered, Timed};

const ONE_IN: u32 = 10;

#[global_allocator]
static ALLOCATOR: Metered<Timed<Known>> = Metered::new(Timed::new(Known, ONE_IN));

/// Asked for this many bytes, the allocator takes [`SLOW`].
const SLOW_BYTES: usize = 12_345;
const SLOW: Duration = Duration::from_micros(200);
/// Asked for this many, it asks the global allocator for [`INNER_BYTES`] meanwhile.
const OUTER_BYTES: usize = 23_456;
const INNER_BYTES: usize = 34_567;
const ZEROED_BYTES: usize = 2_222;
const GROWN_BYTES: usize = 3_333;
const PLAIN_BYTES: usize = 64;

/// An allocator some of whose calls are known.
struct Known;

// SAFETY: all memory is the system's, whose contract therefore holds.
unsafe impl GlobalAlloc for Known {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = Instant::now();
        while layout.size() == SLOW_BYTES && start.elapsed() < SLOW {}
        if layout.size() == OUTER_BYTES {
            let inner = Layout::from_size_align(INNER_BYTES, 8).unwrap();
            // SAFETY: the layout has a size, and the block is freed as it was allocated.
            unsafe { ALLOCATOR.dealloc(ALLOCATOR.alloc(inner), inner) };
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Allocates and frees, and then marks the end by building a pool, whose probe fires.
fn round() {
    for _ in 0..20_000 {
        black_box(Vec::<u8>::with_capacity(PLAIN_BYTES));
        drop(black_box(vec![0_u8; ZEROED_BYTES]));
    }
    for _ in 0..1_000 {
        let mut grows = Vec::<u8>::with_capacity(PLAIN_BYTES);
        grows.reserve_exact(GROWN_BYTES);
        drop(black_box(grows));
        black_box(Vec::<u8>::with_capacity(OUTER_BYTES));
    }
    for _ in 0..30 {
        black_box(Vec::<u8>::with_capacity(SLOW_BYTES));
    }
    Pool::builder(|| 0_u8).capacity(1).build().unwrap();
}

#[test]
fn the_probes_stand_by_their_contract() {
    for (name, widths) in [
        ("malloc", &[8; 3][..]),
        ("free", &[8; 2]),
        ("floor", &[8; 2]),
    ] {
        let mut found = tracer::notes();
        found.retain(|note| note.provider == "tailcut_alloc" && note.name == name);
        assert!(!found.is_empty(), "{name}");
        for note in found {
            assert_eq!(note.widths(), widths, "{note:?}");
            assert_ne!(note.semaphore, 0);
            assert_eq!(note.code, [0x90]);
        }
    }
}

#[test]
fn a_tracer_sees_how_long_the_timed_calls_took_and_how_many_there_were() {
    // Per round, once all are made: allocations and frees.
    round();
    let before = meter::counts();
    round();
    let made = meter::counts() - before;
    let program = r#"
        usdt:EXE:tailcut_alloc:malloc { @mallocs += arg2; printf("time %lu %lu\n", arg1, arg0); }
        usdt:EXE:tailcut_alloc:free { @frees += arg1; @freed++; }
        usdt:EXE:tailcut_alloc:floor { @floors++; printf("floor %lu\n", arg0); }
        usdt:EXE:tailcut_pool:built {
            @rounds++;
            printf("round %lu %lu %lu\n", @mallocs, @frees, @freed);
            if (@rounds >= 20 && @floors >= 2) { exit(); }
        }
    "#;
    let Some(output) = tracer::trace(program, round) else {
        return;
    };
    let mut rounds = Vec::<[u64; 3]>::new();
    let mut floors = Vec::new();
    let mut times = Vec::<(usize, u64)>::new();
    for line in output.lines() {
        let number = |text: &str| text.parse::<u64>().unwrap();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["round", mallocs, frees, freed] => rounds.push([mallocs, frees, freed].map(number)),
            ["floor", ns] => floors.push(number(ns)),
            ["time", bytes, ns] => times.push((number(bytes) as usize, number(ns))),
            _ => {} // what it says on attaching, and its maps at the end
        }
    }

    // What the samples stand for is what was called. The first rounds fall into the time of
    // attaching; each end of the rest is uncertain by some draws, one of about `ONE_IN` calls; and
    // what other threads of this process call meanwhile (seen: 2.3%) is told, too, but not counted.
    let (first, last) = (rounds[5], rounds[rounds.len() - 1]);
    let between = (rounds.len() - 6) as u64;
    for (seen, made) in [
        (last[0] - first[0], made.allocations * between),
        (last[1] - first[1], made.frees * between),
    ] {
        let ratio = seen as f64 / made as f64;
        assert!((0.95..1.1).contains(&ratio), "{seen} of {made}");
    }
    // And one in so many was timed: 50,000 samples, with a standard deviation of half a percent.
    let one_in = (last[1] - first[1]) as f64 / (last[2] - first[2]) as f64;
    assert!((9.5..10.5).contains(&one_in), "{one_in}");

    let of = |size: usize| {
        let mut ns: Vec<u64> = times
            .iter()
            .filter(|&&(bytes, _)| bytes == size)
            .map(|&(_, ns)| ns)
            .collect();
        assert!(ns.len() > 20, "{size} bytes: {} samples", ns.len());
        ns.sort_unstable();
        ns
    };
    // A slow call is as long as it was made, give or take the rate; none is shorter.
    let (slow, plain) = (of(SLOW_BYTES), of(PLAIN_BYTES));
    let known = SLOW.as_nanos() as u64;
    assert!(slow[0] >= known - known / 100, "{slow:?}");
    assert!(slow[0] <= known + known / 20, "{slow:?}");
    assert!(plain[plain.len() / 2] < known / 10);
    // A call within a call is timed as well.
    assert!(of(INNER_BYTES)[0] > 0 && of(OUTER_BYTES)[0] > 0);
    assert!(of(ZEROED_BYTES)[0] > 0 && of(GROWN_BYTES)[0] > 0);
    // The reading itself is less than what it reads: at the second floor, all is warm.
    assert!(floors.len() >= 2);
    assert!(floors.iter().all(|&ns| ns > 0), "{floors:?}");
    assert!(floors[1..].iter().min() <= Some(&plain[plain.len() / 2]));
}

#[test]
fn a_child_forked_under_a_tracer_allocates_as_before() {
    let program = r#"usdt:EXE:tailcut_alloc:free { @frees++; if (@frees > 20000) { exit(); } }"#;
    tracer::trace(program, || {
        for _ in 0..10_000 {
            black_box(Vec::<u8>::with_capacity(PLAIN_BYTES));
        }
        // SAFETY: the child does nothing but allocate, which glibc allows, and end itself.
        let child = unsafe { libc::fork() };
        if child == 0 {
            for size in 1..10_000 {
                black_box(Vec::<u8>::with_capacity(size));
            }
            // SAFETY: no preconditions.
            unsafe { libc::_exit(7) };
        }
        let mut status = 0;
        // SAFETY: our own child; the status is ours to be filled.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(
            (libc::WIFEXITED(status), libc::WEXITSTATUS(status)),
            (true, 7)
        );
    });
}
