//! What a profiler sees of a sampling allocator: the contract of OpenTelemetry's memory probes.
#![cfg(all(target_os = "linux", target_arch = "x86_64", not(any(loom, miri))))]

mod tracer;

use std::alloc::System;
use std::collections::HashMap;
use std::hint::black_box;
use tailcut_pool::meter::{ByteSampled, Metered, samples_dropped};

const MEAN_BYTES: u64 = 64 * 1024;

#[global_allocator]
static ALLOCATOR: Metered<System, ByteSampled> = Metered::sampling(System, MEAN_BYTES);

/// What a round asks for, besides one large block.
const SMALL_BYTES: u64 = 100 * 1000 + 10_000 * 64 + 10_000 + 30_000;

fn round() {
    for _ in 0..100 {
        black_box(Vec::<u8>::with_capacity(1000));
    }
    for _ in 0..10_000 {
        drop(black_box(Box::new([1_u8; 64])));
    }
    black_box(Vec::<u8>::with_capacity(5_000_000));
    let mut grows = Vec::<u8>::with_capacity(10_000);
    grows.reserve_exact(30_000);
    drop(black_box(grows));
}

#[test]
fn the_probes_stand_by_their_contract() {
    for (name, arguments) in [("alloc", "8@%rdi 8@%rsi 8@%rdx"), ("free", "8@%rdi")] {
        let mut found = tracer::notes();
        found.retain(|note| note.provider == "otel_memory" && note.name == name);
        assert!(!found.is_empty(), "{name}");
        for note in found {
            assert_eq!(note.arguments, arguments);
            assert_ne!(note.semaphore, 0);
            assert_eq!(note.code, [0x90]);
        }
    }
}

#[test]
fn a_profiler_sees_all_bytes_on_average_and_each_sampled_block_freed() {
    let output = tracer::trace(
        r#"
        usdt:EXE:otel_memory:alloc /arg1 == 5000000/ { @rounds++; }
        usdt:EXE:otel_memory:alloc { printf("alloc %lu %lu %lu\n", arg0, arg1, arg2); }
        usdt:EXE:otel_memory:free { printf("free %lu\n", arg0); }
        interval:ms:100 /@rounds >= 50/ { exit(); }
        "#,
        round,
    );
    let Some(output) = output else { return };
    let mut alive = HashMap::new();
    let (mut rounds, mut small, mut freed) = (0_u64, 0_u64, 0_u64);
    for line in output.lines() {
        let mut words = line.split(' ');
        let kind = words.next();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        match kind {
            Some("alloc") => {
                let (address, size, weighted) = (number(), number(), number());
                if size == 5_000_000 {
                    rounds += 1; // it is certain to be sampled
                    assert_eq!(weighted, size);
                } else {
                    assert!(weighted >= MEAN_BYTES);
                    small += weighted;
                }
                assert_eq!(alive.insert(address, size), None, "not twice alive");
            }
            Some("free") => {
                // The first may be of blocks from before the tracer could tell.
                freed += u64::from(alive.remove(&number()).is_some());
            }
            _ => {}
        }
    }
    assert!(rounds >= 50);
    // Some 600 samples or more: the bounds are at four standard deviations and a round.
    let ratio = small as f64 / (rounds * SMALL_BYTES) as f64;
    assert!((0.82..1.18).contains(&ratio), "{ratio}");
    assert!(freed >= rounds - 1);
    assert!(alive.len() <= 5, "{alive:?}");
    assert_eq!(samples_dropped(), 0);
}
