//! Without a metered allocator a scope refuses to run, rather than pass whatever it is given.
#![cfg(not(loom))]

#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
mod tracer;

use tailcut_pool::meter::{self, Denied};

#[test]
fn a_scope_that_cannot_tell_does_not_pass() {
    let mut ran = false;
    let result = meter::no_alloc(|| ran = true);
    assert_eq!(result, Err(Denied::Unmetered));
    assert!(!ran);
    assert!(result.unwrap_err().to_string().contains("global_allocator"));
}

#[test]
#[should_panic(expected = "this scope must not allocate: the meter sees no allocations")]
fn an_assertion_that_cannot_tell_fails() {
    meter::assert_no_alloc(|| ());
}

/// The functions that fire them are in the library, and are dropped by the linker: so are the
/// notes, which would otherwise give an address of zero and spoil the probe for tracers.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
fn a_program_that_samples_nothing_has_no_memory_probes() {
    let mut notes = tracer::notes();
    notes.retain(|note| {
        ["otel_memory", "tailcut_alloc"].contains(&&*note.provider) || note.code.is_empty()
    });
    assert_eq!(notes, []);
}
