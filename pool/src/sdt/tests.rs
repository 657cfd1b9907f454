//! The notes of this test executable, and a tracer attached to it.

use super::{probe, probe_in_argument_registers, semaphore};
use crate::probes;
use std::hint::black_box;
use tracer::{Note, notes, trace};

#[path = "../../tests/tracer/mod.rs"]
mod tracer;

semaphore! { LISTENING }
semaphore! { LISTENING_AS_TO_A_CALL }

#[inline(always)]
fn widths(narrow: u32, wide: u64, negative: i32, very_negative: i64, size: usize) {
    probe!(
        tailcut_test, widths,
        narrow => u32, wide => u64, negative => i32, very_negative => i64, size => usize;
        LISTENING
    );
}

#[inline(never)]
fn like_a_call(a: u64, b: u64, c: u64) {
    probe_in_argument_registers!(tailcut_test, like_a_call, c, b, a; LISTENING_AS_TO_A_CALL);
}

/// Calls nothing, so that the compiler may keep the array below the stack pointer.
#[inline(never)]
fn leaf(seed: u64) -> u64 {
    let mut locals = [0; 8];
    for (local, number) in locals.iter_mut().zip(seed..) {
        // SAFETY: a reference is valid for writes.
        unsafe { std::ptr::write_volatile(local, number) };
    }
    probe!(tailcut_test, leaf);
    let mut sum = 0;
    for local in &locals {
        // SAFETY: a reference is valid for reads.
        sum += unsafe { std::ptr::read_volatile(local) };
    }
    sum
}

fn named(provider: &str, name: &str) -> Vec<Note> {
    let mut notes = notes();
    notes.retain(|note| note.provider == provider && note.name == name);
    notes
}

#[test]
fn every_probe_of_the_pool_is_noted_with_its_arguments_and_place() {
    probes::built(1, 2, 3);
    probes::closed(1);
    probes::refill(1, 2, 3);
    probes::spill(1, 2, 3);
    probes::steal(1, 2, 3, 4);
    probes::grow(1, 2, 3);
    probes::shrink(1, 2, 3);
    probes::exhausted(1, 2);
    probes::wait_begin(1);
    probes::wait_end(1, 2, 3);
    probes::discard(1, 2);
    probes::get(1, 2);
    probes::put(1, 2, 3);
    assert!(!probes::wait_end_is_traced());
    let expected: [(&str, &[i32], bool); 13] = [
        ("built", &[8, 8, 4], false),
        ("closed", &[8], false),
        ("refill", &[8, 4, 4], false),
        ("spill", &[8, 4, 4], false),
        ("steal", &[8, 4, 4, 4], false),
        ("grow", &[8, 8, 8], false),
        ("shrink", &[8, 8, 8], false),
        ("exhausted", &[8, 8], false),
        ("wait_begin", &[8], false),
        ("wait_end", &[8, 8, 4], true),
        ("discard", &[8, 8], false),
        ("get", &[8, 8], false),
        ("put", &[8, 8, 8], false),
    ];
    for (name, widths, has_semaphore) in expected {
        let found = named("tailcut_pool", name);
        assert!(!found.is_empty(), "{name}");
        for note in found {
            assert_eq!(note.widths(), widths, "{note:?}");
            assert_eq!(note.semaphore != 0, has_semaphore, "{note:?}");
        }
    }
}

#[test]
fn every_note_points_at_a_nop_of_one_byte() {
    let mut ours = notes();
    ours.retain(|note| note.provider.starts_with("tailcut"));
    assert!(!ours.is_empty());
    for note in ours {
        assert_eq!(note.code, [0x90], "{note:?}");
    }
}

#[test]
fn each_copy_of_an_inlined_probe_has_a_note() {
    #[inline(always)]
    fn copied(number: u64) {
        probe!(tailcut_test, copied, number => u64);
    }
    copied(black_box(1));
    if black_box(true) {
        copied(black_box(2));
    }
    copied(black_box(3));
    let mut places: Vec<u64> = named("tailcut_test", "copied")
        .iter()
        .map(|note| note.location)
        .collect();
    places.dedup();
    assert_eq!(places.len(), 3);
}

#[test]
fn arguments_stand_where_a_call_has_them_when_asked() {
    like_a_call(1, 2, 3);
    let [note] = &named("tailcut_test", "like_a_call")[..] else {
        panic!("one site");
    };
    assert_eq!(note.arguments, "8@%rdi 8@%rsi 8@%rdx");
}

#[test]
fn a_tracer_gets_the_arguments_and_raises_the_semaphore() {
    assert!(!LISTENING.is_raised());
    let mut was_raised = false;
    let output = trace(
        r#"usdt:EXE:tailcut_test:widths {
            printf("%lu %lu %ld %ld %lu\n", arg0, arg1, arg2, arg3, arg4);
            exit();
        }"#,
        || {
            was_raised |= LISTENING.is_raised();
            widths(
                black_box(u32::MAX),
                black_box(u64::MAX - 1),
                black_box(-3),
                black_box(i64::MIN),
                black_box(7),
            );
        },
    );
    if let Some(output) = output {
        let expected = format!("{} {} -3 {} 7", u32::MAX, u64::MAX - 1, i64::MIN);
        assert!(output.lines().any(|line| line == expected), "{output}");
        assert!(was_raised);
        assert!(!LISTENING.is_raised(), "the tracer is gone");
    }
}

#[test]
fn a_traced_leaf_function_keeps_its_locals() {
    let expected = leaf(black_box(10));
    assert_eq!(expected, (10..18).sum());
    trace(
        "usdt:EXE:tailcut_test:leaf { @hits++; if (@hits >= 1000) { exit(); } }",
        || {
            for _ in 0..100 {
                assert_eq!(leaf(black_box(10)), expected);
            }
        },
    );
}
