//! Scopes that forbid allocation catch it, name it, and otherwise stay out of the way.
#![cfg(not(loom))]

use std::alloc::System;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use tailcut_pool::meter::{self, Allocated, Counts, Denied, Forbid, Metered};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

#[inline(never)]
fn allocates(bytes: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(bytes))
}

fn broken<R>(result: Result<R, Denied>) -> Allocated {
    match result {
        Err(Denied::Allocated(allocated)) => allocated,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the scope let it pass"),
    }
}

fn allocations(count: u64, bytes: u64) -> Counts {
    Counts {
        allocations: count,
        bytes,
        ..Counts::default()
    }
}

fn message_of(panics: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
    payload.downcast_ref::<String>().cloned().unwrap()
}

#[test]
fn code_that_does_not_allocate_passes_with_its_result() {
    let mut room: Vec<u32> = Vec::with_capacity(1);
    let result = meter::no_alloc(|| {
        room.push(1);
        room[0] + 1
    });
    assert_eq!(result, Ok(2));
    assert_eq!(meter::assert_no_alloc(|| 3), 3);
}

#[test]
fn allocations_are_counted_and_frees_are_let_pass() {
    let mut grows = allocates(10);
    let drops = allocates(10);
    let broken = broken(meter::no_alloc(|| {
        grows.reserve_exact(20); // a realloc
        drop(allocates(100));
        drop(drops);
    }));
    assert_eq!(broken.counts, allocations(2, 120));
}

#[test]
fn frees_are_denied_on_request() {
    let drops = allocates(10);
    let broken = broken(meter::check(Forbid::AllocationsAndFrees, || drop(drops)));
    let expected = Counts {
        frees: 1,
        ..Counts::default()
    };
    assert_eq!(broken.counts, expected);
    assert!(broken.to_string().starts_with("1 free;"), "{broken}");
}

#[test]
fn an_allocation_in_an_inner_scope_breaks_the_outer_one_too() {
    let mut inner = None;
    let outer = broken(meter::no_alloc(|| {
        inner = Some(broken(meter::no_alloc(|| drop(allocates(1)))));
        drop(allocates(2));
    }));
    assert_eq!(inner.unwrap().counts, allocations(1, 1));
    assert_eq!(outer.counts, allocations(2, 3));
}

#[test]
fn reporting_a_broken_scope_does_not_itself_count() {
    let before = meter::counts();
    let broken = broken(meter::no_alloc(|| drop(allocates(7))));
    assert_eq!((meter::counts() - before).allocations, 1);
    drop(broken);
}

#[test]
fn other_threads_may_allocate() {
    let (start, started) = std::sync::mpsc::sync_channel(0);
    let (done, finished) = std::sync::mpsc::sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            started.recv().unwrap();
            let bytes = allocates(100);
            done.send(bytes).unwrap();
        });
        // Channels may allocate when they block: hence by polling.
        let bytes = meter::assert_no_alloc(|| {
            while start.try_send(()).is_err() {}
            loop {
                if let Ok(bytes) = finished.try_recv() {
                    break bytes;
                }
            }
        });
        assert_eq!(bytes.capacity(), 100);
    });
}

#[test]
fn a_panic_ends_the_scope_and_is_not_blamed_for_its_message() {
    let message = message_of(|| meter::assert_no_alloc(|| panic!("number {}", black_box(5))));
    assert_eq!(message, "number 5");
    let before = meter::counts();
    drop(allocates(1));
    assert_eq!((meter::counts() - before).allocations, 1);
    // Caught inside the scope, the panic has allocated its payload, and printed its message.
    let caught = meter::no_alloc(|| catch_unwind(|| panic!("number {}", black_box(6))).is_err());
    assert_eq!(caught, Ok(true));
    // The meter is awake again afterwards.
    assert!(meter::no_alloc(|| drop(allocates(1))).is_err());
}

#[test]
fn a_backtrace_taken_inside_a_scope_is_an_allocation_like_any_other() {
    let broken = broken(meter::no_alloc(|| {
        let backtrace = std::backtrace::Backtrace::force_capture();
        black_box(backtrace.to_string());
    }));
    assert!(broken.counts.allocations > 0);
}

#[test]
fn the_panic_names_the_scope_and_says_what_happened() {
    let place = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen = place.clone();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_some_and(|at| at.file() == file!()) {
            *seen.lock().unwrap() = panic.location().map(Location::line);
        }
    }));
    let line = line!() + 1;
    let message = message_of(|| meter::assert_no_alloc(|| drop(allocates(64))));
    std::panic::set_hook(hook);
    assert!(
        message.starts_with("this scope must not allocate: 1 allocation, 64 bytes; the first "),
        "{message}"
    );
    assert_eq!(*place.lock().unwrap(), Some(line));
}

#[cfg(all(feature = "call-sites", unix))]
mod sites {
    use super::{allocates, broken, message_of};
    use std::collections::HashMap;
    use std::hint::black_box;
    use tailcut_pool::meter;

    #[inline(never)]
    fn inserts_into_a_map(map: &mut HashMap<u64, u64>) {
        map.insert(1, 2);
    }

    #[test]
    fn the_message_names_the_function_that_allocated() {
        let message = message_of(|| meter::assert_no_alloc(|| drop(allocates(64))));
        assert!(message.contains("allocates` at "), "{message}");
        assert!(message.contains("scopes.rs:"), "{message}");
    }

    #[test]
    fn what_lies_in_the_standard_library_is_blamed_on_its_caller() {
        let mut map = HashMap::new();
        let broken = broken(meter::no_alloc(|| inserts_into_a_map(&mut map)));
        let site = broken.first;
        assert!(site.function.unwrap().ends_with("inserts_into_a_map"));
        assert!(site.file.unwrap().ends_with("scopes.rs"));
        assert!(site.line.is_some());
    }

    #[test]
    fn code_inlined_into_the_scope_is_named_by_its_line() {
        let line = line!() + 1;
        let result = meter::no_alloc(|| black_box(format!("{}", black_box(1))));
        let site = broken(result).first;
        assert!(site.file.unwrap().ends_with("scopes.rs"));
        assert_eq!(site.line, Some(line));
    }
}
